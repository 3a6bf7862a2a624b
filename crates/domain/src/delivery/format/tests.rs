use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    access::workspace::Workspace,
    event::{NewEvent, Published, catalogue},
    id::EventId,
    testing,
};

/// Data that a re-serialisation would change: number spellings, key order, spacing, escapes, a
/// repeated key.
const AWKWARD: &str = "{ \"z\": 1.0,\t\"a\":1e2, \
    \"n\":123456789012345678901234567890,  \"s\":\"\\u00e9\\/\" , \"a\":-0.0 }";

fn written(format: Format, events: &[Event]) -> Body {
    let bounds = RequestBounds { events: format.max_events().into(), bytes: MAX_BODY_BYTES };
    written_within(format, events, bounds)
}

fn written_within(format: Format, events: &[Event], bounds: RequestBounds) -> Body {
    let webhook = testing::webhook(json!({}));
    let events: Vec<&Event> = events.iter().collect();
    let uuid = webhook.key.id.uuid(webhook.created_at);
    format.write(uuid, &events, bounds, None).unwrap()
}

fn text(format: Format, events: &[Event]) -> String {
    String::from_utf8(written(format, events).bytes).unwrap()
}

/// The catalogue's sample of a type, as it is published.
fn sample(built_in: &catalogue::BuiltIn) -> Event {
    let Published::One(event) = NewEvent::parse_call(built_in.sample.as_bytes()).unwrap() else {
        panic!("one event")
    };
    let id: EventId = "01896b5d-3648-7000-8000-000000000001".parse().unwrap();
    event.accept(id, Workspace::parse("559ae2249db800a7b0fa02ad58b196ae").unwrap(), id.time())
}

fn sample_of(name: &str) -> Event {
    sample(catalogue::find(name).unwrap())
}

#[test]
fn every_type_in_every_format() {
    for built_in in catalogue::all() {
        let event = sample(built_in);
        let bodies: Vec<String> = Format::NAMES
            .iter()
            .map(|(name, format)| {
                format!("{name}\n{}\n", text(*format, std::slice::from_ref(&event)))
            })
            .collect();
        insta::assert_snapshot!(format!("type_{}", built_in.name), bodies.join("\n"));
    }
}

#[test]
fn an_address_that_is_shown_in_part_is_text_and_no_link() {
    let message = |url: &str| {
        let data = json!({ "url": url }).to_string();
        text(Format::Slack, &[testing::event(1, "order.created", &data)])
    };
    let hidden = message("https://example.com/…");
    assert!(
        hidden.contains("*Url*\\nhttps://example.com/…") && !hidden.contains("<https:"),
        "{hidden}"
    );
    assert!(message("https://example.com/a…").contains("<https://example.com/a%E2%80%A6|"));
    assert!(message("https://example.com").contains("<https://example.com/|"));
}

#[test]
fn data_goes_through_byte_for_byte() {
    let event = testing::event(1, "order.created", AWKWARD);
    for (name, format) in Format::NAMES {
        let body = text(format, &[event.clone(), event.clone()]);
        if format == Format::Slack {
            assert!(
                body.contains("123456789012345678901234567890") && body.contains("1e2"),
                "numbers as they were written: {body}"
            );
        } else {
            assert!(body.contains(AWKWARD), "{name}: {body}");
        }
        insta::assert_snapshot!(format!("awkward_{name}"), body);
    }
}

#[test]
fn names_are_what_serde_writes() {
    for (name, format) in Format::NAMES {
        assert_eq!(serde_json::to_value(format).unwrap(), name);
    }
}

#[test]
fn no_event_is_no_body() {
    for (_, format) in Format::NAMES {
        assert_eq!(written(format, &[]).event_count, 0);
    }
}

/// The names, nesting and JSON types of a value.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
    }
}

fn shape_of(format: Format, event: &Event) -> Value {
    let mut body: Value =
        serde_json::from_slice(&written(format, std::slice::from_ref(event)).bytes).unwrap();
    for data in ["/data", "/payload", "/results/0/data"] {
        if let Some(data) = body.pointer_mut(data) {
            assert_eq!(*data, serde_json::from_str::<Value>(event.data.get()).unwrap());
            *data = json!("data");
        }
    }
    shape(&body)
}

#[test]
fn the_shapes_that_the_documents_print() {
    let run = Event { reference: None, ..sample_of("process_run_start") };
    let event = json!({
        "id": "string", "spektrId": "string", "eventType": "string", "timestamp": "number",
        "workspaceId": "string", "data": "string",
    });
    assert_eq!(shape_of(Format::Spektr, &run), json!({ "results": [event] }));
    let v1 = json!({
        "id": "string", "spektrId": "string", "type": "string", "delivered": "boolean",
        "createdAt": "number", "data": "string",
    });
    assert_eq!(shape_of(Format::SpektrV1, &sample_of("service_run")), v1);
    let mut referred = v1;
    referred["reference"] = json!("string");
    assert_eq!(shape_of(Format::SpektrV1, &run), referred, "its data has a reference");
    let screening = sample_of("AML_SCREENING");
    let dataspike = json!({
        "id": "string", "webhook_id": "string", "event_type": "string", "timestamp": "string",
        "payload": "string",
    });
    let mut written = shape_of(Format::Dataspike, &screening);
    let read_by_the_handler = written.as_object_mut().unwrap().remove("event");
    assert_eq!(read_by_the_handler, Some(json!("string")));
    assert_eq!(written, dataspike);
    let order = sample_of("order.created");
    assert_eq!(
        shape_of(Format::Spectra, &order),
        json!({ "event": "string", "timestamp": "string", "data": "string" })
    );
}

#[test]
fn the_first_version_prints_the_end_of_a_run_in_its_own_way() {
    let data = r#"{"processType":"risk","processName":"Risk","processId":"1","contextId":"2","processOutput":"approved",
        "files":{"clientFiles":["https://files.example.com/1"]},"fields":[{"key":"k","label":null,"children":[{"key":"c"}]}],"age":40.0}"#;
    let end = testing::event(1, "process_run_end", data);
    let body: Value =
        serde_json::from_str(&text(Format::SpektrV1, std::slice::from_ref(&end))).unwrap();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members.iter().map(|name| name.as_str()).collect::<std::collections::BTreeSet<_>>(),
        [
            "id",
            "spektrId",
            "type",
            "delivered",
            "process_name",
            "process_output",
            "files",
            "fields",
            "data",
            "createdAt"
        ]
        .into()
    );
    assert_eq!(
        (&body["delivered"], &body["process_name"], &body["process_output"]),
        (&Value::Null, &json!("Risk"), &json!("approved"))
    );
    assert_eq!(body["files"]["clientFiles"][0], "https://files.example.com/1");
    assert_eq!(body["fields"][0]["children"][0]["key"], "c");
    assert!(text(Format::SpektrV1, &[end]).contains(r#""data":{"age":40.0}"#));
    let bare = testing::event(1, "process_run_end", "{}");
    insta::assert_snapshot!("process_run_end_without_anything", text(Format::SpektrV1, &[bare]));
}

#[test]
fn a_dataspike_timestamp_is_in_utc_and_its_webhook_a_uuid() {
    let body: Value =
        serde_json::from_str(&text(Format::Dataspike, &[sample_of("AML_SCREENING")])).unwrap();
    assert_eq!(body["timestamp"], "2023-07-18T15:32:13Z");
    assert_eq!(
        body["webhook_id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap().get_version_num(),
        8
    );
}

#[test]
fn only_lists_carry_several_events() {
    let events: Vec<Event> =
        (1..=200).map(|nth| testing::event(nth, "order.created", "{}")).collect();
    for (name, format) in Format::NAMES {
        let expected = match format {
            Format::Spektr => 100,
            Format::Slack => 20,
            _ => 1,
        };
        assert_eq!(written(format, &events).event_count, expected, "{name}");
        assert_eq!(format.batches(), expected > 1);
    }
}

#[test]
fn a_request_keeps_its_bounds() {
    let events: Vec<Event> = (1..=100)
        .map(|nth| {
            testing::event(nth, "order.created", &json!({ "x": "x".repeat(900) }).to_string())
        })
        .collect();
    for format in [Format::Spektr, Format::Slack] {
        let few = RequestBounds { events: 3, bytes: MAX_BODY_BYTES };
        assert_eq!(written_within(format, &events, few).event_count, 3);
        for bytes in [1024, 4096, 16 * 1024] {
            let all = RequestBounds { events: format.max_events().into(), bytes };
            let body = written_within(format, &events, all);
            assert!(body.bytes.len() <= bytes || body.event_count == 1, "{format:?} {bytes}");
            assert!(body.event_count > 1 || bytes == 1024, "{format:?} {bytes}");
        }
    }
}

#[test]
fn a_large_event_travels_alone() {
    let large =
        testing::event(1, "order.created", &format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_BODY_BYTES)));
    let small = testing::event(2, "order.created", "{}");
    assert_eq!(written(Format::Spektr, &[large.clone(), small.clone()]).event_count, 1);
    assert_eq!(written(Format::Spektr, &[small, large]).event_count, 1);
}

#[test]
fn slack_shows_no_credential() {
    let data = json!({
        "token": "t-1", "apiKey": "t-2", "access_token": "t-3", "clientSecret": "t-4",
        "loopUrl": "https://example.com/form?token=t-5", "callback": "https://u:t-6@example.com/",
        "open": "https://example.com/form#access_token=t-7",
        "file": "https://example.com/f?X-Amz-Signature=t-8", "secretKey": "t-9",
        "loopMessage": "Please open https://example.com/form?token=t-10.",
        "bare": "actions.example.com/form?token=t-11", "user": "https://t-12@example.com/",
        "next": "https://example.com/?next=https%3A%2F%2Fexample.com%2F%3Ftoken%3Dt-13",
        "blob": "https://example.com/b?sig=t-14", "token2": "t-15", "hasSignature": true,
        "tokens": 9, "page": "https://example.com/orders?token_count=1",
    });
    let body = text(Format::Slack, &[testing::event(1, "order.created", &data.to_string())]);
    assert!(!body.contains("t-"), "{body}");
    assert!(body.contains("*Tokens*\\n9") && body.contains("*Has signature*\\ntrue"), "{body}");
    assert!(body.contains("<https://example.com/orders?token_count=1|"), "{body}");
}

#[test]
fn a_message_for_slack() {
    let data = r#"{"customerName":"<!channel> & \"Söhne\"","total":1e2,"paid":true,"none":null,"items":[1],"orderUrl":"https://shop.example.com/orders/7?a=1|2&b=3","a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7}"#;
    let events =
        [testing::event(1, "order.created", data), testing::event(2, "invoice.paid_late", "{}")];
    let body: Value = serde_json::from_str(&text(Format::Slack, &events)).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

/// Slack counts characters; what the limits are for is named in the format.
fn keeps_slacks_limits(body: &Value) -> bool {
    let chars = |text: &Value| text.as_str().unwrap().chars().count();
    let blocks = body["blocks"].as_array().unwrap();
    let block_fits = |block: &Value| match block["type"].as_str().unwrap() {
        "section" => {
            let fields = block["fields"].as_array().cloned().unwrap_or_default();
            chars(&block["text"]["text"]) <= 3000
                && fields.len() <= 10
                && fields.iter().all(|field| (1..=2000).contains(&chars(&field["text"])))
        }
        "context" => block["elements"].as_array().unwrap().len() <= 10,
        _ => false,
    };
    blocks.len() <= 50 && chars(&body["text"]) <= 4000 && blocks.iter().all(block_fits)
}

/// Nothing in a text begins a mention, a link or an entity but what the format itself wrote.
fn has_no_markup_of_the_data(body: &Value) -> bool {
    let fields = body["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|block| block["fields"].as_array().cloned().unwrap_or_default());
    fields.into_iter().all(|field| !field["text"].as_str().unwrap().contains(['<', '>']))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_the_data_slacks_limits_are_kept(
        names in prop::collection::vec("\\PC{0,300}", 0..20),
        values in prop::collection::vec(
            "\\PC{0,3000}|[<>&]{3000}|https://[a-z]{1,2000}|https://a/\\?[&=]{1,1500}", 0..20
        ),
        events in 1..30_u8
    ) {
        let data: serde_json::Map<String, Value> = names.into_iter().zip(
            values.into_iter().map(Value::from)
        ).collect();
        let data = Value::Object(data).to_string();
        let events: Vec<Event> = (0..events).map(|nth| testing::event(
            nth, "order.created", &data
        )).collect();
        let body: Value = serde_json::from_slice(&written(Format::Slack, &events).bytes).unwrap();
        prop_assert!(keeps_slacks_limits(&body), "{body}");
        prop_assert!(has_no_markup_of_the_data(&body), "{body}");
    }

    #[test]
    fn a_list_is_as_long_as_it_may_be(sizes in prop::collection::vec(0..150_000_usize, 1..8)) {
        let event = |(nth, size): (usize, &usize)| testing::event(
            u8::try_from(nth).unwrap(), "a", &format!(r#"{{"x":"{}"}}"#, "x".repeat(*size))
        );
        let events: Vec<Event> = sizes.iter().enumerate().map(event).collect();
        let body = written(Format::Spektr, &events);
        prop_assert!(body.event_count == 1 || body.bytes.len() <= MAX_BODY_BYTES);
        let parsed: Value = serde_json::from_slice(&body.bytes).unwrap();
        prop_assert_eq!(parsed["results"].as_array().unwrap().len(), body.event_count);
        if body.event_count < events.len() {
            let next = &text(Format::Spektr, &events[body.event_count..=body.event_count]);
            let element = next.len() - r#"{"results":[]}"#.len();
            prop_assert!(
                body.bytes.len() + 1 + element > MAX_BODY_BYTES, "one more would have fitted"
            );
        }
    }
}

#[test]
fn a_request_of_spektrs_form_fills_its_bytes_to_the_last_one() {
    let events = [1, 2].map(|nth| testing::event(nth, "order.created", "{}"));
    let bytes = written(Format::Spektr, &events).bytes.len();
    let count = |bytes| {
        written_within(Format::Spektr, &events, RequestBounds { events: 100, bytes }).event_count
    };
    assert_eq!((count(bytes), count(bytes - 1)), (2, 1));
}
