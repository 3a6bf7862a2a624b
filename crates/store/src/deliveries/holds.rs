//! Deliveries that wait for the end of a run of a process.
//!
//! A hold is written only together with a check that the run has not ended; the end first writes
//! its marker. So a hold is either there before the marker, where the end finds it, or it is
//! refused, and its delivery goes out at once. DynamoDB's transactions are serializable with all
//! other writes of their items.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    id::{DeliveryId, EventId},
    webhook::key::WebhookKey,
};
use sha2::{Digest, Sha256};

use super::{activity, due};
use crate::{
    StoreError, batch,
    item::{EXPIRES_AT, Item, SK, key, number, text},
    table::{Answer, Outcome, Range, Table, Transacted},
    wait::wait_doubling,
    write::{Condition, Write},
};

mod ended;

pub(super) const PREFIX: &str = "#hold#";
const HOLD: &str = "hold#";
/// The end of a run is held like this while the run goes out in parts: behind everything else.
const END: &str = "last#";
const ENDED: &str = "ended";
/// The attribute that says which call wrote the marker of an end.
const TOKEN: &str = "token";
/// The most holds of one transaction, which takes 100 items.
const MAX_HOLDS: usize = 99;
/// The first end of a run is remembered for so long, for what comes late.
pub(super) const MARKER_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A hold is kept for so long beyond its deadline, should nobody ever release it.
const HOLD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A write that met another one's transaction is tried so often, with doubling waits from
/// [`FIRST_WAIT`].
const TRIES: u32 = 7;
/// The code of a write whose item a transaction is writing.
const CONFLICT: &str = "TransactionConflictException";
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The holds of all runs.
#[derive(Debug, Clone)]
pub struct Holds {
    pub(super) table: Table,
}

/// A run of a process, as one webhook sees it.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// The webhook.
    pub webhook: &'a WebhookKey,
    /// The run, by its context id.
    pub context: &'a str,
}

/// One delivery that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold {
    /// It says whether this is the end of the run, which goes last whatever its event's id.
    pub is_end: bool,
    /// The event that it brings. Holds are in the order of their events.
    pub event: EventId,
    /// Its id.
    pub delivery: DeliveryId,
    /// The size of the event, so that a task is not larger than a function's memory.
    pub bytes: u64,
}

/// A delivery that waits for the end of a run, as a list finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldDelivery {
    /// Its id.
    pub delivery: DeliveryId,
    /// The webhook that it goes to.
    pub webhook: WebhookKey,
    /// The event that it brings.
    pub event: EventId,
    /// It goes out then at the latest.
    pub due_at: Timestamp,
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

/// The place of a hold in its run: in the order of the events, and the ends behind all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldAt {
    /// It says whether this is an end of the run.
    pub is_end: bool,
    /// The event that it brings.
    pub event: EventId,
}

/// The contents of a hold's key.
pub(super) struct HoldKey {
    pub(super) webhook: WebhookKey,
    pub(super) context: String,
    pub(super) event: EventId,
}

impl HoldAt {
    fn sort_key(&self) -> String {
        format!("{}{}", if self.is_end { END } else { HOLD }, self.event)
    }
}

impl Hold {
    /// Its place in its run.
    pub fn at(&self) -> HoldAt {
        HoldAt { is_end: self.is_end, event: self.event }
    }
}

impl Holding<'_> {
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.context).into()
    }

    fn partition(&self) -> String {
        format!("{PREFIX}{}#{}", self.webhook, hex::encode(self.hash()))
    }

    fn hold(&self, hold: Hold, deadline: Duration) -> Item {
        let due_at = hold.event.time() + deadline;
        let item = key(self.partition(), hold.at().sort_key());
        activity::held(item, self.webhook, hold.delivery)
            .with("deliveryId", text(hold.delivery.to_string()))
            .with("bytes", number(hold.bytes))
            .with("dueAt", number(due_at.as_millisecond()))
            .with("dueShard", text(due::shard(self.hash()[0])))
            .with(EXPIRES_AT, number((due_at + HOLD_LIFE).as_second()))
    }
}

impl Holds {
    /// Holds these deliveries until the run ends, or `deadline` after each one's event. Returns
    /// those of which the run has ended before: they are due now. Holding one again changes
    /// nothing.
    pub async fn hold(
        &self,
        run: Holding<'_>,
        holds: &[Hold],
        deadline: Duration,
    ) -> Result<Vec<Hold>, StoreError> {
        let mut ended = Vec::new();
        for chunk in holds.chunks(MAX_HOLDS) {
            if !self.hold_chunk(run, chunk, deadline).await? {
                ended.extend(chunk);
            }
        }
        Ok(ended)
    }

    /// False when the run has ended.
    async fn hold_chunk(
        &self,
        run: Holding<'_>,
        holds: &[Hold],
        deadline: Duration,
    ) -> Result<bool, StoreError> {
        let mut writes =
            vec![Write::Check(key(run.partition(), ENDED), vec![Condition::no_item()])];
        writes.extend(holds.iter().map(|hold| Write::Put(run.hold(*hold, deadline), vec![])));
        write_all(&self.table, &writes).await
    }

    /// Remembers that the run has ended: from now on nothing is held for it. `end` is the delivery
    /// of its end, where it has one. `token` is unique to this call, so that a write whose answer
    /// was lost is known again. Returns the delivery of the first end if the run had ended before.
    pub async fn end(
        &self,
        run: Holding<'_>,
        end: Option<DeliveryId>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let marker = key(run.partition(), ENDED)
            .with(EXPIRES_AT, number((now + MARKER_LIFE).as_second()))
            .with(TOKEN, text(token))
            .with_some("deliveryId", end.map(|end| text(end.to_string())));
        for attempt in 1.. {
            match self.table.put(marker.clone(), &[Condition::no_item()]).await {
                Ok(Outcome::Refused(Some(first))) if first.get(TOKEN) != Some(&text(token)) => {
                    return first.optional("deliveryId", Item::parsed);
                }
                Ok(_) => break,
                Err(StoreError::Call { code, .. }) if code == CONFLICT && attempt < TRIES => {
                    wait_doubling(FIRST_WAIT, attempt).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Holds the end of a run as the last of what is held for it.
    pub async fn hold_end(
        &self,
        run: Holding<'_>,
        end: Hold,
        deadline: Duration,
    ) -> Result<(), StoreError> {
        self.table.put(run.hold(end, deadline), &[]).await.map(drop)
    }

    /// Reads what is held for the run within these bounds, in the order of the events and the end
    /// last: up to `limit` holds, or as many as a call reads, which is 1 MB.
    pub async fn held(
        &self,
        run: Holding<'_>,
        bounds: Within,
        limit: usize,
    ) -> Result<Vec<Hold>, StoreError> {
        let Within { after, from, until } = bounds;
        let from = after.map(|at| format!("{}~", at.sort_key())).or(from.map(|at| at.sort_key()));
        let until = until.map_or_else(|| format!("{END}~"), |at| at.sort_key());
        let query = self
            .table
            .query(&run.partition(), Range::Between(from.as_deref().unwrap_or(HOLD), &until))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = Answer::to(query).await?;
        let mut holds = Vec::new();
        for item in &answer.items {
            let HoldAt { is_end, event } =
                parse_sort_key(item.text(SK)?).ok_or_else(|| item.corrupt(SK))?;
            holds.push(Hold {
                is_end,
                event,
                delivery: item.parsed("deliveryId")?,
                bytes: item.number("bytes")?,
            });
        }
        Ok(holds)
    }

    /// Reads those of these holds of events that are there, strongly: what waits for the end of its
    /// run.
    pub async fn of_events(
        &self,
        wanted: impl IntoIterator<Item = (DeliveryId, WebhookKey, String, EventId)>,
    ) -> batch::Found<DeliveryId, HeldDelivery> {
        let reading = batch::Reading {
            table: &self.table,
            consistent: true,
            attributes: &["deliveryId", "dueAt"],
            read: held_delivery,
        };
        let keys = wanted.into_iter().map(|(delivery, webhook, context, event)| {
            let run = Holding { webhook: &webhook, context: &context };
            (delivery, key(run.partition(), HoldAt { is_end: false, event }.sort_key()))
        });
        batch::get(reading, keys).await
    }

    /// Says whether the end of the run is known: nothing is held for it any more.
    pub async fn has_ended(&self, run: Holding<'_>) -> Result<bool, StoreError> {
        let query = self.table.query(&run.partition(), Range::Between(ENDED, ENDED));
        Ok(!Answer::to(query).await?.items.is_empty())
    }

    /// Forgets holds whose deliveries have been sent. One that stays is sent once more at its
    /// deadline.
    pub async fn forget(&self, run: Holding<'_>, holds: &[Hold]) -> Result<(), StoreError> {
        let keys = holds.iter().map(|hold| key(run.partition(), hold.at().sort_key())).collect();
        batch::delete(&self.table, keys).await.map(drop)
    }
}

/// Writes all of these or, where a condition does not hold, none and tells so.
pub(super) async fn write_all(table: &Table, writes: &[Write]) -> Result<bool, StoreError> {
    for attempt in 1.. {
        match table.transact(writes).await? {
            Transacted::Done => break,
            Transacted::Refused(_) => return Ok(false),
            Transacted::Overtaken(error) if attempt == TRIES => return Err(error),
            Transacted::Overtaken(_) => wait_doubling(FIRST_WAIT, attempt).await,
        }
    }
    Ok(true)
}

/// Reads a hold that a list has found.
pub(super) fn held_delivery(item: &Item) -> Result<HeldDelivery, StoreError> {
    let (pk, sk) = item.key_texts()?;
    let HoldKey { webhook, event, .. } = parse_key(&pk, &sk).ok_or_else(|| item.corrupt(SK))?;
    let (delivery, due_at) = (item.parsed("deliveryId")?, item.time_ms("dueAt")?);
    Ok(HeldDelivery { delivery, webhook, event, due_at })
}

/// Reads the key of a hold; none if it is the key of something else.
pub(super) fn parse_key(pk: &str, sk: &str) -> Option<HoldKey> {
    let (webhook, context) = pk.strip_prefix(PREFIX)?.rsplit_once('#')?;
    Some(HoldKey {
        webhook: WebhookKey::parse(webhook)?,
        context: context.to_owned(),
        event: parse_sort_key(sk)?.event,
    })
}

/// Reads the sort key of a hold; none if it is that of something else.
fn parse_sort_key(sk: &str) -> Option<HoldAt> {
    let (is_end, event) = match sk.strip_prefix(HOLD) {
        Some(event) => (false, event),
        None => (true, sk.strip_prefix(END)?),
    };
    Some(HoldAt { is_end, event: event.parse().ok()? })
}
