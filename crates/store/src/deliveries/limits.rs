//! The rate limit of a webhook: one item that says when its next free slot is.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{
    Timestamp,
    webhook::{
        key::WebhookKey,
        rate_limit::{AHEAD, Grant, RateLimit},
    },
};

use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, key, number},
    table::{Outcome, Table},
    write::{Condition, Update},
};

/// A reservation is tried so often when others reserve at the same time.
const TRIES: u32 = 8;
/// The item is kept for so long after its last slot.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The slots of all webhooks that have a rate limit.
#[derive(Debug, Clone)]
pub struct Slots {
    pub(super) table: Table,
}

/// The outcome of a reservation.
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

/// A way of making a reservation.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    /// So many slots behind those that are taken.
    Further(u32),
    /// So many slots from this time on, if the item is still as it was read.
    Anew { seen: Option<Seen>, first: Timestamp, count: u32 },
}

impl Slots {
    /// Reserves up to `count` of the next slots of a webhook, none of them more than a second away.
    /// A function that dies leaves its slots unused.
    ///
    /// If the next free slot lies ahead, near enough, an update adds to it, however many do so at
    /// the same time. If it is past, or of another limit, it begins anew, on the condition that
    /// nobody else has done so.
    pub async fn reserve(
        &self,
        webhook: &WebhookKey,
        limit: RateLimit,
        count: u32,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let mut attempt = Attempt::Further(count);
        for _ in 0..TRIES {
            let update = attempt.update(Update::at(slots_key(webhook)), limit, now);
            let item = match self.table.update_and_read(update, ReturnValue::UpdatedNew).await? {
                Outcome::Done(after) => {
                    let first = time(next_free(&after)?) - limit.interval() * attempt.count();
                    return Ok(Reserved::Slots(limit.slots(first, attempt.count()).collect()));
                }
                Outcome::Refused(item) => item,
            };
            let seen = item.as_ref().map(read).transpose()?;
            // Slots of another limit count no more.
            let of_this_limit = seen.filter(|seen| seen.spacing == micros(limit.interval()));
            let next_free = of_this_limit.map(|seen| time(seen.next_free));
            attempt = match limit.grant(next_free, count, now) {
                Grant::Later(next) => return Ok(Reserved::Later(next)),
                Grant::Slots { first, count } if next_free == Some(first) => {
                    Attempt::Further(count)
                }
                Grant::Slots { first, count } => Attempt::Anew { seen, first, count },
            };
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }
}

impl Attempt {
    fn count(self) -> u32 {
        match self {
            Self::Further(count) | Self::Anew { count, .. } => count,
        }
    }

    fn update(self, item: Update, limit: RateLimit, now: Timestamp) -> Update {
        let spacing = number(micros(limit.interval()));
        match self {
            Self::Further(count) => {
                // The last of these slots is not more than a second away.
                let latest = now + AHEAD - limit.interval() * (count - 1);
                item.add("nextFree", number(micros(limit.interval() * count)))
                    .set(EXPIRES_AT, number((now + AHEAD + LIFE).as_second()))
                    .only_if(Condition::Is("spacing", spacing))
                    .only_if(Condition::AtLeast(
                        "nextFree",
                        number(limit.oldest(now).as_microsecond()),
                    ))
                    .only_if(Condition::AtMost("nextFree", number(latest.as_microsecond())))
            }
            Self::Anew { seen, first, count } => {
                let next = first + limit.interval() * count;
                let update = item
                    .set("nextFree", number(next.as_microsecond()))
                    .set("spacing", spacing)
                    .set(EXPIRES_AT, number((next + LIFE).as_second()));
                match seen {
                    None => update.only_if(Condition::Absent("nextFree")),
                    Some(seen) => update
                        .only_if(Condition::Is("nextFree", number(seen.next_free)))
                        .only_if(Condition::Is("spacing", number(seen.spacing))),
                }
            }
        }
    }
}

fn slots_key(webhook: &WebhookKey) -> Item {
    key(format!("#limit#{webhook}"), "limit")
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
