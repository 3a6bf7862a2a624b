use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    delivery::companions::Companions,
    endpoint::url::{PublicUrl, UrlPolicy},
    event::Event,
    id::{BatchId, Cause, CauseKind, DeliveryId, WebhookId},
    webhook::{
        Credentials, Registration, Webhook,
        headers::Headers,
        profile::Profile,
        rotation::Secrets,
        secret::{Sealed, Secret},
    },
};

use posthaste_domain::testing;

use super::*;

fn client(id: u64, profile: &str) -> Client {
    let body = format!(r#"{{"url":"https://example.com/","events":["*"],"profile":"{profile}"}}"#);
    let settings = Registration::parse(body.as_bytes(), &UrlPolicy::default(), Profile::default())
        .unwrap()
        .settings;
    let webhook = Webhook {
        key: testing::webhook_key(id),
        settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        health: Default::default(),
        revision: 1,
    };
    Client {
        webhook,
        credentials: Credentials {
            secrets: Secrets::new(Secret::new([7; 32])),
            headers: Headers::default(),
            url: PublicUrl::try_from("https://example.com/".to_owned()).unwrap(),
        },
    }
}

fn event(nth: u8, bytes: usize) -> Event {
    let data = format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes));
    testing::event(nth, "order.created", &data)
}

fn work<'f>(at: usize, client: &'f Client, events: &[u8], is_fresh: bool) -> Work<'f> {
    sized(at, client, events, is_fresh, 1)
}

fn sized<'f>(
    at: usize,
    client: &'f Client,
    events: &[u8],
    is_fresh: bool,
    bytes: usize,
) -> Work<'f> {
    let pending = |nth: &u8| {
        let event = event(*nth, bytes);
        Pending {
            source: at,
            id: DeliveryId::derive(event.id, client.webhook.key.id, Cause::Published),
            cause: CauseKind::Published,
            event: Arc::new(event),
            redriven: false,
            attempts: 0,
            halvings: 0,
            companions: Companions::Any,
            recorded_at: None,
            faults: 0,
        }
    };
    let duties = Duties { sends: events.iter().map(pending).collect(), ..Duties::default() };
    let task = Task::new(&client.webhook.key, Vec::new());
    Work::of(at, &task, duties, is_fresh, client, Lane::default())
}

/// The messages of each sequence, and the last digits of its events.
fn sequences(works: Vec<Work<'_>>) -> Vec<(Vec<usize>, String)> {
    let mut all = Vec::new();
    works.into_iter().for_each(|work| add(&mut all, work));
    let digits = |work: &Work<'_>| {
        let ids =
            work.sequence.left.iter().map(|pending| pending.event.id.to_string()[34..].to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    all.iter().map(|work| (work.records.clone(), digits(work))).collect()
}

#[test]
fn what_is_due_together_is_one_sequence_in_the_order_of_the_events() {
    let (one, two) = (client(1, "spektr"), client(2, "spektr"));
    let works = vec![
        work(0, &one, &[3], true),
        work(1, &two, &[5], true),
        work(2, &one, &[1, 4], true),
        work(3, &one, &[2], true),
    ];
    assert_eq!(
        sequences(works),
        [(vec![0, 2, 3], "01 02 03 04".to_owned()), (vec![1], "05".to_owned())]
    );
}

#[test]
fn a_format_of_one_event_has_a_sequence_a_task() {
    let client = client(1, "standard");
    let works = vec![work(0, &client, &[2], true), work(1, &client, &[1], true)];
    assert_eq!(sequences(works), [(vec![0], "02".to_owned()), (vec![1], "01".to_owned())]);
}

#[test]
fn what_comes_again_keeps_its_own_sequence() {
    let client = client(1, "spektr");
    let batch =
        BatchId::derive(&[DeliveryId::derive(event(3, 1).id, WebhookId(1), Cause::Published)]);
    let mut shared = work(2, &client, &[3], false);
    shared.sequence.batch = batch;
    let works = vec![
        work(0, &client, &[1], true),
        work(1, &client, &[2], false),
        shared,
        work(3, &client, &[5], true),
    ];
    let expected =
        [(vec![0, 3], "01 05".to_owned()), (vec![1], "02".to_owned()), (vec![2], "03".to_owned())];
    assert_eq!(sequences(works), expected);
}

#[test]
fn an_event_that_two_tasks_bring_is_sent_once() {
    let client = client(1, "spektr");
    // A replay of the same event is another delivery, and stands between the two copies.
    let mut replayed = work(1, &client, &[1], true);
    replayed.sequence.left[0].id =
        DeliveryId::derive(event(1, 1).id, WebhookId(1), Cause::Replayed([7; 16]));
    let works = vec![work(0, &client, &[1], true), replayed, work(2, &client, &[1], true)];
    assert_eq!(sequences(works), [(vec![0, 1, 2], "01 01".to_owned())]);
}

#[test]
fn what_its_owner_does_meanwhile_reaches_a_sequence() {
    let client = client(1, "standard");
    let work = work(0, &client, &[1], true);
    let now = |change: fn(&mut Webhook)| {
        let mut webhook = client.webhook.clone();
        change(&mut webhook);
        work.change(Some(&webhook))
    };
    assert_eq!(work.change(None), Change::Gone);
    assert_eq!(now(|_| ()), Change::None);
    assert_eq!(now(|webhook| webhook.health.failures = 7), Change::None, "it is the same webhook");
    assert_eq!(now(|webhook| webhook.settings.enabled = false), Change::Paused);
    assert_eq!(now(|webhook| webhook.updated_at += Duration::from_secs(1)), Change::Changed);
}

#[test]
fn copies_of_a_message_are_one_sequence() {
    let client = client(1, "standard");
    let works = vec![
        work(0, &client, &[1], true),
        work(1, &client, &[2], true),
        work(2, &client, &[1], true),
    ];
    assert_eq!(sequences(works), [(vec![0, 2], "01".to_owned()), (vec![1], "02".to_owned())]);
    let works = vec![work(0, &client, &[1], true), work(1, &client, &[1], false)];
    assert_eq!(sequences(works).len(), 2, "something may have been done for one that came before");
}

#[test]
fn a_sequence_is_bounded_in_bytes() {
    let client = client(1, "spektr");
    let half = usize::try_from(MAX_REFERRED_BYTES / 2).unwrap();
    let works =
        (0..3).map(|nth| sized(usize::from(nth), &client, &[nth], true, half - 100)).collect();
    assert_eq!(
        sequences(works).iter().map(|(records, _)| records.len()).collect::<Vec<_>>(),
        [2, 1]
    );
}

#[test]
fn a_message_that_asks_for_more_than_its_sequence_is_not_whole() {
    let client = client(1, "standard");
    assert!(work(0, &client, &[1], true).is_whole());
    let mut more = work(0, &client, &[1, 2], true);
    more.skips = more.sequence.left.split_off(1);
    assert!(!more.is_whole());
}
