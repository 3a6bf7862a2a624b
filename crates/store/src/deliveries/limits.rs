//! The rate limit of a webhook: one item that says when its next free slot is.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{Timestamp, id::WebhookId, rate_limit::RateLimit, workspace::Workspace};

use super::Deliveries;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Read, key, number},
};

/// How often the two ways to reserve are tried in turn, when others reserve at the same time.
const TRIES: u32 = 5;
/// How long the item is kept after its last slot.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

impl Deliveries {
    /// Reserves the next `count` slots of a webhook, of which the first may be now. A function that dies leaves its slots unused.
    ///
    /// One update does it: it adds to a next free slot that lies ahead, or begins anew where the last slot is past.
    pub async fn reserve_slots(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        limit: RateLimit,
        count: u32,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let all = limit.interval() * count;
        let life = (now + LIFE + all).as_second();
        let mut lost = None;
        for attempt in 0..TRIES * 2 {
            let ahead = attempt % 2 == 0;
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(format!("#limit#{workspace}#{webhook}"), "limit")))
                .expression_attribute_values(":now", number(now.as_microsecond()))
                .expression_attribute_values(":life", number(life))
                .return_values(ReturnValue::UpdatedNew);
            let update = if ahead {
                update
                    .update_expression(format!("SET nextFree = nextFree + :all, {EXPIRES_AT} = :life"))
                    .condition_expression("nextFree >= :now")
                    .expression_attribute_values(":all", number(all.as_micros()))
            } else {
                update
                    .update_expression(format!("SET nextFree = :next, {EXPIRES_AT} = :life"))
                    .condition_expression("attribute_not_exists(nextFree) OR nextFree < :now")
                    .expression_attribute_values(":next", number((now + all).as_microsecond()))
            };
            match update.send().await {
                Ok(answer) => {
                    let item = answer.attributes.unwrap_or_default();
                    let next = Timestamp::from_microsecond(item.number("nextFree")?);
                    let next = next.map_err(|_| item.corrupt("nextFree"))?;
                    return Ok(limit.slots(next, count).collect());
                }
                Err(error)
                    if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
                {
                    lost = Some(StoreError::call("UpdateItem")(error));
                }
                Err(error) => return Err(StoreError::call("UpdateItem")(error)),
            }
        }
        Err(lost.unwrap_or(StoreError::Corrupt { key: "limit".to_owned(), attribute: "nextFree" }))
    }
}
