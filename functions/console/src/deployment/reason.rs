//! The reasons of dead letters, in words for an operator.

use posthaste_domain::message::dead_letter::DeadLetterReason;

/// A sentence about why a message could not go on. SQS gives one up without a reason, and a reason
/// may be one that a newer version has written.
pub(super) fn about(reason: Option<&str>) -> &'static str {
    let Some(reason) = reason else {
        return "SQS has given the message up after too many receives. A function died of it, or \
            something of ours failed for hours.";
    };
    match find(reason) {
        Some(known) => about_known(known),
        None => "This version does not know the reason.",
    }
}

/// The reason of this name. Whoever may send to a queue can give a message any text as its reason.
pub(super) fn find(name: &str) -> Option<DeadLetterReason> {
    DeadLetterReason::ALL.iter().copied().find(|known| known.name() == name)
}

fn about_known(reason: DeadLetterReason) -> &'static str {
    match reason {
        DeadLetterReason::Exhausted => "The last attempt has failed.",
        DeadLetterReason::EventGone => "The event is no longer stored.",
        DeadLetterReason::FunctionDied => {
            "Three functions in a row died while they handled the message."
        }
        DeadLetterReason::InvalidEvent => {
            "The event came straight to the queue, and its data does not fit its type."
        }
        DeadLetterReason::NotFannedOut => {
            "A fault of ours kept the event from being fanned out. It keeps its id when it is \
                sent back."
        }
        DeadLetterReason::UncheckedEvent => {
            "The event came straight to the queue, and the check of its data did not end in time \
                three times."
        }
        DeadLetterReason::UnknownVersion => {
            "A newer version of Posthaste wrote the message. Send it back when that version is \
                deployed."
        }
        DeadLetterReason::UnreadableEvent => "The message is no event.",
        DeadLetterReason::UnreadablePage => "The message is no page of a replay.",
        DeadLetterReason::UnreadableTask => "The message is no task.",
        DeadLetterReason::UnreadableTurn => "The message is no turn of a webhook.",
        DeadLetterReason::UnreadableWebhook => {
            "A newer version of Posthaste stored the webhook. Send the letter back when that \
                version is deployed."
        }
        DeadLetterReason::UnusableSchema => {
            "The schema of the event's type breaks the rules of this version. Store a schema \
                again, then send the letter back."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_sentence_of_its_own() {
        let mut sentences: Vec<&str> =
            DeadLetterReason::ALL.iter().map(|reason| about(Some(reason.name()))).collect();
        sentences.extend([about(None), about(Some("<b>"))]);
        let count = sentences.len();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), count);
    }
}
