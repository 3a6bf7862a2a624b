//! The messages of Posthaste's own queues: tasks, turns and pages of replays.

use posthaste_domain::{
    delivery::{
        replay::PageMessage,
        task::{MAX_TASK_BYTES, Task},
    },
    endpoint::lane::TurnMessage,
    message::version,
};

/// A message that can be read is written again as the same message.
pub(crate) fn read_as_written(input: &[u8]) -> bool {
    let Ok(body) = str::from_utf8(input) else { return false };
    let mut is_read = false;
    if let Ok(task) = Task::parse(body) {
        is_read = true;
        let written = task.message().expect("a task is JSON");
        let back = Task::parse(&written).expect("a written task is read");
        assert_eq!(back.message().expect("a task is JSON"), written);
        assert_eq!(back.deliveries.len(), task.deliveries.len());
        for (one, other) in back.deliveries.iter().zip(&task.deliveries) {
            assert_eq!((one.id, one.cause), (other.id, other.cause));
            assert_eq!(one.content.event_id(), other.content.event_id());
        }
        assert!(written.len() <= MAX_TASK_BYTES || task.deliveries.len() > 300 || is_long(&task));
    }
    if let Ok(turn) = TurnMessage::parse(body) {
        is_read = true;
        let written = serde_json::to_string(&turn).expect("a turn is JSON");
        assert_eq!(TurnMessage::parse(&written).ok(), Some(turn));
    }
    if let Ok(page) = version::read::<PageMessage>(body) {
        is_read = true;
        let written = serde_json::to_string(&page).expect("a page is JSON");
        assert_eq!(version::read::<PageMessage>(&written).ok(), Some(page));
    }
    is_read
}

/// Tells whether a task has an attempt to record, which may be of any length.
fn is_long(task: &Task<'_>) -> bool {
    task.made.is_some()
}
