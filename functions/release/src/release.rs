//! Release sends what is due.
//!
//! Actors: schedules call this once a minute for each of its parts, which have partitions of their
//! own. It looks a little ahead, so that what is due before the next call goes out now, with the
//! rest of its wait as a delay of its message.
//!
//! Guarantees: first the task is sent, then the table forgets that it waits. So when this dies
//! between, it is sent again: a delivery comes twice, with one id, and is made once if the first
//! copy has succeeded by then. Two calls for one part at once do the same. Without faults each is
//! sent once for each time that it is due: a call ends before the next one begins. What can't be
//! read or sent stays for the next call. The turns of webhooks are woken beside that: see
//! [`crate::lanes`].
//!
//! Fairness: the partitions of a part take turns, a page each. So however much is due in one of
//! them, the first pages of the others leave with the first round. Within a partition the order is
//! that of time.

use std::time::Duration;

use futures::{StreamExt, future, stream};
use posthaste_domain::{
    delivery::release::{AHEAD, Part},
    metrics::Metric,
};
use posthaste_queue::Queue;
use posthaste_runtime::{clock, deadline::Deadline, telemetry::count};
use posthaste_store::{Deliveries, DueIndex};
use tokio::time::Instant;

use crate::place::Place;

/// The time that a round may take: none begins with less.
const ROUND: Duration = Duration::from_secs(10);
/// So many partitions have their page sent at once.
const CONCURRENT_PAGES: usize = 10;
/// It pauses for so long after a round in which something was refused, as by a throttle: twice as
/// long each time in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// All that release works with.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) deliveries: Deliveries,
    pub(crate) tasks: Queue,
    pub(crate) turns: Queue,
    /// So many invocations of `drain` may run at once.
    pub(crate) places: u32,
}

impl Release {
    /// Sends what is due in these parts. An error says that a partition could not be emptied; the
    /// others were.
    pub(crate) async fn handle(&self, parts: &[Part], deadline: Deadline) -> anyhow::Result<()> {
        let all = future::join(self.empty(parts, deadline), self.wake_lanes(parts));
        let Ok((Emptied { tasks, rounds, failed }, woken)) =
            tokio::time::timeout_at(deadline.instant(), all).await
        else {
            count(Metric::Faults, 1);
            tracing::warn!(
                "not all could be released in time; the rest follows with the next call"
            );
            return Ok(());
        };
        tracing::info!(tasks, rounds, turns = woken.as_ref().ok(), "released");
        failed.map_or(Ok(()), Err)?;
        woken.map(drop)
    }

    /// Goes round and round until nothing is left, or no time.
    async fn empty(&self, parts: &[Part], deadline: Deadline) -> Emptied {
        let until = clock::now() + AHEAD;
        let mut open: Vec<Place> = parts.iter().flat_map(|part| places(*part)).collect();
        let mut emptied = Emptied::default();
        let mut pause = FIRST_PAUSE;
        while !open.is_empty() {
            if deadline.left() < ROUND {
                tracing::warn!(
                    "not all could be released in time; the rest follows with the next call"
                );
                break;
            }
            emptied.rounds += 1;
            let pages =
                open.into_iter().map(async |mut place| (place.round(self, until).await, place));
            let pages: Vec<_> = stream::iter(pages).buffered(CONCURRENT_PAGES).collect().await;
            open = Vec::new();
            let mut refused = 0;
            for (round, place) in pages {
                let is_over = place.is_over();
                let error = match round {
                    Ok(round) => {
                        emptied.tasks += round.sent;
                        refused += round.refused;
                        (!round.has_moved && !is_over)
                            .then(|| anyhow::anyhow!("nothing more of what is due could be sent"))
                    }
                    Err(error) => Some(error),
                };
                match error {
                    None if is_over => {}
                    None => open.push(place),
                    Some(error) => {
                        count(Metric::Faults, 1);
                        told_of_copies(&place);
                        emptied.failed = Some(error);
                    }
                }
            }
            if refused == 0 {
                pause = FIRST_PAUSE;
            } else if !open.is_empty() {
                tokio::time::sleep_until((Instant::now() + pause).min(deadline.instant())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        open.iter().for_each(told_of_copies);
        emptied
    }
}

/// The work that has been done.
#[derive(Debug, Default)]
struct Emptied {
    /// The number of messages that went out.
    tasks: usize,
    /// In how many rounds.
    rounds: usize,
    /// The reason that a partition could not be emptied.
    failed: Option<anyhow::Error>,
}

/// The partitions of a part.
fn places(part: Part) -> impl Iterator<Item = Place> {
    part.shards().map(Place::parked).chain(part.share_of(DueIndex::SHARDS).map(Place::index))
}

fn told_of_copies(place: &Place) {
    let items = place.not_forgotten();
    if items > 0 {
        tracing::error!(
            items,
            "what was released could not be forgotten; the next call sends it again"
        );
    }
}
