//! The buckets of limits: each is one item that says when its next token is free. The rule is in [`posthaste_domain::tokens`].

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    id::KeyId,
    tokens::{Grant, Limit, Question},
    workspace::Workspace,
};

use super::Registry;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, Read, key, number},
};

/// How often tokens are asked for when others ask at the same time.
const TRIES: u32 = 8;
/// How long the item is kept after its last token. An item that is gone says the same as one whose tokens are all past.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// Whose tokens a bucket has, and what they are for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The events that a workspace publishes.
    Publishing(Workspace),
    /// The calls that an API key makes.
    Calls(KeyId),
}

impl Bucket {
    /// The role of `ingest` may write only keys that begin so, besides those of calls with an idempotency key.
    fn key(&self) -> Item {
        match self {
            Self::Publishing(workspace) => key(format!("publish#{workspace}"), "limit"),
            Self::Calls(id) => key(format!("calls#{id}"), "limit"),
        }
    }
}

/// How tokens are taken.
#[derive(Debug, Clone, Copy)]
enum Take {
    /// So many, behind the last one that is taken, as far as the window has them.
    Further(u32),
    /// So many, behind the last one that is taken, wherever that is.
    Owed(u32),
    /// So many from now on: what the item said, if there is one, is past.
    FromNow(Option<i64>, u32),
}

impl Take {
    fn count(self) -> u32 {
        match self {
            Self::Further(count) | Self::Owed(count) | Self::FromNow(_, count) => count,
        }
    }
}

impl Registry {
    /// Takes as many tokens as are asked for, or none of them. A function that dies leaves its tokens unused.
    ///
    /// Where the next free token lies ahead, an update adds to it, however many do so at the same time. Where it is past, it
    /// begins anew, on the condition that nobody else has done so.
    pub async fn take_tokens(
        &self,
        bucket: &Bucket,
        limit: Limit,
        asked: Question,
        now: Timestamp,
    ) -> Result<Grant, StoreError> {
        let Question { least, most } = asked;
        let mut take = Take::Further(most);
        for _ in 0..TRIES {
            match self.tokens_update(bucket, limit, take, now).send().await {
                Ok(answer) => {
                    let next = time(next_free(&answer.attributes.unwrap_or_default())?);
                    let count = take.count();
                    return Ok(Grant::Tokens { first: next - limit.interval() * count, count });
                }
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        let seen = failed.item().map(next_free).transpose()?;
                        match limit.grant(seen.map(time), least, most, now) {
                            Grant::Later(at) => return Ok(Grant::Later(at)),
                            Grant::Tokens { first, count } if seen.is_some_and(|seen| time(seen) == first) => {
                                take = Take::Further(count);
                            }
                            Grant::Tokens { count, .. } => take = Take::FromNow(seen, count),
                        }
                    }
                    _ => return Err(StoreError::call("UpdateItem")(error)),
                },
            }
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }

    /// Takes tokens that have been used already, whether the bucket has them or not, and says when its next one is free.
    pub async fn owe_tokens(
        &self,
        bucket: &Bucket,
        limit: Limit,
        count: u32,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut take = Take::Owed(count);
        for _ in 0..TRIES {
            match self.tokens_update(bucket, limit, take, now).send().await {
                Ok(answer) => return Ok(time(next_free(&answer.attributes.unwrap_or_default())?)),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        let seen = failed.item().map(next_free).transpose()?;
                        let is_ahead = seen.is_some_and(|seen| time(seen) >= now);
                        take = if is_ahead { Take::Owed(count) } else { Take::FromNow(seen, count) };
                    }
                    _ => return Err(StoreError::call("UpdateItem")(error)),
                },
            }
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }

    fn tokens_update(&self, bucket: &Bucket, limit: Limit, take: Take, now: Timestamp) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(bucket.key()))
            .expression_attribute_values(":life", number((now + limit.window() + LIFE).as_second()))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match take {
            Take::Further(count) => update
                .update_expression(format!("SET nextFree = nextFree + :all, {EXPIRES_AT} = :life"))
                .condition_expression("nextFree >= :now AND nextFree <= :last")
                .expression_attribute_values(":all", number((limit.interval() * count).as_nanos()))
                .expression_attribute_values(":now", number(now.as_nanosecond()))
                .expression_attribute_values(
                    ":last",
                    number((now + limit.window() - limit.interval() * count).as_nanosecond()),
                ),
            Take::Owed(count) => update
                .update_expression(format!("SET nextFree = nextFree + :all, {EXPIRES_AT} = :life"))
                .condition_expression("nextFree >= :now")
                .expression_attribute_values(":all", number((limit.interval() * count).as_nanos()))
                .expression_attribute_values(":now", number(now.as_nanosecond())),
            Take::FromNow(seen, count) => {
                let update = update
                    .update_expression(format!("SET nextFree = :next, {EXPIRES_AT} = :life"))
                    .expression_attribute_values(":next", number((now + limit.interval() * count).as_nanosecond()));
                match seen {
                    None => update.condition_expression("attribute_not_exists(nextFree)"),
                    Some(seen) => update
                        .condition_expression("nextFree = :seen")
                        .expression_attribute_values(":seen", number(seen)),
                }
            }
        }
    }
}

/// In nanoseconds since 1970.
fn next_free(item: &Item) -> Result<i64, StoreError> {
    item.number("nextFree")
}

fn time(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::MAX)
}
