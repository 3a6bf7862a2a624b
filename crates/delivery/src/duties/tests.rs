use std::time::Duration;

use posthaste_domain::{
    delivery::{
        attempt::{Progress, Status},
        task::Content,
    },
    event::{Event, event_type::EventPattern},
    id::{Cause, WebhookId},
};

use posthaste_domain::testing;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn webhook(profile: &str, enabled: bool) -> Webhook {
    testing::webhook(json!({ "profile": profile, "enabled": enabled }))
}

fn event(nth: u8) -> Event {
    testing::event(nth, "order.created", "{}")
}

fn delivery(nth: u8) -> DeliveryId {
    DeliveryId::derive(event(nth).id, WebhookId(1), Cause::Published)
}

fn task(events: &[u8]) -> Task<'static> {
    let webhook = testing::webhook_key(1);
    let due = |nth: &u8| Due {
        content: Content::Event(std::borrow::Cow::Owned(event(*nth))),
        ..stored(*nth)
    };
    Task::new(&webhook, Vec::new()).with(events.iter().map(due).collect())
}

fn stored(nth: u8) -> Due<'static> {
    Due::of_stored(delivery(nth), event(nth).id, 0)
}

fn ids(pending: &[Pending]) -> Vec<(DeliveryId, u32)> {
    pending.iter().map(|pending| (pending.id, pending.attempts)).collect()
}

#[test]
fn each_delivery_of_a_task_has_its_own_duty() {
    let mut details = Details::default();
    let ahead = Some(now() + std::time::Duration::from_secs(60));
    let far = Some(now() + std::time::Duration::from_secs(600));
    let batch = BatchId::derive(&[delivery(6), delivery(7)]);
    for (nth, status, attempts, not_before) in [
        (1, Status::Succeeded, 1, None),
        (2, Status::Pending, 1, None),
        (3, Status::Pending, 4, None),
        (5, Status::Pending, 2, ahead),
        (6, Status::Pending, 2, far),
    ] {
        let progress = Progress {
            status,
            attempts,
            halvings: 0,
            due_at: None,
            not_before,
            recorded_at: None,
            batch,
        };
        details.progress.items.insert(delivery(nth), progress);
    }
    let duties = duties(
        task(&[1, 2, 3, 4, 5, 6]),
        Sent::default(),
        &webhook("spektr", true),
        &details,
        now(),
    )
    .unwrap();
    assert_eq!(ids(&duties.sends), [(delivery(2), 1), (delivery(4), 0)]);
    assert_eq!(ids(&duties.exhausted), [(delivery(3), 4)]);
    assert_eq!(
        duties.later.iter().map(|(pending, at)| (pending.id, Some(*at))).collect::<Vec<_>>(),
        [(delivery(5), ahead)]
    );
    let parks: Vec<_> =
        duties.parks.iter().map(|park| (park.pending.id, Some(park.due_at), park.batch)).collect();
    assert_eq!(
        parks,
        [(delivery(6), far, batch)],
        "it comes back with those that shared its request"
    );
    assert!(duties.skips.is_empty() && duties.gone.is_empty());
    assert_eq!(duties.common_batch(batch), None, "they go different ways");
}

#[test]
fn a_batch_keeps_its_id_if_all_that_is_left_of_it_goes_the_same_way() {
    let batch = BatchId::derive(&[delivery(1), delivery(2), delivery(3)]);
    let divided = |details: &Details| {
        let task = Task { batch, recorded: true, ..task(&[1, 2, 3]) };
        let webhook = webhook("spektr", true);
        duties(task, Sent::default(), &webhook, details, now()).unwrap().common_batch(batch)
    };
    let mut details = Details::default();
    let progress = Progress {
        status: Status::Succeeded,
        attempts: 1,
        halvings: 0,
        due_at: None,
        not_before: None,
        recorded_at: None,
        batch,
    };
    details.progress.items.insert(delivery(1), progress);
    assert_eq!(divided(&details), batch, "a receiver has the others too, if it has the first");
    // The function died while it recorded a failure, and the second one's retry is not due yet.
    let not_before = Some(now() + Duration::from_secs(60));
    let failed = Progress { status: Status::Pending, not_before, ..progress };
    details.progress.items.insert(delivery(2), failed);
    assert_eq!(divided(&details), None);
    details.progress.items.insert(delivery(3), failed);
    assert_eq!(divided(&details), batch, "both wait, and go together");
}

#[test]
fn what_was_made_is_recorded_and_not_made_again() {
    let json = r#"{"id":"a7f1/0/1","at":"2023-11-14T22:13:20Z","durationMs":7,"httpStatus":500,"responseBody":"no","error":{"code":"http_status","message":"no"}}"#;
    let made = Some(serde_json::from_str(json).unwrap());
    let mut details = Details::default();
    for (nth, status, attempts) in
        [(1, Status::Succeeded, 1), (2, Status::Pending, 1), (3, Status::Exhausted, 4)]
    {
        let progress = Progress {
            status,
            attempts,
            halvings: 0,
            due_at: None,
            not_before: Some(now() + Duration::from_secs(60)),
            recorded_at: None,
            batch: None,
        };
        details.progress.items.insert(delivery(nth), progress);
    }
    for enabled in [true, false] {
        let task = Task { made: made.clone(), ..task(&[1, 2, 3, 4]) };
        let duties =
            duties(task, Sent::default(), &webhook("spektr", enabled), &details, now()).unwrap();
        assert_eq!(
            ids(&duties.made),
            [(delivery(2), 0), (delivery(3), 0), (delivery(4), 0)],
            "the table knows how many there were, and keeps the end of the third one"
        );
        assert!(duties.sends.is_empty() && duties.skips.is_empty() && duties.later.is_empty());
        assert!(duties.exhausted.is_empty() && duties.gone.is_empty());
    }
}

#[test]
fn a_paused_webhook_skips() {
    let duties = duties(
        task(&[1]),
        Sent::default(),
        &webhook("standard", false),
        &Details::default(),
        now(),
    )
    .unwrap();
    assert_eq!(ids(&duties.skips), [(delivery(1), 0)]);
    assert!(duties.sends.is_empty());
}

#[test]
fn an_event_that_is_no_longer_stored_is_told() {
    let by_reference = task(&[1]).with(vec![stored(1)]);
    let mut details = Details::default();
    let webhook = webhook("standard", true);
    let found = duties(by_reference.clone(), Sent::default(), &webhook, &details, now()).unwrap();
    assert_eq!(found.gone.iter().map(|gone| gone.id).collect::<Vec<_>>(), [delivery(1)]);
    details.events.unread.insert((webhook.key.workspace.clone(), event(1).id));
    let found = duties(by_reference, Sent::default(), &webhook, &details, now());
    assert!(found.is_none(), "an event that could not be read may be stored");
}

#[test]
fn a_record_that_could_not_be_read_is_not_known() {
    let mut details = Details::default();
    assert!(details.know_records_of(&task(&[1])));
    details.progress.unread.insert(delivery(1));
    assert!(!details.know_records_of(&task(&[1])));
}

#[test]
fn what_nobody_asked_about_is_asked_now() {
    let mut picky = webhook("standard", true);
    picky.settings.events = vec![EventPattern::parse("inventory.*").unwrap()];
    let sends = |task| {
        let found = duties(task, Sent::default(), &picky, &Details::default(), now());
        found.unwrap().sends.len()
    };
    assert_eq!(sends(Task { unrouted: true, ..task(&[1]) }), 0);
    assert_eq!(sends(task(&[1])), 1);
}

#[test]
fn a_task_says_how_many_faults_of_ours_its_deliveries_have_met() {
    let task = Task { faults: 4, ..task(&[1]) };
    let webhook = webhook("standard", true);
    let found = duties(task, Sent::default(), &webhook, &Details::default(), now()).unwrap();
    assert_eq!(found.sends[0].faults, 4);
}
