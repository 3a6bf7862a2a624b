//! Every example is a body of its schema; requests are taken by the parsers, and failures are what
//! the code answers.

use std::collections::{BTreeMap, HashMap};

use axum::response::IntoResponse;
use boon::{Compiler, Draft, Schemas};
use posthaste_domain::{
    deployment::LetterQueue,
    event::{
        event_type::EventType,
        idempotency::{BodyHash, IdempotencyKey, KeyedCall},
        loops::{self, Relayed},
        own_type, sample,
    },
    fanout::{
        routing::{Page, Refused, Root},
        subscription::Subscription,
    },
    id::{EventId, WebhookId},
    input::{self, Asked},
    simulation::too_many_running,
};
use posthaste_runtime::{api::ApiError, limiter::OverLimit};

use super::*;
use crate::LookAtLetters;
use crate::openapi::{
    refusal::{self, Refusal, Sent},
    replay as openapi_replay,
};

/// The document as a source of schemas.
pub(super) struct Validator {
    compiler: Compiler,
    document: Value,
}

impl Validator {
    pub(super) fn new() -> Self {
        Self::of(in_json())
    }

    pub(super) fn of(document: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("https://posthaste.invalid/openapi.json", document.clone()).unwrap();
        Self { compiler, document }
    }

    /// Validates by the schema at this pointer into the document.
    pub(super) fn validate(&mut self, at: &str, value: &Value) -> Result<(), String> {
        let mut schemas = Schemas::new();
        let location = format!("https://posthaste.invalid/openapi.json#{at}");
        let index = self
            .compiler
            .compile(&location, &mut schemas)
            .unwrap_or_else(|error| panic!("{at}: {error:#}"));
        schemas.validate(value, index).map_err(|error| format!("{error:#}"))
    }

    pub(super) fn is_valid(&mut self, at: &str, value: &Value) -> bool {
        self.validate(at, value).is_ok()
    }
}

/// Every content of the document with its pointer.
fn contents(document: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(at: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            if at.contains("/content/") {
                found.push((at, value));
            } else {
                walk(&at, value, found);
            }
        }
    }
    let mut found = Vec::new();
    for part in ["/paths", "/webhooks", "/components/responses"] {
        walk(part, document.pointer(part).unwrap(), &mut found);
    }
    found
}

#[test]
fn every_body_has_an_example_and_every_example_is_one_of_its_schema() {
    let mut validator = Validator::new();
    let document = validator.document.clone();
    let contents = contents(&document);
    assert!(contents.len() > 75, "{}", contents.len());
    for (at, content) in contents {
        let examples =
            content["examples"].as_object().unwrap_or_else(|| panic!("{at} has no example"));
        for (name, example) in examples {
            let value = example
                .get("value")
                .unwrap_or_else(|| panic!("{at}: the example {name} could not be made"));
            let checked = validator.validate(&format!("{at}/schema"), value);
            checked.unwrap_or_else(|error| panic!("{at}, {name}: {error}\n{value}"));
        }
    }
}

#[test]
fn an_answer_names_every_field_that_is_answered() {
    let document = in_json();
    for (at, operation) in operations(&document) {
        let (method, path) = at.split_once(' ').unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (name, example) in
                response["content"][JSON]["examples"].as_object().into_iter().flatten()
            {
                let checked =
                    crate::check::answer(method, path, status.parse().unwrap(), &example["value"]);
                checked.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

#[test]
fn every_request_is_taken() {
    let document = in_json();
    let mut seen = 0;
    for (at, operation) in operations(&document) {
        for (name, example) in
            operation["requestBody"]["content"][JSON]["examples"].as_object().into_iter().flatten()
        {
            let id = operation["operationId"].as_str().unwrap();
            parse(id, &example["value"].to_string())
                .unwrap_or_else(|error| panic!("{at}, {name}: {error:?}"));
            seen += 1;
        }
    }
    assert!(seen >= 14, "{seen}");
}

#[test]
fn every_failure_is_what_the_code_answers() {
    for call in calls() {
        let id = call.operation.operation_id.clone().unwrap();
        let mut codes = BTreeMap::<_, u32>::new();
        let shared = refusal::shared().map(|(_, refusal)| refusal);
        for refusal in call.refusals.iter().chain(&shared) {
            let error = error_of(&id, refusal);
            assert_eq!(error.to_string(), refusal.message, "{id}");
            if let ApiError::Invalid(invalid) = &error {
                assert_eq!(invalid.code, refusal.code, "{id}");
                assert_eq!(invalid.field.as_deref(), refusal.field, "{id}");
            }
            assert_eq!(error.into_response().status().as_u16(), refusal.status, "{id}");
            *codes.entry((refusal.status, refusal.code)).or_default() += 1;
        }
        assert!(
            codes.values().all(|count| *count == 1),
            "{id}: one example for each code: {codes:?}"
        );
    }
}

/// Returns the error that the code makes of what was sent.
fn error_of(operation: &str, refusal: &Refusal) -> ApiError {
    match (&refusal.sent, refusal.code) {
        (Sent::Body(body), "unknown_event_type") if operation == "sendTest" => {
            let asked = SendTest::parse(body.as_bytes()).unwrap().r#type.unwrap();
            let id = EventId::new(example::NOW, &[0; 10]);
            sample::event(&asked, None, &[], id, example::workspace().unwrap(), example::NOW)
                .unwrap_err()
                .into()
        }
        (Sent::Body(body), "unknown_event_type") if operation == "publishEvents" => {
            let published = NewEvent::parse_call(body.as_bytes()).unwrap();
            published.check_types(&HashMap::new()).unwrap_err().into()
        }
        (Sent::Body(body), "several_events") => {
            let published = NewEvent::parse_call(body.as_bytes()).unwrap();
            published.check_dry_run().unwrap_err().into()
        }
        (Sent::Body(body), "unknown_webhook") => {
            let asked = NewPortalLink::parse(body.as_bytes()).unwrap();
            asked.check_webhooks(|_| false).unwrap_err().into()
        }
        (Sent::Body(body), "too_deep") => {
            let deep = format!("{}{}", "[".repeat(50), "]".repeat(50));
            parse(operation, &body.replace(r#""51 levels""#, &deep)).unwrap_err().into()
        }
        (Sent::Body(body), _) => parse(operation, body).unwrap_err().into(),
        (Sent::Query(name, value), _) => {
            let written = format!("{name}={value}");
            let pairs = written.split('&').filter_map(|pair| pair.split_once('='));
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            match operation {
                "lookAtDeadLetters" => LookAtLetters::of(pairs).unwrap_err().into(),
                _ => input::Page::<WebhookId>::of(pairs).unwrap_err().into(),
            }
        }
        (Sent::Header(..), "idempotency_key_reused") => {
            let call = KeyedCall::start(b"{}", example::NOW, [0; 10]);
            call.repeated_with(&BodyHash::of(b"{ }")).unwrap_err().into()
        }
        (Sent::Header(name, value), "invalid_hops") => {
            loops::check([(*name, value.as_bytes())], Relayed::Counted).unwrap_err().into()
        }
        (Sent::Header(name, value), "loop_detected") => {
            loops::check([(*name, value.as_bytes())], Relayed::Refused).unwrap_err().into()
        }
        (Sent::Header(_, value), "unsupported_content_encoding") => {
            ApiError::Encoded((*value).to_owned())
        }
        (Sent::Header(_, value), _) => IdempotencyKey::parse(value.as_bytes()).unwrap_err().into(),
        (Sent::MoreThan(bytes), _) if operation == "publishEvents" => {
            let body = format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(*bytes));
            parse(operation, &body).unwrap_err().into()
        }
        // The functions' own bound, which is above what they need.
        (Sent::MoreThan(bytes), _) => {
            Invalid::too_large(None, format!("the body may have at most {bytes} bytes")).into()
        }
        (Sent::Anything, "unauthorized") => ApiError::Unauthorized,
        (Sent::Anything, "malformed_request") => ApiError::Unreadable,
        (Sent::Anything, "test_mode_only") => ApiError::TestModeOnly,
        (Sent::Anything, "live_mode_only") => ApiError::LiveModeOnly,
        (Sent::Anything, "redrive_running") => ApiError::RedriveRunning(LetterQueue::Exhausted),
        (Sent::Anything, "too_many_simulations") => too_many_running().into(),
        (Sent::Anything, "conflict") => ApiError::Conflict,
        (Sent::Anything, "too_many_event_types") => own_type::too_many(own_type::MAX_TYPES).into(),
        (Sent::Anything, "built_in_event_type") => {
            own_type::not_built_in(&EventType::parse("order.created").unwrap()).unwrap_err().into()
        }
        (Sent::Anything, "too_many_webhooks") => one_more_webhook(1_000, &[]),
        (Sent::Anything, "too_many_operational_webhooks") => {
            one_more_webhook(10, &["webhook.failing".to_owned()])
        }
        (Sent::Anything, "too_many_subscriptions") => one_more_webhook(400, &["x".repeat(120)]),
        (Sent::Anything, "webhook_disabled") => ApiError::WebhookDisabled,
        (Sent::Anything, "event_gone") => ApiError::EventGone,
        (Sent::Anything, "delivery_waiting") => ApiError::DeliveryWaiting,
        (Sent::Anything, "replay_running") => ApiError::ReplayRunning(openapi_replay::job_id()),
        (Sent::Anything, "rate_limited") => ApiError::RateLimited(OverLimit::new(1000, 2, true)),
        (Sent::Anything, "too_many_calls") => ApiError::TooManyCalls(OverLimit::new(100, 1, true)),
        (Sent::Anything, "internal_error") => ApiError::Internal,
        (Sent::Anything, "forbidden") => {
            let mut scopes = posthaste_domain::access::api_key::Scope::ALL.into_iter();
            ApiError::Forbidden(
                scopes.find(|scope| refusal.message.ends_with(scope.name())).unwrap(),
            )
        }
        (Sent::Anything, "not_found") => {
            let things = [
                "webhook with this id",
                "event with this id",
                "event type with this name",
                "API key with this id",
                "delivery with this id",
                "replay with this id",
                "simulation with this id",
                "portal link with this id",
                "running redrive of this queue",
            ];
            ApiError::NotFound(
                things.into_iter().find(|thing| refusal.message.contains(thing)).unwrap(),
            )
        }
        (Sent::Anything, other) => panic!("{operation}: where does {other} come from?"),
    }
}

/// Returns the error that a webhook is refused with in a workspace that has this many, each with a
/// hundred of these subscriptions beside its own.
fn one_more_webhook(webhooks: u64, patterns: &[String]) -> ApiError {
    let operational: Vec<String> =
        patterns.iter().filter(|name| name.contains('.')).cloned().collect();
    let patterns: Vec<String> =
        (0..100).flat_map(|nth| patterns.iter().map(move |name| format!("{name}{nth}"))).collect();
    let subscription = |id: u64| {
        let events =
            [vec!["order.created".to_owned()], operational.clone(), patterns.clone()].concat();
        serde_json::from_value(json!({ "id": id, "events": events })).unwrap()
    };
    let all: Vec<Subscription> = (1..=webhooks).map(subscription).collect();
    let (root, pages) = Root::build(&all).unwrap();
    let pages =
        pages.into_iter().map(|page| (page.hash, Page::parse(&page.json).unwrap())).collect();
    let id = WebhookId(webhooks + 1);
    match root.change(id, Some(&subscription(id.0)), &pages, 1_000) {
        Err(Refused::Limit(invalid)) => invalid.into(),
        other => panic!("{other:?}"),
    }
}

/// The answers that the error mapping's own test has recorded: status and body.
fn recorded() -> Vec<(u16, Value)> {
    let snapshot = "posthaste_runtime__api__tests__every_answer_has_the_envelope.snap";
    let lines =
        fs::read_to_string(root().join("crates/runtime/src/api/snapshots").join(snapshot)).unwrap();
    let answer = |line: &str| {
        let mut words = line.splitn(4, ' ').skip(2);
        Some((words.next()?.parse().ok()?, serde_json::from_str(words.next()?).ok()?))
    };
    lines.lines().filter_map(answer).collect()
}

#[test]
fn every_failure_has_the_envelope_and_the_codes_of_the_error_mapping() {
    let mut validator = Validator::new();
    let recorded: Vec<_> =
        recorded().into_iter().filter(|(_, body)| body["success"] == false).collect();
    assert!(recorded.len() >= 10, "{recorded:?}");
    for (_, body) in &recorded {
        validator
            .validate("/components/schemas/Failure", body)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let shared = refusal::shared().map(|(_, refusal)| refusal);
    let all = calls().into_iter().flat_map(|call| call.refusals).chain(shared);
    for refusal in all.filter(|refusal| refusal.sent == Sent::Anything) {
        let is_recorded = recorded.iter().any(|(status, body)| {
            *status == refusal.status && body["error"]["code"] == refusal.code
        });
        assert!(is_recorded, "{refusal:?}");
    }
}
