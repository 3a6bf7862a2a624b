use super::*;
use crate::{
    endpoint::url::UrlPolicy,
    webhook::{ChangeRequest, Registration},
};

fn policy() -> UrlPolicy {
    UrlPolicy::default()
}

fn register(body: &str) -> Result<Settings, Invalid> {
    Registration::parse(body.as_bytes(), &policy(), Profile::default())
        .map(|registration| registration.settings)
}

fn change(old: &Settings, body: &str) -> Result<Settings, Invalid> {
    let request = ChangeRequest::parse(body.as_bytes(), &policy())?;
    request.applied_to(old, Profile::default()).map(|change| change.settings)
}

fn field_and_code(result: Result<impl Sized, Invalid>) -> (String, &'static str) {
    let invalid = result.err().expect("an error");
    (invalid.field.unwrap_or_default(), invalid.code)
}

const MINIMAL: &str = r#"{"url":"https://example.com/hook","events":["order.*"]}"#;
const EVERYTHING: &str = r#"{"url":"https://example.com/hook","events":["*"],"description":"mine","profile":"spektr","format":"spectra",
    "timing":"process_end","filters":{"monitoring":{"process_run_start":"never","order.*":"process_end"},"*":{"*":"immediate"}},
    "rateLimit":{"requests":10,"per":"minute"},"retrySchedule":[1,60,604800],"successStatuses":[200,202],"timeoutSeconds":30,"enabled":false}"#;

fn with(extra: &str) -> Result<Settings, Invalid> {
    register(&format!("{},{extra}}}", MINIMAL.trim_end_matches('}')))
}

#[test]
fn the_registration_of_the_spectra_document() {
    let settings = register(
        r#"{"url": "https://myapp.com/spectra-webhook", "events": ["order.created", "order.shipped", "inventory.sold"]}"#,
    );
    insta::assert_json_snapshot!(settings.unwrap());
}

#[test]
fn every_setting_is_stored() {
    let settings = register(EVERYTHING).unwrap();
    insta::assert_json_snapshot!(settings);
    assert_eq!(
        serde_json::from_value::<Settings>(serde_json::to_value(&settings).unwrap()).unwrap(),
        settings
    );
}

#[test]
fn a_change_keeps_what_it_does_not_name_and_resets_what_is_null() {
    let old = register(EVERYTHING).unwrap();
    let kept = Settings { has_held: true, ..old.clone() };
    assert_eq!(change(&old, "{}").unwrap(), kept);
    assert_eq!(change(&old, r#"{"enabled":true}"#).unwrap(), Settings { enabled: true, ..kept });
    let reset = r#"{"description":null,"profile":null,"format":null,"timing":null,"filters":null,"rateLimit":null,"retrySchedule":null,
        "successStatuses":null,"timeoutSeconds":null,"enabled":null}"#;
    let plain = register(r#"{"url":"https://example.com/hook","events":["*"]}"#).unwrap();
    assert_eq!(change(&old, reset).unwrap(), Settings { has_held: true, ..plain });
    assert_eq!(field_and_code(change(&old, r#"{"url":null}"#)), ("url".into(), "missing_field"));
    assert_eq!(
        field_and_code(change(&old, r#"{"events":null}"#)),
        ("events".into(), "missing_field")
    );
}

#[test]
fn what_is_not_set_follows_the_profile() {
    let spektr = with(r#""profile":"spektr""#).unwrap();
    assert_eq!(spektr.format(), Format::Spektr);
    assert_eq!(spektr.retry_schedule(), RetrySchedule::SPEKTR);
    let spectra = change(&spektr, r#"{"profile":"spectra"}"#).unwrap();
    assert_eq!(
        (spectra.format(), spectra.retry_schedule()),
        (Format::Spectra, RetrySchedule::NONE)
    );
    let retried = change(&spectra, r#"{"retrySchedule":[5]}"#).unwrap();
    let other = change(&retried, r#"{"profile":"dataspike"}"#).unwrap();
    assert_eq!(
        (other.format(), other.retry_schedule()),
        (Format::Dataspike, RetrySchedule::new(vec![5]).unwrap())
    );
}

#[test]
fn a_method_and_its_profile_belong_together() {
    assert_eq!(with(r#""method":"slack""#).unwrap().profile, Profile::Slack);
    assert_eq!(with(r#""method":"https""#).unwrap().profile, Profile::Standard);
    assert_eq!(
        with(r#""method":"https","profile":"dataspike""#).unwrap().profile,
        Profile::Dataspike
    );
    let slack = with(r#""method":"slack","profile":"slack""#).unwrap();
    assert_eq!(change(&slack, r#"{"method":"https"}"#).unwrap().profile, Profile::Standard);
    assert_eq!(change(&slack, r#"{"method":"slack"}"#).unwrap(), slack);
    for bad in [r#""method":"slack","profile":"spektr""#, r#""method":"https","profile":"slack""#] {
        assert_eq!(field_and_code(with(bad)), ("method".into(), "invalid_method"), "{bad}");
    }
    for bad in [r#""method":"slack","format":"standard""#, r#""format":"slack""#] {
        assert_eq!(field_and_code(with(bad)), ("format".into(), "invalid_format"), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (r#"{"events":["*"]}"#, "url", "missing_field"),
        (r#"{"url":"http://example.com","events":["*"]}"#, "url", "invalid_url"),
        (r#"{"url":"https://example.com"}"#, "events", "missing_field"),
        (r#"{"url":"https://example.com","events":[]}"#, "events", "wrong_count"),
        (r#"{"url":"https://example.com","events":["a b"]}"#, "events", "invalid_event_type"),
    ];
    for (body, field, code) in cases {
        assert_eq!(field_and_code(register(body)), (field.into(), code), "{body}");
    }
    let long = format!(r#""description":"{}""#, "x".repeat(1025));
    let rows = format!(
        r#""filters":{{{}}}"#,
        (0..51).map(|at| format!(r#""p{at}":{{}}"#)).collect::<Vec<_>>().join(",")
    );
    let cases = [
        (r#""profile":"svix""#, "profile", "invalid_profile"),
        (r#""format":"xml""#, "format", "invalid_format"),
        (r#""method":"smtp""#, "method", "invalid_method"),
        (r#""timing":"later""#, "timing", "invalid_timing"),
        (r#""timeoutSeconds":0"#, "timeoutSeconds", "out_of_range"),
        (r#""timeoutSeconds":31"#, "timeoutSeconds", "out_of_range"),
        (r#""timeoutSeconds":"5""#, "timeoutSeconds", "wrong_type"),
        (r#""timeoutSeconds":-1"#, "timeoutSeconds", "out_of_range"),
        (r#""timeoutSeconds":1.5"#, "timeoutSeconds", "wrong_type"),
        (r#""enabled":1"#, "enabled", "wrong_type"),
        (r#""retrySchedule":[0]"#, "retrySchedule", "out_of_range"),
        (r#""retrySchedule":[604801]"#, "retrySchedule", "out_of_range"),
        (r#""retrySchedule":5"#, "retrySchedule", "wrong_type"),
        (r#""retrySchedule":[1,-1]"#, "retrySchedule", "out_of_range"),
        (r#""retrySchedule":[1,1.5]"#, "retrySchedule", "wrong_type"),
        (r#""successStatuses":200"#, "successStatuses", "wrong_type"),
        (r#""successStatuses":[-1]"#, "successStatuses", "out_of_range"),
        (r#""rateLimit":{"requests":-1,"per":"second"}"#, "rateLimit.requests", "out_of_range"),
        (r#""rate_limit":{"requests":1,"per":"second"}"#, "rate_limit", "unknown_field"),
        (r#""successStatuses":[]"#, "successStatuses", "out_of_range"),
        (r#""successStatuses":"3xx""#, "successStatuses", "out_of_range"),
        (r#""rateLimit":{"requests":0,"per":"second"}"#, "rateLimit.requests", "out_of_range"),
        (r#""rateLimit":{"requests":1001,"per":"second"}"#, "rateLimit.requests", "out_of_range"),
        (r#""rateLimit":{"requests":1,"per":"hour"}"#, "rateLimit.per", "wrong_type"),
        (r#""rateLimit":{"requests":1}"#, "rateLimit.per", "missing_field"),
        (
            r#""rateLimit":{"requests":1,"per":"second","burst":2}"#,
            "rateLimit.burst",
            "unknown_field",
        ),
        (r#""rateLimit":10"#, "rateLimit", "wrong_type"),
        (r#""filters":[]"#, "filters", "wrong_type"),
        (r#""filters":{"a":1}"#, "filters.a", "wrong_type"),
        (r#""filters":{"a":{"x y":"never"}}"#, "filters.a.x y", "invalid_event_type"),
        (r#""filters":{"a":{"*":"sometimes"}}"#, "filters.a.*", "invalid_rule"),
        (r#""filters":{"":{}}"#, "filters.", "invalid_process_type"),
        (&rows, "filters", "wrong_count"),
        (&long, "description", "too_long"),
        (r#""retries":3"#, "retries", "unknown_field"),
        (r#""secret":"x""#, "secret", "unknown_field"),
    ];
    for (extra, field, code) in cases {
        assert_eq!(field_and_code(with(extra)), (field.into(), code), "{extra}");
    }
}

#[test]
fn what_was_held_once_is_not_forgotten() {
    let held = with(r#""timing":"process_end""#).unwrap();
    assert!(!held.has_held && held.hold_anything());
    let changed = change(&held, r#"{"timing":"immediate"}"#).unwrap();
    assert!(changed.hold_anything(), "its runs still have to end");
    assert!(change(&changed, "{}").unwrap().hold_anything());
    assert!(!change(&with(r#""timing":"immediate""#).unwrap(), "{}").unwrap().hold_anything());
}

#[test]
fn all_settings_together_are_bounded() {
    let cells: Vec<String> =
        (0..100).map(|at| format!(r#""{}{at}":"never""#, "x".repeat(100))).collect();
    let rows: Vec<String> =
        (0..5).map(|at| format!(r#""p{at}":{{{}}}"#, cells.join(","))).collect();
    let large = format!(r#""filters":{{{}}}"#, rows.join(","));
    assert_eq!(field_and_code(with(&large)), ("filters".into(), "too_large"));
    let templated =
        format!(r#""profile":"slack","slackTemplates":{{"order.created":{{}}}},{large}"#);
    let longer = field_and_code(with(&templated));
    assert_eq!(longer, ("filters".into(), "too_large"), "the templates are short");
}

/// Settings that are as large as they may be, and one byte larger.
fn largest() -> (Settings, Result<Settings, Invalid>) {
    let with_description = |bytes: usize| {
        let cells: Vec<String> =
            (0..96).map(|at| format!(r#""{}{at:02}":"never""#, "x".repeat(98))).collect();
        let rows: Vec<String> =
            (0..3).map(|at| format!(r#""p{at}":{{{}}}"#, cells.join(","))).collect();
        let filters = format!(
            r#""filters":{{{},"{}":{{"*":"process_end"}}}}"#,
            rows.join(","),
            "p".repeat(100)
        );
        with(&format!(r#"{filters},"description":"{}""#, "x".repeat(bytes)))
    };
    let bytes: Vec<usize> = (0..1024).collect();
    let most = bytes.partition_point(|bytes| with_description(*bytes).is_ok()) - 1;
    (with_description(most).unwrap(), with_description(most + 1))
}

#[test]
fn settings_that_were_taken_can_be_paused_and_sealed() {
    let (largest, larger) = largest();
    assert_eq!(field_and_code(larger), ("filters".into(), "too_large"));
    let StoredUrl::Open(url) = &largest.url else { panic!("what was just registered is open") };
    let sealed = StoredUrl::sealed(url, crate::webhook::secret::Sealed("x".repeat(3000)));
    let stored = Settings { url: sealed, ..largest };
    let paused = change(&stored, r#"{"enabled":false}"#).unwrap();
    assert!(paused.has_held && !paused.enabled);
    let moved =
        change(&paused, &format!(r#"{{"url":"https://example.com/{}"}}"#, "x".repeat(2000)))
            .unwrap();
    assert!(!moved.enabled);
    let described = change(&paused, &format!(r#"{{"description":"{}"}}"#, "\\t".repeat(1024)));
    assert_eq!(field_and_code(described), ("filters".into(), "too_large"));
}

#[test]
fn unknown_types_are_told_when_they_are_named_anew() {
    let own = [EventType::parse("invoice.paid").unwrap()];
    let unknown =
        register(r#"{"url":"https://example.com","events":["order.created","order.create"]}"#)
            .unwrap();
    let complaint = unknown.unknown_types(None, &own, &own).next().unwrap();
    assert_eq!(
        (complaint.field.as_deref(), complaint.code),
        (Some("events[1]"), "unknown_event_type")
    );
    assert!(complaint.message.contains("order.created"), "{}", complaint.message);
    let again = unknown.unknown_types(Some(&unknown), &own, &own).next();
    assert_eq!(again, None, "a type that was known once may stay");
    let known =
        register(r#"{"url":"https://example.com","events":["invoice.*","webhook.disabled","*"]}"#)
            .unwrap();
    assert_eq!(known.unknown_types(None, &own, &own).next(), None);
    let field = known.unknown_types(None, &[], &[]).next().unwrap().field;
    assert_eq!(field.as_deref(), Some("events[0]"));
    let filters = with(r#""filters":{"risk":{"service_runs":"never"}}"#).unwrap();
    let complaint = filters.unknown_types(None, &own, &own).next().unwrap();
    assert_eq!(
        (complaint.field.as_deref(), complaint.code),
        (Some("filters.risk.service_runs"), "unknown_event_type")
    );
    let templates = |name: &str| {
        with(&format!(r#""method":"slack","slackTemplates":{{"{name}":{{}}}}"#)).unwrap()
    };
    let (doubted, meant) = (templates("order.create"), templates("invoice.paid"));
    let complaint = doubted.unknown_types(None, &own, &own).next().unwrap();
    assert_eq!(complaint.field.as_deref(), Some("slackTemplates.order.create"));
    assert_eq!(doubted.unknown_types(Some(&doubted), &own, &own).next(), None);
    assert_eq!(meant.unknown_types(None, &own, &own).next(), None);
}

#[test]
fn a_stored_webhook_without_a_field_has_the_value_of_a_registration_without_it() {
    // These three are in every webhook that was ever stored.
    const ALWAYS_STORED: [&str; 3] = ["url", "events", "enabled"];
    let (minimal, everything) = (register(MINIMAL).unwrap(), register(EVERYTHING).unwrap());
    let mut stored = serde_json::to_value(&everything).unwrap();
    let fields = stored.as_object_mut().unwrap();
    fields.retain(|name, _| ALWAYS_STORED.contains(&name.as_str()));
    let expected = Settings {
        url: everything.url.clone(),
        events: everything.events.clone(),
        enabled: everything.enabled,
        ..minimal
    };
    assert_eq!(serde_json::from_value::<Settings>(stored).unwrap(), expected);
}

#[test]
fn a_change_that_no_webhook_could_take_is_refused_before_one_is_read() {
    for (body, field, code) in [
        ("{", "", "malformed_json"),
        (r#"{"url":null}"#, "url", "missing_field"),
        (r#"{"url":"http://example.com/"}"#, "url", "invalid_url"),
        (r#"{"events":null}"#, "events", "missing_field"),
        (r#"{"timeoutSeconds":31}"#, "timeoutSeconds", "out_of_range"),
        (r#"{"headers":{"Host":"a"}}"#, "headers.Host", "forbidden_header"),
        (r#"{"colour":1}"#, "colour", "unknown_field"),
    ] {
        let refused = ChangeRequest::parse(body.as_bytes(), &policy());
        assert_eq!(field_and_code(refused), (field.to_owned(), code), "{body}");
    }
    for body in ["{}", r#"{"enabled":null,"profile":null,"headers":null,"rateLimit":null}"#] {
        assert!(ChangeRequest::parse(body.as_bytes(), &policy()).is_ok(), "{body}");
    }
}

#[test]
fn what_the_owner_leaves_open_is_what_the_profile_says() {
    let slack = register(r#"{"url":"https://example.com/hook","events":["*"],"profile":"slack"}"#);
    for settings in [register(MINIMAL), register(EVERYTHING), slack] {
        let settings = settings.unwrap();
        let profile = settings.profile;
        let open = Settings {
            rate_limit: None,
            disable_on_410: None,
            disable_after_days: None,
            dead_letters: None,
            ..settings
        };
        assert_eq!(open.rate_limit(), profile.rate_limit(), "{profile:?}");
        assert_eq!(open.disable_on_410(), profile.disables(), "{profile:?}");
        assert_eq!(open.disable_after_days().is_none(), profile.disables(), "{profile:?}");
        assert_ne!(open.disable_after_days(), Some(1), "{profile:?}");
        assert_eq!(open.dead_letters(), profile.dead_letters(), "{profile:?}");
    }
}

#[test]
fn what_the_owner_sets_goes_before_the_profile() {
    let settings = register(EVERYTHING).unwrap();
    assert_eq!(settings.rate_limit(), settings.rate_limit);
    for said in [true, false] {
        let settings =
            Settings { disable_on_410: Some(said), dead_letters: Some(said), ..settings.clone() };
        assert_eq!((settings.disable_on_410(), settings.dead_letters()), (said, said));
    }
    let days = Settings { disable_after_days: Some(9), ..settings };
    assert_eq!(days.disable_after_days(), Some(9));
}

#[test]
fn the_settings_in_force_leave_nothing_to_the_profile() {
    let settings = Settings { has_held: true, ..register(MINIMAL).unwrap() };
    let in_force = Settings {
        format: Some(settings.format()),
        rate_limit: settings.rate_limit(),
        retry_schedule: Some(settings.retry_schedule()),
        success_statuses: Some(settings.success_statuses()),
        timeout_seconds: Some(settings.timeout_seconds()),
        max_retry_after_seconds: Some(settings.max_retry_after_seconds()),
        disable_on_410: Some(settings.disable_on_410()),
        disable_after_days: settings.disable_after_days(),
        max_events_per_request: Some(settings.max_events_per_request()),
        max_request_bytes: Some(settings.max_request_bytes()),
        rotation_signature: Some(settings.rotation_signature()),
        dead_letters: Some(settings.dead_letters()),
        ..register(MINIMAL).unwrap()
    };
    assert_eq!(settings.in_force(), in_force);
}

#[test]
fn a_webhook_takes_as_many_subscriptions_as_it_may_have() {
    let registered = |count: usize| {
        let events = vec![r#""order.*""#; count].join(",");
        register(&format!(r#"{{"url":"https://example.com/hook","events":[{events}]}}"#))
    };
    assert_eq!(registered(MAX_PATTERNS).unwrap().events.len(), MAX_PATTERNS);
    assert_eq!(field_and_code(registered(MAX_PATTERNS + 1)), ("events".into(), "wrong_count"));
    assert_eq!(field_and_code(registered(0)), ("events".into(), "wrong_count"));
}

#[test]
fn the_patterns_of_a_change_that_nobody_knows_are_found() {
    let settings = |events: &str| {
        register(&format!(r#"{{"url":"https://example.com/hook","events":[{events}]}}"#)).unwrap()
    };
    let old = settings(r#""old.unknown""#);
    let new = settings(r#""old.unknown","new.unknown","order.created""#);
    let found = new.new_patterns(Some(&old), &[]);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["new.unknown"]);
    assert_eq!(new.new_patterns(None, &[]).len(), 2);
}
