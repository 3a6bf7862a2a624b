//! `/api/v1/webhooks/{id}/test`, `…/deliveries/{delivery}` and `…/replay`

use std::time::Duration;

use posthaste_domain::{
    delivery::{
        attempt::Attempt,
        replay::{Job, JobStatus, StartReplay},
        request::WebhookRequest,
    },
    event::sample::SendTest,
    id::{Cause, DeliveryId, JobId},
};
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;

use super::{
    call::Call,
    example::{self, NOW, shown},
    refusal::Refusal,
    webhooks::{self, NO_WEBHOOK, SCOPE, TAG, id, number},
};
use crate::{DeliveryAnswer, JobAnswer, Replayed, SentRequest, TestAnswer};

const DELIVERY: &str = "/api/v1/webhooks/{id}/deliveries/{delivery}";
const JOB: &str = "/api/v1/webhooks/{id}/replay/{job}";
const NO_DELIVERY: &str = "delivery with this id";
const NO_JOB: &str = "replay with this id";

pub(super) fn calls() -> [Call; 6] {
    [show_delivery(), replay_delivery(), send_test(), start(), show(), cancel()]
}

fn show_delivery() -> Call {
    Call::new(HttpMethod::Get, DELIVERY, "getDelivery", "Read a delivery")
        .tag(TAG)
        .needs(SCOPE, "One delivery with all its attempts, and the request of the last one.")
        .names("id", "", number())
        .names("delivery", NO_DELIVERY, id())
        .answers::<DeliveryAnswer>(
            200,
            "The delivery.",
            [("retried", delivery()), ("waiting", shown(webhooks::waiting()))],
        )
        .leads_to(
            ["replayDelivery"],
            [("id", "$request.path.id"), ("delivery", "$response.body#/data/id")],
        )
        .leads_to(["getEvent"], [("id", "$response.body#/data/eventId")])
}

fn replay_delivery() -> Call {
    Call::new(
        HttpMethod::Post,
        "/api/v1/webhooks/{id}/deliveries/{delivery}/replay",
        "replayDelivery",
        "Replay a delivery",
    )
    .tag(TAG)
    .needs(SCOPE, ONE)
    .names("id", "", number())
    .names("delivery", NO_DELIVERY, id())
    .answers::<Replayed>(202, "The new delivery, which is on its way.", [("replayed", replayed())])
    .leads_to(
        ["getDelivery"],
        [("id", "$request.path.id"), ("delivery", "$response.body#/data/id")],
    )
    .refuses([
        disabled(),
        Refusal::new(409, "event_gone", "the delivery's event is no longer stored"),
    ])
    .refuses([Refusal::new(409, "delivery_waiting", WAITING)])
}

fn send_test() -> Call {
    Call::new(HttpMethod::Post, "/api/v1/webhooks/{id}/test", "sendTest", "Send a test")
        .tag(TAG)
        .needs(SCOPE, TEST)
        .names("id", NO_WEBHOOK, number())
        .takes::<SendTest>([
            ("subscribed", Some(json!({}))),
            ("shipped", Some(json!({ "type": "order.shipped" }))),
            ("edited", Some(json!({ "type": "order.shipped", "data": { "orderId": "o-1" } }))),
        ])
        .optionally()
        .answers::<TestAnswer>(
            200,
            "The endpoint's answer, whatever it was.",
            [("taken", tested(200, "")), ("refused", tested(500, "Internal Server Error"))],
        )
        .leads_to(
            ["getDelivery"],
            [("id", "$request.path.id"), ("delivery", "$response.body#/data/delivery")],
        )
        .refuses([Refusal::too_large_body()])
        .refuses([
            Refusal::body(
                "unknown_event_type",
                "type",
                r#"{"type": "order.create"}"#,
                r#""order.create" is not a known event type; did you mean order.created?"#,
            ),
            Refusal::body(
                "unknown_field",
                "event",
                r#"{"event": "order.created"}"#,
                "event is not a known field",
            ),
        ])
}

fn start() -> Call {
    let since = json!({ "since": "2026-01-15T08:00:00Z" });
    let all = json!({
        "since": "2026-01-15T08:00:00Z", "until": "2026-01-15T09:00:00Z", "status": "all",
    });
    let running = format!("the replay {} is running for this webhook", job_id());
    Call::new(
        HttpMethod::Post,
        "/api/v1/webhooks/{id}/replay",
        "startReplay",
        "Replay many deliveries",
    )
    .tag(TAG)
    .needs(SCOPE, MANY)
    .names("id", NO_WEBHOOK, number())
    .takes::<StartReplay>([("failed", Some(since.clone())), ("all", Some(all))])
    .answers::<JobAnswer>(202, "The replay, which has begun.", [("failed", job(&since, |job| job))])
    .leads_to(
        ["getReplay", "cancelReplay"],
        [("id", "$request.path.id"), ("job", "$response.body#/data/id")],
    )
    .refuses([Refusal::too_large_body(), disabled(), Refusal::new(409, "replay_running", running)])
    .refuses([
        Refusal::body("missing_field", "since", "{}", "since is required"),
        Refusal::body(
            "wrong_type",
            "since",
            r#"{"since": "yesterday"}"#,
            "since has to be an RFC 3339 time",
        ),
        Refusal::body(
            "invalid_range",
            "until",
            r#"{"since": "2026-01-15T09:00:00Z", "until": "2026-01-15T08:00:00Z"}"#,
            "until has to be later than since",
        ),
        Refusal::body(
            "unknown_field",
            "from",
            r#"{"since": "2026-01-15T08:00:00Z", "from": 1}"#,
            "from is not a known field",
        ),
    ])
}

fn show() -> Call {
    Call::new(HttpMethod::Get, JOB, "getReplay", "Read a replay")
        .tag(TAG)
        .needs(
            SCOPE,
            "The answer says how far the replay is. A replay is kept as long as the \
                       history, counted from its last move.",
        )
        .names("id", "", number())
        .names("job", NO_JOB, id())
        .answers::<JobAnswer>(200, "The replay.", [("done", ended(JobStatus::Done, 1812, 97))])
        .leads_to(
            ["cancelReplay"],
            [("id", "$request.path.id"), ("job", "$response.body#/data/id")],
        )
}

fn cancel() -> Call {
    Call::new(HttpMethod::Delete, JOB, "cancelReplay", "Cancel a replay")
        .tag(TAG)
        .needs(
            SCOPE,
            "The replay looks at no further page. Deliveries that it has put on the queue go out. \
            A replay that is over stays as it is.",
        )
        .names("id", "", number())
        .names("job", NO_JOB, id())
        .answers::<JobAnswer>(
            200,
            "The replay as it is now.",
            [("cancelled", ended(JobStatus::Cancelled, 1000, 52))],
        )
}

fn disabled() -> Refusal {
    Refusal::new(409, "webhook_disabled", "the webhook is paused or disabled: enable it first")
}

/// That of the first delivery in the history's example, with its request.
fn delivery() -> Option<Value> {
    let delivery = webhooks::deliveries_of_two_events()?.into_iter().next()?;
    let webhook = example::webhook(42, &example::spectra())?;
    let event = order()?;
    let request =
        WebhookRequest::sent(&webhook, &[(delivery.id, &event)], None, delivery.updated_at).ok()?;
    let headers = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    let request = SentRequest {
        attempt: delivery.attempt_count,
        method: "POST",
        url: webhook.settings.url.text(),
        headers: headers.collect(),
        body: String::from_utf8(request.body).ok()?,
        body_encoding: None,
    };
    shown(DeliveryAnswer { request: Some(request), ..delivery })
}

fn order() -> Option<posthaste_domain::event::Event> {
    example::events(&json!({ "type": "order.created", "data": { "id": "ord_1" } }))
        .into_iter()
        .next()
}

fn replayed() -> Option<Value> {
    let webhook = example::webhook(42, &example::spectra())?;
    let event = order()?;
    let id = |cause| DeliveryId::derive(event.id, webhook.key.id, cause);
    shown(Replayed {
        id: id(Cause::Replayed([7; 16])),
        event_id: event.id,
        replay_of: id(Cause::Published),
    })
}

fn tested(status: u16, body: &str) -> Option<Value> {
    let webhook = example::webhook(42, &example::spectra())?;
    let event = order()?;
    let attempt = Attempt::answered(
        &webhook,
        example::url(&webhook)?,
        NOW,
        Duration::from_millis(84),
        status,
        body.as_bytes(),
    );
    shown(TestAnswer::of(
        DeliveryId::derive(event.id, webhook.key.id, Cause::Test([7; 16])),
        &event,
        attempt,
    ))
}

pub(crate) fn job_id() -> JobId {
    JobId::new(NOW, &[0x5c, 0x10, 0x9e, 0x27, 0xb3, 0x4d, 0xe8, 0x61, 0x0a, 0xf4])
}

fn job(body: &Value, change: impl FnOnce(Job) -> Job) -> Option<Value> {
    let asked = StartReplay::parse(body.to_string().as_bytes()).ok()?;
    shown(JobAnswer::of(change(Job::new(job_id(), asked, NOW))))
}

fn ended(status: JobStatus, examined: u64, replayed: u64) -> Option<Value> {
    job(&json!({ "since": "2026-01-15T08:00:00Z" }), |job| Job {
        status,
        examined,
        replayed,
        ..job
    })
}

const ONE: &str = "\
The call makes a delivery again, now: a new one, of the same event, with its own id, attempts and \
retries and the webhook's present settings. Ids begin with the event's time, so it stands next to \
the original in the history. Two calls make two new deliveries. One that is `waiting` was not \
made yet, so it can't be made again.";

const WAITING: &str = "the delivery is still waiting for its webhook, and goes out by itself";

const TEST: &str = "\
The call sends a sample event now, signed like any other, and its answer has the endpoint's \
answer. There is one attempt, which may take as long as the webhook's requests, but at most 20 s. \
It does not wait for the rate limit, and goes to a paused webhook too. It is in the webhook's \
history, with the cause `test`; its event is not among the published ones.";

const MANY: &str = "\
The call makes deliveries of published events again: those that failed, or all that are over, \
since a time. Each event becomes a new delivery; what earlier replays made of it does not matter, \
and neither replays nor tests are made again. Those that are still being tried are left alone.

The replay runs in the background, page by page from the newest event to the oldest, and survives \
any crash. One replay runs for a webhook at a time. It fails when the webhook is paused or \
removed meanwhile, and when there are more than 50 million deliveries to look at.";
