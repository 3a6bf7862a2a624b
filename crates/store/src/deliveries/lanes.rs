//! The lanes of webhooks: one small item each. What may be written, and when, is decided in
//! [`posthaste_domain::endpoint::lane`].

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use posthaste_domain::{
    Timestamp,
    endpoint::lane::{self, Attr, Attributes, Lane, Value, Write},
    webhook::{Webhook, key::WebhookKey},
};

use super::due::due_by;
use crate::{
    StoreError,
    batch::{self, Found, Reading, Wanted},
    item::{Item, PK, SK, key, number, text},
    registry::{
        Registry,
        webhooks::{read as read_webhook, webhook_key},
    },
    table::{Answer, Outcome, Table},
    write::{Condition, Update},
};

const PREFIX: &str = "#lane#";
const LANE: &str = "lane";

/// The lanes of all webhooks.
#[derive(Debug, Clone)]
pub struct Lanes {
    pub(super) table: Table,
}

/// The lanes of one shard that are due, as the index knows them, which lags.
#[derive(Debug, Clone, Default)]
pub struct DueLanes {
    /// The webhooks of the lanes.
    pub webhooks: Vec<WebhookKey>,
    /// The number of entries that are those of no lane. The log says which.
    pub unreadable: usize,
    /// The place behind these lanes; none if there are no more.
    pub next: Option<AfterLane>,
}

/// A place in a shard of the index, behind a lane.
#[derive(Debug, Clone)]
pub struct AfterLane(Item);

impl Lanes {
    /// The webhooks that exist and the lanes that have an item, read strongly with one call for up
    /// to 50.
    pub async fn with_webhooks(
        &self,
        registry: &Registry,
        wanted: &[WebhookKey],
    ) -> (Found<WebhookKey, Webhook>, Found<WebhookKey, Lane>) {
        let webhooks = Reading {
            table: &registry.webhooks.table,
            consistent: true,
            attributes: &[],
            read: read_webhook,
        };
        let webhook_keys = wanted.iter().map(|webhook| (webhook.clone(), webhook_key(webhook)));
        batch::get_both(
            Wanted::of(&webhooks, webhook_keys),
            Wanted::of(&self.reading(), lane_keys(wanted)),
        )
        .await
    }

    /// The lanes that have an item, read strongly.
    pub async fn get_all(&self, wanted: &[WebhookKey]) -> Found<WebhookKey, Lane> {
        batch::get(self.reading(), lane_keys(wanted)).await
    }

    /// The lanes that have an item, read eventually.
    pub(super) async fn glance(&self, wanted: &[WebhookKey]) -> Found<WebhookKey, Lane> {
        batch::get(Reading { consistent: false, ..self.reading() }, lane_keys(wanted)).await
    }

    /// One lane, read strongly. One without an item is closed.
    pub async fn get(&self, webhook: &WebhookKey) -> Result<Lane, StoreError> {
        let item = self.table.get(lane_key(webhook)).await?;
        read(&item.unwrap_or_default())
    }

    /// Carries out a write, if its conditions hold.
    pub async fn write(
        &self,
        webhook: &WebhookKey,
        write: &Write,
    ) -> Result<lane::Outcome, StoreError> {
        let mut update = Update::at(lane_key(webhook));
        for (attribute, value) in &write.set {
            update = update.set(attribute.name(), attribute_value(value));
        }
        for attribute in &write.remove {
            update = update.remove(attribute.name());
        }
        for required in &write.conditions {
            update = update.only_if(condition(required));
        }
        match self.table.update_and_read(update, ReturnValue::AllOld).await? {
            Outcome::Done(before) => read(&before).map(lane::Outcome::Done),
            Outcome::Refused(item) => read(&item.unwrap_or_default()).map(lane::Outcome::Refused),
        }
    }

    /// The lanes of one shard whose time comes by `until`, at most so many, behind this place.
    pub async fn due(
        &self,
        shard: &str,
        until: Timestamp,
        most: i32,
        after: Option<AfterLane>,
    ) -> Result<DueLanes, StoreError> {
        let query = due_by(&self.table, shard, until).limit(most);
        let start = after.map(|AfterLane(key)| key.0);
        let answer = Answer::to(query.set_exclusive_start_key(start)).await?;
        let mut due = DueLanes { next: answer.next.map(AfterLane), ..DueLanes::default() };
        for item in &answer.items {
            match webhook_of(item) {
                Ok(webhook) => due.webhooks.push(webhook),
                Err(error) => {
                    tracing::error!(%error, "an entry of the index is no lane");
                    due.unreadable += 1;
                }
            }
        }
        Ok(due)
    }

    fn reading(&self) -> Reading<'_, Lane> {
        Reading { table: &self.table, consistent: true, attributes: &[], read }
    }
}

fn lane_keys(wanted: &[WebhookKey]) -> impl Iterator<Item = (WebhookKey, Item)> {
    wanted.iter().map(|webhook| (webhook.clone(), lane_key(webhook)))
}

fn lane_key(webhook: &WebhookKey) -> Item {
    key(format!("{PREFIX}{webhook}"), LANE)
}

fn webhook_of(item: &Item) -> Result<WebhookKey, StoreError> {
    let webhook = item.text(PK)?.strip_prefix(PREFIX).and_then(WebhookKey::parse);
    webhook.ok_or_else(|| item.corrupt(PK))
}

fn read(item: &Item) -> Result<Lane, StoreError> {
    let mut attributes = Vec::new();
    for attribute in Attr::ALL {
        match item.get(attribute.name()) {
            None => {}
            Some(AttributeValue::S(text)) => {
                attributes.push((attribute, Value::Text(text.clone())))
            }
            Some(_) => attributes.push((attribute, Value::Number(item.number(attribute.name())?))),
        }
    }
    let lane = Attributes::from_iter(attributes).lane();
    lane.map_err(|unreadable| StoreError::Corrupt {
        key: item.text(SK).unwrap_or_default().to_owned(),
        attribute: unreadable.0.name(),
    })
}

fn condition(required: &lane::Condition) -> Condition {
    match required {
        lane::Condition::Absent(attribute) => Condition::Absent(attribute.name()),
        lane::Condition::Present(attribute) => Condition::Present(attribute.name()),
        lane::Condition::Is(attribute, value) => {
            Condition::Is(attribute.name(), attribute_value(value))
        }
        lane::Condition::AtMost(attribute, most) => {
            Condition::AtMost(attribute.name(), number(most))
        }
        lane::Condition::Any(any) => Condition::Any(any.iter().map(condition).collect()),
    }
}

fn attribute_value(value: &Value) -> AttributeValue {
    match value {
        Value::Text(value) => text(value),
        Value::Number(value) => number(value),
    }
}
