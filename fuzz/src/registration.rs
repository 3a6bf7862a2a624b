//! Registering and changing a webhook.

use posthaste_domain::{
    endpoint::url::UrlPolicy,
    webhook::{ChangeRequest, MAX_PATTERNS, Registration, Settings, profile::Profile},
};

/// Settings that are accepted are read from the table as they were written, and a change that names
/// them all again changes nothing.
pub(crate) fn is_stored_as_read(input: &[u8]) -> bool {
    let policy = UrlPolicy::default();
    let Ok(registration) = Registration::parse(input, &policy, Profile::default()) else {
        let _a_change_may_have_less = ChangeRequest::parse(input, &policy);
        return false;
    };
    let settings = &registration.settings;
    let stored = serde_json::to_string(settings).expect("settings are JSON");
    let back: Settings = serde_json::from_str(&stored).expect("stored settings are read");
    assert_eq!(&back, settings);

    assert!((1..=MAX_PATTERNS).contains(&settings.events.len()));
    assert!((1..=100).contains(&settings.max_events_per_request()));
    assert!(settings.timeout_seconds() >= 1);

    let change = ChangeRequest::parse(input, &policy).expect("a registration is a change as well");
    let changed = change.applied_to(settings, Profile::default()).expect("it was accepted before");
    let has_held = changed.settings.has_held;
    assert_eq!(&Settings { has_held: settings.has_held, ..changed.settings }, settings);
    assert_eq!(has_held, settings.hold_anything(), "what may be held is remembered");
    true
}
