//! The reasons that messages can't go on. A redrive keeps the reason, and `docs/operations.md` says
//! what to do about each.

/// The reason that a message went to a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// Deliveries have no attempt left.
    Exhausted,
    /// The event of a delivery is no longer stored.
    EventGone,
    /// Three functions in a row died while they handled the message.
    FunctionDied,
    /// The data of an event does not fit the schema of its type.
    InvalidEvent,
    /// An event met faults of ours until SQS would soon have given it up.
    NotFannedOut,
    /// The check of an event's data did not end in time, again and again.
    UncheckedEvent,
    /// The message is of a version that this one does not know.
    UnknownVersion,
    /// A message of the events queue is no event.
    UnreadableEvent,
    /// A message of the replay queue is no page.
    UnreadablePage,
    /// A message of the deliveries queue is no task.
    UnreadableTask,
    /// A message of the turns queue is no turn.
    UnreadableTurn,
    /// This version can't read what a webhook subscribes to.
    UnreadableWebhook,
    /// The schema of an event's type is none by the rules of this version.
    UnusableSchema,
}

impl DeadLetterReason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Exhausted,
        Self::EventGone,
        Self::FunctionDied,
        Self::InvalidEvent,
        Self::NotFannedOut,
        Self::UncheckedEvent,
        Self::UnknownVersion,
        Self::UnreadableEvent,
        Self::UnreadablePage,
        Self::UnreadableTask,
        Self::UnreadableTurn,
        Self::UnreadableWebhook,
        Self::UnusableSchema,
    ];

    /// The word that stands in the message attribute `reason` and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::EventGone => "event_gone",
            Self::FunctionDied => "function_died",
            Self::InvalidEvent => "invalid_event",
            Self::NotFannedOut => "not_fanned_out",
            Self::UncheckedEvent => "unchecked_event",
            Self::UnknownVersion => "unknown_version",
            Self::UnreadableEvent => "unreadable_event",
            Self::UnreadablePage => "unreadable_page",
            Self::UnreadableTask => "unreadable_task",
            Self::UnreadableTurn => "unreadable_turn",
            Self::UnreadableWebhook => "unreadable_webhook",
            Self::UnusableSchema => crate::event::UNUSABLE_SCHEMA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_say_what_to_do_about_each_reason() {
        let page = include_str!("../../../../docs/operations.md");
        let (_, table) = page.split_once("\n| `reason` |").expect("the table of reasons");
        let table = table.split("\n\n").next().unwrap();
        for reason in DeadLetterReason::ALL {
            assert!(table.contains(&format!("`{}`", reason.name())), "{reason:?}");
        }
    }
}
