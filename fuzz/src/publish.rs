//! A publishing call, and the messages that it becomes.

use std::collections::HashMap;

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::{Arrived, Call, Event, MAX_MESSAGE_BYTES, NewEvent, Origin},
    id::EventId,
    input::check_depth,
};
use posthaste_runtime::event_message::{HOPS, event_message};

/// An event that a call publishes is in its message as it was published, and whatever `ingest`
/// accepts `fanout` reads as the same event.
pub(crate) fn reaches_fanout_unchanged(input: &[u8]) -> bool {
    let Ok(published) = NewEvent::parse_call(input) else { return false };
    let text = str::from_utf8(input).expect("JSON is UTF-8");
    let now = Timestamp::from_second(1_700_000_000).expect("a time");
    let workspace = Workspace::parse("acme").expect("a name");
    let ids: Vec<EventId> = (0..published.events().len())
        .map(|nth| EventId::new(now, &[7; 10]).of([1, 2, 3, 4], nth))
        .collect();
    for event in published.events() {
        check_data(event, text);
    }
    let is_valid = published.check(&HashMap::new()).is_ok();
    let call = Call { hops: 2, traceparent: None };
    for (nth, event) in published.accept(&ids, &workspace, call, now).iter().enumerate() {
        assert_eq!(event.id, ids[nth]);
        check_message(event, nth, now);
    }
    is_valid
}

/// Checks that data is an object of allowed depth, and the bytes that were sent.
fn check_data(event: &NewEvent, sent: &str) {
    let data = event.data();
    assert_eq!(check_depth("data", data.get()), Ok(()));
    // A name can have half of a surrogate pair (`\ud800`), which is JSON and no text.
    let is_object = data.get().starts_with('{') && data.get().ends_with('}');
    assert!(is_object, "{data} is no object");
    let is_printed = sent.contains("\"spektrId\"") || sent.contains('\\');
    assert!(is_printed || sent.contains(data.get()), "{data} is not what was sent");
}

/// Checks that the message of an event brings the same event.
fn check_message(event: &Event, nth: usize, now: Timestamp) {
    let message = event_message(event, nth).expect("an event is JSON");
    assert!(message.body.len() <= MAX_MESSAGE_BYTES, "{} bytes", message.body.len());
    let hops = message.attributes.iter().find(|(name, _)| *name == HOPS);
    let origin = Origin { message_id: "m", sent: now, kept: None };
    let default = Workspace::parse("default").expect("a name");
    let arrived = Arrived::parse(&message.body, origin, &default)
        .and_then(|arrived| arrived.with_hops(hops.map(|(_, value)| value.as_str())))
        .expect("what was accepted is read");
    assert!(!arrived.unchecked, "it was checked");
    let [was, is] =
        [event, &arrived.event].map(|event| serde_json::to_string(event).expect("JSON"));
    assert_eq!(was, is);
}
