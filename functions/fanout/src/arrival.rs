//! Reading a message of the events queue. Pure.

use posthaste_domain::{
    Invalid,
    access::workspace::Workspace,
    event::{Arrived, Origin},
    id::EventId,
    message::dead_letter::DeadLetterReason,
};
use posthaste_runtime::batch::{Fate, Record};

/// A message that was received this often goes to the dead-letter queue with the id of its event.
/// SQS would move it there without one after 100 receives (`maxReceiveCount` in `template.yaml`),
/// and sent back it would be another event to everybody who has it.
const LAST_RECEIVE: u32 = 95;

/// The event of a message, or what becomes of the message without one.
pub(crate) fn read(message: &Record, default: &Workspace) -> Result<Arrived, Fate> {
    let arrived = Arrived::parse(&message.body, origin(message), default)
        .and_then(|arrived| arrived.with_hops(message.hops.as_deref()))
        .map(|arrived| arrived.with_trace(message.traceparent.as_deref()))
        .map_err(|invalid| refused(DeadLetterReason::UnreadableEvent, &invalid, None))?;
    if message.receives >= LAST_RECEIVE {
        let detail = format!("the event could not be fanned out in {} receives", message.receives);
        let event_id = Some(arrived.event.id.to_string());
        return Err(Fate::DeadLetter { reason: DeadLetterReason::NotFannedOut, detail, event_id });
    }
    Ok(arrived)
}

/// The id of the event that a message brings, whatever its workspace.
pub(crate) fn event_id(message: &Record) -> Option<String> {
    let any = Workspace::parse("default").ok()?;
    let arrived = Arrived::parse(&message.body, origin(message), &any).ok()?;
    Some(arrived.event.id.to_string())
}

fn origin(message: &Record) -> Origin<'_> {
    let kept = message.event_id.as_ref().and_then(|id| id.parse().ok());
    Origin { message_id: &message.message_id, sent: message.sent, kept }
}

/// The fate of a message that can't be taken.
pub(crate) fn refused(reason: DeadLetterReason, invalid: &Invalid, event: Option<EventId>) -> Fate {
    Fate::DeadLetter {
        reason,
        detail: invalid.to_string(),
        event_id: event.map(|id| id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::Timestamp;

    use super::*;

    fn message(receives: u32) -> Record {
        Record {
            message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
            body: r#"{"workspace":"acme","type":"order.created","data":{}}"#.to_owned(),
            receives,
            sent: Timestamp::from_second(1_700_000_000).unwrap(),
            ..Record::default()
        }
    }

    fn read(message: &Record) -> Result<EventId, Fate> {
        super::read(message, &Workspace::parse("default").unwrap()).map(|arrived| arrived.event.id)
    }

    #[test]
    fn an_event_keeps_its_id_when_its_dead_letter_is_sent_back() {
        let first = read(&message(1)).unwrap();
        assert_eq!(read(&message(94)).unwrap(), first);
        let Err(Fate::DeadLetter { reason: DeadLetterReason::NotFannedOut, event_id, .. }) =
            read(&message(95))
        else {
            panic!("SQS would take it soon");
        };
        let sent = Timestamp::from_second(1_700_900_000).unwrap();
        let redriven = Record {
            message_id: "another".to_owned(),
            sent,
            event_id,
            redriven: true,
            ..message(1)
        };
        assert_eq!(read(&redriven).unwrap(), first);
    }

    #[test]
    fn an_attribute_that_is_no_id_says_nothing() {
        let odd = Record { event_id: Some("x".to_owned()), ..message(1) };
        assert_eq!(read(&odd), read(&message(1)));
    }

    #[test]
    fn the_last_receive_comes_before_sqs_takes_the_message() {
        let template = include_str!("../../../template.yaml");
        let queue = template.split("\n  EventsQueue:\n").nth(1).unwrap();
        let count = queue.split("maxReceiveCount: ").nth(1).unwrap().lines().next().unwrap();
        assert!(LAST_RECEIVE < count.trim().parse().unwrap());
    }
}
