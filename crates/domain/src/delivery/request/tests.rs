use proptest::prelude::*;

use super::*;
use crate::{
    delivery::shared::{Packed, Shared, Whole},
    event::loops,
    id::Cause,
    testing,
    webhook::profile::Profile,
};

const SPAN: SpanId = SpanId::new([7; 8]);

fn at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn secrets() -> Secrets<Secret> {
    Secrets::new(Secret::new([7; 32]))
}

fn due<'a>(webhook: &Webhook, events: &'a [Event]) -> Vec<(DeliveryId, &'a Event)> {
    events
        .iter()
        .map(|event| (DeliveryId::derive(event.id, webhook.key.id, Cause::Published), event))
        .collect()
}

fn request(profile: &str, types: &[&str]) -> WebhookRequest {
    let webhook = testing::webhook(serde_json::json!({ "profile": profile }));
    let events: Vec<Event> = types
        .iter()
        .zip(1..)
        .map(|(name, nth)| testing::event(nth, name, r#"{"n": 1.0}"#))
        .collect();
    WebhookRequest::new(&webhook, &secrets(), &due(&webhook, &events), None, (at(), SPAN)).unwrap()
}

fn value<'a>(request: &'a WebhookRequest, name: &str) -> &'a str {
    &request.headers.iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn the_whole_request_of_each_profile() {
    for (profile, _) in crate::webhook::profile::Profile::NAMES {
        let request = request(profile, &["order.created"]);
        let headers: String =
            request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let body = String::from_utf8(request.body).unwrap();
        insta::assert_snapshot!(format!("{profile}_request"), format!("{headers}\n{body}"));
    }
}

#[test]
fn a_masked_request_is_the_whole_one_without_its_signatures() {
    for (profile, _) in crate::webhook::profile::Profile::NAMES {
        let webhook = testing::webhook(serde_json::json!({ "profile": profile }));
        let events = [testing::event(1, "order.created", r#"{"n": 1.0}"#)];
        let masked =
            WebhookRequest::masked(&webhook, &due(&webhook, &events), (at(), SPAN)).unwrap();
        let whole = request(profile, &["order.created"]);
        let hidden = whole.headers.into_iter().map(|(name, value)| {
            let is_secret = loops::SIGNATURE_HEADERS.contains(&name);
            (name, if is_secret { MASK.to_owned() } else { value })
        });
        let (mut hidden, mut shown): (Vec<_>, _) = (hidden.collect(), masked.headers);
        hidden.sort_unstable();
        shown.sort_unstable();
        assert_eq!((shown, masked.body), (hidden, whole.body), "{profile}");
    }
}

#[test]
fn the_request_of_each_profile_is_known_as_ours_by_its_signatures() {
    for (profile, _) in crate::webhook::profile::Profile::NAMES {
        let request = request(profile, &["order.created"]);
        let signatures = request
            .headers
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.ends_with("signature"));
        let mut signatures: Vec<&str> = signatures.collect();
        signatures.sort_unstable();
        assert_eq!(signatures, loops::SIGNATURE_HEADERS, "{profile}");
    }
}

#[test]
fn the_standardwebhooks_library_verifies_it() {
    let request = request("standard", &["order.created"]);
    let verifier = standardwebhooks::Webhook::new(&Secret::new([7; 32]).reveal()).unwrap();
    let signed =
        verifier.sign(value(&request, "webhook-id"), 1_700_000_000, &request.body).unwrap();
    assert_eq!(value(&request, "webhook-signature"), signed);
}

#[test]
fn every_valid_secret_signs_the_newest_first_and_alone_in_the_header_for_one() {
    let webhook = testing::webhook(serde_json::json!({}));
    let events = [testing::event(1, "order.created", "{}")];
    let rotated =
        secrets().rotate(Secret::new([8; 32]), at(), std::time::Duration::from_secs(10)).unwrap();
    let request = |secrets: &Secrets<Secret>, later: i64| {
        let now = Timestamp::from_second(at().as_second() + later).unwrap();
        WebhookRequest::new(&webhook, secrets, &due(&webhook, &events), None, (now, SPAN)).unwrap()
    };
    let new = Secrets::new(Secret::new([8; 32]));
    for (later, valid) in [(9, vec![&new, &secrets()]), (10, vec![&new])] {
        let signed = request(&rotated, later);
        let each: Vec<WebhookRequest> = valid.into_iter().map(|one| request(one, later)).collect();
        let alone: Vec<&str> = each.iter().map(|one| value(one, "webhook-signature")).collect();
        assert_eq!(value(&signed, "webhook-signature"), alone.join(" "));
        assert_eq!(value(&signed, "x-webhook-signature"), value(&each[0], "x-webhook-signature"));
    }
}

#[test]
fn the_one_signature_is_the_old_secrets_until_a_rotation_has_ended_where_a_webhook_says_so() {
    let webhook = testing::webhook(serde_json::json!({ "profile": "spectra" }));
    let events = [testing::event(1, "order.created", "{}")];
    let new = Secret::new([8; 32]);
    let rotated = secrets().rotate(new.clone(), at(), std::time::Duration::from_secs(10)).unwrap();
    for (later, signer) in [(9, secrets()), (10, Secrets::new(new))] {
        let now = Timestamp::from_second(at().as_second() + later).unwrap();
        let request = |secrets: &Secrets<Secret>| {
            let due = due(&webhook, &events);
            WebhookRequest::new(&webhook, secrets, &due, None, (now, SPAN)).unwrap()
        };
        assert_eq!(
            value(&request(&rotated), "x-webhook-signature"),
            value(&request(&signer), "x-webhook-signature"),
        );
    }
}

#[test]
fn a_batch_has_an_id_that_a_retry_keeps() {
    let webhook = testing::webhook(serde_json::json!({ "profile": "spektr" }));
    let events: Vec<Event> =
        (1..=3).map(|nth| testing::event(nth, "order.created", "{}")).collect();
    let deliveries = due(&webhook, &events);
    let first = WebhookRequest::new(&webhook, &secrets(), &deliveries, None, (at(), SPAN)).unwrap();
    assert_eq!(first.delivery_count, 3);
    let batch = first.batch.unwrap();
    assert_eq!(value(&first, "webhook-id"), batch.to_string());
    let retry =
        WebhookRequest::new(&webhook, &secrets(), &deliveries, Some(batch), (at(), SPAN)).unwrap();
    assert_eq!((retry.headers, retry.body), (first.headers, first.body));
    let one_left =
        WebhookRequest::new(&webhook, &secrets(), &deliveries[..1], Some(batch), (at(), SPAN))
            .unwrap();
    assert_eq!(value(&one_left, "webhook-id"), batch.to_string());
    let alone =
        WebhookRequest::new(&webhook, &secrets(), &deliveries[..1], None, (at(), SPAN)).unwrap();
    assert_eq!(
        (value(&alone, "webhook-id"), alone.batch),
        (events[0].id.to_string().as_str(), None)
    );
}

#[test]
fn each_part_of_a_batch_that_does_not_fit_any_more_has_an_id_of_its_own() {
    let spektr = |most: u32| {
        let bounds = serde_json::json!({ "profile": "spektr", "maxEventsPerRequest": most });
        testing::webhook(bounds)
    };
    let events: Vec<Event> =
        (1..=5).map(|nth| testing::event(nth, "order.created", "{}")).collect();
    let deliveries = due(&spektr(5), &events);
    let write = |most: u32, deliveries: &[(DeliveryId, &Event)], batch| {
        WebhookRequest::unsigned(&spektr(most), deliveries, batch, at()).unwrap()
    };
    let batch = write(5, &deliveries, None).batch;
    let first = write(2, &deliveries, batch);
    assert_eq!(first.delivery_count, 2);
    assert_ne!(first.batch, batch);
    assert_eq!(value(&first, "webhook-id"), first.batch.unwrap().to_string());
    // The function dies after the first part, and the message names the batch once more.
    let second = write(2, &deliveries[2..], batch);
    assert!(second.batch != batch && second.batch != first.batch);
    let again = write(2, &deliveries[..2], first.batch);
    assert_eq!(again.batch, first.batch, "a part is tried again under its own id");
    let single = write(1, &deliveries, batch);
    assert_eq!(value(&single, "webhook-id"), events[0].id.to_string());
}

#[test]
fn the_hops_are_those_of_the_event_that_has_most() {
    let webhook = testing::webhook(serde_json::json!({ "profile": "spektr" }));
    let event = |nth, hops| Event { hops, ..testing::event(nth, "order.created", "{}") };
    let events = [event(1, 1), event(2, 4), event(3, 0)];
    let request =
        WebhookRequest::new(&webhook, &secrets(), &due(&webhook, &events), None, (at(), SPAN))
            .unwrap();
    assert_eq!(value(&request, "webhook-hops"), "4");
}

#[test]
fn the_event_header_names_the_type_that_all_events_have() {
    assert_eq!(
        value(&request("spektr", &["order.created", "order.created"]), "x-webhook-event"),
        "order.created"
    );
    assert_eq!(
        value(&request("spektr", &["order.created", "order.shipped"]), "x-webhook-event"),
        "batch"
    );
    let single = request("spectra", &["order.created", "order.shipped"]);
    assert_eq!((value(&single, "x-webhook-event"), single.delivery_count), ("order.created", 1));
}

#[test]
fn each_attempt_is_a_span_of_its_own_in_the_trace_of_the_first_event() {
    let webhook = testing::webhook(serde_json::json!({ "profile": "spektr" }));
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let event = |nth, text| Event {
        traceparent: TraceParent::parse(text),
        ..testing::event(nth, "order.created", "{}")
    };
    let events = [event(1, given), event(2, "")];
    let attempt = |span| {
        let at = (at(), SpanId::new(span));
        WebhookRequest::new(&webhook, &secrets(), &due(&webhook, &events), None, at).unwrap()
    };
    let header = |span| value(&attempt(span), "traceparent").to_owned();
    assert_eq!(header([1; 8]), "00-4bf92f3577b34da6a3ce929d0e0e4736-0101010101010101-00");
    assert_eq!(header([2; 8]), "00-4bf92f3577b34da6a3ce929d0e0e4736-0202020202020202-00");
}

#[test]
fn a_traceparent_of_the_owners_own_goes_out_instead_of_ours() {
    let request = request("standard", &["order.created"]);
    let sent = |own: &[(&str, &str)]| {
        let own: Vec<_> =
            own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sent = WebhookRequest::headers_with(request.headers.clone(), &own);
        let count = |name: &str| sent.iter().filter(|(other, _)| *other == name).count();
        (count("traceparent"), count("x-key"), sent.len() - request.headers.len())
    };
    assert_eq!(sent(&[]), (1, 0, 0));
    assert_eq!(sent(&[("x-key", "1")]), (1, 1, 1));
    assert_eq!(sent(&[("traceparent", "mine"), ("x-key", "1")]), (1, 1, 1));
}

#[test]
fn debug_shows_no_value() {
    let shown = format!("{:?}", request("standard", &["order.created"]));
    assert!(
        shown.contains("webhook-signature") && !shown.contains("v1,") && !shown.contains("1.0"),
        "{shown}"
    );
}

/// Reads back what the records of a request keep of it.
fn whole(webhook: &Webhook, request: &WebhookRequest, due: &[(DeliveryId, &Event)]) -> Whole {
    let carried = due[..request.delivery_count].iter().copied();
    match Packed::of(webhook.key.id, request.batch, carried)
        .map(|packed| packed.read(webhook.key.id))
    {
        Some(Some(Shared::Whole(whole))) => whole,
        Some(other) => panic!("{other:?}"),
        None => panic!("it is one alone"),
    }
}

proptest! {
    /// It does not matter of how many deliveries the request was the beginning, and whether they
    /// were a batch before.
    #[test]
    fn a_request_is_made_again_as_it_was_sent(
        (profile, most) in (prop::sample::select(Profile::NAMES.to_vec()), 1..=6_u8),
        (count, is_retry) in (1..=8_u8, any::<bool>()),
        (nanoseconds, bytes) in (0..i64::MAX / 2, 0..3000_usize),
    ) {
        let settings = serde_json::json!({
            "profile": profile.0, "maxEventsPerRequest": most, "maxRequestBytes": 8192,
        });
        let formats_several = matches!(profile.0, "spektr" | "slack");
        let settings = if formats_several {
            settings
        } else {
            serde_json::json!({ "profile": profile.0 })
        };
        let webhook = testing::webhook(settings);
        let data = format!(r#"{{"n": 1.0, "text": "{}"}}"#, "é".repeat(bytes));
        let events: Vec<Event> =
            (0..count).map(|nth| testing::event(nth, "order.created", &data)).collect();
        let deliveries = due(&webhook, &events);
        let ids: Vec<DeliveryId> = deliveries.iter().map(|(id, _)| *id).collect();
        let batch = BatchId::derive(&ids).filter(|_| is_retry);
        let at = Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
        let step = (at, SpanId::of_attempt(ids[0], at));
        let made = WebhookRequest::new(&webhook, &secrets(), &deliveries, batch, step).unwrap();

        let (batch, carried) = match made.batch {
            None => (None, deliveries[..1].to_vec()),
            Some(_) => {
                let Whole { batch, deliveries: kept, .. } = whole(&webhook, &made, &deliveries);
                let events = kept.iter().zip(&events).map(|((id, event), stored)| {
                    assert_eq!(*event, stored.id);
                    (*id, stored)
                });
                (Some(batch), events.collect())
            }
        };
        let again = WebhookRequest::sent(&webhook, &carried, batch, at).unwrap();
        let unsigned = made.headers.into_iter().filter(|(name, _)| !name.ends_with("signature"));
        prop_assert_eq!(again.headers, unsigned.collect::<Vec<_>>());
        prop_assert_eq!((again.body, again.delivery_count), (made.body, made.delivery_count));
    }
}
