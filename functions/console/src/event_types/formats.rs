//! The sample of an event type as each format writes it.

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::format::{Format, MAX_BODY_BYTES},
    event::{Event, NewEvent},
    id::{EventId, WebhookId},
    webhook::policy::RequestBounds,
};

/// The bodies of a sample, each with the name of its format. Nobody gets the ids in them. A sample
/// that is no event has none.
pub(super) fn bodies(
    sample: &str,
    workspace: &Workspace,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let Some(event) = event(sample, workspace, now) else { return Vec::new() };
    let webhook = WebhookId(1).uuid(now);
    let bounds = RequestBounds { events: 1, bytes: MAX_BODY_BYTES };
    let mut bodies = Vec::new();
    for (name, format) in Format::NAMES {
        let body = format.write(webhook, &[&event], bounds, None);
        if let Some(text) = body.ok().and_then(|body| String::from_utf8(body.bytes).ok()) {
            bodies.push((name, text));
        }
    }
    bodies
}

fn event(sample: &str, workspace: &Workspace, now: Timestamp) -> Option<Event> {
    let published = NewEvent::parse_call(sample.as_bytes()).ok()?;
    let event = published.events().first()?.clone();
    Some(event.accept(EventId::new(now, &[0; 10]), workspace.clone(), now))
}

#[cfg(test)]
mod tests {
    use posthaste_domain::event::catalogue;

    use super::*;

    fn all(sample: &str) -> Vec<(&'static str, String)> {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        bodies(sample, &Workspace::parse("acme").unwrap(), now)
    }

    #[test]
    fn every_built_in_type_is_shown_in_every_format() {
        for built_in in catalogue::all() {
            assert_eq!(all(built_in.sample).len(), Format::NAMES.len(), "{}", built_in.name);
        }
    }

    #[test]
    fn data_is_shown_as_it_is_written() {
        let bodies = all(r#"{"type":"invoice.paid","data":{"total": 1.50}}"#);
        let (name, body) = &bodies[0];
        assert_eq!(*name, "standard");
        assert!(body.contains(r#""data":{"total": 1.50}"#), "{body}");
        assert!(all("{}").is_empty());
    }
}
