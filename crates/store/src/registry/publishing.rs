//! The limit of publishing of a workspace: one item that says when its next free token is. The rule is in
//! [`posthaste_domain::publish_limit`].

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    publish_limit::{Grant, PublishLimit},
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

/// How tokens are taken.
#[derive(Debug, Clone, Copy)]
enum Take {
    /// So many, behind the last one that is taken.
    Further(u32),
    /// So many from now on: what the item said, if there is one, is past.
    FromNow(Option<i64>, u32),
}

impl Registry {
    /// Takes `least` tokens of a workspace or up to `most`, or none of them. A function that dies leaves its tokens unused.
    ///
    /// Where the next free token lies ahead, an update adds to it, however many do so at the same time. Where it is past, it
    /// begins anew, on the condition that nobody else has done so.
    pub async fn take_tokens(
        &self,
        workspace: &Workspace,
        limit: PublishLimit,
        least: u32,
        most: u32,
        now: Timestamp,
    ) -> Result<Grant, StoreError> {
        let mut take = Take::Further(most);
        for _ in 0..TRIES {
            match self.tokens_update(workspace, limit, take, now).send().await {
                Ok(answer) => {
                    let (Take::Further(count) | Take::FromNow(_, count)) = take;
                    let next = time(next_free(&answer.attributes.unwrap_or_default())?);
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

    fn tokens_update(
        &self,
        workspace: &Workspace,
        limit: PublishLimit,
        take: Take,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(bucket_key(workspace)))
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

/// The role of `ingest` may write only keys that begin so, besides those of calls.
fn bucket_key(workspace: &Workspace) -> Item {
    key(format!("publish#{workspace}"), "limit")
}

/// In nanoseconds since 1970.
fn next_free(item: &Item) -> Result<i64, StoreError> {
    item.number("nextFree")
}

fn time(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::MAX)
}
