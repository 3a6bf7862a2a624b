//! The subscriptions of a workspace's webhooks, read a call at a time.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use posthaste_domain::{
    access::workspace::Workspace, fanout::delivered::Subscriber, id::WebhookId,
    webhook::key::WebhookKey,
};

use super::{
    beginning_with,
    webhooks::{SK_PREFIX, Webhooks, id_of, webhook_key},
};
use crate::{
    StoreError,
    item::{Item, SK},
    table::Answer,
};

/// The webhooks of a workspace that one call has read: up to 1 MB of them.
#[derive(Debug, Clone, Default)]
pub struct Subscribers {
    /// Those that could be read, by id.
    pub subscribers: Vec<Subscriber>,
    /// It says whether there was one that this version can't read. The log says why.
    pub is_one_unreadable: bool,
    /// The last webhook of the call; none where there are no others.
    pub next: Option<WebhookId>,
    /// The read units of 4 KB that it took.
    pub read_units: f64,
}

impl Webhooks {
    /// The webhooks of a workspace after this one, as many as one call reads, strongly
    /// consistently. Neither their secrets nor their headers are fetched.
    pub async fn subscribers(
        &self,
        workspace: &Workspace,
        after: Option<WebhookId>,
    ) -> Result<Subscribers, StoreError> {
        let start = after.map(|id| webhook_key(&WebhookKey { workspace: workspace.clone(), id }));
        let query = beginning_with(&self.table, workspace, SK_PREFIX, start)
            .projection_expression("pk, sk, settings, createdAt")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Answer::to(query).await?;
        let mut read = Subscribers {
            next: answer.next.as_ref().map(id).transpose()?,
            read_units: answer.units.unwrap_or(1.0),
            ..Subscribers::default()
        };
        for item in answer.items {
            match subscriber(&item) {
                Ok(subscriber) => read.subscribers.push(subscriber),
                Err(error) => {
                    tracing::error!(%error, "a webhook can't be read");
                    read.is_one_unreadable = true;
                }
            }
        }
        Ok(read)
    }
}

fn subscriber(item: &Item) -> Result<Subscriber, StoreError> {
    Ok(Subscriber {
        id: id(item)?,
        created_at: item.parsed("createdAt")?,
        settings: item.json("settings")?,
    })
}

fn id(item: &Item) -> Result<WebhookId, StoreError> {
    id_of(item).ok_or_else(|| item.corrupt(SK))
}
