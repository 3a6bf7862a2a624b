//! The lanes of webhooks: one small item each. What may be written, and when, is decided in [`posthaste_domain::lane`].

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    id::WebhookId,
    lane::{Attr, Attributes, Condition, Lane, Outcome, Value, Write},
    workspace::Workspace,
};

use super::Deliveries;
use crate::{
    StoreError,
    batch::{self, Found},
    item::{Item, PK, Read, SK, key, number, text},
    registry::{
        Registry,
        webhooks::{read as read_webhook, webhook_key},
    },
};

const PREFIX: &str = "#lane#";
const LANE: &str = "lane";

/// A workspace's webhook.
pub type WebhookKey = (Workspace, WebhookId);

/// A lane that the index says is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    /// The workspace that owns the webhook.
    pub workspace: Workspace,
    /// The webhook.
    pub webhook: WebhookId,
}

impl Deliveries {
    /// The webhooks that exist and the lanes that have an item, read strongly with one call for up to 50.
    pub async fn webhooks_and_lanes(
        &self,
        registry: &Registry,
        wanted: &[WebhookKey],
    ) -> (Found<WebhookKey, posthaste_domain::webhook::Webhook>, Found<WebhookKey, Lane>) {
        let webhooks = wanted.iter().map(|(workspace, id)| ((workspace.clone(), *id), webhook_key(workspace, *id)));
        batch::get_both(
            &self.client,
            (registry.table.as_str(), webhooks, read_webhook),
            (self.table.as_str(), self.lane_keys(wanted), read),
        )
        .await
    }

    /// The lanes that have an item, read strongly.
    pub async fn lanes(&self, wanted: &[WebhookKey]) -> Found<WebhookKey, Lane> {
        let reading = batch::Reading { client: &self.client, table: &self.table, consistent: true, attributes: &[] };
        batch::get(reading, self.lane_keys(wanted), read).await
    }

    /// One lane, read strongly. One without an item is closed.
    pub async fn lane(&self, workspace: &Workspace, webhook: WebhookId) -> Result<Lane, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(lane_key(workspace, webhook)))
            .consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        answer.item.as_ref().map_or(Ok(Lane::default()), read)
    }

    /// Carries out a write, if its conditions hold.
    pub async fn write_lane(
        &self,
        workspace: &Workspace,
        webhook: WebhookId,
        write: &Write,
    ) -> Result<Outcome, StoreError> {
        let mut names = Vec::new();
        let mut values = Vec::new();
        let conditions: Vec<String> =
            write.conditions.iter().map(|condition| expression(condition, &mut names, &mut values)).collect();
        let set: Vec<String> = write
            .set
            .iter()
            .map(|(attribute, value)| format!("{} = {}", name(*attribute, &mut names), placeholder(value, &mut values)))
            .collect();
        let remove: Vec<String> = write.remove.iter().map(|attribute| name(*attribute, &mut names)).collect();
        let mut clauses = Vec::new();
        for (clause, parts) in [("SET", set), ("REMOVE", remove)] {
            if !parts.is_empty() {
                clauses.push(format!("{clause} {}", parts.join(", ")));
            }
        }
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(lane_key(workspace, webhook)))
            .update_expression(clauses.join(" "))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if !conditions.is_empty() {
            update = update.condition_expression(conditions.join(" AND "));
        }
        for (placeholder, attribute) in names {
            update = update.expression_attribute_names(placeholder, attribute);
        }
        for (placeholder, value) in values {
            update = update.expression_attribute_values(placeholder, value);
        }
        match update.send().await {
            Ok(answer) => answer.attributes.as_ref().map_or(Ok(Lane::default()), read).map(Outcome::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    failed.item().map_or(Ok(Lane::default()), read).map(Outcome::Refused)
                }
                _ => Err(StoreError::call("UpdateItem")(error)),
            },
        }
    }

    /// The lanes of one shard whose time comes by `until`, at most so many, as the index knows them, which lags.
    pub async fn due_lanes(&self, shard: &str, until: Timestamp, most: i32) -> Result<Vec<DueLane>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(super::due::INDEX)
            .key_condition_expression("dueShard = :shard AND dueAt <= :until")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .limit(most);
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        answer.items().iter().map(due_lane).collect()
    }

    fn lane_keys(&self, wanted: &[WebhookKey]) -> impl Iterator<Item = (WebhookKey, Item)> {
        let keys: Vec<_> = wanted.iter().map(|owner| (owner.clone(), lane_key(&owner.0, owner.1))).collect();
        keys.into_iter()
    }
}

fn lane_key(workspace: &Workspace, webhook: WebhookId) -> Item {
    key(format!("{PREFIX}{workspace}#{webhook}"), LANE)
}

fn due_lane(item: &Item) -> Result<DueLane, StoreError> {
    let mut parts = item.text(PK)?.strip_prefix(PREFIX).ok_or_else(|| item.corrupt(PK))?.split('#');
    let workspace = parts.next().and_then(|name| Workspace::parse(name).ok());
    let webhook = parts.next().and_then(|id| id.parse().ok());
    match (workspace, webhook) {
        (Some(workspace), Some(webhook)) => Ok(DueLane { workspace, webhook }),
        _ => Err(item.corrupt(PK)),
    }
}

fn read(item: &Item) -> Result<Lane, StoreError> {
    let mut attributes = Vec::new();
    for attribute in Attr::ALL {
        match item.get(attribute.name()) {
            None => {}
            Some(AttributeValue::S(text)) => attributes.push((attribute, Value::Text(text.clone()))),
            Some(_) => attributes.push((attribute, Value::Number(item.number(attribute.name())?))),
        }
    }
    let lane = Attributes::from_iter(attributes).lane();
    lane.map_err(|unreadable| StoreError::Corrupt {
        key: item.text(SK).unwrap_or_default().to_owned(),
        attribute: unreadable.0.name(),
    })
}

/// A condition as DynamoDB writes it. Every name is a placeholder, as some are reserved words.
fn expression(
    condition: &Condition,
    names: &mut Vec<(String, String)>,
    values: &mut Vec<(String, AttributeValue)>,
) -> String {
    match condition {
        Condition::Absent(attribute) => format!("attribute_not_exists({})", name(*attribute, names)),
        Condition::Present(attribute) => format!("attribute_exists({})", name(*attribute, names)),
        Condition::Is(attribute, value) => format!("{} = {}", name(*attribute, names), placeholder(value, values)),
        Condition::AtMost(attribute, most) => {
            format!("{} <= {}", name(*attribute, names), placeholder(&Value::Number(*most), values))
        }
        Condition::Any(conditions) => {
            let any: Vec<String> = conditions.iter().map(|condition| expression(condition, names, values)).collect();
            format!("({})", any.join(" OR "))
        }
    }
}

fn name(attribute: Attr, names: &mut Vec<(String, String)>) -> String {
    let placeholder = format!("#{}", attribute.name());
    if !names.iter().any(|(other, _)| *other == placeholder) {
        names.push((placeholder.clone(), attribute.name().to_owned()));
    }
    placeholder
}

fn placeholder(value: &Value, values: &mut Vec<(String, AttributeValue)>) -> String {
    let placeholder = format!(":{}", values.len());
    let value = match value {
        Value::Text(value) => text(value),
        Value::Number(value) => number(value),
    };
    values.push((placeholder.clone(), value));
    placeholder
}
