//! The event that a test sends: the sample of a type, or data of the caller's.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{
    Invalid,
    access::workspace::Workspace,
    event::{
        Event, NewEvent, catalogue,
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
    },
    id::EventId,
    input::{Fields, JsonObject, Optional, body, check_depth},
    webhook::profile::Profile,
};

/// The most bytes of the data that a test is given, which its record keeps.
const MAX_DATA_BYTES: usize = 64 * 1024;

body! {
    /// The event that is sent as a test.
    #[derive(Debug, Clone, Default)]
    pub struct SendTest {
        /// The type of the sample: one of the catalogue, of the workspace's own, or one that nobody
        /// has described and that the webhook names, or that was published. Unless given, the first
        /// known one that the webhook subscribes to, or one of its profile's document where a
        /// subscription leaves the choice.
        pub r#type: Option<EventType> as Optional<EventType>,
        /// The data that the event has in place of the sample's, at most 64 KiB and 50 levels. It
        /// need not fit the schema of the type.
        pub data: Option<Box<RawValue>> as Optional<JsonObject>,
    }
}

impl SendTest {
    /// Reads the body of the call, which may be empty.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let Some(fields) = Fields::of_optional_body(body)? else { return Ok(Self::default()) };
        let asked = Self::of_fields(fields)?;
        if let Some(data) = &asked.data {
            if data.get().len() > MAX_DATA_BYTES {
                let message = format!("data takes at most {MAX_DATA_BYTES} bytes");
                return Err(Invalid::field("data", "too_long", message));
            }
            check_depth("data", data.get())?;
        }
        Ok(asked)
    }
}

/// The type of the sample if none is asked for: the first known one that the webhook subscribes to,
/// or else the first one that it names. A type of the profile's document comes first where a
/// subscription matches several, and is taken where there is no other. `own` are the workspace's
/// types; the first one that each subscription matches is enough.
pub fn default_type(
    profile: Profile,
    subscribed: &[EventPattern],
    own: &[EventType],
) -> Option<EventType> {
    let preferred = EventType::parse(profile.sample_type()).ok();
    for pattern in subscribed {
        let built_in =
            catalogue::all().iter().filter_map(|built_in| EventType::parse(built_in.name).ok());
        let mut known = preferred.clone().into_iter().chain(built_in).chain(own.iter().cloned());
        if let Some(matching) = known.find(|known| pattern.matches(known)) {
            return Some(matching);
        }
    }
    let mut named = subscribed.iter().filter_map(|pattern| match pattern {
        EventPattern::Exactly(name) => Some(name.clone()),
        EventPattern::All | EventPattern::Below(_) => None,
    });
    named.next().or(preferred)
}

/// Makes a new event of the present time from the sample of a type: the catalogue's, or that of the
/// workspace's own type, which may lack one and then has no data. `known` are the names of the
/// workspace's types, for the error about one that does not exist.
pub fn event(
    event_type: &EventType,
    own: Option<&OwnEventType>,
    known: &[EventType],
    id: EventId,
    workspace: Workspace,
    now: Timestamp,
) -> Result<Event, Invalid> {
    let sample = match (catalogue::find(event_type.as_str()), own) {
        (Some(built_in), _) => built_in.sample.to_owned(),
        (None, Some(own)) => {
            let data = own.sample.as_ref().map_or("{}", |sample| sample.get());
            format!(r#"{{"type":"{event_type}","data":{data}}}"#)
        }
        (None, None) => {
            return Err(catalogue::unknown(
                "type",
                &EventPattern::Exactly(event_type.clone()),
                known,
            ));
        }
    };
    let published = NewEvent::parse_call(sample.as_bytes())?;
    let first = published.events().first().cloned();
    first
        .map(|event| Event { timestamp: now, ..event.accept(id, workspace, now) })
        .ok_or_else(|| Invalid::malformed("the sample is no event"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EventType {
        EventType::parse(text).unwrap()
    }

    fn make(event_type: &str, own: Option<&OwnEventType>) -> Result<Event, Invalid> {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let workspace = Workspace::parse("acme").unwrap();
        event(
            &name(event_type),
            own,
            &[name("invoice.paid")],
            EventId::new(now, &[1; 10]),
            workspace,
            now,
        )
    }

    #[test]
    fn the_first_known_type_is_sent_unless_one_is_asked_for() {
        let own = [name("invoice.paid")];
        let default = |patterns: &[&str]| {
            let patterns: Vec<_> =
                patterns.iter().map(|pattern| EventPattern::parse(pattern).unwrap()).collect();
            default_type(Profile::Standard, &patterns, &own).unwrap().to_string()
        };
        assert_eq!(default(&["*"]), "order.created");
        assert_eq!(default(&["order.*", "service_run"]), "order.created");
        assert_eq!(default(&["service_run", "*"]), "service_run");
        assert_eq!(default(&["inventory.*"]), "inventory.sold");
        assert_eq!(default(&["removed.type", "invoice.*"]), "invoice.paid");
        assert_eq!(default(&["ledger.*", "ledger.closed"]), "ledger.closed", "it is named");
        assert_eq!(default(&["ledger.closed", "invoice.*"]), "invoice.paid", "it is known");
        assert_eq!(default(&["ledger.*"]), "order.created");
    }

    #[test]
    fn the_sample_fits_the_document_of_the_profile() {
        for (name, profile) in Profile::NAMES {
            let chosen = default_type(profile, &[EventPattern::All], &[]).unwrap();
            let owner = catalogue::find(chosen.as_str()).unwrap().owner;
            let expected = match profile {
                Profile::Spektr | Profile::SpektrV1 => "spektr",
                Profile::Dataspike => "dataspike",
                _ => "spectra",
            };
            assert_eq!(owner, expected, "{name}");
            let orders = [EventPattern::parse("order.*").unwrap()];
            let chosen = default_type(profile, &orders, &[]).unwrap();
            assert_eq!(chosen.as_str(), "order.created", "{name}");
        }
    }

    #[test]
    fn every_type_of_the_catalogue_has_a_sample_event() {
        for built_in in catalogue::all() {
            let event = make(built_in.name, None).unwrap();
            assert_eq!(
                (event.event_type.as_str(), event.workspace.as_str()),
                (built_in.name, "acme")
            );
            assert_eq!(event.timestamp, event.id.time(), "of the present time");
        }
    }

    #[test]
    fn a_type_of_ones_own_has_its_sample_or_no_data() {
        let own = OwnEventType::parse("invoice.paid", br#"{"sample":{"total": 1.0}}"#).unwrap();
        assert_eq!(make("invoice.paid", Some(&own)).unwrap().data.get(), r#"{"total": 1.0}"#);
        let bare = OwnEventType::parse("invoice.paid", b"{}").unwrap();
        assert_eq!(make("invoice.paid", Some(&bare)).unwrap().data.get(), "{}");
        let unknown = make("invoice.payed", None).unwrap_err();
        assert_eq!((unknown.code, unknown.field.as_deref()), ("unknown_event_type", Some("type")));
        assert!(unknown.message.contains("invoice.paid"), "{}", unknown.message);
    }

    #[test]
    fn a_type_that_nobody_has_described_has_a_sample_without_data() {
        let bare = OwnEventType::undescribed(name("ledger.closed"));
        assert_eq!(make("ledger.closed", Some(&bare)).unwrap().data.get(), "{}");
    }

    #[test]
    fn a_body_names_a_type_or_none() {
        for nothing in ["", "\n", "{}", r#"{"type":null,"data":null}"#] {
            let asked = SendTest::parse(nothing.as_bytes()).unwrap();
            assert!(asked.r#type.is_none() && asked.data.is_none(), "{nothing}");
        }
        let parse = |body: &str| SendTest::parse(body.as_bytes());
        let asked = parse(r#"{"type":"order.created"}"#).unwrap();
        assert_eq!(asked.r#type, Some(name("order.created")));
        assert_eq!(parse(r#"{"type":"a b"}"#).unwrap_err().code, "invalid_event_type");
        assert_eq!(parse(r#"{"event":"a"}"#).unwrap_err().code, "unknown_field");
    }

    #[test]
    fn data_is_any_object_that_a_record_can_keep() {
        let parse = |data: &str| SendTest::parse(format!(r#"{{"data":{data}}}"#).as_bytes());
        assert_eq!(parse(r#"{"n": 1.0}"#).unwrap().data.unwrap().get(), r#"{"n": 1.0}"#);
        let text = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
        assert!(parse(&text(MAX_DATA_BYTES)).is_ok());
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(50), "]".repeat(50));
        for (data, code) in [
            (text(MAX_DATA_BYTES + 1), "too_long"),
            (deep, "too_deep"),
            ("[]".to_owned(), "wrong_type"),
        ] {
            let refused = parse(&data).unwrap_err();
            assert_eq!((refused.field.as_deref(), refused.code), (Some("data"), code));
        }
    }
}
