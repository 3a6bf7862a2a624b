//! Making deliveries: what `deliver`, on the fast way, and `drain`, for a webhook's turn, do alike.
//!
//! Guarantees, wherever the function dies: before the request, nothing has happened and what asked for it comes again. Between the
//! request and its records, the attempt is made again: the endpoint may get the events twice, with the same ids. Where the records
//! can't be written, what came of the attempt travels in a message until they are. Between the records
//! and the end of the message (or of the backlog's item), the records say what is left to do: nothing after a success, the rest of
//! the schedule after a failure, the dead letter after the last one. A fault of our own (DynamoDB, the encryption key, no time left)
//! costs no attempt.

mod details;
mod duties;
mod health;
mod letters;
mod metrics;
mod parked;
mod records;
mod request;
mod retry;

use std::{collections::HashMap, time::Duration};

use posthaste_domain::{
    id::WebhookId,
    request::USER_AGENT,
    webhook::{Credentials, Webhook},
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    config,
    keys::Keys,
};
use posthaste_sender::Sender;
use posthaste_store::{Deliveries, Events, Found, Registry, WebhookKey};

pub use details::Details;
pub use duties::{Duties, Gone, Parking, Sent, duties};
pub use records::{Concluded, Concluding, Skipped};
pub use request::{Answer, Answered, host};
pub use retry::{SendOn, task};

/// What is needed to make deliveries.
pub struct Courier {
    /// Webhooks, and their health.
    pub registry: Registry,
    /// Events that travel by reference.
    pub events: Events,
    /// Records, lanes and backlogs.
    pub deliveries: Deliveries,
    /// What opens secrets and header values.
    pub keys: Keys,
    /// The HTTP client.
    pub sender: Sender,
    /// The deliveries queue.
    pub tasks: Queue,
    /// Where deliveries go that have no attempt left.
    pub exhausted: Queue,
    /// The dead-letter queue of deliveries: what is a fault of ours.
    pub dead_letters: Queue,
    /// Where operational events go.
    pub events_queue: Queue,
    /// How long the history is kept.
    pub retention: Duration,
    /// How long nothing but failures may go on.
    pub disable_after: Duration,
}

/// A webhook and what opens its requests.
#[derive(Debug, Clone)]
pub struct Client {
    /// The webhook.
    pub webhook: Webhook,
    /// Its secrets and headers, opened.
    pub credentials: Credentials,
}

impl Courier {
    /// As the function's environment says.
    ///
    /// # Errors
    /// The variable that is missing or can't be read.
    pub fn of_environment(sdk: &SdkConfig) -> anyhow::Result<Self> {
        let (dynamodb, sqs) = (aws::dynamodb(sdk), aws::sqs(sdk));
        let queue = |name| config::text(name).map(|url| Queue::new(sqs.clone(), url));
        Ok(Self {
            registry: Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?),
            events: Events::new(dynamodb.clone(), config::text("EVENTS_TABLE")?),
            deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
            keys: Keys::new(aws::secrets_manager(sdk), config::text("ENCRYPTION_KEY_ARN")?),
            sender: Sender::new(config::url_policy()?, USER_AGENT)?,
            tasks: queue("DELIVERIES_QUEUE_URL")?,
            exhausted: queue("EXHAUSTED_DELIVERIES_QUEUE_URL")?,
            dead_letters: queue("DELIVERIES_DLQ_URL")?,
            events_queue: queue("EVENTS_QUEUE_URL")?,
            retention: config::retention()?,
            disable_after: config::disable_after()?,
        })
    }

    /// Opens the credentials of webhooks. One whose credentials can't be opened counts as unread: what is for it waits, as after a
    /// fault of ours.
    pub async fn clients(&self, webhooks: &mut Found<WebhookKey, Webhook>) -> HashMap<WebhookId, Client> {
        let mut clients = HashMap::new();
        if let Err(error) = self.keys.ready().await {
            tracing::error!(%error, "the encryption key could not be read");
            webhooks.unread.extend(webhooks.items.drain().map(|(key, _)| key));
        }
        for (key, webhook) in &webhooks.items {
            match self.keys.open(webhook).await {
                Ok(credentials) => {
                    clients.insert(webhook.id, Client { webhook: webhook.clone(), credentials });
                }
                Err(error) => {
                    tracing::error!(webhook.id = %webhook.id, %error, "a webhook's secrets can't be opened");
                    webhooks.unread.insert(key.clone());
                }
            }
        }
        clients
    }
}
