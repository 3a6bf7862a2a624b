//! What has to hold for whatever comes from outside: properties that take any bytes, and panic
//! where they do not hold.
//!
//! A fuzzer looks for bytes that make one of them panic (`.ci/fuzz`). The inputs that it found
//! worth keeping are in `corpus/`, and `cargo test` tries them all.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a property that does not hold panics"
)]

mod address;
mod arrival;
mod choices;
mod cursor;
mod filter;
mod format;
mod gateway;
mod messages;
mod publish;
mod registration;
mod schema;
mod sealed;
mod sqs;
mod url_guard;

/// A property of whatever is read from outside.
pub struct Property {
    /// The name of the property, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Tries one input. It says whether the input was taken, and not refused as it may be. It
    /// panics if the property does not hold.
    pub holds_for: fn(&[u8]) -> bool,
}

/// Every property.
pub const PROPERTIES: [Property; 13] = [
    Property { name: "address", holds_for: address::is_public_by_the_lists },
    Property { name: "arrival", holds_for: arrival::reads_alike_each_time },
    Property { name: "cursor", holds_for: cursor::names_one_place },
    Property { name: "filter", holds_for: filter::decides_like_the_reference },
    Property { name: "format", holds_for: format::is_json_and_verifies },
    Property { name: "gateway", holds_for: gateway::answers_in_the_envelope },
    Property { name: "messages", holds_for: messages::read_as_written },
    Property { name: "publish", holds_for: publish::reaches_fanout_unchanged },
    Property { name: "registration", holds_for: registration::is_stored_as_read },
    Property { name: "schema", holds_for: schema::checks_within_bounds },
    Property { name: "sealed", holds_for: sealed::opens_only_unchanged },
    Property { name: "sqs", holds_for: sqs::reports_each_message },
    Property { name: "url", holds_for: url_guard::leads_to_public_hosts_only },
];

/// The property of this name.
pub fn by_name(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.name == name)
}
