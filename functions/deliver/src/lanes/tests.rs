use posthaste_domain::{
    attempt::{Progress, Status},
    headers::Headers,
    id::{Cause, WebhookId},
    input::Fields,
    rate_limit::{Period, RateLimit},
    rotation::Secrets,
    secret::Sealed,
    task::Due,
    url::UrlPolicy,
    webhook::Settings,
    workspace::Workspace,
};
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn webhook(id: u64, profile: &str, enabled: bool) -> Webhook {
    let body =
        json!({ "url": "https://example.com/", "events": ["*"], "profile": profile, "enabled": enabled }).to_string();
    let settings = Settings::register(Fields::of_body(body.as_bytes()).unwrap(), &UrlPolicy::default()).unwrap();
    Webhook {
        id: WebhookId(id),
        workspace: Workspace::parse("acme").unwrap(),
        settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: now(),
        updated_at: now(),
        health: Default::default(),
    }
}

fn event(nth: u8) -> Event {
    let json = format!(
        r#"{{"id":"01896b5d-3648-7000-8000-0000000000{nth:02x}","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{{}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn delivery(webhook: u64, nth: u8) -> DeliveryId {
    DeliveryId::derive(event(nth).id, WebhookId(webhook), Cause::Published)
}

fn task(webhook: u64, events: &[u8]) -> Task<'static> {
    let events: Vec<Event> = events.iter().map(|nth| event(*nth)).collect();
    let deliveries = events
        .iter()
        .map(|event| Due::of(DeliveryId::derive(event.id, WebhookId(webhook), Cause::Published), event))
        .collect();
    let workspace = Workspace::parse("acme").unwrap();
    Task::parse(&Task::new(&workspace, WebhookId(webhook), deliveries).message().unwrap()).unwrap()
}

fn record(receives: u32) -> Record {
    Record {
        message_id: String::new(),
        receipt_handle: String::new(),
        body: String::new(),
        receives,
        sent: now(),
        redriven: false,
        group: None,
    }
}

fn facts(webhooks: Vec<Webhook>) -> Facts {
    let mut facts = Facts::default();
    facts.webhooks.items =
        webhooks.into_iter().map(|webhook| ((webhook.workspace.clone(), webhook.id), webhook)).collect();
    facts
}

/// The lanes as the records and the last digits of the events that are sent.
fn lanes(receives: &[u32], tasks: Vec<Task<'static>>, facts: &Facts) -> Vec<(Vec<usize>, Vec<String>)> {
    let records: Vec<Record> = receives.iter().map(|receives| record(*receives)).collect();
    let tasks: Vec<_> = tasks.into_iter().enumerate().collect();
    let sorted = sort(&records, &tasks, facts, now());
    let ids =
        |lane: &Lane<'_>| lane.sends.iter().map(|pending| pending.event.id.to_string()[34..].to_owned()).collect();
    sorted.lanes.iter().map(|lane| (lane.records.clone(), ids(lane))).collect()
}

fn slot() -> Slot {
    Slot { at: now(), limit: RateLimit { requests: 1, per: Period::Second } }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_is_due_together_is_one_lane_in_the_order_of_the_events() {
    let facts = facts(vec![webhook(1, "spektr", true), webhook(2, "spektr", true)]);
    let tasks = vec![task(1, &[3]), task(2, &[5]), task(1, &[1, 4]), task(1, &[2])];
    let expected = [(vec![0, 2, 3], texts(&["01", "02", "03", "04"])), (vec![1], texts(&["05"]))];
    assert_eq!(lanes(&[1; 4], tasks, &facts), expected);
}

#[test]
fn a_format_of_one_event_has_a_lane_a_task() {
    let facts = facts(vec![webhook(1, "standard", true)]);
    let expected = [(vec![0], texts(&["02"])), (vec![1], texts(&["01"]))];
    assert_eq!(lanes(&[1, 1], vec![task(1, &[2]), task(1, &[1])], &facts), expected);
}

#[test]
fn what_comes_again_keeps_its_own_lane() {
    let facts = facts(vec![webhook(1, "spektr", true)]);
    let slotted = Task { slot: Some(slot()), ..task(1, &[4]) };
    let made_before = Task { recorded: true, batch: BatchId::derive(&[delivery(1, 3)]), ..task(1, &[3]) };
    let tasks = vec![task(1, &[1]), task(1, &[2]), made_before, slotted, task(1, &[5])];
    let expected = [
        (vec![0, 4], texts(&["01", "05"])),
        (vec![1], texts(&["02"])),
        (vec![2], texts(&["03"])),
        (vec![3], texts(&["04"])),
    ];
    assert_eq!(lanes(&[1, 2, 1, 1, 1], tasks, &facts), expected);
}

#[test]
fn a_slot_is_used_once() {
    let facts = facts(vec![webhook(1, "slack", true)]);
    let tasks = [(0, Task { slot: Some(slot()), ..task(1, &[1]) })];
    assert_eq!(sort(&[record(1)], &tasks, &facts, now()).lanes[0].slot, Some(slot()));
    assert_eq!(sort(&[record(2)], &tasks, &facts, now()).lanes[0].slot, None);
}

#[test]
fn each_delivery_of_a_task_has_its_own_turn() {
    let mut facts = facts(vec![webhook(1, "spektr", true)]);
    for (nth, status, attempts) in [(1, Status::Succeeded, 1), (2, Status::Pending, 1), (3, Status::Pending, 4)] {
        facts.progress.items.insert(delivery(1, nth), Progress { status, attempts, due_at: None });
    }
    let tasks = [(0, Task { recorded: true, ..task(1, &[1, 2, 3, 4]) })];
    let mut sorted = sort(&[record(1)], &tasks, &facts, now());
    let lane = sorted.lanes.remove(0);
    let ids = |list: &[Pending<'_>]| list.iter().map(|pending| (pending.id, pending.attempts)).collect::<Vec<_>>();
    assert_eq!(ids(&lane.sends), [(delivery(1, 2), 1), (delivery(1, 4), 0)]);
    assert_eq!(ids(&lane.exhausted), [(delivery(1, 3), 4)]);
    assert!(lane.skips.is_empty() && lane.gone.is_empty());
}

#[test]
fn a_paused_webhook_skips_and_a_removed_one_is_done() {
    let facts = facts(vec![webhook(1, "standard", false)]);
    let tasks = [(0, task(1, &[1])), (1, task(2, &[1]))];
    let sorted = sort(&[record(1), record(1)], &tasks, &facts, now());
    assert_eq!(sorted.lanes[0].skips.len(), 1);
    assert_eq!(sorted.done, [1]);
}

#[test]
fn what_is_not_known_waits_and_what_is_gone_is_told() {
    let mut facts = facts(vec![webhook(1, "standard", true)]);
    let by_reference = |nth| Task {
        deliveries: task(1, &[nth]).deliveries.iter().map(Due::by_reference).collect(),
        ..task(1, &[nth])
    };
    let workspace = Workspace::parse("acme").unwrap();
    facts.events.unread.insert((workspace.clone(), event(1).id));
    facts.webhooks.unread.insert((workspace, WebhookId(3)));
    let tasks = [(0, by_reference(1)), (1, by_reference(2)), (2, task(3, &[1]))];
    let sorted = sort(&[record(1), record(1), record(1)], &tasks, &facts, now());
    assert_eq!(sorted.unknown, [0, 2]);
    assert_eq!(sorted.lanes[0].gone.iter().map(|gone| gone.id).collect::<Vec<_>>(), [delivery(1, 2)]);
}

#[test]
fn an_event_that_two_tasks_bring_is_sent_once() {
    let facts = facts(vec![webhook(1, "spektr", true)]);
    let expected = [(vec![0, 1], texts(&["01", "02"]))];
    assert_eq!(lanes(&[1, 1], vec![task(1, &[1, 2]), task(1, &[1])], &facts), expected);
}

#[test]
fn what_nobody_asked_about_is_asked_now() {
    let mut picky = webhook(1, "standard", true);
    picky.settings.events = vec![posthaste_domain::event_type::EventPattern::parse("inventory.*").unwrap()];
    let facts = facts(vec![picky]);
    let unrouted = Task { unrouted: true, ..task(1, &[1]) };
    assert_eq!(lanes(&[1, 1], vec![unrouted, task(1, &[2])], &facts), [(vec![0], vec![]), (vec![1], texts(&["02"]))]);
}
