//! What decides which events a webhook gets, and when: the part of its settings that fan-out reads.

use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    event_type::{EventPattern, EventType},
    filter::{Filters, Timing},
    id::WebhookId,
    operational,
    process::{self, Process},
    webhook::Webhook,
};

/// The subscription of one webhook, as the routing index stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The webhook.
    pub id: WebhookId,
    /// What it subscribes to: 1 to 100 patterns.
    pub events: Vec<EventPattern>,
    /// When events are delivered that no filter speaks of.
    #[serde(default, skip_serializing_if = "Timing::is_immediate")]
    pub timing: Timing,
    /// Which events of which processes are wanted, and when.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
    /// Whether anything may be held for it until its process ends, by these settings or by earlier ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
    /// Whether its format takes several events into one request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batches: bool,
}

/// What an event means for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nothing.
    Ignore,
    /// It is delivered now.
    Now,
    /// It is delivered when this run of its process has ended.
    Hold {
        /// The run.
        context: String,
    },
    /// It ends this run: what was held for the run is delivered, and after it the event itself if it is wanted.
    End {
        /// The run.
        context: String,
        /// Whether the event itself is to be delivered.
        wanted: bool,
    },
}

impl Subscription {
    /// The subscription of a webhook.
    pub fn of(webhook: &Webhook) -> Self {
        let settings = &webhook.settings;
        Self {
            id: webhook.id,
            events: settings.events.clone(),
            timing: settings.timing,
            filters: settings.filters.clone(),
            holds: settings.hold_anything(),
            batches: settings.format().batches(),
        }
    }

    /// Whether it names an operational event, or several by a prefix.
    pub fn names_operational(&self) -> bool {
        let mut named = self.events.iter().filter(|pattern| **pattern != EventPattern::All);
        named.any(|pattern| operational::types().any(|operational| pattern.matches(&operational)))
    }

    /// What becomes of an event here. For a paused or disabled webhook too: what comes in the meantime is recorded.
    ///
    /// The end of a run is an end also for a webhook that does not subscribe to it: what was held must not wait for its deadline.
    pub fn route(&self, event: &Event, process: &Process) -> Route {
        let timing = timing(&self.events, &self.filters, self.timing, &event.event_type, process);
        match (&process.context_id, timing) {
            (Some(context), timing) if process::ends(&event.event_type) && self.holds => {
                Route::End { context: context.clone(), wanted: timing.is_some() }
            }
            (_, None) => Route::Ignore,
            (Some(context), Some(Timing::ProcessEnd)) => Route::Hold { context: context.clone() },
            (None, Some(Timing::ProcessEnd)) | (_, Some(Timing::Immediate)) => Route::Now,
        }
    }
}

/// When an event of this type is delivered to a webhook with these settings; none where it is not.
pub(crate) fn timing(
    subscribed: &[EventPattern],
    filters: &Filters,
    default: Timing,
    event_type: &EventType,
    process: &Process,
) -> Option<Timing> {
    // Whoever wants everything wants what is published, and not the news of how that went.
    let operational = operational::is_operational(event_type);
    let names = |pattern: &EventPattern| pattern.matches(event_type) && !(operational && *pattern == EventPattern::All);
    if !subscribed.iter().any(names) {
        return None;
    }
    filters.timing(process.process_type.as_deref(), event_type, default)
}

#[cfg(test)]
mod tests;
