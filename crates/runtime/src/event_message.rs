//! The message of the events queue that carries an event.

use posthaste_domain::event::Event;
use posthaste_queue::Message;

/// The message attribute that says how many hops the event has; it is left out where it has none. It is not a field of the event,
/// because a message whose event has a field that `fanout` does not know becomes a dead letter, and an attribute that it does not
/// know is ignored: so the version before understands it.
pub const HOPS: &str = "hops";

/// The workspace is the message group, so that no workspace's burst delays another's events.
pub fn event_message(event: &Event) -> serde_json::Result<Message> {
    let group = event.workspace.to_string();
    if event.hops == 0 {
        return Ok(Message::new(serde_json::to_string(event)?, group));
    }
    let body = serde_json::to_string(&Event { hops: 0, ..event.clone() })?;
    Ok(Message { attributes: vec![(HOPS, event.hops.to_string())], ..Message::new(body, group) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_go_beside_the_event() {
        let json = r#"{"id":"01896b5d-3648-7000-8000-000000000001","type":"a","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{"n":1.0}}"#;
        let mut event: Event = serde_json::from_str(json).unwrap();
        let message = event_message(&event).unwrap();
        assert_eq!((message.body.as_str(), message.group.as_deref(), message.attributes), (json, Some("acme"), vec![]));
        event.hops = 3;
        let message = event_message(&event).unwrap();
        assert_eq!((message.body.as_str(), message.attributes), (json, vec![(HOPS, "3".to_owned())]));
    }
}
