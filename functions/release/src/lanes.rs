//! Waking the turns of webhooks: those that were told to wake, and those that nobody has heard of
//! for too long.
//!
//! The lane is written first, so that a message that holds the turn no more finds that out; then a
//! message with the lane's token is sent. When this dies between, the lane is due again five
//! minutes later.

use futures::{StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    delivery::release::{AHEAD, Part},
    endpoint::lane::{self, Lane, Outcome, TurnMessage},
    metrics::Metric,
};
use posthaste_queue::Message;
use posthaste_runtime::{clock, telemetry::count};
use posthaste_store::WebhookKey;

use crate::release::Release;

const CONCURRENT_WRITES: usize = 16;

/// So many lanes of one shard are woken a minute.
const MAX_LANES: i32 = 500;
/// So many sick webhooks are probed a minute, by all parts together, for each invocation of `drain`
/// that may run. A probe may take 30 s, and an invocation has ten turns, so these are three
/// quarters of what it can do at the worst: the others need the rest.
const PROBES_A_PLACE: u32 = 15;

impl Release {
    /// Wakes the lanes of these parts. An error says that one shard could not be looked through;
    /// the others were.
    pub(crate) async fn wake_lanes(&self, parts: &[Part]) -> anyhow::Result<usize> {
        let now = clock::now();
        let most_probes =
            i32::try_from(lane::probes_a_shard(self.places * PROBES_A_PLACE)).unwrap_or(i32::MAX);
        let shards = parts.iter().flat_map(|part| {
            let (lanes, probes) = lane::due_shards(*part);
            let lanes = lanes.into_iter().map(|shard| (shard, MAX_LANES));
            lanes.chain(probes.into_iter().map(move |shard| (shard, most_probes)))
        });
        let looked = stream::iter(shards)
            .map(async |(shard, most)| self.deliveries.lanes.due(&shard, now + AHEAD, most).await)
            .buffer_unordered(CONCURRENT_WRITES)
            .collect::<Vec<_>>()
            .await;
        let mut failed = None;
        let mut due = Vec::new();
        for lanes in looked {
            match lanes {
                Ok(lanes) => due.extend(lanes),
                Err(error) => {
                    count(Metric::Faults, 1);
                    failed = Some(error);
                }
            }
        }
        // The index lags behind the table, which says what is due.
        let owners: Vec<WebhookKey> =
            due.into_iter().map(|lane| (lane.workspace, lane.webhook)).collect();
        let lanes = self.deliveries.lanes.get_all(&owners).await;
        if !lanes.unread.is_empty() {
            count(Metric::Faults, lanes.unread.len());
            tracing::error!(
                lanes = lanes.unread.len(),
                "lanes could not be read; they are looked at again in a minute"
            );
        }
        let turns: Vec<Option<Message>> = stream::iter(lanes.items)
            .map(|(owner, lane)| self.wake(owner, lane, now))
            .buffer_unordered(CONCURRENT_WRITES)
            .collect()
            .await;
        let turns: Vec<Message> = turns.into_iter().flatten().collect();
        for (_, error) in self.turns.send(&turns).await {
            count(Metric::Faults, 1);
            tracing::error!(%error, "a turn could not be sent; its lane is due again in \
                five minutes");
        }
        failed.map_or(Ok(turns.len()), |error| Err(error.into()))
    }

    /// The message that wakes a lane; none where it is not due, or another one has woken it.
    async fn wake(&self, owner: WebhookKey, lane: Lane, now: Timestamp) -> Option<Message> {
        let (write, at) = lane::wake(&lane, now)?;
        let (workspace, webhook) = owner;
        match self.deliveries.lanes.write(&workspace, webhook, &write).await {
            Ok(Outcome::Done(_)) => {}
            Ok(Outcome::Refused(_)) => return None,
            Err(error) => {
                count(Metric::Faults, 1);
                tracing::error!(%workspace, webhook.id = %webhook, %error, "a lane could not \
                    be woken");
                return None;
            }
        }
        let delay = std::time::Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let group = workspace.to_string();
        let body =
            serde_json::to_string(&TurnMessage { workspace, webhook, token: lane.token? }).ok()?;
        Some(Message { delay, ..Message::new(body, group) })
    }
}
