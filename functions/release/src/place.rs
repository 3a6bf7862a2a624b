//! One partition of what is due, worked off page by page.

use std::pin::pin;

use futures::StreamExt;
use posthaste_domain::{
    Timestamp,
    metrics::{Labels, Metric},
};
use posthaste_queue::Message;
use posthaste_runtime::{clock, telemetry::measure};
use posthaste_store::{Deliveries, DueCursor, Released, StoreError};

use crate::{
    plan::{self, Outgoing},
    release::Release,
};

/// A page has so many entries.
const PAGE: i32 = 200;
/// No further page is read while this much of those before could not be sent.
const MUCH: usize = 100;
/// Items are forgotten when there are this many: as many as one call takes.
const FORGOTTEN_TOGETHER: usize = 25;

/// The place where the next page begins.
enum Cursor {
    /// Due items, after this sort key.
    Parked(u8, Option<String>),
    /// A shard of the index `due`, after this entry.
    Index(u8, Option<DueCursor>),
    /// There is none: the partition is read to its end.
    End,
}

/// A partition, and what of it is not settled.
pub(crate) struct Place {
    cursor: Cursor,
    /// The messages that could not be sent yet.
    unsent: Vec<Outgoing>,
    /// The items of what is sent that could not be forgotten yet.
    kept: Vec<Released>,
}

/// The outcome of one round with a partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// The number of messages that were sent.
    pub(crate) sent: usize,
    /// The number of messages that were refused and of items that could not be forgotten.
    pub(crate) refused: usize,
    /// It says whether something was done: without that the partition is given up until the next
    /// call.
    pub(crate) has_moved: bool,
}

impl Place {
    /// A partition of due items.
    pub(crate) fn parked(shard: u8) -> Self {
        Self::at(Cursor::Parked(shard, None))
    }

    /// A shard of the index.
    pub(crate) fn index(shard: u8) -> Self {
        Self::at(Cursor::Index(shard, None))
    }

    fn at(cursor: Cursor) -> Self {
        Self { cursor, unsent: Vec::new(), kept: Vec::new() }
    }

    /// Says whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.cursor, Cursor::End) && self.unsent.is_empty() && self.kept.is_empty()
    }

    /// Counts the items that will be sent again by the next call, as they could not be forgotten.
    pub(crate) fn not_forgotten(&self) -> usize {
        self.kept.len()
    }

    /// Sends the next page, and what is left of those before. Each task is sent first and forgotten
    /// then.
    pub(crate) async fn round(
        &mut self,
        release: &Release,
        until: Timestamp,
    ) -> anyhow::Result<Round> {
        let mut round = Round::default();
        // What is refused for good must not hold up what comes after it.
        if self.unsent.len() < MUCH && !matches!(self.cursor, Cursor::End) {
            let page = self.next_page(&release.deliveries, until).await?;
            self.unsent.extend(page);
            round.has_moved = true;
        }
        let (messages, mut released): (Vec<Message>, Vec<Option<Vec<Released>>>) =
            std::mem::take(&mut self.unsent)
                .into_iter()
                .map(|Outgoing { message, released }| (message, Some(released)))
                .unzip();
        let mut sent = std::mem::take(&mut self.kept);
        let had = sent.len();
        {
            let mut calls = pin!(release.tasks.send_in_calls(&messages));
            while let Some(call) = calls.next().await {
                for (_, error) in &call.failed {
                    tracing::error!(%error, "a task could not be sent");
                }
                for at in
                    call.messages.filter(|at| !call.failed.iter().any(|(failed, _)| failed == at))
                {
                    round.sent += 1;
                    sent.extend(released[at].take().into_iter().flatten());
                }
                let together = sent.len() - sent.len() % FORGOTTEN_TOGETHER;
                self.forget(sent.drain(..together).collect(), release).await?;
            }
        }
        self.forget(sent, release).await?;
        let left = messages.into_iter().zip(released);
        self.unsent = left
            .filter_map(|(message, released)| Some(Outgoing { message, released: released? }))
            .collect();
        round.refused = self.unsent.len() + self.kept.len();
        round.has_moved |= round.sent > 0 || self.kept.len() < had;
        Ok(round)
    }

    async fn forget(&mut self, sent: Vec<Released>, release: &Release) -> Result<(), StoreError> {
        if !sent.is_empty() {
            self.kept.extend(release.deliveries.due.forget(sent).await?);
        }
        Ok(())
    }

    async fn next_page(
        &mut self,
        deliveries: &Deliveries,
        until: Timestamp,
    ) -> anyhow::Result<Vec<Outgoing>> {
        let now = clock::now();
        match &self.cursor {
            Cursor::Parked(shard, after) => {
                let page = deliveries.due_items.page(*shard, until, after.as_deref(), PAGE).await?;
                let (items, next) = plan::whole(page.items, page.next);
                overdue(plan::parked_since(&items), now);
                self.cursor = next.map_or(Cursor::End, |next| Cursor::Parked(*shard, Some(next)));
                Ok(plan::parked(items, now))
            }
            Cursor::Index(shard, after) => {
                let page = deliveries.due.page(*shard, now, until, after.as_ref(), PAGE).await?;
                self.cursor =
                    page.next.map_or(Cursor::End, |next| Cursor::Index(*shard, Some(next)));
                overdue(page.due.first().map(|due| due.due_at), now);
                Ok(plan::held(page.due, now)?)
            }
            Cursor::End => Ok(Vec::new()),
        }
    }
}

/// Measures for how long the first thing of a page has been due, which is its oldest.
fn overdue(first: Option<Timestamp>, now: Timestamp) {
    if let Some(first) = first {
        let seconds = u64::try_from(now.duration_since(first).as_secs()).unwrap_or(0);
        measure(Metric::OldestDue, Labels::default(), seconds);
    }
}
