//! The messages by which fan-out brings a run of a process, and asks itself for the rest of it.

use std::time::Duration;

use posthaste_domain::{
    delivery::task::{Due, Task},
    event::Event,
    fanout::share::{Rest, Share, Shared},
};
use posthaste_queue::Message;
use posthaste_store::Hold;

use super::{END_WAIT, End, LONGEST_WAIT, Run};

/// The message that asks for the end of a run once more.
pub(crate) fn end_again(End { event, share, .. }: &End) -> serde_json::Result<Message> {
    let share = Share { tries: share.tries + 1, ..*share };
    let group = event.workspace.to_string();
    let delay = LONGEST_WAIT.min(END_WAIT * 2_u32.pow(share.tries.min(8)));
    Ok(Message { delay, ..Message::new(Shared::message(share, &[], event)?, group) })
}

/// The task that brings held deliveries, in their order.
pub(crate) fn task_of_run(run: &Run, holds: &[Hold]) -> serde_json::Result<Message> {
    let due =
        holds.iter().map(|hold| Due::of_stored(hold.delivery, hold.event, hold.bytes)).collect();
    // So that it stays what it is: in order, and with nothing else in between.
    message(&Task { recorded: true, ..Task::new(&run.webhook, due) })
}

/// The message that asks for the rest of a run, later with each try.
pub(crate) fn rest_of_run(
    run: &Run,
    rest: Rest,
    end: &Event,
    tries: u32,
) -> serde_json::Result<Message> {
    let share = Share {
        ends: true,
        again: true,
        rest: Some(rest),
        tries,
        ..Share::ALL.part(run.webhook.id, run.webhook.id)
    };
    // Twice 1, twice 2, twice 4 s …: the look comes soon after the part has been attempted, however
    // long that takes.
    let delay = LONGEST_WAIT.min(Duration::from_secs(1 << (tries / 2).min(16)));
    Ok(Message {
        delay,
        ..Message::new(Shared::message(share, &[], end)?, run.webhook.workspace.to_string())
    })
}

/// The workspace is the message group, so that a tenant with many webhooks is one neighbour to
/// SQS's fair queues.
pub(super) fn message(task: &Task<'_>) -> serde_json::Result<Message> {
    Ok(Message::new(task.message()?, task.webhook.workspace.to_string()))
}
