//! `/api/v1/events`

mod dry_run;

use posthaste_domain::{
    access::api_key::Scope,
    event::{
        MAX_EVENT_BYTES, NewEvent, NewEvents, SpektrEvent, SpektrV1Event, catalogue,
        idempotency::{HEADER, MAX_KEY_LENGTH},
        loops::{HOPS_HEADER, MAX_HOPS},
        schema::MAX_STEPS,
    },
    input::MAX_DEPTH,
    trace,
};
use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{HttpMethod, ObjectBuilder, Type},
};

use super::{
    call::Call,
    example::{self, shown},
    refusal::Refusal,
    webhooks::id,
};
use crate::{Accepted, AcceptedMany, DryRunAnswer, EventAnswer, ListEvents, Publishing, ShowEvent};

const ALL: &str = "/api/v1/events";
const TAG: &str = "Events";

pub(super) fn calls() -> [Call; 3] {
    [publish(), list(), show()]
}

/// One event, also as a Spektr document prints it, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
enum PublishEvents {
    One(NewEvent),
    SpektrV1(SpektrV1Event),
    Spektr(SpektrEvent),
    Many(NewEvents),
}

/// The answer to a call that publishes one event or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
enum Published {
    One(Accepted),
    Many(AcceptedMany),
}

fn publish() -> Call {
    let many = AcceptedMany { events: example::events(&many()).iter().map(Accepted::of).collect() };
    let one = example::events(&one()).first().map(Accepted::of);
    Call::new(HttpMethod::Post, ALL, "publishEvents", "Publish events")
        .tag(TAG)
        .needs(Scope::EventsPublish, PUBLISHING)
        .pages::<Publishing>()
        .header(HEADER, REPEATING, idempotency_key())
        .header(HOPS_HEADER, RELAYING, hops())
        .header(trace::HEADER, TRACING, ObjectBuilder::new().schema_type(Type::String))
        .takes::<PublishEvents>([
            ("one", Some(self::one())),
            ("many", Some(self::many())),
            ("ofAProcess", sample("process_run_start")),
            ("asSpektrPrintsIt", Some(self::printed())),
            ("asSpektrV1PrintsIt", Some(self::printed_in_v1())),
        ])
        .answers::<Published>(
            202,
            "The events are accepted, and every webhook that wants them will get them. The form is \
             that of the call.",
            [("one", shown(one)), ("many", shown(many))],
        )
        .leads_to(["getEvent", "listEventDeliveries"], [("id", "$response.body#/data/id")])
        .answers::<DryRunAnswer>(
            200,
            "Nothing was published, because the call was a dry run. The answer says what the event \
             would mean for each webhook.",
            [("dryRun", dry_run::answer(&self::one()))],
        )
        .refuses(wrong_events())
        .refuses(unchecked_data())
        .refuses(wrong_headers())
}

/// The refusals of what is no event.
fn wrong_events() -> [Refusal; 11] {
    [
        Refusal::too_large(
            MAX_EVENT_BYTES,
            format!("an event takes at most {MAX_EVENT_BYTES} bytes"),
        ),
        Refusal::body("missing_field", "data", r#"{"type": "order.created"}"#, "data is required"),
        Refusal::body(
            "wrong_type",
            "events[0].data",
            r#"{"events": [{"type": "order.created", "data": []}]}"#,
            "events[0].data has to be an object",
        ),
        Refusal::body(
            "too_deep",
            "data",
            r#"{"type": "order.created", "data": {"a": "51 levels"}}"#,
            format!("data has more than {MAX_DEPTH} levels of objects and lists within each other"),
        ),
        Refusal::body(
            "invalid_timestamp",
            "timestamp",
            r#"{"type": "order.created", "data": {}, "timestamp": 1768469400}"#,
            "timestamp is in milliseconds, and 1768469400 would be a time before 2001: if it is in \
             seconds, multiply it by 1000; if it is that old, write it as RFC 3339",
        ),
        Refusal::body(
            "invalid_event_type",
            "type",
            r#"{"type": "order created", "data": {}}"#,
            "an event type is words of A-Z a-z 0-9 _ - separated by single dots, at most 128 \
             characters",
        ),
        Refusal::body("wrong_count", "events", r#"{"events": []}"#, "a call takes 1 to 100 events"),
        Refusal::body(
            "several_events",
            "events",
            r#"{"events": [{"type": "a", "data": {}}, {"type": "a", "data": {}}]}"#,
            "a dry run takes one event: make a call for each",
        ),
        Refusal::body(
            "misplaced_field",
            "process_name",
            r#"{"spektrId": null, "type": "service_run", "data": {}, "process_name": "KYC"}"#,
            "process_name belongs to process_run_end, and this is service_run",
        ),
        Refusal::body(
            "unknown_event_type",
            "type",
            r#"{"type": "order.create", "data": {}}"#,
            r#""order.create" is not a known event type; did you mean order.created?"#,
        ),
        Refusal::body(
            "reserved_event_type",
            "type",
            r#"{"type": "webhook.disabled", "data": {}}"#,
            "webhook.disabled is published by Posthaste alone",
        ),
    ]
}

/// The refusals of data that can't be checked.
fn unchecked_data() -> [Refusal; 2] {
    [
        Refusal::body(
            "too_costly",
            "data",
            r#"{"type": "report.made", "data": {"rows": ["…"]}}"#,
            format!(
                "data is too large for the schema of its type: the check would take more \
                than {MAX_STEPS} steps"
            ),
        ),
        Refusal::body(
            "unusable_schema",
            "data",
            r#"{"type": "invoice.voided", "data": {}}"#,
            "data can't be checked, because the stored schema of invoice.voided is not taken any \
             more (sub-schemas and references go at most 32 deep, and not in circles): store it \
             again with PUT /event-types/invoice.voided",
        ),
    ]
}

/// The refusals of headers, and of too much.
fn wrong_headers() -> [Refusal; 4] {
    [
        Refusal::header(
            409,
            "idempotency_key_reused",
            HEADER,
            "order-1042-created",
            "this Idempotency-Key belongs to a call with another body within the last 24 hours",
        ),
        Refusal::header(
            422,
            "invalid_idempotency_key",
            HEADER,
            "order 1042",
            "Idempotency-Key has to be 1 to 255 visible ASCII characters without a comma, and \
             given once",
        ),
        Refusal::header(
            422,
            "invalid_hops",
            HOPS_HEADER,
            "many",
            "webhook-hops has to be the whole number that a webhook's request carries",
        ),
        Refusal::new(
            429,
            "rate_limited",
            "the workspace publishes more than 1000 events a second: repeat the call in 2 s",
        ),
    ]
}

fn list() -> Call {
    Call::new(HttpMethod::Get, ALL, "listEvents", "List events")
        .tag(TAG)
        .needs(Scope::EventsRead, LISTING)
        .pages::<ListEvents>()
        .answers_page::<EventAnswer>("A page of events.", {
            let events = example::events(&many()).into_iter().zip([Some(true), Some(false)]);
            example::list(events.map(|(event, delivered)| EventAnswer::of(event, delivered)))
        })
        .leads_to(["getEvent"], [("id", "$response.body#/data/items/0/id")])
}

fn show() -> Call {
    let event = example::events(&one()).pop();
    Call::new(HttpMethod::Get, "/api/v1/events/{id}", "getEvent", "Read an event")
        .tag(TAG)
        .needs(Scope::EventsRead, SHOWING)
        .names("id", "event with this id", id())
        .asks::<ShowEvent>()
        .answers::<EventAnswer>(
            200,
            "The event.",
            [("delivered", shown(event.map(|event| EventAnswer::of(event, Some(true)))))],
        )
}

fn idempotency_key() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_KEY_LENGTH))
        .pattern(Some("^[!-+--~]+$"))
        .examples([json!("order-1042-created")])
}

fn hops() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_HOPS - 1))
        .examples([json!(0)])
}

fn one() -> Value {
    json!({
        "type": "order.created",
        "subject": "customer-7",
        "timestamp": "2026-01-15T09:29:58.120Z",
        "reference": "ord_1042",
        "data": { "orderId": 1042, "currency": "USD", "total": 499.0 }
    })
}

fn many() -> Value {
    json!({
        "events": [
            one(), { "type": "order.shipped", "data": { "orderId": 1041, "carrier": "DHL" } }
        ],
    })
}

/// The sample that version 2 of the Spektr document prints.
fn printed() -> Value {
    json!({
        "id": "685bee5fc7097fb20c2d0693",
        "workspaceId": "559ae2249db800a7b0fa02ad58b196ae",
        "eventType": "alert_resolved",
        "timestamp": 1_750_855_263_822_u64,
        "spektrId": "6867939d9a16445cb538a881",
        "data": {
            "processId": "67ea79350b4c07c041a50db7",
            "contextId": "67eba5f9ce9a594e4519cc88",
            "alertId": "67eba62500dd50ed396deb0c",
            "alertName": "ComplyAdvantage PEP Alert"
        }
    })
}

/// The end of a run as version 1 of the Spektr document prints it.
fn printed_in_v1() -> Value {
    json!({
        "id": "686f58da3b9059f19eb2d066",
        "spektrId": "686e28baebd46db5a35beccb",
        "type": "process_run_end",
        "delivered": null,
        "process_name": "KYC",
        "process_output": "approved",
        "files": { "clientFiles": ["https://files.example.com/1"] },
        "fields": [{ "key": "vat_number", "label": "VAT number" }],
        "data": { "vat_number": "123" },
        "createdAt": 1_752_127_706_390_u64
    })
}

/// The catalogue's own example.
pub(super) fn sample(event_type: &str) -> Option<Value> {
    serde_json::from_str(catalogue::find(event_type)?.sample).ok()
}

const PUBLISHING: &str = "\
One event, or up to 100 in `events`: at most 256 KiB an event, 4 MiB a call. Data of a type of the \
catalogue, and of an own type with \
a schema, is checked, as far as the check takes a bounded time: an event that is too large for its \
schema is refused. An event of a \
type that is not known at all is taken as it is, and refused where the workspace's catalogue is \
closed.\n\n\
An event can also be sent as either Spektr document prints it: with `spektrId` for `subject`, \
`eventType` for `type`, `createdAt` for `timestamp`, and what version 1 prints beside the `data` of \
`process_run_end`. Its `id`, `delivered` and `workspaceId` are not read: it gets an id of its own, \
in the workspace of the key.\n\n\
Events of a process carry `processType` and `contextId` in `data`: filters and the timing \
`process_end` go by them.\n\n\
With `dry_run=true` the call publishes nothing and stores nothing. It checks the event, and answers \
200 with a page of webhooks: whether each would get the event, when and why, and the request. That \
has an id of zeros in place of the event's, and `***` in place of signatures, of the values of a \
webhook's own headers, and of the path of its URL. An `Idempotency-Key` is checked and not used \
up.";

const REPEATING: &str = "\
The key makes the call safe to repeat. For 24 hours, a call of the same workspace with the same \
key and the same body, byte for byte, gets the same answer and publishes no second event, even \
while the first still runs. One that failed is carried out to its end, under the same ids. With \
another body it answers 409. A call that is refused leaves its key free.";

const RELAYING: &str = "\
The header `webhook-hops` of the webhook's request because of which a service publishes. The \
events have one hop more. An event that was published because of another one 5 times in a row has \
gone round in circles, and a further call answers 422 `loop_detected`.";

const TRACING: &str = "\
The trace that the call belongs to, as W3C Trace Context says: the requests to webhooks belong to \
it too. An invalid one is ignored.";

const LISTING: &str = "\
The list is for reconciliation. It has every event that was published, and says of each whether \
it has been delivered. An event is in the list shortly after it was accepted.";

const SHOWING: &str = "\
The answer has the event's data, and says whether it has been delivered. One call looks at some \
thousands of webhooks: where a workspace has more, the answer has a `next`, and the same call \
with that as its `cursor` goes on.";
