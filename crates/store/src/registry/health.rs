//! The health of a webhook: attributes of its own item, so that reading the one reads the other.
//! What its owner changes and what deliver notes are different attributes, so neither overwrites
//! the other's.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use posthaste_domain::{
    Timestamp,
    endpoint::health::{Disabled, Health, Reason},
    webhook::Webhook,
};

use super::webhooks::webhook_key;
use crate::{
    StoreError,
    item::{Item, number, text},
    table::{Outcome, Table},
    write::{Condition, Update},
};

/// All of it but the last success, as an update forgets it, with what the version before kept here.
pub(super) const FORGET: [&str; 12] = [
    "failingSince",
    "lastFailureAt",
    "failures",
    "announced",
    "announcingAt",
    "announcingSince",
    "disabledAt",
    "disabledReason",
    "disablingUntold",
    "timeouts",
    "closedUntil",
    "closings",
];

/// The attributes that failures begin and a success ends.
const ENDED_BY_SUCCESS: [&str; 8] = [
    "failingSince",
    "failures",
    "announced",
    "announcingAt",
    "announcingSince",
    "timeouts",
    "closedUntil",
    "closings",
];

/// The health of all webhooks.
#[derive(Debug, Clone)]
pub struct Healths {
    pub(super) table: Table,
}

impl Healths {
    /// Counts a failure. Answers the health that counts it; none where the webhook is gone.
    pub async fn count_failure(
        &self,
        webhook: &Webhook,
        now: Timestamp,
    ) -> Result<Option<Health>, StoreError> {
        let at = text(now.to_string());
        let update = health_of(webhook)
            .set_if_absent("failingSince", at.clone())
            .set("lastFailureAt", at)
            .add("failures", number(1))
            .only_if(Condition::some_item());
        match self.table.update_and_read(update, ReturnValue::AllNew).await? {
            Outcome::Done(item) => read(&item).map(Some),
            Outcome::Refused(_) => Ok(None),
        }
    }

    /// Notes a success, which ends what failures began.
    pub async fn note_success(&self, webhook: &Webhook, now: Timestamp) -> Result<(), StoreError> {
        let update = health_of(webhook)
            .set("lastSuccessAt", text(now.to_string()))
            .remove_all(&ENDED_BY_SUCCESS)
            .only_if(Condition::some_item());
        self.table.update(update).await.map(drop)
    }

    /// Notes that the failures since this time are about to be announced, and answers when that
    /// was first noted: an announcement that is made again after a crash has the same time. None
    /// where they have been announced, or where a success has ended them.
    pub async fn begin_announcing(
        &self,
        webhook: &Webhook,
        failing_since: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let since = text(failing_since.to_string());
        // A version that does not know these attributes leaves those of earlier failures behind.
        let update = health_of(webhook)
            .set("announcingAt", text(now.to_string()))
            .set("announcingSince", since.clone())
            .only_if(Condition::Is("failingSince", since.clone()))
            .only_if(Condition::Absent("announced"))
            .only_if(Condition::Any(vec![
                Condition::Absent("announcingSince"),
                Condition::IsNot("announcingSince", since),
            ]));
        match self.table.update_and_read(update, ReturnValue::AllNew).await? {
            Outcome::Done(_) => Ok(Some(now)),
            Outcome::Refused(None) => Ok(None),
            Outcome::Refused(Some(item)) => begun_before(&item, failing_since),
        }
    }

    /// Notes that the announcement that began at this time was made. Nothing is noted if a success
    /// has ended its failures since: later ones are announced by themselves.
    pub async fn note_announced(
        &self,
        webhook: &Webhook,
        announcing_at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = health_of(webhook)
            .set("announced", AttributeValue::Bool(true))
            .only_if(Condition::Is("announcingAt", text(announcing_at.to_string())));
        self.table.update(update).await.map(drop)
    }

    /// Disables a webhook, and answers its disabling, which may be an earlier one. None where the
    /// webhook is as enabled as before: it was changed or is gone, or it has had a success since it
    /// was found to be failing since this time. Nobody has been told of a new disabling yet.
    pub async fn disable(
        &self,
        webhook: &Webhook,
        reason: Reason,
        failing_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Disabled>, StoreError> {
        let update = health_of(webhook)
            .set("disabledAt", text(now.to_string()))
            .set("disabledReason", text(reason.name()))
            .set("disablingUntold", AttributeValue::Bool(true))
            // What an endpoint did that its owner has replaced since counts no more.
            .only_if(Condition::Is("updatedAt", text(webhook.updated_at.to_string())))
            .only_if(Condition::Absent("disabledAt"));
        // A 410 says by itself that nobody is there.
        let update = match failing_since.filter(|_| reason == Reason::Failing) {
            Some(since) => update.only_if(Condition::Is("failingSince", text(since.to_string()))),
            None => update,
        };
        match self.table.update_and_read(update, ReturnValue::AllNew).await? {
            Outcome::Done(item) | Outcome::Refused(Some(item)) => disabled(&item),
            Outcome::Refused(None) => Ok(None),
        }
    }

    /// Notes that the disabling of this time has been told.
    pub async fn note_disabling_told(
        &self,
        webhook: &Webhook,
        disabled_at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = health_of(webhook)
            .remove("disablingUntold")
            .only_if(Condition::Is("disabledAt", text(disabled_at.to_string())));
        self.table.update(update).await.map(drop)
    }
}

/// The time at which the announcement of the failures since this time began, if it is under way.
fn begun_before(item: &Item, failing_since: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let failing: Option<Timestamp> = item.optional("failingSince", Item::parsed)?;
    let announcing: Option<Timestamp> = item.optional("announcingSince", Item::parsed)?;
    if item.has("announced") || [failing, announcing] != [Some(failing_since); 2] {
        return Ok(None);
    }
    item.parsed("announcingAt").map(Some)
}

fn health_of(webhook: &Webhook) -> Update {
    Update::at(webhook_key(&webhook.key))
}

pub(super) fn read(item: &Item) -> Result<Health, StoreError> {
    Ok(Health {
        failing_since: item.optional("failingSince", Item::parsed)?,
        last_success_at: item.optional("lastSuccessAt", Item::parsed)?,
        last_failure_at: item.optional("lastFailureAt", Item::parsed)?,
        failures: item.optional("failures", Item::number)?.unwrap_or(0),
        announced: item.has("announced"),
        disabled: disabled(item)?,
    })
}

fn disabled(item: &Item) -> Result<Option<Disabled>, StoreError> {
    let Some(at) = item.optional("disabledAt", Item::parsed)? else { return Ok(None) };
    let is_told = !item.has("disablingUntold");
    Ok(Some(Disabled { at, reason: disabled_reason(item)?, is_told }))
}

fn disabled_reason(item: &Item) -> Result<Reason, StoreError> {
    let name = item.text("disabledReason")?;
    let reason = Reason::NAMES.iter().find(|(other, _)| *other == name);
    reason.map(|(_, reason)| *reason).ok_or_else(|| item.corrupt("disabledReason"))
}
