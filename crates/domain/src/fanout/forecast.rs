//! A forecast says what an event would mean for a webhook if it were published now, and why.
//!
//! It decides nothing by itself. The way of the event is the [`Route`] that fan-out takes, and the
//! [`Admission`] of the lane says whether it waits. The forecast adds which of the settings brought
//! that about.

use jiff::Timestamp;
use serde::Serialize;

use super::subscription::{Route, Subscription};
use crate::{
    endpoint::{
        health,
        lane::{self, Admission, Lane},
    },
    event::{
        event_type::{EventPattern, EventType},
        process::Process,
    },
    webhook::{
        Webhook,
        filter::{Rule, Timing},
    },
};

/// The facts that a forecast goes by, beside the webhook itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The type of the event.
    pub event_type: &'a EventType,
    /// The process of the event, as far as it is known.
    pub process: &'a Process,
    /// True if the end of the event's run is known for the webhook: nothing is held for it any
    /// more.
    pub run_has_ended: bool,
    /// The time until which the event would be held at most.
    pub held_until: Timestamp,
    /// The lane of the webhook.
    pub lane: &'a Lane,
    /// The present time.
    pub now: Timestamp,
}

/// The result that an event would have for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DryRunOutcome))]
pub enum Outcome {
    /// The request would be made at once.
    Now,
    /// The event would be held until the run of its process ends.
    ProcessEnd,
    /// The delivery would wait for the webhook.
    Waiting,
    /// The delivery would be recorded as skipped.
    Skipped,
    /// The webhook would not get the event.
    Never,
}

/// The reason of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DryRunReason))]
pub enum Reason {
    /// The webhook subscribes to the event, and nothing makes it wait.
    Immediate,
    /// It would be held for its run, but the run is not known.
    NoRun,
    /// It would be held for its run, but the run has ended before.
    RunEnded,
    /// The event itself ends its run.
    EndsRun,
    /// It is held until its run ends.
    Held,
    /// More deliveries have come than the webhook's rate limit allows.
    Limited,
    /// The endpoint takes long to answer, so its deliveries take turns.
    Slow,
    /// The endpoint keeps timing out.
    Sick,
    /// The owner has paused the webhook.
    Paused,
    /// The webhook was disabled for what its endpoint did.
    Disabled,
    /// As many deliveries wait for the webhook as may.
    BacklogFull,
    /// No subscription of the webhook names the type.
    NotSubscribed,
    /// A cell of the filters takes the event away.
    FilteredOut,
}

/// A cell of the webhook's filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The row: a process type, `*` or `no_process`.
    pub row: String,
    /// The column: an event type, a prefix or `*`.
    pub column: EventPattern,
    /// The rule in the cell.
    pub rule: Rule,
}

/// A run of a process, and what the event has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// The event is held for this run.
    HeldFor(String),
    /// The event ends this run.
    Ended(String),
}

/// The meaning of an event for a webhook, with the settings that decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The result.
    pub outcome: Outcome,
    /// The reason of it.
    pub reason: Reason,
    /// The closest subscription that names the event's type.
    pub subscription: Option<EventPattern>,
    /// The cell of the filters that is about the event; none where the webhook's timing decides.
    pub cell: Option<Cell>,
    /// The timing of the webhook, for events that no cell is about.
    pub timing: Timing,
    /// The run that the event is held for, or that it ends.
    pub run: Option<Run>,
    /// The time until which the event is held at most, or nothing is sent; none where that is not
    /// known.
    pub until: Option<Timestamp>,
    /// The reason why the webhook was disabled, if it was.
    disabled: Option<health::Reason>,
}

impl Outcome {
    /// Tells whether a request would be made.
    pub fn sends(self) -> bool {
        matches!(self, Self::Now | Self::ProcessEnd | Self::Waiting)
    }
}

impl From<lane::Reason> for Reason {
    fn from(reason: lane::Reason) -> Self {
        match reason {
            lane::Reason::Limited => Self::Limited,
            lane::Reason::Slow => Self::Slow,
            lane::Reason::Sick => Self::Sick,
        }
    }
}

/// Returns the run that a webhook would hold the event for. Whether that run has ended is to be
/// found out for a forecast.
pub fn held_for(webhook: &Webhook, event_type: &EventType, process: &Process) -> Option<String> {
    match Subscription::of(webhook).route(event_type, process) {
        Route::Hold { context } => Some(context),
        Route::Ignore | Route::Now | Route::End { .. } => None,
    }
}

impl Forecast {
    /// Says what an event would mean for a webhook.
    pub fn of(webhook: &Webhook, facts: &Facts<'_>) -> Self {
        let Facts { event_type, process, lane, now, .. } = *facts;
        let subscription = Subscription::of(webhook);
        let route = subscription.route(event_type, process);
        let named = subscription.named(event_type).cloned();
        let cell = named.as_ref().and_then(|_| subscription.filters.cell(process, event_type));
        let cell = cell.map(|of| Cell {
            row: of.row.to_owned(),
            column: of.column.clone(),
            rule: of.rule,
        });
        let is_held = matches!(route, Route::Hold { .. }) && !facts.run_has_ended;
        let (outcome, reason) = if !route.is_wanted() {
            let is_named = named.is_some();
            let reason = if is_named { Reason::FilteredOut } else { Reason::NotSubscribed };
            (Outcome::Never, reason)
        } else if webhook.health.disabled.is_some() {
            (Outcome::Skipped, Reason::Disabled)
        } else if !webhook.settings.enabled {
            (Outcome::Skipped, Reason::Paused)
        } else if is_held {
            (Outcome::ProcessEnd, Reason::Held)
        } else {
            arrival(lane, why_now(&route, cell.as_ref(), subscription.timing))
        };
        let until = match outcome {
            Outcome::Waiting => lane.waits_until(now),
            Outcome::ProcessEnd | Outcome::Skipped => is_held.then_some(facts.held_until),
            Outcome::Now | Outcome::Never => None,
        };
        let run = match route {
            Route::Hold { context } if is_held => Some(Run::HeldFor(context)),
            Route::End { context, .. } => Some(Run::Ended(context)),
            Route::Hold { .. } | Route::Ignore | Route::Now => None,
        };
        Self {
            outcome,
            reason,
            subscription: named,
            cell,
            timing: subscription.timing,
            run,
            until,
            disabled: webhook.health.disabled.map(|disabled| disabled.reason),
        }
    }

    /// The reason as a sentence for people, or several.
    pub fn message(&self) -> String {
        let mut message = match self.reason {
            Reason::NotSubscribed => "None of the webhook's events names this type.".to_owned(),
            Reason::FilteredOut => format!("{}.", capital(&self.decided())),
            Reason::Paused => "The webhook is paused, so the delivery is skipped.".to_owned(),
            Reason::Disabled => format!(
                "The webhook is disabled, because {}, so the delivery is skipped.",
                match self.disabled {
                    Some(health::Reason::Gone) => "its endpoint answered 410",
                    Some(health::Reason::Failing) | None => "it did nothing but fail for too long",
                }
            ),
            Reason::BacklogFull => "As many deliveries wait for the webhook as may, so the \
                delivery is skipped."
                .to_owned(),
            Reason::Limited => lane::State::Limited.explanation().unwrap_or_default().to_owned(),
            Reason::Slow => lane::State::Slow.explanation().unwrap_or_default().to_owned(),
            Reason::Sick => lane::State::Sick.explanation().unwrap_or_default().to_owned(),
            Reason::Held => format!("{}; the run has not ended.", capital(&self.decided())),
            Reason::NoRun => {
                format!("{}, but the run of the event is not known.", capital(&self.decided()))
            }
            Reason::RunEnded => {
                format!("{}, but the run of the event has ended.", capital(&self.decided()))
            }
            Reason::EndsRun => "The event ends its run.".to_owned(),
            Reason::Immediate => format!("{}.", capital(&self.decided())),
        };
        match &self.run {
            Some(Run::HeldFor(_)) if self.outcome == Outcome::Skipped => {
                message.push_str(" It is held first, and skipped if that is still so at the end.");
            }
            Some(Run::Ended(_)) if self.outcome == Outcome::Never => {
                message.push_str(" It still ends its run: what is held for that goes out.");
            }
            Some(Run::Ended(_)) if self.outcome.sends() => {
                message
                    .push_str(" It goes out behind what is held for the run, after some seconds.");
            }
            _ => {}
        }
        message
    }

    /// Says what the cell, or without one the webhook's timing, decides.
    fn decided(&self) -> String {
        match &self.cell {
            Some(Cell { row, column, rule }) => {
                let rule = Rule::NAMES.iter().find(|(_, named)| named == rule);
                let rule = rule.map_or("", |(name, _)| *name);
                format!("the cell {column} in the row {row} of the filters says {rule}")
            }
            None => {
                let timing = Timing::NAMES.iter().find(|(_, named)| *named == self.timing);
                let timing = timing.map_or("", |(name, _)| *name);
                format!("no cell of the filters is about it, and the timing is {timing}")
            }
        }
    }
}

/// The outcome for a delivery that arrives now, which goes out for this reason unless its webhook
/// makes it wait.
fn arrival(lane: &Lane, why: Reason) -> (Outcome, Reason) {
    match lane.admission() {
        Admission::Go => (Outcome::Now, why),
        Admission::Wait => {
            let reason = lane.waiting_reason().unwrap_or(lane::Reason::Slow);
            (Outcome::Waiting, reason.into())
        }
        Admission::Shed => (Outcome::Skipped, Reason::BacklogFull),
    }
}

/// The reason why an event is not held.
fn why_now(route: &Route, cell: Option<&Cell>, timing: Timing) -> Reason {
    let waits_for_end = match cell {
        Some(cell) => cell.rule == Rule::ProcessEnd,
        None => timing == Timing::ProcessEnd,
    };
    match route {
        Route::End { .. } => Reason::EndsRun,
        Route::Hold { .. } => Reason::RunEnded,
        Route::Now | Route::Ignore if waits_for_end => Reason::NoRun,
        Route::Now | Route::Ignore => Reason::Immediate,
    }
}

/// The same text with a capital at its beginning.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

#[cfg(test)]
mod tests;
