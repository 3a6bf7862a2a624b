//! The event types that every workspace knows: those of the three documents and Posthaste's own,
//! from `events/catalogue`.

use std::sync::OnceLock;

use crate::{
    Invalid,
    event::{
        event_type::{EventPattern, EventType},
        schema::DataSchema,
    },
    input::nearest,
};

/// An event type that is part of Posthaste.
#[derive(Debug)]
pub struct BuiltIn {
    /// The name that events carry.
    pub name: &'static str,
    /// A title of a few words.
    pub title: &'static str,
    /// A sentence that describes the type.
    pub description: &'static str,
    /// The system that the type comes from: `spektr`, `spectra`, `dataspike` or `posthaste`.
    pub owner: &'static str,
    /// The document that describes the type.
    pub document: &'static str,
    /// The state that the document gives the type: `available`, `deprecated` or `wip`.
    pub status: &'static str,
    /// Other names by which the documents call the type. Whoever publishes or subscribes can use
    /// them; events and answers have the one name.
    pub aliases: &'static [&'static str],
    /// The choices that were made where the document contradicts itself.
    pub notes: &'static [&'static str],
    /// The JSON Schema of `data`.
    pub schema: &'static str,
    /// An example of an event, in the form in which it is published.
    pub sample: &'static str,
    compiled: OnceLock<Option<DataSchema>>,
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The owner of the types that only Posthaste itself publishes.
const OWNED_BY_US: &str = "posthaste";

/// Every built-in type, by name.
pub fn all() -> &'static [BuiltIn] {
    &BUILT_IN
}

/// The built-in type of this name.
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.binary_search_by_key(&name, |built_in| built_in.name).ok().map(|at| &BUILT_IN[at])
}

/// The built-in types whose names come after this one; none if this name is not built in.
pub fn after(name: &str) -> &'static [BuiltIn] {
    BUILT_IN
        .binary_search_by_key(&name, |built_in| built_in.name)
        .map_or(&[], |at| &BUILT_IN[at + 1..])
}

impl BuiltIn {
    /// The compiled schema. It is compiled when it is first needed.
    pub fn schema(&self) -> Option<&DataSchema> {
        self.compiled.get_or_init(|| DataSchema::compile(self.schema).ok()).as_ref()
    }

    /// Tells whether only Posthaste itself publishes events of the type.
    pub fn is_operational(&self) -> bool {
        self.owner == OWNED_BY_US
    }
}

/// Tells whether a subscription can ever match: it names a known type, or the beginning of one.
/// `own` are the workspace's types.
pub fn is_known(pattern: &EventPattern, own: &[EventType]) -> bool {
    *pattern == EventPattern::All
        || built_in_matches(pattern)
        || own.iter().any(|name| pattern.matches(name))
}

fn built_in_matches(pattern: &EventPattern) -> bool {
    BUILT_IN
        .iter()
        .filter_map(|built_in| EventType::parse(built_in.name).ok())
        .any(|name| pattern.matches(&name))
}

/// Tells whether an event of this type announces something about a webhook. The end of its own
/// deliveries is not announced by another event, or there would be no end.
pub fn is_operational(event_type: &EventType) -> bool {
    find(event_type.as_str()).is_some_and(BuiltIn::is_operational)
}

/// The types of operational events.
pub fn operational_types() -> impl Iterator<Item = EventType> {
    let operational = BUILT_IN.iter().filter(|built_in| built_in.is_operational());
    operational.filter_map(|built_in| EventType::parse(built_in.name).ok())
}

/// The error about a subscription to an unknown type, with the names that are most like it.
pub fn unknown(field: &str, pattern: &EventPattern, own: &[EventType]) -> Invalid {
    let wanted = pattern.to_string();
    let names = nearest(wanted.strip_suffix(".*").unwrap_or(&wanted), own);
    let hint = if names.is_empty() {
        "GET /event-types lists them, PUT /event-types/{name} adds one".to_owned()
    } else {
        format!("did you mean {}?", names.join(", "))
    };
    Invalid::field(
        field,
        "unknown_event_type",
        format!("{wanted:?} is not a known event type; {hint}"),
    )
}

/// The known names that are most like this one, best first; none if nothing is near.
pub fn nearest(name: &str, own: &[EventType]) -> Vec<String> {
    let known =
        BUILT_IN.iter().map(|built_in| built_in.name).chain(own.iter().map(EventType::as_str));
    nearest::names(name, known).into_iter().map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, value::RawValue};

    use super::*;
    use crate::event::{NewEvent, schema::Budget};

    fn pattern(text: &str) -> EventPattern {
        EventPattern::parse(text).unwrap()
    }

    #[test]
    fn all_types_of_the_documents_are_there_and_sorted() {
        let names: Vec<_> = all().iter().map(|built_in| (built_in.name, built_in.status)).collect();
        insta::assert_debug_snapshot!(names);
        assert!(names.is_sorted());
        for built_in in all() {
            assert!(std::ptr::eq(find(built_in.name).unwrap(), built_in));
            assert!(
                ["available", "deprecated", "wip"].contains(&built_in.status),
                "{}",
                built_in.name
            );
            assert!(
                ["spektr", "spectra", "dataspike", "posthaste"].contains(&built_in.owner),
                "{}",
                built_in.name
            );
        }
        assert!(find("nothing").is_none());
        assert_eq!(after(all()[0].name).len(), all().len() - 1);
        assert!(after(all()[all().len() - 1].name).is_empty() && after("nothing").is_empty());
    }

    #[test]
    fn every_sample_is_an_event_that_its_schema_takes() {
        for built_in in all() {
            let event = NewEvent::parse_call(built_in.sample.as_bytes())
                .unwrap_or_else(|error| panic!("{}: {error}", built_in.name));
            let events = event.events();
            assert_eq!(events[0].event_type().as_str(), built_in.name);
            let schema = built_in.schema().expect("the schema compiles");
            schema
                .check(events[0].data(), "data", &mut Budget::default())
                .unwrap_or_else(|error| panic!("{}: {error}", built_in.name));
        }
    }

    #[test]
    fn every_required_field_is_missed_and_further_fields_are_welcome() {
        for built_in in all() {
            let schema: Value = serde_json::from_str(built_in.schema).unwrap();
            let sample: Value = serde_json::from_str(built_in.sample).unwrap();
            let check = |data: &Value| {
                let raw = RawValue::from_string(data.to_string()).unwrap();
                built_in.schema().unwrap().check(&raw, "data", &mut Budget::default())
            };
            let mut more = sample["data"].clone();
            more["somethingElse"] = Value::from(1);
            assert_eq!(check(&more), Ok(()), "{}", built_in.name);
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                let mut less = sample["data"].clone();
                less.as_object_mut().unwrap().remove(name);
                let invalid = check(&less).unwrap_err();
                assert_eq!(
                    (invalid.code, invalid.field.unwrap()),
                    ("missing_field", format!("data.{name}"))
                );
            }
        }
    }

    #[test]
    fn the_end_of_a_run_names_its_run_wholly_or_not_at_all() {
        let end = find("process_run_end").unwrap().schema().unwrap();
        let check = |data: &str| {
            end.check(serde_json::from_str(data).unwrap(), "data", &mut Budget::default())
        };
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"processName":"KYC","processOutput":"approved"}"#), Ok(()));
        let half = check(r#"{"contextId":"1","processType":"risk","processName":"Risk"}"#);
        let half = half.unwrap_err();
        assert_eq!((half.code, half.field.as_deref()), ("missing_field", Some("data.processId")));
        assert!(half.message.contains("data.processId is required beside data."), "{half}");
    }

    #[test]
    fn a_field_of_the_end_of_a_run_has_children_and_no_grandchildren() {
        let end = find("process_run_end").unwrap().schema().unwrap();
        let check = |fields: &str| {
            let data = format!(r#"{{"fields":{fields}}}"#);
            end.check(serde_json::from_str(&data).unwrap(), "data", &mut Budget::default())
        };
        assert_eq!(check(r#"[{"key":"a","children":[{"key":"b"}]}]"#), Ok(()));
        let deep = check(r#"[{"key":"a","children":[{"key":"b","children":[]}]}]"#).unwrap_err();
        assert_eq!(deep.field.as_deref(), Some("data.fields[0].children[0].children"));
    }

    #[test]
    fn patterns_are_known_by_what_they_can_match() {
        let own = [EventType::parse("invoice.paid").unwrap()];
        for known in [
            "*",
            "order.*",
            "order.created",
            "process_run_end",
            "AML_SCREENING",
            "invoice.*",
            "invoice.paid",
            "webhook.*",
        ] {
            assert!(is_known(&pattern(known), &own), "{known}");
        }
        for unknown in
            ["ordr.*", "order", "order.create", "PROCESS_RUN_END", "invoice", "process.*"]
        {
            assert!(!is_known(&pattern(unknown), &own), "{unknown}");
        }
    }

    #[test]
    fn each_name_of_the_documents_lists_is_an_alias_of_its_type() {
        for (alias, name) in [
            ("PROCESS_RUN_START", "process_run_start"),
            ("LOOP_RUN_START", "loop_run_start"),
            ("PROCESS_RUN_END", "process_run_end"),
            ("SERVICE_RUN", "service_run"),
            ("ALERT_CREATED", "alert_created"),
            ("ALERT_ESCALATED", "alert_escalated"),
            ("ALERT_RESOLVED", "alert_resolved"),
            ("CUSTOMER_TAG_ADDED", "customer_tag_add"),
            ("CUSTOMER_TAG_REMOVED", "customer_tag_remove"),
            ("CUSTOMER_STATUS_CHANGE", "customer_status_change"),
            ("CUSTOMER_STATUS_CHANGED", "customer_status_changed"),
            ("CUSTOMER_DUPLICATE_DETECTION", "customer_duplicate_detection"),
            ("CUSTOMER_RECORD_UPDATE", "customer_record_update"),
            ("CUSTOMER_RECORD_CHANGED", "customer_record_changed"),
            ("OWNERSHIP_AI_CREATED", "ownership_ai_created"),
            ("OWNERSHIP_AI_ADDED_OWNER", "ownership_ai_added_owner"),
            ("CLIENT_RECORD_SYNC", "client_record_sync"),
            ("STEP_INIT", "step_init"),
            ("STEP_SUBMIT", "step_submit"),
        ] {
            assert_eq!(EventType::parse_any(alias).unwrap().as_str(), name);
            assert_eq!(find(name).unwrap().aliases, [alias]);
            assert_eq!(EventType::parse_any(name).unwrap().as_str(), name);
        }
        let aliases: Vec<&str> =
            all().iter().flat_map(|built_in| built_in.aliases).copied().collect();
        assert_eq!(aliases.len(), 19);
        for alias in aliases {
            assert!(find(alias).is_none(), "{alias} is the name of another type");
        }
        for other in ["Process_Run_Start", "order.created", "AML_SCREENING", "CUSTOMER_TAG_ADD"] {
            assert_eq!(EventType::parse_any(other).unwrap().as_str(), other);
        }
    }

    #[test]
    fn the_nearest_names_are_suggested() {
        let own = [EventType::parse("invoice.paid").unwrap()];
        assert_eq!(nearest("PROCESS_RUN_START", &own)[0], "process_run_start");
        assert_eq!(nearest("order.create", &own)[0], "order.created");
        assert_eq!(nearest("customer_tag_added", &own)[0], "customer_tag_add");
        assert_eq!(nearest("invoce.payed", &own)[0], "invoice.paid");
        assert_eq!(nearest("aml-screening", &own), ["AML_SCREENING"]);
        assert_eq!(nearest("zzzzzzzz", &own), Vec::<String>::new());
        let complaint = unknown("events", &pattern("order.create"), &own);
        assert_eq!(complaint.code, "unknown_event_type");
        assert!(complaint.message.contains("order.created"), "{}", complaint.message);
    }
}
