//! The message of the events queue that carries an event.

use posthaste_domain::{
    event::{Event, process},
    trace,
};
use posthaste_queue::Message;

/// The message attribute that says how many hops the event has; it is left out where it has none.
/// It is not a field of the event, because a message whose event has a field that `fanout` does not
/// know becomes a dead letter, and an attribute that it does not know is ignored: so the version
/// before understands it.
pub const HOPS: &str = "hops";

/// The message attribute of the end of a run that says how many events its call has before it; it
/// is left out where there is none.
pub const BEFORE: &str = "before";

/// The workspace is the message group, so that no workspace's burst delays another's events. `nth`
/// is the event's place in its call.
pub fn event_message(event: &Event, nth: usize) -> serde_json::Result<Message> {
    let mut attributes = Vec::new();
    if process::ends(&event.event_type) && nth > 0 {
        attributes.push((BEFORE, nth.to_string()));
    }
    // So does the trace, for the same reason.
    attributes.extend((event.hops > 0).then(|| (HOPS, event.hops.to_string())));
    attributes.extend(event.traceparent.map(|parent| (trace::HEADER, parent.to_string())));
    let body = if attributes.iter().any(|(name, _)| [HOPS, trace::HEADER].contains(name)) {
        serde_json::to_string(&Event { hops: 0, traceparent: None, ..event.clone() })?
    } else {
        serde_json::to_string(event)?
    };
    Ok(Message { attributes, ..Message::new(body, event.workspace.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_says_how_many_events_go_before_it() {
        let json = r#"{"id":"01896b5d-3648-7000-8000-000000000001","type":"process_run_end","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!(event_message(&event, 7).unwrap().attributes, [(BEFORE, "7".to_owned())]);
        assert_eq!(event_message(&event, 0).unwrap().attributes, []);
    }

    #[test]
    fn hops_go_beside_the_event() {
        let json = r#"{"id":"01896b5d-3648-7000-8000-000000000001","type":"a","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{"n":1.0}}"#;
        let mut event: Event = serde_json::from_str(json).unwrap();
        let message = event_message(&event, 7).unwrap();
        assert_eq!(
            (message.body.as_str(), message.group.as_deref(), message.attributes),
            (json, Some("acme"), vec![])
        );
        event.hops = 3;
        let message = event_message(&event, 7).unwrap();
        assert_eq!(
            (message.body.as_str(), message.attributes),
            (json, vec![(HOPS, "3".to_owned())])
        );
    }

    #[test]
    fn a_trace_goes_beside_the_event() {
        let json = r#"{"id":"01896b5d-3648-7000-8000-000000000001","type":"a","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#;
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let event: Event = serde_json::from_str(json).unwrap();
        let event = Event { traceparent: trace::TraceParent::parse(given), ..event };
        let message = event_message(&event, 0).unwrap();
        let expected = (json, vec![("traceparent", given.to_owned())]);
        assert_eq!((message.body.as_str(), message.attributes), expected);
    }
}
