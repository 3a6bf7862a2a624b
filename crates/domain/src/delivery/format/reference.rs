//! The producer's own reference in the two versions of the Spektr events. A producer gives it once,
//! as the event's `reference` or in `data`, and each version prints it where its document does.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    event::{
        Event,
        data::{Member, with_members},
    },
    input,
};

/// The types whose `data` has a `reference` in the documents.
const TYPES: [&str; 13] = [
    "alert_escalated",
    "alert_resolved",
    "customer_duplicate_detection",
    "customer_record_changed",
    "customer_record_update",
    "customer_tag_add",
    "customer_tag_remove",
    "loop_run_start",
    "process_run_end",
    "process_run_start",
    "service_run",
    "step_init",
    "step_submit",
];

/// The reference of an event: that of its `data`, which version 2 shows, or else the one beside it.
/// One that is no text is none.
pub(super) fn of(event: &Event) -> Option<Cow<'_, str>> {
    let in_data = input::members(&event.data)
        .into_iter()
        .rfind(|(name, _)| name == "reference")
        .and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok());
    in_data.map(Cow::Owned).or_else(|| event.reference.as_deref().map(Cow::Borrowed))
}

/// The `data` of an event, with its reference as the last member where the document prints one
/// there and the producer gave it beside. All other bytes stay as they were published.
pub(super) fn in_data(event: &Event) -> serde_json::Result<Cow<'_, RawValue>> {
    let Some(reference) = &event.reference else { return Ok(Cow::Borrowed(&event.data)) };
    if !TYPES.contains(&event.event_type.as_str()) {
        return Ok(Cow::Borrowed(&event.data));
    }
    let json = Cow::Owned(serde_json::to_string(reference)?);
    with_members(&event.data, &[Member { name: "reference", json }])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{event::catalogue, testing};

    fn data_of(event_type: &str, data: &str) -> String {
        let event =
            Event { reference: Some("r\"1".to_owned()), ..testing::event(1, event_type, data) };
        in_data(&event).unwrap().get().to_owned()
    }

    #[test]
    fn the_types_are_those_of_the_catalogue() {
        let known: Vec<&str> = catalogue::all()
            .iter()
            .filter(|built_in| {
                let schema: Value = serde_json::from_str(built_in.schema).unwrap();
                schema["properties"].get("reference").is_some()
            })
            .map(|built_in| built_in.name)
            .collect();
        assert_eq!(known, TYPES);
    }

    #[test]
    fn a_reference_that_is_given_beside_data_is_in_it_once() {
        assert_eq!(
            data_of("service_run", r#"{ "a": 1.0 } "#),
            r#"{ "a": 1.0 ,"reference":"r\"1"}"#
        );
        assert_eq!(data_of("service_run", "{ }"), r#"{ "reference":"r\"1"}"#);
        let own = r#"{"reference":"mine"}"#;
        assert_eq!(data_of("service_run", own), own);
        assert_eq!(data_of("order.created", "{}"), "{}");
    }

    #[test]
    fn a_reference_is_found_in_data() {
        let event = testing::event(1, "process_run_start", r#"{"reference":"in data"}"#);
        assert_eq!(of(&event).as_deref(), Some("in data"));
        let given = Event { reference: Some("beside".to_owned()), ..event };
        assert_eq!(of(&given).as_deref(), Some("in data"), "as version 2 shows it");
        let number = testing::event(1, "process_run_start", r#"{"reference":7}"#);
        assert_eq!(of(&number), None);
        let beside = Event { reference: Some("beside".to_owned()), ..number };
        assert_eq!(of(&beside).as_deref(), Some("beside"));
    }
}
