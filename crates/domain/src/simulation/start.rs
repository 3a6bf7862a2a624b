//! The body of the call that starts a simulation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use crate::{
    Invalid,
    event::{
        catalogue,
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
    },
    input::{Fields, Number, Optional, Shape, Text, body, parsed},
    webhook::filter::MAX_PROCESS_TYPE_BYTES,
};

/// The most types that a trickle can name.
pub(super) const MAX_TYPES: usize = 20;
/// The most bytes that the samples of the workspace's own types in a simulation have together.
pub const MAX_SAMPLES_BYTES: usize = 64 * 1024;
const DEFAULT_PER_MINUTE: u32 = 10;
const DEFAULT_MINUTES: u32 = 60;

body! {
    /// The simulation that is asked for. Each field but `kind` and `seed` belongs to one kind.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct StartSimulation {
        /// The kind of the simulation. `event`: events of one type, at once. `process_run`: a whole
        /// run of a process, from its start to its end. `trickle`: random events, one after the
        /// other.
        pub kind: Kind,
        /// `event`: the type of the events. One of the workspace's own needs a sample, which is
        /// played as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub r#type: Option<EventType> as Optional<EventType>,
        /// `event`: the number of events. 1 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub count: Option<u32> as Optional<Number<u32, 1, 100>>,
        /// `process_run`: the type of the process, 1 to 128 bytes. Chosen by the seed unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub process_type: Option<String> as Optional<Text<MAX_PROCESS_TYPE_BYTES>>,
        /// `process_run`: the name of the process, at most 256 bytes. Chosen by the seed unless
        /// given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub process_name: Option<String> as Optional<Text<256>>,
        /// `process_run`: how many times faster than in life it is played, where it takes about ten
        /// minutes. Two events are at least a second apart. 1 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub speed: Option<u32> as Optional<Number<u32, 1, 1000>>,
        /// `trickle`: the types of the events. All types of the documents unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub types: Option<Vec<EventType>> as Optional<TypeList>,
        /// `trickle`: the number of events a minute. 10 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub per_minute: Option<u32> as Optional<Number<u32, 1, 60>>,
        /// `trickle`: the number of minutes. 60 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub minutes: Option<u32> as Optional<Number<u32, 1, 60>>,
        /// The number that decides all that is left to chance: the same seed gives the same types,
        /// data and pauses. A random one unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub seed: Option<u32> as Optional<Number<u32, 0, 2_147_483_647>>,
    }
}

impl StartSimulation {
    /// Reads the body of the call. What the kind leaves to a default is in the answer.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let mut asked = Self::of_fields(Fields::of_body(body)?)?;
        asked.check_kind()?;
        if asked.process_type.as_deref() == Some("") {
            let message = format!("processType has 1 to {MAX_PROCESS_TYPE_BYTES} bytes");
            return Err(Invalid::field("processType", "too_short", message));
        }
        match asked.kind {
            Kind::Event => {
                asked.count.get_or_insert(1);
            }
            Kind::ProcessRun => {
                asked.speed.get_or_insert(1);
            }
            Kind::Trickle => {
                asked.per_minute.get_or_insert(DEFAULT_PER_MINUTE);
                asked.minutes.get_or_insert(DEFAULT_MINUTES);
            }
        }
        Ok(asked)
    }

    /// Complains about a field of another kind, and about a type that is missing.
    fn check_kind(&self) -> Result<(), Invalid> {
        let given = [
            ("type", Kind::Event, self.r#type.is_some()),
            ("count", Kind::Event, self.count.is_some()),
            ("processType", Kind::ProcessRun, self.process_type.is_some()),
            ("processName", Kind::ProcessRun, self.process_name.is_some()),
            ("speed", Kind::ProcessRun, self.speed.is_some()),
            ("types", Kind::Trickle, self.types.is_some()),
            ("perMinute", Kind::Trickle, self.per_minute.is_some()),
            ("minutes", Kind::Trickle, self.minutes.is_some()),
        ];
        for (field, kind, is_given) in given {
            if is_given && kind != self.kind {
                let message = format!(
                    "{field} belongs to the kind {}, not {}",
                    kind.name(),
                    self.kind.name()
                );
                return Err(Invalid::field(field, "wrong_kind", message));
            }
        }
        if self.kind == Kind::Event && self.r#type.is_none() {
            return Err(crate::input::missing("type"));
        }
        Ok(())
    }

    /// The types that are named, each with the path of its field.
    fn named_types(&self) -> impl Iterator<Item = (String, &EventType)> {
        let several = self.types.iter().flatten().enumerate();
        let one = self.r#type.iter().map(|name| ("type".to_owned(), name));
        one.chain(several.map(|(nth, name)| (format!("types[{nth}]"), name)))
    }

    /// The types that are named and not built in: they have to be the workspace's own.
    pub fn own_types(&self) -> BTreeSet<EventType> {
        let named = self.named_types().map(|(_, name)| name);
        named.filter(|name| catalogue::find(name.as_str()).is_none()).cloned().collect()
    }

    /// Takes the samples of the workspace's own types, as they are now. Complains about a type that
    /// can't be played.
    pub fn samples(
        &self,
        own: &HashMap<EventType, OwnEventType>,
    ) -> Result<BTreeMap<EventType, Box<RawValue>>, Invalid> {
        let mut samples = BTreeMap::new();
        let mut bytes = 0;
        for (at, name) in self.named_types() {
            if catalogue::is_operational(name) {
                let message = format!("{name} is published by Posthaste alone");
                return Err(Invalid::field(at, "reserved_event_type", message));
            }
            if catalogue::find(name.as_str()).is_some() {
                continue;
            }
            let Some(known) = own.get(name) else {
                let names: Vec<EventType> = own.keys().cloned().collect();
                return Err(catalogue::unknown(&at, &EventPattern::Exactly(name.clone()), &names));
            };
            let Some(sample) = &known.sample else {
                let message = format!(
                    "{name} has no sample that could be played: add one with PUT \
                     /event-types/{name}"
                );
                return Err(Invalid::field(at, "no_sample", message));
            };
            if samples.insert(name.clone(), sample.clone()).is_none() {
                bytes += sample.get().len();
            }
            if bytes > MAX_SAMPLES_BYTES {
                let message = format!(
                    "the samples of the workspace's own types may have {MAX_SAMPLES_BYTES} bytes \
                     together"
                );
                return Err(Invalid::field(at, "too_long", message));
            }
        }
        Ok(samples)
    }
}

/// The types of a trickle.
pub(crate) struct TypeList;

impl Shape for TypeList {
    type Value = Vec<EventType>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<EventType>, Invalid> {
        let list: Vec<&RawValue> = parsed(at, json, "a list of event types")?;
        if list.is_empty() || list.len() > MAX_TYPES {
            let message = format!("{at} takes 1 to {MAX_TYPES} event types");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        let types = list.into_iter().enumerate();
        types.map(|(nth, json)| EventType::read(&format!("{at}[{nth}]"), json)).collect()
    }
}

#[cfg(feature = "openapi")]
crate::input::openapi::list_described!(TypeList, EventType, 1, MAX_TYPES);

impl Shape for Kind {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "event, process_run or trickle")
    }
}
