//! A simulation plays realistic events in test mode.
//!
//! ```text
//! (started) ─▶ running ─┬─▶ finished    every event is with the events queue
//!                       └─▶ cancelled   a person stopped it: what is with the queue still arrives
//! ```
//!
//! Its *script* says what happens when: the nth event has a time, a type, a subject and data, which
//! are a pure function of what was asked for, the seed and the start. The id of an event follows
//! from the simulation, the place and the time. So whoever sends an event again, because a function
//! died before it could write down that it was sent, sends the same event.

mod cast;
mod data;
mod dice;
mod run;
mod script;
mod start;

use std::{collections::BTreeMap, ops::Range, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    access::workspace::Workspace,
    event::{Event, event_type::EventType},
    id::{EventId, SimulationId},
};
use script::Script;

pub use start::{MAX_SAMPLES_BYTES, StartSimulation};

/// Events are sent so long before their time, with the rest of it as the delay of their message:
/// until the next call of the schedule, and some seconds for the start of that.
pub const AHEAD: Duration = Duration::from_secs(75);
/// The most simulations of a workspace that run at the same time.
pub const MAX_RUNNING: u8 = 5;
/// The most events that are sent before that is written down.
const MOST_AT_ONCE: u32 = 200;
/// A simulation of which nothing was sent is left to the call that has started it for so long.
const STARTING: Duration = Duration::from_secs(10);

/// The kind of a simulation. `event`: events of one type, at once. `process_run`: a whole run of a
/// process. `trickle`: random events, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SimulationKind))]
pub enum Kind {
    /// Events of one type, at once.
    Event,
    /// A whole run of a process.
    ProcessRun,
    /// Random events, one after the other.
    Trickle,
}

impl Kind {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::ProcessRun => "process_run",
            Self::Trickle => "trickle",
        }
    }
}

/// The state of a simulation. `running`: it goes on. `finished`: every event is sent. `cancelled`:
/// it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = SimulationStatus))]
pub enum Status {
    /// It goes on.
    Running,
    /// Every event is sent.
    Finished,
    /// A person stopped it.
    Cancelled,
}

impl Status {
    const NAMES: [(&'static str, Self); 3] =
        [("running", Self::Running), ("finished", Self::Finished), ("cancelled", Self::Cancelled)];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, status)| *status == self).map_or("", |(name, _)| name)
    }

    /// The status of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, status)| *status)
    }
}

/// A simulation, as it is stored.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// The id of the simulation.
    pub id: SimulationId,
    /// The workspace in test mode that it plays in.
    pub workspace: Workspace,
    /// The state of the simulation.
    pub status: Status,
    /// The body of the call, with the defaults and the seed that hold: a call with the same body
    /// plays the same.
    pub asked: StartSimulation,
    /// The samples of the workspace's own types, as they were at the start.
    pub samples: BTreeMap<EventType, Box<RawValue>>,
    /// The number of events that the events queue has got, from the first one on.
    pub sent: u32,
    /// The time of the first event.
    pub started_at: Timestamp,
    /// The time at which the simulation last moved.
    pub updated_at: Timestamp,
}

impl Simulation {
    /// The simulation that plays what is asked, from `now` on. `drawn` is the seed where none is
    /// asked for.
    pub fn new(
        id: SimulationId,
        workspace: Workspace,
        asked: StartSimulation,
        samples: BTreeMap<EventType, Box<RawValue>>,
        drawn: u32,
        now: Timestamp,
    ) -> Self {
        let seed = asked.seed.unwrap_or(drawn & 0x7fff_ffff);
        let asked = StartSimulation { seed: Some(seed), ..asked };
        let status = Status::Running;
        Self { id, workspace, status, asked, samples, sent: 0, started_at: now, updated_at: now }
    }

    /// The number of its events.
    pub fn total(&self) -> u32 {
        Script::of(&self.asked).total()
    }

    /// The time of the last event.
    pub fn ends_at(&self) -> Timestamp {
        self.time(&Script::of(&self.asked), self.total().saturating_sub(1))
    }

    /// The number of events whose time has come, of those that are sent.
    pub fn played(&self, now: Timestamp) -> u32 {
        let script = Script::of(&self.asked);
        let is_to_come = |nth: &u32| self.time(&script, *nth) > now;
        (0..self.sent).find(is_to_come).unwrap_or(self.sent)
    }

    /// The places of the events that are to be sent now: those whose time has come or comes soon,
    /// at most some hundred of them. Empty where there is nothing to do.
    pub fn due(&self, now: Timestamp) -> Range<u32> {
        if self.status != Status::Running {
            return self.sent..self.sent;
        }
        let script = Script::of(&self.asked);
        let most = script.total().min(self.sent.saturating_add(MOST_AT_ONCE));
        let end = (self.sent..most).find(|nth| self.time(&script, *nth) > now + AHEAD);
        self.sent..end.unwrap_or(most)
    }

    /// Tells whether the call that has started the simulation may still be sending its first
    /// events.
    pub fn is_starting(&self, now: Timestamp) -> bool {
        self.sent == 0 && now < self.started_at + STARTING
    }

    /// The events at these places, each with the place. A type that this version does not know any
    /// more has none.
    pub fn events(&self, places: Range<u32>) -> Vec<(u32, Event)> {
        let script = Script::of(&self.asked);
        places.filter_map(|nth| self.event(&script, nth).map(|event| (nth, event))).collect()
    }

    fn event(&self, script: &Script<'_>, nth: u32) -> Option<Event> {
        let line = script.line(nth, &self.samples)?;
        let time = self.time(script, nth);
        Some(Event {
            id: EventId::of_simulation(self.id, nth, time),
            event_type: line.event_type,
            timestamp: time,
            workspace: self.workspace.clone(),
            subject: line.subject,
            reference: line.reference,
            hops: 0,
            traceparent: None,
            data: line.data,
        })
    }

    fn time(&self, script: &Script<'_>, nth: u32) -> Timestamp {
        self.started_at + Duration::from_millis(script.offset_ms(nth))
    }
}

/// The complaint of a workspace that has as many simulations under way as it may have.
pub fn too_many_running() -> Invalid {
    let message = format!(
        "{MAX_RUNNING} simulations are running, as many as a workspace can have: cancel one, or \
         wait until one is over"
    );
    Invalid::conflicting(None, "too_many_simulations", message)
}

#[cfg(test)]
mod tests;
