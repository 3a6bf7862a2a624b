//! The facts that have to be known before anything is decided: the webhooks and their lanes, read
//! for the whole batch with one call.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use posthaste_delivery::{Client, Courier};
use posthaste_domain::{
    Timestamp,
    delivery::task::Task,
    endpoint::lane::Lane,
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_runtime::clock;
use posthaste_store::Found;

/// Reading may take so long: the rest of the time is the endpoints'.
pub(crate) const FACTS_TIME: Duration = Duration::from_secs(5);

/// The webhooks of a batch.
pub(crate) struct Facts {
    clients: HashMap<WebhookKey, Client>,
    lanes: Found<WebhookKey, Lane>,
    /// Webhooks of which not all could be read.
    unread: BTreeSet<WebhookKey>,
    pub(crate) read_at: Timestamp,
}

/// The knowledge of the webhook of a task.
pub(crate) enum Known<'f> {
    /// Not all could be read.
    Nothing,
    /// It does not exist.
    Gone,
    /// The webhook and its lane.
    Here(&'f Client, Box<Lane>),
}

impl Facts {
    /// Reads them. None when that takes too long.
    pub(crate) async fn read(courier: &Courier, tasks: &[(usize, Task<'_>)]) -> Option<Self> {
        let distinct: BTreeSet<&WebhookKey> =
            tasks.iter().map(|(_, task)| task.webhook.as_ref()).collect();
        let wanted: Vec<WebhookKey> = distinct.into_iter().cloned().collect();
        let reading = async {
            let (mut webhooks, lanes) =
                courier.deliveries.lanes.with_webhooks(&courier.registry, &wanted).await;
            let clients = courier.clients(&mut webhooks).await;
            let unread = webhooks.unread.into_iter().chain(lanes.unread.iter().cloned()).collect();
            Self { clients, lanes, unread, read_at: clock::now() }
        };
        let facts = tokio::time::timeout(FACTS_TIME, reading).await;
        facts.inspect_err(|_| tracing::error!("the webhooks could not be read in time")).ok()
    }

    /// The webhooks that exist and could be read.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.clients.values().map(|client| &client.webhook)
    }

    pub(crate) fn of(&self, task: &Task<'_>) -> Known<'_> {
        let webhook = task.webhook.as_ref();
        if self.unread.contains(webhook) {
            return Known::Nothing;
        }
        let lane = self.lanes.items.get(webhook).cloned().unwrap_or_default();
        self.clients.get(webhook).map_or(Known::Gone, |client| Known::Here(client, Box::new(lane)))
    }
}
