//! The buckets of limits: each is one item that says when its next token is free. The rule is in
//! [`posthaste_domain::access::tokens`].

use std::{net::IpAddr, time::Duration};

use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{
    Timestamp,
    access::{
        tokens::{Grant, Limit, Question},
        workspace::Workspace,
    },
};

use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, key, number},
    table::{Outcome, Table},
    write::{Condition, Update},
};

/// Tokens are asked for so often when others ask at the same time.
const TRIES: u32 = 8;
/// The item is kept for so long after its last token. An item that is gone says the same as one
/// whose tokens are all past.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// A bucket, by the owner of its tokens and what they are for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// The events that a workspace publishes.
    Publishing(Workspace),
    /// The calls that the API keys of a workspace make, all together, beside those that publish. A
    /// limit for each key would be none for a workspace, which can make as many keys as it likes.
    Calls(Workspace),
    /// The publishing calls that the API keys of a workspace make, all together: what is spent on
    /// reading must not keep events from being taken.
    PublishingCalls(Workspace),
    /// The calls that the pages of the console make for a workspace: who looks at pages must not
    /// keep its services from calling.
    Pages(Workspace),
    /// The tries to sign in to the console from one address.
    SignIns(IpAddr),
}

impl Bucket {
    /// The role of `ingest` may write only keys that begin so, besides those of calls with an
    /// idempotency key.
    fn key(&self) -> Item {
        match self {
            Self::Publishing(workspace) => key(format!("publish#{workspace}"), "limit"),
            Self::Calls(workspace) => key(format!("calls#{workspace}"), "limit"),
            Self::PublishingCalls(workspace) => key(format!("calls#{workspace}"), "publishing"),
            Self::Pages(workspace) => key(format!("calls#{workspace}"), "pages"),
            Self::SignIns(address) => key(format!("sign-in#{address}"), "limit"),
        }
    }
}

/// The buckets of all limits.
#[derive(Debug, Clone)]
pub struct Buckets {
    pub(super) table: Table,
}

/// A way of taking tokens.
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

    fn update(self, item: Update, limit: Limit, now: Timestamp) -> Update {
        let taken = limit.interval() * self.count();
        let item = item.set(EXPIRES_AT, number((now + limit.window() + LIFE).as_second()));
        match self {
            Self::Further(_) => item
                .add("nextFree", number(taken.as_nanos()))
                .only_if(Condition::AtLeast("nextFree", number(now.as_nanosecond())))
                .only_if(Condition::AtMost(
                    "nextFree",
                    number((now + limit.window() - taken).as_nanosecond()),
                )),
            Self::Owed(_) => item
                .add("nextFree", number(taken.as_nanos()))
                .only_if(Condition::AtLeast("nextFree", number(now.as_nanosecond()))),
            Self::FromNow(seen, _) => {
                let as_seen = match seen {
                    None => Condition::Absent("nextFree"),
                    Some(seen) => Condition::Is("nextFree", number(seen)),
                };
                item.set("nextFree", number((now + taken).as_nanosecond())).only_if(as_seen)
            }
        }
    }
}

impl Buckets {
    /// Takes as many tokens as are asked for, or none of them. A function that dies leaves its
    /// tokens unused.
    ///
    /// If the next free token lies ahead, an update adds to it, however many do so at the same
    /// time. If it is past, it begins anew, on the condition that nobody else has done so.
    pub async fn take(
        &self,
        bucket: &Bucket,
        limit: Limit,
        asked: Question,
        now: Timestamp,
    ) -> Result<Grant, StoreError> {
        let Question { least, most } = asked;
        let mut take = Take::Further(most);
        for _ in 0..TRIES {
            let seen = match self.take_once(bucket, limit, take, now).await? {
                Taken::Until(next) => {
                    let count = take.count();
                    return Ok(Grant::Tokens { first: next - limit.interval() * count, count });
                }
                Taken::Not(seen) => seen,
            };
            take = match limit.grant(seen.map(time), least, most, now) {
                Grant::Later(at) => return Ok(Grant::Later(at)),
                Grant::Tokens { first, count } if seen.is_some_and(|seen| time(seen) == first) => {
                    Take::Further(count)
                }
                Grant::Tokens { count, .. } => Take::FromNow(seen, count),
            };
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }

    /// Takes tokens that have been used already, whether the bucket has them or not, and says when
    /// its next one is free.
    pub async fn owe(
        &self,
        bucket: &Bucket,
        limit: Limit,
        count: u32,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut take = Take::Owed(count);
        for _ in 0..TRIES {
            let seen = match self.take_once(bucket, limit, take, now).await? {
                Taken::Until(next) => return Ok(next),
                Taken::Not(seen) => seen,
            };
            let is_ahead = seen.is_some_and(|seen| time(seen) >= now);
            take = if is_ahead { Take::Owed(count) } else { Take::FromNow(seen, count) };
        }
        Err(StoreError::Contended { operation: "UpdateItem" })
    }

    async fn take_once(
        &self,
        bucket: &Bucket,
        limit: Limit,
        take: Take,
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        let update = take.update(Update::at(bucket.key()), limit, now);
        match self.table.update_and_read(update, ReturnValue::UpdatedNew).await? {
            Outcome::Done(after) => Ok(Taken::Until(time(next_free(&after)?))),
            Outcome::Refused(item) => Ok(Taken::Not(item.as_ref().map(next_free).transpose()?)),
        }
    }
}

/// The outcome of taking tokens.
enum Taken {
    /// They are taken, and the next free token is at this time.
    Until(Timestamp),
    /// They are not taken, because the item was seen to be like this.
    Not(Option<i64>),
}

/// In nanoseconds since 1970.
fn next_free(item: &Item) -> Result<i64, StoreError> {
    item.number("nextFree")
}

fn time(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(ns.into()).unwrap_or(Timestamp::MAX)
}
