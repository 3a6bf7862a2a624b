//! What webhooks were before they were changed or removed, for as long as the history can have a
//! request that was made with it.
//!
//! It is written in the transaction that changes or removes the webhook, so none is missing. It has
//! no secret, and of the headers only the names: nothing can be sent with it.

use std::{convert::Infallible, time::Duration};

use posthaste_domain::{
    Timestamp,
    endpoint::health::Health,
    webhook::{
        Settings, Webhook, headers::Headers, key::WebhookKey, rotation::Secrets, secret::Sealed,
    },
};

use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, json, key, number, text},
    table::Table,
    write::Write,
};

/// It is kept for so much longer than the history: the result of an attempt can travel in a message
/// for that long before it is recorded.
const MESSAGE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The sort key of what a webhook was when it was removed.
const REMOVED: &str = "removed";

/// A webhook that is changed or removed.
#[derive(Debug, Clone, Copy)]
pub struct Replaced<'a> {
    /// The webhook as it was read. What is sealed of it is to be sealed with the newest key.
    pub webhook: &'a Webhook,
    /// The time of the change.
    pub at: Timestamp,
    /// The time for which the history is kept.
    pub retention: Duration,
}

/// A webhook that was removed.
#[derive(Debug, Clone)]
pub struct RemovedWebhook {
    /// The webhook as it was, without secrets and without the values of its headers.
    pub webhook: Webhook,
    /// The time at which it was removed.
    pub removed_at: Timestamp,
}

/// The earlier revisions of all webhooks.
#[derive(Debug, Clone)]
pub struct Revisions {
    pub(super) table: Table,
}

impl Revisions {
    /// Reads what a webhook was at this revision, which another one has followed. It has no secrets
    /// and no values of headers.
    pub async fn get(
        &self,
        webhook: &WebhookKey,
        revision: u64,
    ) -> Result<Option<Webhook>, StoreError> {
        let item = self.table.get(revision_key(webhook, &number_of(revision))).await?;
        item.map(|item| read(&item, webhook)).transpose()
    }

    /// Reads what a webhook was when it was removed. None where it was not removed, or where the
    /// history of it is over.
    pub async fn removed(
        &self,
        webhook: &WebhookKey,
    ) -> Result<Option<RemovedWebhook>, StoreError> {
        let Some(item) = self.table.get(revision_key(webhook, REMOVED)).await? else {
            return Ok(None);
        };
        let removed_at = item.parsed("removedAt")?;
        Ok(Some(RemovedWebhook { webhook: read(&item, webhook)?, removed_at }))
    }
}

/// The write that keeps what a change replaces.
pub(super) fn kept(was: Replaced<'_>) -> Result<Write, StoreError> {
    Ok(Write::Put(item(was, &number_of(was.webhook.revision))?, Vec::new()))
}

/// The write that keeps what was removed.
pub(super) fn removed(was: Replaced<'_>) -> Result<Write, StoreError> {
    let item = item(was, REMOVED)?.with("removedAt", text(was.at.to_string()));
    Ok(Write::Put(item, Vec::new()))
}

fn item(was: Replaced<'_>, sort_key: &str) -> Result<Item, StoreError> {
    let Replaced { webhook, at, retention } = was;
    let without_value = |_: &_, _: &Sealed| Ok::<_, Infallible>(Sealed(String::new()));
    let Ok(names) = webhook.headers.try_map(without_value);
    let life = retention + MESSAGE_LIFE;
    Ok(revision_key(&webhook.key, sort_key)
        .with("settings", json(&webhook.settings)?)
        .with("headers", json(&names)?)
        .with("createdAt", text(webhook.created_at.to_string()))
        .with("updatedAt", text(webhook.updated_at.to_string()))
        .with("revision", number(webhook.revision))
        .with(EXPIRES_AT, number(at.as_second().saturating_add_unsigned(life.as_secs()))))
}

fn read(item: &Item, key: &WebhookKey) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        key: key.clone(),
        settings: item.json::<Settings>("settings")?,
        secrets: Secrets::new(Sealed(String::new())),
        headers: item.json::<Headers<Sealed>>("headers")?,
        created_at: item.parsed("createdAt")?,
        updated_at: item.parsed("updatedAt")?,
        health: Health::default(),
        revision: item.number("revision")?,
    })
}

fn revision_key(webhook: &WebhookKey, sort_key: &str) -> Item {
    key(format!("revision#{webhook}"), sort_key)
}

/// Writes a revision with a fixed number of digits, so that revisions sort as texts.
fn number_of(revision: u64) -> String {
    format!("{revision:020}")
}
