//! Waking the turns of webhooks: those that were told to wake, and those that nobody has heard of
//! for too long.
//!
//! The lane is written first, so that a message that holds the turn no more finds that out; then a
//! message with the lane's token is sent. When this dies between, the lane is due again five
//! minutes later.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, future, stream};
use posthaste_domain::{
    Timestamp,
    delivery::release::{AHEAD, Part},
    endpoint::lane::{self, Lane, Outcome, TurnMessage},
    metrics::Metric,
    webhook::key::WebhookKey,
};
use posthaste_queue::Message;
use posthaste_runtime::{clock, telemetry::count};
use posthaste_store::{AfterLane, DueLanes};

use crate::release::Release;

const CONCURRENT_WRITES: usize = 16;
const CONCURRENT_SENDS: usize = 4;
/// So many messages are sent together: as many as one call takes.
const TURNS_A_CALL: usize = 10;

/// So many lanes of one shard are woken a minute.
const MAX_LANES: i32 = 500;
/// So many sick webhooks are probed a minute, by all parts together, for each invocation of `drain`
/// that may run. A probe may take 30 s, and an invocation has ten turns, so these are three
/// quarters of what it can do at the worst: the others need the rest.
const PROBES_A_PLACE: u32 = 15;

/// A shard of the index, and what is still to be looked at of it.
struct Shard {
    name: String,
    /// The number of lanes that are woken.
    most: i32,
    /// The place at which the next look begins; none for the shard's beginning.
    after: Option<AfterLane>,
}

impl Shard {
    /// The rest of the shard, behind these lanes, if some of them could not be read: they must not
    /// keep the lanes behind them from being woken. As many are looked at instead.
    fn behind(self, due: &DueLanes, unread: &HashSet<WebhookKey>) -> Option<Self> {
        let missed = due.webhooks.iter().filter(|webhook| unread.contains(*webhook)).count();
        let most = i32::try_from(missed + due.unreadable).unwrap_or(i32::MAX);
        let after = Some(due.next.clone()?);
        (most > 0).then_some(Self { most, after, ..self })
    }
}

impl Release {
    /// Wakes the lanes of these parts. An error says that one shard could not be looked through;
    /// the others were.
    pub(crate) async fn wake_lanes(&self, parts: &[Part]) -> anyhow::Result<usize> {
        let now = clock::now();
        let mut shards = self.shards(parts);
        let (mut woken, mut failed) = (0, None);
        while !shards.is_empty() {
            let looking = stream::iter(shards).map(async |shard| {
                let Shard { name, most, after } = &shard;
                let lanes = &self.deliveries.lanes;
                (lanes.due(name, now + AHEAD, *most, after.clone()).await, shard)
            });
            let looked: Vec<_> = looking.buffer_unordered(CONCURRENT_WRITES).collect().await;
            let (mut webhooks, mut pages) = (Vec::new(), Vec::new());
            for (due, shard) in looked {
                match due {
                    Ok(due) => {
                        webhooks.extend(due.webhooks.iter().cloned());
                        pages.push((due, shard));
                    }
                    Err(error) => {
                        count(Metric::Faults, 1);
                        failed = Some(error);
                    }
                }
            }
            // The index lags behind the table, which says what is due.
            let lanes = self.deliveries.lanes.get_all(&webhooks).await;
            if !lanes.unread.is_empty() {
                count(Metric::Faults, lanes.unread.len());
                tracing::error!(
                    lanes = lanes.unread.len(),
                    "lanes could not be read; they are looked at again in a minute"
                );
            }
            shards = Vec::new();
            for (due, shard) in pages {
                shards.extend(shard.behind(&due, &lanes.unread));
            }
            woken += self.wake_all(lanes.items, now).await;
        }
        failed.map_or(Ok(woken), |error| Err(error.into()))
    }

    fn shards(&self, parts: &[Part]) -> Vec<Shard> {
        let most_probes =
            i32::try_from(lane::probes_a_shard(self.places * PROBES_A_PLACE)).unwrap_or(i32::MAX);
        let mut shards = Vec::new();
        for part in parts {
            let (lanes, probes) = lane::due_shards(*part);
            for name in lanes {
                shards.push(Shard { name, most: MAX_LANES, after: None });
            }
            for name in probes {
                shards.push(Shard { name, most: most_probes, after: None });
            }
        }
        shards
    }

    /// Wakes lanes, and answers how many were due. Their messages leave while other lanes are
    /// written: should the time be over, few lanes are without theirs.
    async fn wake_all(&self, lanes: HashMap<WebhookKey, Lane>, now: Timestamp) -> usize {
        stream::iter(lanes)
            .map(|(webhook, lane)| self.wake(webhook, lane, now))
            .buffer_unordered(CONCURRENT_WRITES)
            .filter_map(future::ready)
            .chunks(TURNS_A_CALL)
            .map(|turns| self.send_turns(turns))
            .buffer_unordered(CONCURRENT_SENDS)
            .fold(0, async |woken, sent| woken + sent)
            .await
    }

    async fn send_turns(&self, turns: Vec<Message>) -> usize {
        for (_, error) in self.turns.send(&turns).await {
            count(Metric::Faults, 1);
            tracing::error!(
                %error, "a turn could not be sent; its lane is due again in five minutes"
            );
        }
        turns.len()
    }

    /// The message that wakes a lane; none where it is not due, or another one has woken it.
    async fn wake(&self, webhook: WebhookKey, lane: Lane, now: Timestamp) -> Option<Message> {
        let (write, at) = lane::wake(&lane, now)?;
        match self.deliveries.lanes.write(&webhook, &write).await {
            Ok(Outcome::Done(_)) => {}
            Ok(Outcome::Refused(_)) => return None,
            Err(error) => {
                count(Metric::Faults, 1);
                tracing::error!(
                    workspace = %webhook.workspace, webhook.id = %webhook.id, %error,
                    "a lane could not be woken"
                );
                return None;
            }
        }
        let delay = std::time::Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let group = webhook.workspace.to_string();
        let body = serde_json::to_string(&TurnMessage { webhook, token: lane.token? }).ok()?;
        Some(Message { delay, ..Message::new(body, group) })
    }
}
