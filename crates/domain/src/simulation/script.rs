//! The script of a simulation: its events in their order, each with its time after the start.

use std::collections::BTreeMap;

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{
    Kind, StartSimulation,
    cast::{CUSTOMERS, Cast},
    data,
    dice::{About, Dice},
    run,
};
use crate::event::{catalogue, event_type::EventType};

const MS_A_MINUTE: u64 = 60_000;

/// The script of what was asked for, which has its seed.
#[derive(Debug)]
pub(super) struct Script<'a> {
    asked: &'a StartSimulation,
    seed: u32,
    /// The times of a run's events, in milliseconds. It is empty for the other kinds.
    of_run: Vec<u64>,
}

/// An event of a script.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) event_type: EventType,
    pub(super) subject: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) data: Box<RawValue>,
}

impl<'a> Script<'a> {
    pub(super) fn of(asked: &'a StartSimulation) -> Self {
        let seed = asked.seed.unwrap_or_default();
        let of_run = match asked.kind {
            Kind::ProcessRun => run::offsets_ms(seed, asked.speed.unwrap_or(1)),
            Kind::Event | Kind::Trickle => Vec::new(),
        };
        Self { asked, seed, of_run }
    }

    /// The number of events.
    pub(super) fn total(&self) -> u32 {
        match self.asked.kind {
            Kind::Event => self.asked.count.unwrap_or(1),
            Kind::ProcessRun => run::EVENTS,
            Kind::Trickle => self.per_minute() * self.asked.minutes.unwrap_or(1),
        }
    }

    fn per_minute(&self) -> u32 {
        self.asked.per_minute.unwrap_or(1).max(1)
    }

    /// The time from the start to the nth event, in milliseconds. No event has an earlier time than
    /// the one before it.
    pub(super) fn offset_ms(&self, nth: u32) -> u64 {
        match self.asked.kind {
            // A millisecond apart, so that their ids have their order.
            Kind::Event => u64::from(nth),
            Kind::ProcessRun => self.of_run.get(nth as usize).copied().unwrap_or_default(),
            Kind::Trickle => {
                // Each event has a part of the minute, and comes at some time within it.
                let part = MS_A_MINUTE / u64::from(self.per_minute());
                let wait = if nth == 0 { 0 } else { self.dice(nth).below(part) };
                u64::from(nth) * MS_A_MINUTE / u64::from(self.per_minute()) + wait
            }
        }
    }

    fn dice(&self, nth: u32) -> Dice {
        Dice::of(self.seed, About::Event(nth))
    }

    /// The nth event; none if its type is not known. `samples` are those of the workspace's own
    /// types.
    pub(super) fn line(
        &self,
        nth: u32,
        samples: &BTreeMap<EventType, Box<RawValue>>,
    ) -> Option<Line> {
        let mut dice = self.dice(nth);
        // The wait was the first throw.
        dice.below(1);
        let event_type = self.event_type(nth, &mut dice)?;
        let Some(built_in) = catalogue::find(event_type.as_str()) else {
            let data = samples.get(&event_type)?.clone();
            return Some(Line { event_type, subject: None, reference: None, data });
        };
        let sample: Value = serde_json::from_str(built_in.sample).ok()?;
        let (cast, data) = match self.asked.kind {
            Kind::ProcessRun => {
                let cast = run::cast(self.asked, self.seed);
                let data = run::vary(nth, &sample["data"], &cast, self.seed);
                (cast, data)
            }
            Kind::Event | Kind::Trickle => {
                let customer = match self.asked.kind {
                    Kind::Event => nth,
                    _ => dice.below(u64::from(CUSTOMERS)) as u32,
                };
                let cast = Cast::of(self.seed, customer);
                let data = data::vary(event_type.as_str(), &sample["data"], &cast, &mut dice);
                (cast, data)
            }
        };
        Some(Line {
            subject: data::subject(built_in.owner, &data, &cast),
            reference: sample.get("reference").map(|_| cast.reference.clone()),
            data: to_raw_value(&data).ok()?,
            event_type,
        })
    }

    fn event_type(&self, nth: u32, dice: &mut Dice) -> Option<EventType> {
        match self.asked.kind {
            Kind::Event => self.asked.r#type.clone(),
            Kind::ProcessRun => EventType::parse(run::event_type(nth)?).ok(),
            Kind::Trickle => match &self.asked.types {
                Some(types) => types.get(dice.place_in(types.len())).cloned(),
                None => {
                    let all = catalogue::all().iter().filter(|known| !known.is_operational());
                    let names: Vec<&str> = all.map(|known| known.name).collect();
                    EventType::parse(*names.get(dice.place_in(names.len()))?).ok()
                }
            },
        }
    }
}
