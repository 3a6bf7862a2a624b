//! A subscription decides which events a webhook gets, and when: it is the part of its settings
//! that fan-out reads.

use serde::{Deserialize, Serialize};

use crate::{
    event::{
        catalogue,
        event_type::{EventPattern, EventType},
        process::{self, Process},
    },
    id::WebhookId,
    webhook::{
        Webhook,
        filter::{self, Filters, Timing},
    },
};

/// The subscription of one webhook, as the routing index stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The webhook that subscribes.
    pub id: WebhookId,
    /// The event types that the webhook subscribes to: 1 to 100 patterns.
    pub events: Vec<EventPattern>,
    /// The time at which events are delivered that no filter is about.
    #[serde(default, skip_serializing_if = "Timing::is_immediate")]
    pub timing: Timing,
    /// The filters that choose among the events of processes, and the times of their deliveries.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
    /// True if an event may be held for the webhook until its process ends, by these settings or by
    /// earlier ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
    /// True if the webhook's format takes several events into one request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batches: bool,
}

/// The way of an event to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The webhook does not get it.
    Ignore,
    /// The event is delivered at once.
    Now,
    /// The event is delivered when this run of its process has ended.
    Hold {
        /// The id of the run.
        context: String,
    },
    /// The event ends this run. The events that were held for the run are delivered, and after them
    /// this event itself if it is wanted.
    End {
        /// The id of the run.
        context: String,
        /// True if the event itself is to be delivered.
        wanted: bool,
    },
}

impl Route {
    /// Tells whether the event itself is delivered.
    pub fn is_wanted(&self) -> bool {
        match self {
            Self::Ignore => false,
            Self::Now | Self::Hold { .. } => true,
            Self::End { wanted, .. } => *wanted,
        }
    }
}

impl Subscription {
    /// The subscription that a webhook's settings make.
    pub fn of(webhook: &Webhook) -> Self {
        let settings = &webhook.settings;
        Self {
            id: webhook.key.id,
            events: settings.events.clone(),
            timing: settings.timing,
            filters: settings.filters.clone(),
            holds: settings.hold_anything(),
            batches: settings.max_events_per_request() > 1,
        }
    }

    /// Tells whether it names an operational event, or several by a prefix.
    pub fn names_operational(&self) -> bool {
        let mut named = self.events.iter().filter(|pattern| **pattern != EventPattern::All);
        named.any(|pattern| {
            catalogue::operational_types().any(|operational| pattern.matches(&operational))
        })
    }

    /// Tells whether the way of an event may depend on something that the event does not say of its
    /// process: the type, if there are filters, or the run, if events wait for its end.
    pub fn depends_on_more_than(&self, event_type: &EventType, process: &Process) -> bool {
        let lacks_type = process.process_type.is_none() && !self.filters.is_empty();
        let lacks_run = process.context_id.is_none() && self.holds;
        (lacks_type || lacks_run) && self.events.iter().any(|pattern| pattern.matches(event_type))
    }

    /// The closest of the subscriptions that name an event's type; none if none does.
    pub fn named(&self, event_type: &EventType) -> Option<&EventPattern> {
        filter::subscribed_by(&self.events, event_type)
    }

    /// Decides the way of an event of this type and process to this webhook. A paused or disabled
    /// webhook has one too: its deliveries are recorded as skipped.
    ///
    /// The end of a run is an end also for a webhook that does not subscribe to it: held events
    /// must not wait for their deadline.
    pub fn route(&self, event_type: &EventType, process: &Process) -> Route {
        let timing = filter::timing(&self.events, &self.filters, self.timing, event_type, process);
        match (&process.context_id, timing) {
            (Some(context), timing) if process::ends(event_type) && self.holds => {
                Route::End { context: context.clone(), wanted: timing.is_some() }
            }
            (_, None) => Route::Ignore,
            (Some(context), Some(Timing::ProcessEnd)) => Route::Hold { context: context.clone() },
            (None, Some(Timing::ProcessEnd)) | (_, Some(Timing::Immediate)) => Route::Now,
        }
    }
}

#[cfg(test)]
mod tests;
