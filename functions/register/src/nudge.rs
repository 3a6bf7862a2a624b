//! Waking a webhook's turn after a change of the webhook: it may sleep for minutes.

use posthaste_domain::{
    endpoint::lane::{self, Lane, Outcome, TurnMessage},
    webhook::key::WebhookKey,
};
use posthaste_queue::{Message, Queue};
use posthaste_runtime::clock;
use posthaste_store::Deliveries;

/// The places where the turns of webhooks are.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    /// The table of the lanes.
    pub(crate) deliveries: Deliveries,
    /// The turns queue.
    pub(crate) queue: Queue,
}

impl Turns {
    /// Wakes the turn, if the webhook has one, and returns its lane as it is then. A failure does
    /// not undo the change: the turn sees it when it wakes by itself. A lane that nobody knows is
    /// answered as a healthy one.
    pub(crate) async fn nudge(&self, webhook: &WebhookKey) -> Lane {
        let nudge = lane::nudge(clock::now());
        let before = match self.deliveries.lanes.write(webhook, &nudge).await {
            Ok(Outcome::Done(before)) => before,
            Ok(Outcome::Refused(lane)) => {
                if let Some(write) = lane::forgive(&lane)
                    && let Err(error) = self.deliveries.lanes.write(webhook, &write).await
                {
                    tracing::warn!(%error, "a circuit could not be closed after a change");
                }
                return lane;
            }
            Err(error) => {
                tracing::warn!(%error, "a turn could not be woken after a change");
                return Lane::default();
            }
        };
        if let Err(error) = self.send(webhook, &before).await {
            tracing::warn!(
                %error, "a turn could not be sent after a change; release will see to it"
            );
        }
        Lane { sick_until: None, ..before }
    }

    async fn send(&self, webhook: &WebhookKey, lane: &Lane) -> anyhow::Result<()> {
        let token = lane.token.clone().unwrap_or_default();
        let turn = TurnMessage { webhook: webhook.clone(), token };
        let message = Message::new(serde_json::to_string(&turn)?, webhook.workspace.to_string());
        Ok(self.queue.send_all(&[message]).await?)
    }
}
