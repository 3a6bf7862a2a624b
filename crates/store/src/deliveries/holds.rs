//! Deliveries that wait for the end of a run of a process.
//!
//! A hold is written only together with a check that the run has not ended; the end first writes its marker. So a hold is either
//! there before the marker, where the end finds it, or it is refused, and its delivery goes out at once. DynamoDB's transactions
//! are serializable with all other writes of their items.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::put_item::PutItemError,
    types::{ConditionCheck, DeleteRequest, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest},
};
use posthaste_domain::{
    Timestamp,
    id::{DeliveryId, EventId, WebhookId},
    workspace::Workspace,
};
use sha2::{Digest, Sha256};

use super::{Deliveries, due};
use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, Read, SK, key, number, text},
};

const PREFIX: &str = "#hold#";
const HOLD: &str = "hold#";
/// The end of a run is held like this while the run goes out in parts: behind everything else.
const END: &str = "last#";
const ENDED: &str = "ended";
/// Who wrote the marker of an end.
const TOKEN: &str = "token";
/// The most holds of one transaction, which takes 100 items.
const MAX_HOLDS: usize = 99;
/// How long the first end of a run is remembered for what comes late.
const MARKER_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a hold is kept beyond its deadline, should nobody ever release it.
const HOLD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often a write is tried that met another one's transaction, with doubling waits from [`FIRST_WAIT`].
const TRIES: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// A run of a process, as one webhook sees it.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// Whose it is.
    pub workspace: &'a Workspace,
    /// The webhook.
    pub webhook: WebhookId,
    /// The run, by its context id.
    pub context: &'a str,
}

/// One delivery that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold {
    /// Whether it is the end of the run, which goes last whatever its event's id.
    pub is_end: bool,
    /// What it brings. Holds are in the order of their events.
    pub event: EventId,
    /// Its id.
    pub delivery: DeliveryId,
    /// How large the event is, so that a task is not larger than a function's memory.
    pub bytes: u64,
}

/// Bounds of what is held for a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Within {
    /// Only what is behind this hold.
    pub after: Option<HoldAt>,
    /// Only this hold and what is behind it.
    pub from: Option<HoldAt>,
    /// Only this hold and what is before it.
    pub until: Option<HoldAt>,
}

/// Where a hold stands in its run: in the order of the events, and the ends behind all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldAt {
    /// Whether it is an end of the run.
    pub is_end: bool,
    /// What it brings.
    pub event: EventId,
}

/// What the key of a hold says.
pub(super) struct HoldKey {
    pub(super) workspace: Workspace,
    pub(super) webhook: WebhookId,
    pub(super) context: String,
    pub(super) event: EventId,
}

impl HoldAt {
    fn sort_key(&self) -> String {
        format!("{}{}", if self.is_end { END } else { HOLD }, self.event)
    }
}

impl Hold {
    /// Where it stands.
    pub fn at(&self) -> HoldAt {
        HoldAt { is_end: self.is_end, event: self.event }
    }
}

impl Holding<'_> {
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.context).into()
    }

    fn partition(&self) -> String {
        format!("{PREFIX}{}#{}#{}", self.workspace, self.webhook, hex::encode(self.hash()))
    }

    fn hold(&self, hold: Hold, deadline: Duration) -> Item {
        let due_at = hold.event.time() + deadline;
        let mut item = key(self.partition(), hold.at().sort_key());
        item.insert("deliveryId".to_owned(), text(hold.delivery.to_string()));
        item.insert("bytes".to_owned(), number(hold.bytes));
        item.insert("dueAt".to_owned(), number(due_at.as_millisecond()));
        item.insert("dueShard".to_owned(), due::shard(self.hash()[0]));
        item.insert(EXPIRES_AT.to_owned(), number((due_at + HOLD_LIFE).as_second()));
        item
    }
}

impl Deliveries {
    /// Holds these deliveries until the run ends, or `deadline` after each one's event. Returns those of which the run has ended
    /// before: they are due now. Holding one again changes nothing.
    pub async fn hold(&self, run: Holding<'_>, holds: &[Hold], deadline: Duration) -> Result<Vec<Hold>, StoreError> {
        let mut ended = Vec::new();
        for chunk in holds.chunks(MAX_HOLDS) {
            if !self.hold_chunk(run, chunk, deadline).await? {
                ended.extend(chunk);
            }
        }
        Ok(ended)
    }

    /// False when the run has ended.
    async fn hold_chunk(&self, run: Holding<'_>, holds: &[Hold], deadline: Duration) -> Result<bool, StoreError> {
        let incomplete = |error| StoreError::incomplete("TransactWriteItems", error);
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(run.partition(), ENDED)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(incomplete)?;
        let mut parts = vec![TransactWriteItem::builder().condition_check(check).build()];
        for hold in holds {
            let put = Put::builder().table_name(&self.table).set_item(Some(run.hold(*hold, deadline)));
            parts.push(TransactWriteItem::builder().put(put.build().map_err(incomplete)?).build());
        }
        self.write_all(parts).await
    }

    /// Writes all of these or, where a condition does not hold, none and tells so.
    pub(super) async fn write_all(&self, parts: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        for attempt in 1.. {
            let write = self.client.transact_write_items().set_transact_items(Some(parts.clone()));
            let Err(error) = write.send().await else { return Ok(true) };
            let cancelled = error.as_service_error().and_then(|error| match error {
                aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                    cancelled,
                ) => Some(cancelled.cancellation_reasons()),
                _ => None,
            });
            let has =
                |code: &str| cancelled.is_some_and(|reasons| reasons.iter().any(|reason| reason.code() == Some(code)));
            if has("ConditionalCheckFailed") {
                return Ok(false);
            }
            let passes =
                ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"].into_iter().any(has);
            if !passes || attempt == TRIES {
                return Err(StoreError::call("TransactWriteItems")(error));
            }
            wait_after(attempt).await;
        }
        Ok(true)
    }

    /// Remembers that the run has ended: from now on nothing is held for it. `end` is the delivery of its end, where it has one.
    /// `token` is unique to this call, so that a write whose answer was lost is known again. Returns the delivery of the first end if
    /// the run had ended before.
    pub async fn end(
        &self,
        run: Holding<'_>,
        end: Option<DeliveryId>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let mut marker = key(run.partition(), ENDED);
        marker.insert(EXPIRES_AT.to_owned(), number((now + MARKER_LIFE).as_second()));
        marker.insert(TOKEN.to_owned(), text(token));
        if let Some(end) = end {
            marker.insert("deliveryId".to_owned(), text(end.to_string()));
        }
        for attempt in 1.. {
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(marker.clone()))
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let Err(error) = put.send().await else { break };
            if let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
                let others = |item: &&Item| item.get(TOKEN) != Some(&text(token));
                let first = failed.item().filter(others).filter(|item| item.contains_key("deliveryId"));
                return first.map(|item| item.parsed("deliveryId")).transpose();
            }
            let conflict = error.code() == Some("TransactionConflictException");
            if !conflict || attempt == TRIES {
                return Err(StoreError::call("PutItem")(error));
            }
            wait_after(attempt).await;
        }
        Ok(None)
    }

    /// Holds the end of a run as the last of what is held for it.
    pub async fn hold_end(&self, run: Holding<'_>, end: Hold, deadline: Duration) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(run.hold(end, deadline)));
        put.send().await.map(drop).map_err(StoreError::call("PutItem"))
    }

    /// What is held for the run within these bounds, in the order of the events and the end last: up to `limit` holds, or as many as a
    /// call reads, which is 1 MB.
    pub async fn held(&self, run: Holding<'_>, bounds: Within, limit: usize) -> Result<Vec<Hold>, StoreError> {
        let Within { after, from, until } = bounds;
        let from = after.map(|at| format!("{}~", at.sort_key())).or(from.map(|at| at.sort_key()));
        let until = until.map_or_else(|| format!("{END}~"), |at| at.sort_key());
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :run AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":run", text(run.partition()))
            .expression_attribute_values(":from", text(from.unwrap_or_else(|| HOLD.to_owned())))
            .expression_attribute_values(":until", text(until))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        let mut holds = Vec::new();
        for item in answer.items() {
            let (is_end, event) = parse_sort_key(item.text(SK)?).ok_or_else(|| item.corrupt(SK))?;
            holds.push(Hold { is_end, event, delivery: item.parsed("deliveryId")?, bytes: item.number("bytes")? });
        }
        Ok(holds)
    }

    /// Whether the end of the run is known: nothing is held for it any more.
    pub async fn has_ended(&self, run: Holding<'_>) -> Result<bool, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :run AND sk = :ended")
            .expression_attribute_values(":run", text(run.partition()))
            .expression_attribute_values(":ended", text(ENDED));
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        Ok(!answer.items().is_empty())
    }

    /// Forgets holds whose deliveries have been sent. One that stays is sent once more at its deadline.
    pub async fn forget(&self, run: Holding<'_>, holds: &[Hold]) -> Result<(), StoreError> {
        let delete = |hold: &Hold| {
            let key = key(run.partition(), hold.at().sort_key());
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(|error| StoreError::incomplete("BatchWriteItem", error))?;
            Ok((key, WriteRequest::builder().delete_request(delete).build()))
        };
        let deletes = holds.iter().map(delete).collect::<Result<Vec<_>, StoreError>>()?;
        batch::write(&self.client, &self.table, &deletes).await;
        Ok(())
    }
}

/// Reads the key of a hold; none if it is the key of something else.
pub(super) fn parse_key(pk: &str, sk: &str) -> Option<HoldKey> {
    let mut parts = pk.strip_prefix(PREFIX)?.split('#');
    Some(HoldKey {
        workspace: Workspace::parse(parts.next()?).ok()?,
        webhook: parts.next()?.parse().ok()?,
        context: parts.next()?.to_owned(),
        event: parse_sort_key(sk)?.1,
    })
}

/// Whether it is the end of the run, and its event.
fn parse_sort_key(sk: &str) -> Option<(bool, EventId)> {
    let of = |prefix| sk.strip_prefix(prefix).and_then(|id| id.parse().ok());
    of(HOLD).map(|event| (false, event)).or_else(|| of(END).map(|event| (true, event)))
}

async fn wait_after(attempt: u32) {
    tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
}
