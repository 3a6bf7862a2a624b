//! The reasons that messages can't go on. A redrive keeps the reason, and `docs/operations.md` says
//! what to do about each.

/// Declares the reasons with their names, so that no list of them can leave one out.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident = $name:expr,)+) => {
        /// The reason that a message went to a dead-letter queue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DeadLetterReason {
            $($(#[$doc])+ $reason,)+
        }

        impl DeadLetterReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The word that stands in the message attribute `reason` and in the log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// Deliveries have no attempt left.
    Exhausted = "exhausted",
    /// The event of a delivery is no longer stored.
    EventGone = "event_gone",
    /// Three functions in a row died while they handled the message.
    FunctionDied = "function_died",
    /// The data of an event does not fit the schema of its type.
    InvalidEvent = "invalid_event",
    /// An event met faults of ours until SQS would soon have given it up.
    NotFannedOut = "not_fanned_out",
    /// The check of an event's data did not end in time, again and again.
    UncheckedEvent = "unchecked_event",
    /// The message is of a version that this one does not know.
    UnknownVersion = "unknown_version",
    /// A message of the events queue is no event.
    UnreadableEvent = "unreadable_event",
    /// A message of the replay queue is no page.
    UnreadablePage = "unreadable_page",
    /// A message of the deliveries queue is no task.
    UnreadableTask = "unreadable_task",
    /// A message of the turns queue is no turn.
    UnreadableTurn = "unreadable_turn",
    /// This version can't read what a webhook subscribes to.
    UnreadableWebhook = "unreadable_webhook",
    /// The schema of an event's type is none by the rules of this version.
    UnusableSchema = crate::event::UNUSABLE_SCHEMA,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words in backticks of a cell.
    fn words(cell: &str) -> impl Iterator<Item = &str> {
        cell.split('`').skip(1).step_by(2)
    }

    #[test]
    fn operations_say_what_to_do_about_each_reason_and_about_no_other() {
        let page = include_str!("../../../../docs/operations.md");
        let (_, table) = page.split_once("\n| `reason` |").expect("the table of reasons");
        let table = table.split("\n\n").next().unwrap();
        let first_cells = table.lines().skip(1).filter_map(|row| row.split('|').nth(1));
        let documented: BTreeSet<&str> = first_cells.flat_map(words).collect();
        let known: BTreeSet<&str> = DeadLetterReason::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(documented, known);
    }
}
