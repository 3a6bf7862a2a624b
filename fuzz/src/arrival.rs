//! A message of the events queue, which anybody may have sent.

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::{Arrived, Event, MAX_MESSAGE_BYTES, Origin, loops::MAX_HOPS},
    fanout::share::Shared,
    id::EventId,
};

/// A message is the same event whenever it is received, and its event can be stored and read.
/// A dead letter that is sent back keeps the id.
pub(crate) fn reads_alike_each_time(input: &[u8]) -> bool {
    let Ok(body) = str::from_utf8(input) else { return false };
    if let Some(shared) = Shared::parse(body) {
        return shared.is_ok_and(|shared| is_share(&shared));
    }
    let sent = Timestamp::from_second(1_700_000_000).expect("a time");
    let Ok(arrived) = parse(body, "m-1", sent, None) else { return false };
    let again = parse(body, "m-1", sent, None).expect("it was read before");
    assert_eq!(stored(&again.event), stored(&arrived.event));
    assert_eq!(again.unchecked, arrived.unchecked);
    assert!(arrived.event.id.is_ours());
    assert!(body.len() <= MAX_MESSAGE_BYTES);

    let kept = Some(arrived.event.id);
    let redriven = parse(body, "m-2", sent, kept).expect("it was read before");
    assert_eq!(redriven.event.id, arrived.event.id, "a dead letter keeps its id");

    let json = stored(&arrived.event);
    let back: Event = serde_json::from_str(&json).expect("an event is read as it was written");
    assert_eq!(stored(&back), json);
    let _checked = arrived.event.check(None);
    true
}

fn parse(
    body: &str,
    message_id: &str,
    sent: Timestamp,
    kept: Option<EventId>,
) -> Result<Arrived, posthaste_domain::Invalid> {
    let default = Workspace::parse("default").expect("a name");
    Arrived::parse(body, Origin { message_id, sent, kept }, &default)
}

fn stored(event: &Event) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}

/// Checks a share, which is read as it is written. It says whether it is taken.
fn is_share(shared: &Shared<'_>) -> bool {
    let message = Shared::message(shared.share, &shared.only, &shared.event).expect("JSON");
    let back = Shared::parse(&message).expect("it begins as one").expect("it is read");
    assert_eq!((back.share, &back.only), (shared.share, &shared.only));
    assert_eq!(stored(&back.event), stored(&shared.event));
    let taken = shared.check().is_ok();
    assert!(!taken || shared.event.hops <= MAX_HOPS);
    taken
}
