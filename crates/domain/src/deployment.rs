//! The deployment as its operators see it: its dead letters, how they are sent back, and what waits
//! in the table for how long.

pub mod letter;
pub mod waiting;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Fields, Number, Optional, Parameter, Shape, body, has_to_be, parsed},
};

/// A queue of dead letters, by the queue whose messages they were. `exhausted`: the deliveries
/// whose attempts have all failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LetterQueue {
    /// Messages of the events queue.
    Events,
    /// Messages of the deliveries queue that a fault of ours keeps from being done.
    Deliveries,
    /// Messages of the turns queue.
    Turns,
    /// Messages of the replay queue.
    Replay,
    /// Deliveries whose attempts have all failed.
    Exhausted,
}

/// The names of the queues, as complaints list them.
const NAMES: &str = "events, deliveries, turns, replay or exhausted";

impl LetterQueue {
    /// Every queue of dead letters.
    pub const ALL: [Self; 5] =
        [Self::Events, Self::Deliveries, Self::Turns, Self::Replay, Self::Exhausted];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
            Self::Turns => "turns",
            Self::Replay => "replay",
            Self::Exhausted => "exhausted",
        }
    }

    /// Finds the queue of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// The queue to which a redrive brings the letters. SQS does not know where a letter belongs
    /// that Posthaste has written.
    pub fn destination(self) -> WorkQueue {
        match self {
            Self::Events => WorkQueue::Events,
            Self::Deliveries | Self::Exhausted => WorkQueue::Deliveries,
            Self::Turns => WorkQueue::Turns,
            Self::Replay => WorkQueue::Replay,
        }
    }
}

/// A queue that functions work off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkQueue {
    /// Events that are to be fanned out.
    Events,
    /// Deliveries that are to be made.
    Deliveries,
    /// Turns of webhooks whose deliveries wait.
    Turns,
    /// Pages of replays.
    Replay,
}

impl WorkQueue {
    /// Every queue that functions work off.
    pub const ALL: [Self; 4] = [Self::Events, Self::Deliveries, Self::Turns, Self::Replay];

    /// The queue of its dead letters that are a fault of ours or of a producer.
    pub fn letters(self) -> LetterQueue {
        match self {
            Self::Events => LetterQueue::Events,
            Self::Deliveries => LetterQueue::Deliveries,
            Self::Turns => LetterQueue::Turns,
            Self::Replay => LetterQueue::Replay,
        }
    }
}

impl Shape for LetterQueue {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, NAMES)
    }
}

impl Parameter for LetterQueue {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        Self::by_name(&text).ok_or_else(|| has_to_be(name, NAMES))
    }
}

/// The most dead letters that a call looks at.
const MOST_LETTERS: u16 = 50;

/// The number of dead letters that a call looks at.
pub struct LetterLimit;

impl Parameter for LetterLimit {
    type Value = u16;

    fn read(name: &str, text: String) -> Result<u16, Invalid> {
        let limit = text.parse().ok().filter(|limit| (1..=MOST_LETTERS).contains(limit));
        limit.ok_or_else(|| has_to_be(name, "a number from 1 to 50"))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for LetterLimit {
    fn schema() -> crate::input::openapi::Described {
        crate::input::openapi::integer().minimum(Some(1)).maximum(Some(MOST_LETTERS)).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for LetterLimit {}

/// The complaint about a look that names no queue.
pub fn no_queue() -> Invalid {
    has_to_be("queue", NAMES)
}

body! {
    /// The dead letters that are sent back.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct StartRedrive {
        /// The queue whose dead letters are sent back, all of them.
        pub queue: LetterQueue,
        /// The most messages that are moved in a second. Unless given, SQS chooses a rate by how
        /// many there are.
        pub max_per_second: Option<i32> as Optional<Number<i32, 1, 500>>,
    }
}

impl StartRedrive {
    /// Reads the body of the call.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        Self::of_fields(Fields::of_body(body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_has_its_name_and_its_letters_go_back_to_it() {
        for queue in LetterQueue::ALL {
            assert_eq!(LetterQueue::by_name(queue.name()), Some(queue));
            assert_eq!(serde_json::to_value(queue).unwrap(), queue.name());
        }
        assert_eq!(LetterQueue::by_name("Events"), None);
        for queue in WorkQueue::ALL {
            assert_eq!(queue.letters().destination(), queue);
        }
        assert_eq!(LetterQueue::Exhausted.destination(), WorkQueue::Deliveries);
    }

    #[test]
    fn a_redrive_names_its_queue_and_may_have_a_rate() {
        let read = |body: &str| StartRedrive::parse(body.as_bytes());
        let expected = StartRedrive { queue: LetterQueue::Turns, max_per_second: Some(500) };
        assert_eq!(read(r#"{"queue":"turns","maxPerSecond":500}"#), Ok(expected));
        for (body, field) in [
            ("{}", "queue"),
            (r#"{"queue":"dead"}"#, "queue"),
            (r#"{"queue":"turns","maxPerSecond":501}"#, "maxPerSecond"),
            (r#"{"queue":"turns","to":"events"}"#, "to"),
        ] {
            assert_eq!(read(body).unwrap_err().field.as_deref(), Some(field), "{body}");
        }
    }
}
