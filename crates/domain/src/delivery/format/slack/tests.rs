//! Messages by a webhook's templates.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{super::MAX_BODY_BYTES, *};
use crate::{access::workspace::Environment, testing};

const DATA: &str = r#"{"order":{"id":"A&B<1>","total":1e2,"note":"<!channel> & friends"},
    "items":[{"name":"Tea","price":3.50},{"name":"Pot"}],"customer":"Söhne","token":"t-1",
    "open":"https://example.com/?access_token=t-2","page":"https://shop.example.com/o/1?a=1|2",
    "step":".."}"#;

fn templates(of_orders: Value) -> SlackTemplates {
    let webhook = testing::webhook(json!({
        "profile": "slack", "slackTemplates": { "order.created": of_orders },
    }));
    webhook.settings.slack_templates.unwrap()
}

fn written(templates: &SlackTemplates, events: &[Event]) -> (Value, usize) {
    let events: Vec<&Event> = events.iter().collect();
    let bounds = RequestBounds { events: MAX_EVENTS.into(), bytes: MAX_BODY_BYTES };
    let body = body(&events, bounds, Some(templates)).unwrap();
    (serde_json::from_slice(&body.bytes).unwrap(), body.event_count)
}

fn order(nth: u8) -> Event {
    testing::event(nth, "order.created", DATA)
}

/// The message about one order.
fn message_of(template: Value) -> Value {
    written(&templates(template), &[order(1)]).0
}

#[test]
fn a_message_has_the_templates_title_fields_colour_and_button() {
    let message = message_of(json!({
        "title": "Order {{data.order.id}} of {{subject}}: {{data.order.none}}",
        "fields": [
            { "label": "Note & more", "path": "data.order.note" },
            { "label": "Total", "path": "data.order.total" },
            { "label": "Second item", "path": "data.items.1.name" },
            { "label": "None", "path": "data.items.2.name" },
            { "label": "No list", "path": "data.order" },
            { "label": "At", "path": "timestamp" },
        ],
        "color": "#36a64f",
        "button": {
            "text": "Open {{data.order.id}}",
            "url": "https://shop.example.com/orders/{{data.order.id}}?customer={{data.customer}}",
        },
    }));
    insta::assert_snapshot!(serde_json::to_string_pretty(&message).unwrap());
}

#[test]
fn a_template_can_show_what_an_event_says_of_itself() {
    let event = Event { reference: Some("ref-7".to_owned()), ..order(1) };
    let template = templates(json!({
        "title": "{{id}} {{type}} {{timestamp}} {{subject}} {{reference}}",
    }));
    let message = written(&template, std::slice::from_ref(&event)).0;
    let title = format!("{} order.created {} c-1 ref-7", event.id, event.timestamp);
    assert!(message.to_string().contains(&title), "{message}");
}

#[test]
fn a_template_without_a_colour_is_blocks_and_what_it_leaves_out_is_as_without_it() {
    let titled = message_of(json!({ "title": "An order", "fields": [] }));
    let plain = message_of(json!({ "button": { "text": "Open", "url": "{{data.page}}" } }));
    let both = json!([titled, plain]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&both).unwrap());
    assert_eq!(message_of(json!({})), {
        let bounds = RequestBounds { events: 1, bytes: MAX_BODY_BYTES };
        let without = body(&[&order(1)], bounds, None).unwrap();
        serde_json::from_slice::<Value>(&without.bytes).unwrap()
    });
}

/// The same event in test mode.
fn in_test_mode(event: Event) -> Event {
    let workspace = event.workspace.in_environment(Environment::Test);
    Event { workspace, ..event }
}

#[test]
fn a_message_in_test_mode_says_so() {
    let bounds = RequestBounds { events: MAX_EVENTS.into(), bytes: MAX_BODY_BYTES };
    let plain = body(&[&in_test_mode(order(1))], bounds, None).unwrap();
    let plain: Value = serde_json::from_slice(&plain.bytes).unwrap();
    let (colored, _) =
        written(&templates(json!({ "color": "#36a64f" })), &[in_test_mode(order(1))]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json!([plain, colored])).unwrap());
    let live = body(&[&order(1)], bounds, None).unwrap();
    let mut live: Value = serde_json::from_slice(&live.bytes).unwrap();
    assert!(!live.to_string().contains(TEST_MODE), "{live}");
    let mut said = plain.clone();
    said["blocks"].as_array_mut().unwrap().remove(0);
    assert_eq!(said["blocks"], live["blocks"], "beside that it is the same");
    live["text"] = json!(format!("Test mode: {}", live["text"].as_str().unwrap()));
    assert_eq!(said["text"], live["text"]);
}

#[test]
fn a_full_message_in_test_mode_has_no_more_blocks_than_slack_takes() {
    let template =
        json!({ "title": "Order", "button": { "text": "Open", "url": "{{data.page}}" } });
    let orders: Vec<Event> = (1..=20).map(|nth| in_test_mode(order(nth))).collect();
    let (message, count) = written(&templates(template), &orders);
    let blocks = message["blocks"].as_array().unwrap().len();
    assert!(blocks <= MAX_BLOCKS && blocks == 1 + 4 * count, "{blocks} blocks of {count} events");
}

#[test]
fn the_events_of_a_message_with_a_colour_keep_their_order() {
    let events = [testing::event(1, "order.shipped", "{}"), order(2)];
    let (message, count) = written(&templates(json!({ "color": "#ff0000" })), &events);
    let attachments = message["attachments"].as_array().unwrap();
    assert_eq!((count, attachments.len()), (2, 2));
    assert_eq!(attachments[0]["fallback"], "Order shipped: c-1");
    assert_eq!(attachments[0].get("color"), None);
    assert_eq!(attachments[1]["color"], "#ff0000");
    assert!(message.get("text").is_none() && message.get("blocks").is_none(), "{message}");
}

#[test]
fn no_template_shows_a_credential() {
    let message = message_of(json!({
        "title": "{{data.open}}",
        "fields": [{ "label": "Open", "path": "data.open" }],
        "button": { "text": "Open", "url": "{{data.open}}" },
    }));
    let text = message.to_string();
    assert!(!text.contains("t-1") && !text.contains("t-2"), "{text}");
    assert!(!text.contains("button") && !text.contains("header"), "{text}");
    // None of the values is a credential, and together they are one.
    let parts = r#"{"a":"https://example.com/?to","b":"ken=t-3"}"#;
    let event = testing::event(1, "order.created", parts);
    let joined = templates(json!({ "title": "{{data.a}}{{data.b}}", "fields": [] }));
    let (message, _) = written(&joined, &[event]);
    assert!(!message.to_string().contains("t-3"), "{message}");
}

#[test]
fn a_button_leads_where_its_template_says_and_nowhere_else() {
    let url = |template: &str| {
        let message = message_of(json!({ "button": { "text": "Open", "url": template } }));
        let blocks = message["blocks"].as_array().unwrap();
        let button = blocks.iter().find(|block| block["type"] == "actions")?;
        Some(button["elements"][0]["url"].as_str().unwrap().to_owned())
    };
    let to = |path: &str| Some(format!("https://shop.example.com/{path}"));
    assert_eq!(url("https://shop.example.com/{{data.order.id}}"), to("A%26B%3C1%3E"));
    assert_eq!(url("https://shop.example.com/?q={{data.customer}}"), to("?q=S%C3%B6hne"));
    assert_eq!(url("https://shop.example.com/{{data.page}}").unwrap().matches('/').count(), 3);
    assert_eq!(url("https://shop.example.com/a/{{data.step}}/b"), None, "it would be a step up");
    assert_eq!(url("https://shop.example.com/{{data.none}}"), None);
    assert_eq!(url("{{data.page}}"), to("o/1?a=1|2"));
    assert_eq!(url("{{data.customer}}"), None, "it is no address");
}

#[test]
fn as_many_events_are_in_a_message_as_slack_takes_blocks() {
    let four = templates(json!({
        "title": "Order", "button": { "text": "Open", "url": "https://example.com/" },
    }));
    let events: Vec<Event> = (1..=20).map(order).collect();
    let (message, count) = written(&four, &events);
    assert_eq!((count, message["blocks"].as_array().unwrap().len()), (12, 48));
}

#[test]
fn as_many_events_are_in_a_message_as_its_bytes_take() {
    for template in [json!({}), json!({ "color": "#36a64f" })] {
        let templates = templates(template);
        let events: Vec<Event> = (1..=20).map(order).collect();
        let events: Vec<&Event> = events.iter().collect();
        let whole = RequestBounds { events: 20, bytes: MAX_BODY_BYTES };
        let bytes = body(&events[..15], whole, Some(&templates)).unwrap().bytes.len();
        for (bytes, count) in [(bytes, 15), (bytes - 1, 14), (1, 1)] {
            let bounds = RequestBounds { events: 20, bytes };
            let fitting = body(&events, bounds, Some(&templates)).unwrap();
            assert_eq!(fitting.event_count, count);
        }
    }
}

#[test]
fn a_path_leads_through_objects_and_lists_to_the_last_of_repeated_members() {
    let title = |path: &str| {
        let data = r#"{"a":{"b":1,"b":{"c":[[],[7,{"d":"first","d":"last"}],"end"],"e":true}},
            "a":{"b":{"c":[[],[7,{"d":"first","d":"last"}],"end"],"e":true}},"z":5}"#;
        let event = testing::event(1, "order.created", data);
        let template = json!({ "title": format!("of {{{{data.{path}}}}}") });
        let (message, _) = written(&templates(template), &[event]);
        message["blocks"][0]["text"]["text"].as_str().unwrap().to_owned()
    };
    for (path, expected) in [
        ("a.b.c.1.0", "of 7"),
        ("a.b.c.1.1.d", "of last"),
        ("a.b.c.2", "of end"),
        ("a.b.e", "of true"),
        ("z", "of 5"),
        ("z.y", "of"),
        ("a.b.c", "of"),
        ("a.b.c.x", "of"),
        ("a.b.c.9", "of"),
        ("a.b.c.1.9.d", "of"),
        ("a.x.c", "of"),
    ] {
        assert_eq!(title(path), expected, "{path}");
    }
}

/// The number of blocks, and whether each text has a length that Slack takes.
fn keeps_slacks_limits(message: &Value) -> bool {
    let mut blocks: Vec<&Value> = message["blocks"].as_array().into_iter().flatten().collect();
    for attachment in message["attachments"].as_array().into_iter().flatten() {
        blocks.extend(attachment["blocks"].as_array().unwrap());
    }
    let chars = |text: &Value| text.as_str().unwrap().chars().count();
    let fits = |block: &&Value| match block["type"].as_str().unwrap() {
        "header" => (1..=150).contains(&chars(&block["text"]["text"])),
        "section" => {
            let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
            let is_long = |field: &Value| chars(&field["text"]) > 2000;
            (block["text"].is_object() || !fields.is_empty())
                && fields.len() <= 10
                && !fields.iter().any(is_long)
        }
        "actions" => {
            let button = &block["elements"][0];
            (1..=75).contains(&chars(&button["text"]["text"])) && chars(&button["url"]) <= 3000
        }
        "context" => true,
        other => panic!("{other}"),
    };
    blocks.len() <= 50 && blocks.iter().all(fits)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_the_data_slacks_limits_are_kept(
        value in "\\PC{0,3000}|[<>&]{1,3000}|https://a/[a-z]{1,3000}|[ä/?#]{1,3000}",
        is_coloured in any::<bool>()
    ) {
        let mut template = json!({
            "title": "Order {{data.a}}",
            "fields": vec![json!({ "label": "&".repeat(100), "path": "data.a" }); 10],
            "button": { "text": "{{data.a}}", "url": "https://example.com/{{data.a}}" },
        });
        if is_coloured {
            template["color"] = json!("#36a64f");
        }
        let data = json!({ "a": value }).to_string();
        let events: Vec<Event> =
            (0..20).map(|nth| testing::event(nth, "order.created", &data)).collect();
        let (message, _) = written(&templates(template), &events);
        prop_assert!(keeps_slacks_limits(&message), "{message}");
    }

    #[test]
    fn a_text_is_cut_after_it_is_escaped(text in "[a<>&]{0,40}", chars in 1..40_usize) {
        let cut = cut_escaped(&text, chars);
        prop_assert!(cut.chars().count() <= chars);
        let open = cut.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let shown = open.trim_end_matches('…');
        prop_assert!(text.starts_with(shown), "{cut}");
    }
}

#[test]
fn a_text_that_is_cut_has_as_many_characters_as_it_may() {
    assert_eq!([cut("äbcd", 4), cut("äbcde", 4)], ["äbcd", "äbc…"]);
}
