//! The rate limit of a webhook: one item that says when its next free slot is.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{Timestamp, id::WebhookId, rate_limit::RateLimit, workspace::Workspace};

use super::Deliveries;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, Read, key, number},
};

/// How often the two ways to reserve are tried in turn, when others reserve at the same time.
const TRIES: u32 = 5;
/// How long the item is kept after its last slot.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// These are the slots.
    Slots(Vec<Timestamp>),
    /// Nothing is reserved, as the next free slot is beyond what was asked for.
    Later(Timestamp),
}

/// What is to be reserved.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// The limit of the webhook by now.
    pub limit: RateLimit,
    /// How many slots.
    pub count: u32,
    /// Only if the first one is not later than this from now on.
    pub within: Option<Duration>,
}

impl Deliveries {
    /// Reserves the next slots of a webhook, of which the first may be now. A function that dies leaves its slots unused.
    ///
    /// One update does it: it adds to a next free slot that lies ahead, or begins anew where the last slot is past or another limit
    /// gave it.
    pub async fn reserve_slots(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        reservation: Reservation,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let Reservation { limit, count, within } = reservation;
        let all = limit.interval() * count;
        let last = within.map_or(Timestamp::MAX, |within| now + within);
        for attempt in 0..TRIES * 2 {
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("#limit#{workspace}#{webhook}"), "limit")))
                .expression_attribute_values(":now", number(now.as_microsecond()))
                .expression_attribute_values(":life", number((now + LIFE + all).as_second()))
                .expression_attribute_values(":spacing", number(limit.interval().as_micros()))
                .return_values(ReturnValue::UpdatedNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let update = if attempt % 2 == 0 {
                update
                    .update_expression(format!("SET nextFree = nextFree + :all, {EXPIRES_AT} = :life"))
                    .condition_expression("spacing = :spacing AND nextFree BETWEEN :now AND :last")
                    .expression_attribute_values(":all", number(all.as_micros()))
                    .expression_attribute_values(":last", number(last.as_microsecond()))
            } else {
                update
                    .update_expression(format!("SET nextFree = :next, spacing = :spacing, {EXPIRES_AT} = :life"))
                    .condition_expression("attribute_not_exists(nextFree) OR nextFree < :now OR spacing <> :spacing")
                    .expression_attribute_values(":next", number((now + all).as_microsecond()))
            };
            match update.send().await {
                Ok(answer) => {
                    let next = next_free(&answer.attributes.unwrap_or_default())?;
                    return Ok(Reserved::Slots(limit.slots(next, count).collect()));
                }
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) if attempt % 2 == 1 => {
                        // Neither way is open: a slot lies ahead, and too far if there is a limit to that.
                        let next = next_free(failed.item().unwrap_or(&Item::new()))?;
                        if next > last {
                            return Ok(Reserved::Later(next));
                        }
                    }
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => {}
                    _ => return Err(StoreError::call("UpdateItem")(error)),
                },
            }
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }
}

fn next_free(item: &Item) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(item.number("nextFree")?).map_err(|_| item.corrupt("nextFree"))
}
