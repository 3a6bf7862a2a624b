//! The health of a webhook: attributes of its own item, so that reading the one reads the other. What its owner changes and what
//! deliver notes are different attributes, so neither overwrites the other's.

use aws_sdk_dynamodb::{operation::update_item::builders::UpdateItemFluentBuilder, types::ReturnValue};
use posthaste_domain::{
    Timestamp,
    health::{Disabled, Health, Reason},
    webhook::Webhook,
};

use super::{Registry, webhooks::webhook_key};
use crate::{
    StoreError,
    item::{Item, Read, number, text},
};

/// All of it, as an update forgets it, with what the version before kept here.
pub(super) const FORGET: &str = "failingSince, lastFailureAt, failures, announced, disabledAt, disabledReason, \
    timeouts, closedUntil, closings";

impl Registry {
    /// Counts a failure. Answers the health that counts it; none where the webhook is gone.
    pub async fn count_failure(&self, webhook: &Webhook, now: Timestamp) -> Result<Option<Health>, StoreError> {
        let update = self
            .health_update(
                webhook,
                "SET failingSince = if_not_exists(failingSince, :now), lastFailureAt = :now, \
                 failures = if_not_exists(failures, :zero) + :one",
            )
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        match update.send().await {
            Ok(answer) => read(&answer.attributes.unwrap_or_default()).map(Some),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(StoreError::call("UpdateItem")(error)),
        }
    }

    /// Notes a success, which ends what failures began.
    pub async fn note_success(&self, webhook: &Webhook, now: Timestamp) -> Result<(), StoreError> {
        let ended = "failingSince, failures, announced, timeouts, closedUntil, closings";
        let update = self
            .health_update(webhook, &format!("SET lastSuccessAt = :now REMOVE {ended}"))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", text(now.to_string()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }

    /// Notes that the failures have been announced.
    pub async fn note_announced(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let update = self
            .health_update(webhook, "SET announced = :yes")
            .condition_expression("attribute_exists(failingSince)")
            .expression_attribute_values(":yes", aws_sdk_dynamodb::types::AttributeValue::Bool(true));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }

    /// Disables a webhook, and tells whether it did. Nothing happens where it is disabled, changed or gone, or where it has had a success since it was found to
    /// be failing since this time.
    pub async fn disable(
        &self,
        webhook: &Webhook,
        reason: Reason,
        failing_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut update = self
            .health_update(webhook, "SET disabledAt = :now, disabledReason = :reason")
            .expression_attribute_values(":read", text(webhook.updated_at.to_string()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":reason", text(reason.name()));
        // What an endpoint did that its owner has replaced since counts no more.
        let mut condition = "updatedAt = :read AND attribute_not_exists(disabledAt)".to_owned();
        // A 410 says by itself that nobody is there.
        if let Some(since) = failing_since.filter(|_| reason == Reason::Failing) {
            condition.push_str(" AND failingSince = :since");
            update = update.expression_attribute_values(":since", text(since.to_string()));
        }
        let update = update.condition_expression(condition);
        StoreError::unless_refused("UpdateItem", update.send().await)
    }

    fn health_update(&self, webhook: &Webhook, expression: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(webhook_key(&webhook.workspace, webhook.id)))
            .update_expression(expression)
    }
}

pub(super) fn read(item: &Item) -> Result<Health, StoreError> {
    let time = |attribute: &'static str| -> Result<Option<Timestamp>, StoreError> {
        item.contains_key(attribute).then(|| item.parsed(attribute)).transpose()
    };
    let disabled = match time("disabledAt")? {
        None => None,
        Some(at) => {
            let name = item.text("disabledReason")?;
            let reason = Reason::NAMES.iter().find(|(other, _)| *other == name);
            let (_, reason) = reason.ok_or_else(|| item.corrupt("disabledReason"))?;
            Some(Disabled { at, reason: *reason })
        }
    };
    Ok(Health {
        failing_since: time("failingSince")?,
        last_success_at: time("lastSuccessAt")?,
        last_failure_at: time("lastFailureAt")?,
        failures: if item.contains_key("failures") { item.number("failures")? } else { 0 },
        announced: item.contains_key("announced"),
        disabled,
    })
}
