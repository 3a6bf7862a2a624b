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

/// All of it, as an update forgets it.
pub(super) const FORGET: &str = "failingSince, lastFailureAt, failures, timeouts, announced, closedUntil, closings, \
    disabledAt, disabledReason";

impl Registry {
    /// Counts a failure, and with it a timeout if it was one; anything else says that the endpoint is there. Answers the health
    /// that counts it; none where the webhook is gone.
    pub async fn count_failure(
        &self,
        webhook: &Webhook,
        is_timeout: bool,
        now: Timestamp,
    ) -> Result<Option<Health>, StoreError> {
        let (timeouts, opened) = if is_timeout {
            ("if_not_exists(timeouts, :zero) + :one", "")
        } else {
            (":zero", " REMOVE closedUntil, closings")
        };
        let update = self
            .health_update(
                webhook,
                &format!(
                    "SET failingSince = if_not_exists(failingSince, :now), lastFailureAt = :now, \
                     failures = if_not_exists(failures, :zero) + :one, timeouts = {timeouts}{opened}"
                ),
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
        let ended = "failingSince, failures, timeouts, announced, closedUntil, closings";
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

    /// Closes the breaker until this time. Nothing happens where another one has closed it or a success has opened the way.
    pub async fn close(&self, webhook: &Webhook, health: &Health, until: Timestamp) -> Result<(), StoreError> {
        let update = self
            .health_update(webhook, "SET closedUntil = :until, closings = if_not_exists(closings, :zero) + :one")
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        let update = match health.closed_until {
            None => update.condition_expression("attribute_exists(failingSince) AND attribute_not_exists(closedUntil)"),
            Some(seen) => update
                .condition_expression("closedUntil = :seen")
                .expression_attribute_values(":seen", number(seen.as_millisecond())),
        };
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }

    /// Claims the one request that a closed breaker lets through when its time, `seen`, is over. The claim holds until `lease`; then
    /// another one may have it.
    pub async fn claim_probe(&self, webhook: &Webhook, seen: Timestamp, lease: Timestamp) -> Result<bool, StoreError> {
        let update = self
            .health_update(webhook, "SET closedUntil = :lease")
            .condition_expression("closedUntil = :seen")
            .expression_attribute_values(":lease", number(lease.as_millisecond()))
            .expression_attribute_values(":seen", number(seen.as_millisecond()));
        StoreError::unless_refused("UpdateItem", update.send().await)
    }

    /// Disables a webhook. Nothing happens where it is disabled, changed or gone.
    pub async fn disable(&self, webhook: &Webhook, reason: Reason, now: Timestamp) -> Result<(), StoreError> {
        let update = self
            .health_update(webhook, "SET disabledAt = :now, disabledReason = :reason")
            // What an endpoint did that its owner has replaced since counts no more.
            .condition_expression("updatedAt = :read AND attribute_not_exists(disabledAt)")
            .expression_attribute_values(":read", text(webhook.updated_at.to_string()))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":reason", text(reason.name()));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
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
    let count = |attribute: &'static str| -> Result<u32, StoreError> {
        if item.contains_key(attribute) { item.number(attribute) } else { Ok(0) }
    };
    let closed_until = item.contains_key("closedUntil").then(|| item.number("closedUntil")).transpose()?;
    let closed_until = closed_until.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| item.corrupt("closedUntil")));
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
        failures: count("failures")?,
        timeouts: count("timeouts")?,
        announced: item.contains_key("announced"),
        closed_until: closed_until.transpose()?,
        closings: count("closings")?,
        disabled,
    })
}
