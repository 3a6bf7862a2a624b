//! Recording attempts: what is counted, and what is kept.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::{Attempt, Failure, MAX_KEPT_ATTEMPTS, Progress, Status},
        sequence::{Recorded, Retry},
        shared::Packed,
    },
    event::Event,
    id::{Cause, CauseKind, DeliveryId, WebhookId},
    testing,
    webhook::key::WebhookKey,
};
use posthaste_store::{Deliveries, DeliveryRecord, NewAttempt, Subject};

use crate::table;

fn event() -> Event {
    let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#;
    serde_json::from_str(json).unwrap()
}

fn attempt(nth: u32, succeeds: bool) -> Attempt {
    let error = Failure { code: "http_status".to_owned(), message: "no".to_owned() };
    Attempt {
        at: Timestamp::from_second(1_700_000_000 + i64::from(nth)).unwrap(),
        duration_ms: 7,
        http_status: Some(if succeeds { 200 } else { 500 }),
        response_body: Some(format!("answer {nth}")),
        response_body_encoding: None,
        error: (!succeeds).then_some(error),
        revision: Some(1),
    }
}

const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

/// A table with one delivery.
struct Table {
    client: Client,
    deliveries: Deliveries,
    event: Event,
}

impl Table {
    async fn new() -> Self {
        let client = table::create().await;
        Self { deliveries: Deliveries::new(client.clone(), table::NAME), client, event: event() }
    }

    fn id(&self) -> DeliveryId {
        DeliveryId::derive(self.event.id, WebhookId(7), Cause::Published)
    }

    async fn record(&self, attempt: &Attempt, id: &str, known: u32) -> Recorded {
        let retry = None;
        self.record_as(NewAttempt { attempt, id, known, retry, shared: None, follows: None }).await
    }

    async fn record_as(&self, new: NewAttempt<'_>) -> Recorded {
        let webhook = &testing::webhook_key(7);
        self.deliveries.records.record_attempt(self.subject(webhook), new, NOW).await.unwrap()
    }

    fn subject<'s>(&'s self, webhook: &'s WebhookKey) -> Subject<'s> {
        let retention = Duration::from_secs(30 * 24 * 60 * 60);
        let (event, cause) = (&self.event, CauseKind::Published);
        Subject { delivery: self.id(), webhook, event, cause, retention }
    }

    /// The only item, as it is stored.
    async fn item(&self) -> HashMap<String, AttributeValue> {
        let scan = self.client.scan().table_name(table::NAME).send().await.unwrap();
        scan.items.unwrap().remove(0)
    }

    async fn progress(&self) -> Progress {
        let wanted = [(testing::webhook_key(7), self.id())];
        self.deliveries.records.progress(wanted).await.items[&self.id()]
    }

    async fn read(&self) -> DeliveryRecord {
        let read = self.deliveries.records.get(&testing::webhook_key(7), self.id()).await.unwrap();
        read.unwrap()
    }
}

#[tokio::test]
async fn an_attempt_is_counted_once_however_often_it_is_recorded() {
    let table = Table::new().await;
    assert_eq!(table.record(&attempt(1, false), "a", 0).await, Recorded::Counted(1));
    assert_eq!(
        table.record(&attempt(1, false), "a", 0).await,
        Recorded::Counted(1),
        "its answer got lost"
    );
    assert_eq!(
        table.record(&attempt(2, false), "b", 0).await,
        Recorded::Stale(1),
        "it did not know of the first one"
    );
    assert_eq!(table.record(&attempt(2, false), "b", 1).await, Recorded::Counted(2));
    assert_eq!(
        table.record(&attempt(1, false), "a", 0).await,
        Recorded::Overtaken,
        "a copy of its message came late"
    );
    let record = table.read().await;
    assert_eq!(
        (record.attempt_count, record.attempts.len(), record.status),
        (2, 2, Status::Pending)
    );
}

/// An attempt that divided its request costs none of the schedule, but the history has it.
#[tokio::test]
async fn a_halving_is_counted_once_and_apart_from_other_attempts() {
    let table = Table::new().await;
    let halving = |nth| Attempt { http_status: Some(413), ..attempt(nth, false) }.with_events(9);
    assert_eq!(table.record(&halving(1), "a", 0).await, Recorded::Counted(1));
    assert_eq!(
        table.record(&halving(1), "a", 0).await,
        Recorded::Counted(1),
        "its answer got lost"
    );
    assert_eq!(table.record(&halving(2), "b", 0).await, Recorded::Stale(1), "of the same kind");
    assert_eq!(table.record(&halving(2), "b", 1).await, Recorded::Counted(2));
    assert_eq!(
        table.record(&halving(1), "a", 0).await,
        Recorded::Overtaken,
        "a copy of its message came late"
    );
    assert_eq!(table.record(&attempt(3, false), "c", 0).await, Recorded::Counted(1));
    let progress = table.progress().await;
    assert_eq!((progress.attempts, progress.halvings, progress.status), (1, 2, Status::Pending));
    assert_eq!(table.record(&attempt(4, true), "d", 1).await, Recorded::Counted(2));
    assert_eq!(table.record(&halving(5), "e", 2).await, Recorded::AlreadyOver);
    let record = table.read().await;
    assert_eq!((record.attempt_count, record.attempts.len()), (4, 4), "the history has them all");
    let codes: Vec<Option<&str>> = record
        .attempts
        .iter()
        .map(|attempt| attempt.error.as_ref().map(|error| error.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [Some("batch_halved"), Some("batch_halved"), Some("http_status"), None],
        "as they were made"
    );
}

#[tokio::test]
async fn a_success_is_recorded_after_any_failure_and_no_failure_after_it() {
    let table = Table::new().await;
    assert_eq!(table.record(&attempt(1, false), "a", 0).await, Recorded::Counted(1));
    assert_eq!(table.record(&attempt(2, true), "b", 0).await, Recorded::Stale(1));
    assert_eq!(table.record(&attempt(2, true), "b", 1).await, Recorded::Counted(2));
    assert_eq!(table.record(&attempt(3, false), "c", 1).await, Recorded::AlreadyOver);
    assert_eq!(table.record(&attempt(3, false), "c", 2).await, Recorded::AlreadyOver);
    let record = table.read().await;
    assert_eq!((record.attempt_count, record.status), (2, Status::Succeeded));
}

/// One copy of a message found the webhook paused, and deleted the message. The other one's attempt
/// was under way.
#[tokio::test]
async fn a_failure_after_the_end_is_in_the_history_and_nothing_follows_it() {
    let table = Table::new().await;
    let (webhook, records) = (testing::webhook_key(7), &table.deliveries.records);
    let paused = Failure { code: "webhook_disabled".to_owned(), message: "paused".to_owned() };
    records.mark_skipped(table.subject(&webhook), &paused, NOW).await.unwrap();
    let retry = Retry { due_at: NOW + Duration::from_secs(5), batch: None };
    let late = attempt(1, false);
    let late = NewAttempt {
        attempt: &late,
        id: "a",
        known: 0,
        retry: Some(retry),
        shared: None,
        follows: None,
    };
    for time in ["first", "again, as its answer got lost"] {
        assert_eq!(table.record_as(late).await, Recorded::AlreadyOver, "{time}");
    }
    let record = table.read().await;
    assert_eq!((record.status, record.error), (Status::Skipped, Some(paused)));
    assert_eq!((record.attempts.len(), record.http_status), (1, Some(500)));
    assert_eq!(table.progress().await.not_before, None);
    assert_eq!(table.record(&attempt(2, false), "b", 0).await, Recorded::Stale(1));
    for nth in 2..=u32::try_from(MAX_KEPT_ATTEMPTS).unwrap() + 1 {
        let id = format!("{nth}");
        assert_eq!(table.record(&attempt(nth, false), &id, nth - 1).await, Recorded::AlreadyOver);
    }
    let record = table.read().await;
    assert_eq!((record.attempts.len(), record.status), (MAX_KEPT_ATTEMPTS, Status::Skipped));
    assert_eq!(
        table.record(&attempt(60, true), "z", record.attempt_count).await,
        Recorded::Counted(52)
    );
    assert_eq!(table.read().await.status, Status::Succeeded, "the endpoint has it after all");
}

#[tokio::test]
async fn what_was_sent_back_from_the_dead_letters_goes_on_after_its_end() {
    let table = Table::new().await;
    let webhook = testing::webhook_key(7);
    assert_eq!(table.record(&attempt(1, false), "a", 0).await, Recorded::Counted(1));
    let records = &table.deliveries.records;
    records.mark_exhausted(table.subject(&webhook), NOW).await.unwrap();
    let end = table.progress().await.recorded_at;
    let again = attempt(2, false);
    let again =
        NewAttempt { attempt: &again, id: "b", known: 1, retry: None, shared: None, follows: end };
    assert_eq!(table.record_as(again).await, Recorded::Counted(2));
    assert_eq!(table.read().await.status, Status::Pending);
    let later = NOW + Duration::from_secs(1);
    records.mark_exhausted(table.subject(&webhook), later).await.unwrap();
    let copy = attempt(3, false);
    let copy = NewAttempt { attempt: &copy, id: "c", known: 2, ..again };
    assert_eq!(table.record_as(copy).await, Recorded::AlreadyOver, "the end is another one");
    let record = table.read().await;
    assert_eq!((record.status, record.attempts.len()), (Status::Exhausted, 3));
    assert_eq!(record.error.map(|error| error.code), Some("http_status".to_owned()));
}

/// A replay is of an event that may be as old as the history.
#[tokio::test]
async fn a_record_is_kept_from_its_last_change_on() {
    let table = Table::new().await;
    table.record(&attempt(1, true), "a", 0).await;
    let expires: i64 = table.item().await["expiresAt"].as_n().unwrap().parse().unwrap();
    assert_eq!(expires, 1_700_000_000 + 30 * 24 * 60 * 60);
}

#[tokio::test]
async fn a_record_keeps_its_last_attempts_and_counts_all() {
    let table = Table::new().await;
    let kept = u32::try_from(MAX_KEPT_ATTEMPTS).unwrap();
    for nth in 0..kept + 3 {
        assert_eq!(
            table.record(&attempt(nth, false), &nth.to_string(), nth).await,
            Recorded::Counted(nth + 1)
        );
    }
    let record = table.read().await;
    assert_eq!((record.attempt_count, record.attempts.len()), (kept + 3, MAX_KEPT_ATTEMPTS));
    assert_eq!(record.attempts.first(), Some(&attempt(3, false)));
    assert_eq!(record.attempts.last(), Some(&attempt(kept + 2, false)));
}

#[tokio::test]
async fn the_answer_of_the_last_attempt_is_kept_once() {
    let table = Table::new().await;
    table.record(&attempt(1, false), "a", 0).await;
    let item = table.item().await;
    assert!(item["responseBody"].is_null(), "it is with the attempt");
    assert_eq!(table.read().await.response_body.as_deref(), Some("answer 1"));
    let long = Attempt { response_body: Some("x".repeat(5000)), ..attempt(2, false) };
    table.record(&long, "b", 1).await;
    let record = table.read().await;
    assert_eq!(record.response_body, long.response_body);
    assert_eq!(record.attempts[1].response_body.as_ref().map(String::len), Some(1024));
    table.record(&attempt(3, true), "c", 2).await;
    assert_eq!(table.read().await.response_body.as_deref(), Some("answer 3"));
}

/// A version before records an attempt and leaves the attribute as it was.
#[tokio::test]
async fn what_an_attempt_shared_is_forgotten_with_the_next_one() {
    let table = Table::new().await;
    let packed = Packed::stored(vec![0; 17]);
    let retention = Duration::from_secs(60);
    let webhook = testing::webhook_key(7);
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let record = async |attempt: &Attempt, known, shared| {
        let (event, cause) = (&table.event, CauseKind::Published);
        let subject = Subject { delivery: table.id(), webhook: &webhook, event, cause, retention };
        let id = &format!("attempt {known}");
        let new = NewAttempt { attempt, id, known, retry: None, shared, follows: None };
        table.deliveries.records.record_attempt(subject, new, now).await.unwrap();
    };
    record(&attempt(1, false), 0, Some(&packed)).await;
    assert_eq!(table.read().await.shared.as_ref(), Some(&packed));
    record(&attempt(2, false), 1, None).await;
    assert_eq!(table.read().await.shared, None);
    record(&attempt(3, false), 2, Some(&packed)).await;
    record(&Attempt { revision: None, ..attempt(4, false) }, 3, Some(&packed)).await;
    assert!(table.item().await.contains_key("shared"));
    assert_eq!(table.read().await.shared, None, "it is not that of the last attempt");
}
