//! Reading a message of the events queue. Pure.

use posthaste_domain::{
    Invalid,
    access::workspace::Workspace,
    event::{Arrived, Event, Origin, operational},
    fanout::share::Shared,
    id::EventId,
    message::{dead_letter::DeadLetterReason, version::Unreadable},
};
use posthaste_runtime::{
    batch::{Fate, Record},
    clock,
};

/// A message that was received this often goes to the dead-letter queue with the id of its event.
/// SQS would move it there without one after 100 receives (`maxReceiveCount` in `template.yaml`),
/// and sent back it would be another event to everybody who has it.
const LAST_RECEIVE: u32 = 95;

/// A message, read.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It brings an event.
    Event(Arrived),
    /// It asks for a share of a fan-out.
    Share(Shared<'static>),
}

/// Reads a message, or says what becomes of one that brings nothing.
pub(crate) fn read(message: &Record, default: &Workspace) -> Result<Arrival, Fate> {
    let arrival = match Shared::parse(&message.body) {
        Some(shared) => Arrival::Share(share(shared, message)?),
        None => Arrival::Event(event(message, default)?),
    };
    if message.receives >= LAST_RECEIVE {
        let detail = format!("the event could not be fanned out in {} receives", message.receives);
        let event_id = Some(arrival.event().id.to_string());
        return Err(Fate::DeadLetter { reason: DeadLetterReason::NotFannedOut, detail, event_id });
    }
    Ok(arrival)
}

impl Arrival {
    fn event(&self) -> &Event {
        match self {
            Self::Event(arrived) => &arrived.event,
            Self::Share(shared) => &shared.event,
        }
    }
}

fn event(message: &Record, default: &Workspace) -> Result<Arrived, Fate> {
    let arrived = Arrived::parse(&message.body, origin(message), default)
        .and_then(|arrived| arrived.with_hops(message.hops.as_deref()))
        .map(|arrived| arrived.with_trace(message.traceparent.as_deref()))
        .map_err(|invalid| refused(DeadLetterReason::UnreadableEvent, &invalid, None))?;
    // The data of an unchecked event is checked later, and its type with it.
    if !arrived.unchecked {
        check_type(&arrived.event)?;
    }
    Ok(arrived)
}

fn share(
    shared: Result<Shared<'static>, Unreadable>,
    message: &Record,
) -> Result<Shared<'static>, Fate> {
    let shared = shared.map_err(|why| {
        Fate::of_unreadable(message, &why, DeadLetterReason::UnreadableEvent, clock::now())
    })?;
    let id = Some(shared.event.id);
    shared.check().map_err(|invalid| refused(DeadLetterReason::UnreadableEvent, &invalid, id))?;
    check_type(&shared.event)?;
    Ok(shared)
}

fn check_type(event: &Event) -> Result<(), Fate> {
    operational::check_id(event)
        .map_err(|invalid| refused(DeadLetterReason::InvalidEvent, &invalid, Some(event.id)))
}

/// The id of the event that a message brings, whatever its workspace.
pub(crate) fn event_id(message: &Record) -> Option<String> {
    if let Some(shared) = Shared::parse(&message.body) {
        return Some(shared.ok()?.event.id.to_string());
    }
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
        super::read(message, &Workspace::parse("default").unwrap())
            .map(|arrival| arrival.event().id)
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

    fn share(event: &str) -> String {
        format!(r#"{{"share":{{"from":1,"to":9}},"event":{event}}}"#)
    }

    const EVENT: &str = r#"{"id":"018bcfe5-6800-7000-8000-000000000001","type":"order.created","timestamp":"2023-11-14T22:13:20Z","workspace":"acme","data":{}}"#;

    #[test]
    fn a_share_becomes_a_dead_letter_before_sqs_takes_it_and_names_its_event() {
        let share = |receives| Record { body: share(EVENT), ..message(receives) };
        let id = read(&share(94)).unwrap();
        let Err(Fate::DeadLetter { reason: DeadLetterReason::NotFannedOut, event_id, .. }) =
            read(&share(95))
        else {
            panic!("SQS would take it soon");
        };
        assert_eq!(event_id, Some(id.to_string()));
        assert_eq!(super::event_id(&share(3)), Some(id.to_string()));
    }

    fn reason(record: Record) -> Option<DeadLetterReason> {
        match read(&record) {
            Ok(_) => None,
            Err(Fate::DeadLetter { reason, .. }) => Some(reason),
            Err(fate) => panic!("{fate:?}"),
        }
    }

    #[test]
    fn a_message_with_an_id_and_a_share_bring_no_reserved_type_and_not_too_many_hops() {
        let forged = EVENT.replace("order.created", "webhook.disabled");
        let body = |body: &str| Record { body: body.to_owned(), ..message(1) };
        assert_eq!([EVENT, &share(EVENT)].map(|ok| reason(body(ok))), [None; 2]);
        let reserved = [forged.as_str(), &share(&forged)].map(|bad| reason(body(bad)));
        assert_eq!(reserved, [Some(DeadLetterReason::InvalidEvent); 2]);
        let far = Record { hops: Some("6".to_owned()), ..body(EVENT) };
        let far_share = share(&EVENT.replace("\"data\"", "\"hops\":6,\"data\""));
        assert_eq!(
            [far, body(&far_share)].map(reason),
            [Some(DeadLetterReason::UnreadableEvent); 2]
        );
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
