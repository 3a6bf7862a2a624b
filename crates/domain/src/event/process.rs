//! The process that an event belongs to, as the Spektr documents carry it in `data`: `processType`,
//! `contextId` and `processId`.
//!
//! Not every event of a run repeats all three. What is missing is known from the start of its run:
//! see [`crate::event::run`].

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    event::{Event, event_type::EventType},
    input,
};

/// The type of the event that ends a process run.
const END: &str = "process_run_end";
/// The `method.type` of an event that a process caused.
const BY_PROCESS: &str = "process";

/// The facts about an event's process that are known. A member of `data` that is not a text is
/// ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The type of the process, such as `monitoring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_type: Option<String>,
    /// The id of the process's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The id of the process, which can have many runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_id: Option<String>,
    /// True if the event says that a process caused it, and not which one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unnamed: bool,
}

/// An event, and what is known of its process.
#[derive(Debug, Clone)]
pub struct OfProcess {
    /// The event.
    pub event: Event,
    /// The process that it belongs to.
    pub process: Process,
}

impl From<Event> for OfProcess {
    /// Knows what the event itself says.
    fn from(event: Event) -> Self {
        let process = Process::of(&event);
        Self { event, process }
    }
}

/// The way in which something about a customer was changed, as the documents print it in `method`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Method {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    process_id: Option<String>,
}

impl Process {
    /// Reads what an event itself says of its process.
    pub fn of(event: &Event) -> Self {
        Self::of_data(&event.data)
    }

    /// Reads what an event with this `data` says of its process. The last one of repeated members
    /// counts, as in most JSON readers.
    pub fn of_data(data: &RawValue) -> Self {
        let mut process = Self::default();
        let mut method = Method::default();
        for (name, raw) in input::members(data) {
            match name.as_str() {
                "processType" => process.process_type = text(raw),
                "contextId" => process.context_id = text(raw),
                "processId" => process.process_id = text(raw),
                "method" => method = serde_json::from_str(raw.get()).unwrap_or_default(),
                _ => {}
            }
        }
        process.process_id = process.process_id.or(method.process_id);
        process.is_unnamed =
            method.kind.as_deref() == Some(BY_PROCESS) && process.process_id.is_none();
        process
    }

    /// Tells whether the event belongs to no process at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Tells whether an event of this type ends its process run.
pub fn ends(event_type: &EventType) -> bool {
    event_type.as_str() == END
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn process(data: &str) -> Process {
        Process::of(&testing::event(1, "customer_status_changed", data))
    }

    #[test]
    fn a_process_is_named_in_the_data_or_in_the_method_of_a_change() {
        let own = process(r#"{"processType":"risk","processId":"12345","contextId":"67890"}"#);
        let all = ["risk", "67890", "12345"].map(|text| Some(text.to_owned()));
        assert_eq!([own.process_type, own.context_id, own.process_id], all);
        let by_method = process(r#"{"method":{"type":"process","processId":"12345"}}"#);
        assert_eq!(by_method.process_id.as_deref(), Some("12345"));
        assert!(!by_method.is_unnamed && !by_method.is_none());
    }

    #[test]
    fn an_event_of_a_process_that_it_does_not_name_is_not_one_of_no_process() {
        let printed = process(r#"{"oldStatus":"pending","method":{"type":"process"}}"#);
        assert!(printed.is_unnamed && !printed.is_none());
        for none in [
            "{}",
            r#"{"method":{"type":"user","userId":"u"}}"#,
            r#"{"method":"api"}"#,
            r#"{"processId":null}"#,
        ] {
            assert!(process(none).is_none(), "{none}");
        }
    }
}
