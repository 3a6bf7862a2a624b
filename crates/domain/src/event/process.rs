//! The process that an event belongs to, as the Spektr documents carry it in `data`: `processType`
//! and `contextId`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    event::{Event, event_type::EventType},
    input,
};

/// The type of the event that ends a process run.
const END: &str = "process_run_end";

/// The facts about an event's process that its `data` has. A member that is not a text is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// The type of the process, such as `monitoring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_type: Option<String>,
    /// The id of the process's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
}

impl Process {
    /// Reads the process of an event. The last one of repeated members counts, as in most JSON
    /// readers.
    pub fn of(event: &Event) -> Self {
        let mut process = Self::default();
        for (name, raw) in input::members(&event.data) {
            match name.as_str() {
                "processType" => process.process_type = text(raw),
                "contextId" => process.context_id = text(raw),
                _ => {}
            }
        }
        process
    }
}

/// Tells whether an event of this type ends its process run.
pub fn ends(event_type: &EventType) -> bool {
    event_type.as_str() == END
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
