//! Makes deliveries: this is the work that `deliver`, on the fast way, and `drain`, for a webhook's
//! turn, have in common.
//!
//! Guarantees, wherever the function dies: before the request, nothing has happened, and the
//! message that asked for it comes again. Between the request and its records, the attempt is made
//! again: the endpoint may get the events twice, with the same ids. If the records can't be
//! written, the result of the attempt travels in a message until they are. Between the records and
//! the end of the message (or of the backlog's item), the records tell what is left to do: nothing
//! after a success, the rest of the schedule after a failure, the dead letter after the last one. A
//! fault of our own (DynamoDB, the encryption key, no time left) costs no attempt.

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
    delivery::request::USER_AGENT,
    webhook::{Credentials, Webhook, key::WebhookKey},
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    config,
    keys::Keys,
};
use posthaste_sender::Sender;
use posthaste_store::{Deliveries, Events, Found, Registry};

pub use details::Details;
pub use duties::{Duties, Gone, Parking, Sent, duties};
pub use health::Standing;
pub use records::{Concluded, Concluding, Skipped};
pub use request::{Answer, Answered, host};
pub use retry::{SendOn, task};

/// The clients and settings that making deliveries takes.
pub struct Courier {
    /// The table of webhooks and their health.
    pub registry: Registry,
    /// The table of events that travel by reference.
    pub events: Events,
    /// The table of records, lanes and backlogs.
    pub deliveries: Deliveries,
    /// The key ring that opens secrets and header values.
    pub keys: Keys,
    /// The guarded HTTP client.
    pub sender: Sender,
    /// The deliveries queue.
    pub tasks: Queue,
    /// The queue of deliveries that have no attempt left.
    pub exhausted: Queue,
    /// The dead-letter queue of deliveries that met a fault of ours.
    pub dead_letters: Queue,
    /// The events queue, to which operational events go.
    pub events_queue: Queue,
    /// The time for which the history is kept.
    pub retention: Duration,
    /// The time after which a webhook with nothing but failures is disabled.
    pub disable_after: Duration,
}

/// A webhook, and the opened credentials for its requests.
#[derive(Debug, Clone)]
pub struct Client {
    /// The webhook that gets the requests.
    pub webhook: Webhook,
    /// The webhook's URL, secrets and headers, opened.
    pub credentials: Credentials,
}

impl Courier {
    /// Reads the configuration from the function's environment.
    ///
    /// # Errors
    /// The error names the variable that is missing or can't be read.
    pub fn of_environment(sdk: &SdkConfig) -> anyhow::Result<Self> {
        let (dynamodb, sqs) = (aws::dynamodb(sdk), aws::sqs(sdk));
        Ok(Self {
            registry: Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?),
            events: Events::new(dynamodb.clone(), config::text("EVENTS_TABLE")?),
            deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
            keys: Keys::new(aws::secrets_manager(sdk), config::text("ENCRYPTION_KEY_ARN")?),
            sender: Sender::new(config::url_policy()?, USER_AGENT)?,
            tasks: config::queue(&sqs, "DELIVERIES_QUEUE_URL")?,
            exhausted: config::queue(&sqs, "EXHAUSTED_DELIVERIES_QUEUE_URL")?,
            dead_letters: config::queue(&sqs, "DELIVERIES_DLQ_URL")?,
            events_queue: config::queue(&sqs, "EVENTS_QUEUE_URL")?,
            retention: config::retention()?,
            disable_after: config::disable_after()?,
        })
    }

    /// Opens the credentials of webhooks. A webhook whose credentials can't be opened counts as
    /// unread: its deliveries wait, as after a fault of ours.
    pub async fn clients(
        &self,
        webhooks: &mut Found<WebhookKey, Webhook>,
    ) -> HashMap<WebhookKey, Client> {
        let mut clients = HashMap::new();
        if let Err(error) = self.keys.ready().await {
            tracing::error!(%error, "the encryption key could not be read");
            webhooks.unread.extend(webhooks.items.drain().map(|(key, _)| key));
        }
        for (key, webhook) in &webhooks.items {
            match self.keys.open(webhook).await {
                Ok(credentials) => {
                    clients.insert(key.clone(), Client { webhook: webhook.clone(), credentials });
                }
                Err(error) => {
                    tracing::error!(
                        webhook.id = %key.id, %error, "a webhook's secrets can't be opened"
                    );
                    webhooks.unread.insert(key.clone());
                }
            }
        }
        clients
    }
}
