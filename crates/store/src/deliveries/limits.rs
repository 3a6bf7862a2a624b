//! The rate limit of a webhook: one item that says when its next free slot is.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    id::WebhookId,
    rate_limit::{AHEAD, Grant, RateLimit},
    workspace::Workspace,
};

use super::Deliveries;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, Read, key, number},
};

/// How often a reservation is tried when others reserve at the same time.
const TRIES: u32 = 8;
/// How long the item is kept after its last slot.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// These are the slots: one, or more, up to as many as were asked for.
    Slots(Vec<Timestamp>),
    /// Nothing is reserved: the next free slot is too far away.
    Later(Timestamp),
}

/// The item as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    next_free: i64,
    spacing: i64,
}

impl Deliveries {
    /// Reserves up to `count` of the next slots of a webhook, none of them more than a second away. A function that dies leaves its
    /// slots unused.
    ///
    /// Where the next free slot lies ahead, near enough, an update adds to it, however many do so at the same time. Where it is past,
    /// or of another limit, it begins anew, on the condition that nobody else has done so.
    pub async fn reserve_slots(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        limit: RateLimit,
        count: u32,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let spacing = micros(limit.interval());
        let mut wanted = count;
        let mut begins = None;
        for _ in 0..TRIES {
            let update = match begins {
                None => self.add_slots(workspace, webhook, limit, wanted, now),
                Some((seen, first)) => {
                    self.begin_slots(workspace, webhook, seen, first + limit.interval() * wanted, spacing)
                }
            };
            match update.send().await {
                Ok(answer) => {
                    let next = time(next_free(&answer.attributes.unwrap_or_default())?);
                    let first = next - limit.interval() * wanted;
                    return Ok(Reserved::Slots(limit.slots(first, wanted).collect()));
                }
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        let seen = failed.item().map(read).transpose()?;
                        // Slots of another limit count no more.
                        let next_free = seen.filter(|seen| seen.spacing == spacing).map(|seen| time(seen.next_free));
                        match limit.grant(next_free, count, now) {
                            Grant::Later(next) => return Ok(Reserved::Later(next)),
                            Grant::Slots { first, count } => {
                                wanted = count;
                                begins = (next_free != Some(first)).then_some((seen, first));
                            }
                        }
                    }
                    _ => return Err(StoreError::call("UpdateItem")(error)),
                },
            }
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }

    /// Adds to a next free slot that may be taken now, or within a second as the last of these.
    fn add_slots(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        limit: RateLimit,
        count: u32,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let last = now + AHEAD - limit.interval() * (count - 1);
        let life = now + AHEAD + LIFE;
        self.slots_update(workspace, webhook, limit.interval(), life)
            .update_expression(format!("SET nextFree = nextFree + :all, {EXPIRES_AT} = :life"))
            .condition_expression("spacing = :spacing AND nextFree >= :oldest AND nextFree <= :last")
            .expression_attribute_values(":all", number(micros(limit.interval() * count)))
            .expression_attribute_values(":oldest", number(limit.oldest(now).as_microsecond()))
            .expression_attribute_values(":last", number(last.as_microsecond()))
    }

    /// Begins anew where nothing has changed since the item was read.
    fn begin_slots(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        seen: Option<Seen>,
        next: Timestamp,
        spacing: i64,
    ) -> UpdateItemFluentBuilder {
        let interval = Duration::from_micros(u64::try_from(spacing).unwrap_or(0));
        let update = self
            .slots_update(workspace, webhook, interval, next + LIFE)
            .update_expression(format!("SET nextFree = :next, spacing = :spacing, {EXPIRES_AT} = :life"))
            .expression_attribute_values(":next", number(next.as_microsecond()));
        match seen {
            None => update.condition_expression("attribute_not_exists(nextFree)"),
            Some(seen) => update
                .condition_expression("nextFree = :seen AND spacing = :apart")
                .expression_attribute_values(":seen", number(seen.next_free))
                .expression_attribute_values(":apart", number(seen.spacing)),
        }
    }

    fn slots_update(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        interval: Duration,
        life: Timestamp,
    ) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(format!("#limit#{workspace}#{webhook}"), "limit")))
            .expression_attribute_values(":spacing", number(micros(interval)))
            .expression_attribute_values(":life", number(life.as_second()))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

fn read(item: &Item) -> Result<Seen, StoreError> {
    Ok(Seen { next_free: next_free(item)?, spacing: item.number("spacing")? })
}

fn next_free(item: &Item) -> Result<i64, StoreError> {
    item.number("nextFree")
}

fn time(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::MAX)
}

fn micros(interval: Duration) -> i64 {
    i64::try_from(interval.as_micros()).unwrap_or(i64::MAX)
}
