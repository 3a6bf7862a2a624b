//! Every kind of item as it is stored. The version before reads these items, and the next one will:
//! a change of a snapshot is a change of what two versions tell each other.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{
        attempt::{Attempt, Failure},
        parked::Parked,
        replay::{Job, JobStatus, Selection, StartReplay},
        sequence::Retry,
        shared::Packed,
        task::{Due, Task},
    },
    endpoint::{
        backlog::Waiting,
        lane::{Attr, Condition, Write},
    },
    event::{Event, process::OfProcess},
    id::{BatchId, Cause, CauseKind, DeliveryId, EventId, JobId, WebhookId},
    testing::webhook_key,
    webhook::rate_limit::{Period, RateLimit},
};
use posthaste_store::{
    Deliveries, DueDelivery, EventToStore, Events, Hold, Holding, NewAttempt, Released, Subject,
    TurnedPage,
};

use crate::table;

const WEBHOOK: WebhookId = WebhookId(7);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn event() -> Event {
    let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","subject":"customer-7","data":{"total":1.50}}"#;
    serde_json::from_str(json).unwrap()
}

fn event_id(nth: u8) -> EventId {
    format!("01896b5d-3648-7000-8000-0000000000{nth:02}").parse().unwrap()
}

fn delivery(nth: u8) -> DeliveryId {
    DeliveryId::derive(event_id(nth), WEBHOOK, Cause::Published)
}

fn due(nth: u8) -> Due<'static> {
    Due::of_stored(delivery(nth), event_id(nth), 812)
}

fn failure() -> Failure {
    Failure { code: "http_status".to_owned(), message: "The endpoint answered 500.".to_owned() }
}

fn attempt(nth: i64, status: u16, body: &str) -> Attempt {
    Attempt {
        at: at(nth),
        duration_ms: 7,
        http_status: Some(status),
        response_body: Some(body.to_owned()),
        response_body_encoding: None,
        error: (status != 200).then(failure),
        revision: Some(3),
    }
}

/// An attempt whose request got no answer.
fn timeout(nth: i64) -> Attempt {
    Attempt { http_status: None, response_body: None, ..attempt(nth, 500, "") }
}

/// All items of a table, by key, with the type of each attribute.
pub(crate) async fn stored(client: &Client) -> String {
    let scan = client.scan().table_name(table::NAME).send().await.unwrap();
    let mut items: Vec<_> =
        scan.items().iter().map(|item| (shown(&item["pk"]), shown(&item["sk"]), item)).collect();
    items.sort_unstable_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let mut lines = Vec::new();
    for (pk, sk, item) in items {
        lines.push(format!("{pk} {sk}"));
        let attributes: BTreeMap<_, _> =
            item.iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str())).collect();
        lines.extend(
            attributes.into_iter().map(|(name, value)| format!("    {name}: {}", shown(value))),
        );
    }
    lines.join("\n")
}

fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S {text}"),
        AttributeValue::B(bytes) => format!("B {:02x?}", bytes.as_ref()),
        AttributeValue::N(number) => format!("N {number}"),
        AttributeValue::Bool(bool) => format!("BOOL {bool}"),
        AttributeValue::Null(_) => "NULL".to_owned(),
        AttributeValue::L(values) => {
            format!("L [{}]", values.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        other => panic!("{other:?}"),
    }
}

async fn deliveries() -> (Client, Deliveries) {
    let client = table::create().await;
    (client.clone(), Deliveries::new(client, table::NAME))
}

#[tokio::test]
async fn records() {
    let (client, deliveries) = deliveries().await;
    let event = event();
    let webhook = webhook_key(7);
    let subject = |nth, cause| Subject {
        delivery: delivery(nth),
        webhook: &webhook,
        event: &event,
        cause,
        retention: MONTH,
    };
    let published = |nth| subject(nth, CauseKind::Published);
    let record = async |subject, attempt: Attempt, known, retry| {
        let id = &format!("attempt {known}");
        let new = NewAttempt { attempt: &attempt, id, known, retry, shared: None, follows: None };
        deliveries.records.record_attempt(subject, new, at(60)).await.unwrap();
    };
    let alone = Some(Retry { due_at: at(120), batch: None });
    let shared = Some(Retry {
        due_at: at(10_000_000),
        batch: Some("018566ad-3f93-8fff-bfff-ffffffffffff".parse().unwrap()),
    });
    record(published(1), attempt(1, 200, "ok"), 0, None).await;
    record(published(2), attempt(1, 500, "no"), 0, alone).await;
    record(published(3), attempt(1, 500, "no"), 0, alone).await;
    record(published(3), attempt(2, 500, &"long ".repeat(300)), 1, shared).await;
    record(published(4), timeout(1), 0, alone).await;
    record(published(4), attempt(2, 200, "ok"), 1, None).await;
    record(published(5), timeout(1), 0, None).await;
    deliveries.records.mark_exhausted(published(5), at(90)).await.unwrap();
    record(published(6), timeout(1), 0, alone).await;
    deliveries.records.mark_gone(&webhook_key(7), delivery(6), at(90)).await.unwrap();
    deliveries.records.mark_gone(&webhook_key(7), delivery(7), at(90)).await.unwrap();
    deliveries
        .records
        .mark_skipped(subject(8, CauseKind::Replay), &failure(), at(90))
        .await
        .unwrap();
    record(subject(9, CauseKind::Test), timeout(1), 0, None).await;
    let both = [delivery(10), delivery(11)].map(|id| (id, &event));
    let packed = Packed::of(WEBHOOK, BatchId::derive(&both.map(|(id, _)| id)), both.into_iter());
    for nth in [10, 11] {
        let shared = packed.as_ref().map(|packed| packed.parts(WEBHOOK).of(delivery(nth)).clone());
        let attempt = &attempt(1, 200, "ok");
        let new = NewAttempt {
            attempt,
            id: "a",
            known: 0,
            retry: None,
            shared: shared.as_ref(),
            follows: None,
        };
        deliveries.records.record_attempt(published(nth), new, at(60)).await.unwrap();
    }
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn what_is_recorded_of_a_success_stays() {
    let (client, deliveries) = deliveries().await;
    let event = event();
    let cause = CauseKind::Published;
    let webhook = webhook_key(7);
    let subject = Subject {
        delivery: delivery(1),
        webhook: &webhook,
        event: &event,
        cause,
        retention: MONTH,
    };
    let new = NewAttempt {
        attempt: &attempt(1, 200, "ok"),
        id: "a",
        known: 0,
        retry: None,
        shared: None,
        follows: None,
    };
    deliveries.records.record_attempt(subject, new, at(60)).await.unwrap();
    let before = stored(&client).await;
    deliveries.records.mark_exhausted(subject, at(90)).await.unwrap();
    deliveries.records.mark_gone(&webhook_key(7), delivery(1), at(90)).await.unwrap();
    deliveries.records.mark_skipped(subject, &failure(), at(90)).await.unwrap();
    assert_eq!(stored(&client).await, before);
}

#[tokio::test]
async fn due_items() {
    let (client, deliveries) = deliveries().await;
    let batch = "018566ad-3f93-8fff-bfff-ffffffffffff".parse().unwrap();
    let mut parked = Parked::of(&webhook_key(7), Some(batch), &[due(1), due(2)], at(600));
    parked.extend(Parked::of(&webhook_key(7), None, &[due(3)], at(700)));
    assert!(deliveries.due_items.park(&parked).await.unwrap().is_empty());
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn holds_and_ends() {
    let (client, deliveries) = deliveries().await;
    let webhook = webhook_key(7);
    let run = |context| Holding { webhook: &webhook, context };
    let hold =
        |nth, is_end| Hold { is_end, event: event_id(nth), delivery: delivery(nth), bytes: 12 };
    assert!(
        deliveries
            .holds
            .hold(run("a"), &[hold(1, false), hold(2, false)], MONTH)
            .await
            .unwrap()
            .is_empty()
    );
    deliveries.holds.hold_end(run("a"), hold(3, true), MONTH).await.unwrap();
    deliveries.holds.end(run("b"), Some(delivery(4)), "token", at(0)).await.unwrap();
    deliveries.holds.end(run("c"), None, "token", at(0)).await.unwrap();
    assert_eq!(
        deliveries.holds.hold(run("c"), &[hold(5, false)], MONTH).await.unwrap(),
        [hold(5, false)]
    );
    deliveries.holds.forget(run("a"), &[hold(1, false)]).await.unwrap();
    insta::assert_snapshot!(stored(&client).await);
}

/// A version before parked retries in their records. What is left of them is found and forgotten.
#[tokio::test]
async fn what_the_version_before_has_parked_waits_no_more_when_it_was_released() {
    let (client, deliveries) = deliveries().await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let key = ("acme#7#3".to_owned(), delivery(1).to_string());
    for sort_key in [key.1.clone(), delivery(2).to_string()] {
        let put = client
            .put_item()
            .table_name(table::NAME)
            .item("pk", text(&key.0))
            .item("sk", text(&sort_key));
        let put =
            put.item("eventId", text(&event_id(1).to_string())).item("status", text("pending"));
        let due_at = AttributeValue::N(at(60).as_millisecond().to_string());
        put.item("dueShard", text("3")).item("dueAt", due_at).send().await.unwrap();
    }
    let page = deliveries.due.page(3, at(60), at(60), None, 10).await.unwrap();
    let released: Vec<Released> =
        page.due.iter().filter(|due| due.key == key).map(DueDelivery::released).collect();
    assert_eq!((page.due.len(), released.len()), (2, 1));
    let other = Released::Record((key.0.clone(), delivery(2).to_string()), at(61));
    let all = released.into_iter().chain([other]).collect();
    assert_eq!(deliveries.due.forget(all).await.unwrap(), []);
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn jobs() {
    let (client, deliveries) = deliveries().await;
    let owner = &webhook_key(7);
    let asked = |selection| StartReplay { since: at(-1000), until: None, status: selection };
    let id = |nth: u8| JobId::new(at(0), &[nth; 10]);
    let job = |nth, selection| Job::new(id(nth), asked(selection), at(0));
    let turned = |page, next| TurnedPage { page, examined: 500, replayed: 20, next, by: "run" };
    assert!(deliveries.jobs.begin(owner, &job(1, Selection::Failed), None, MONTH).await.unwrap());
    assert!(!deliveries.jobs.begin(owner, &job(2, Selection::All), None, MONTH).await.unwrap());
    deliveries
        .jobs
        .advance(owner, id(1), turned(0, Some(delivery(1))), MONTH, at(10))
        .await
        .unwrap();
    deliveries.jobs.advance(owner, id(1), turned(1, None), MONTH, at(20)).await.unwrap();
    assert!(
        deliveries.jobs.begin(owner, &job(2, Selection::All), Some(id(1)), MONTH).await.unwrap()
    );
    let failed = JobStatus::Failed;
    deliveries.jobs.end(owner, id(2), failed, Some(&failure()), at(30)).await.unwrap();
    deliveries.jobs.end(owner, id(2), JobStatus::Cancelled, None, at(40)).await.unwrap();
    assert!(
        deliveries.jobs.begin(owner, &job(3, Selection::All), Some(id(2)), MONTH).await.unwrap()
    );
    deliveries.jobs.end(owner, id(3), JobStatus::Cancelled, None, at(50)).await.unwrap();
    assert!(
        deliveries.jobs.begin(owner, &job(4, Selection::All), Some(id(3)), MONTH).await.unwrap()
    );
    let standing = deliveries.jobs.get(owner, id(4)).await.unwrap().unwrap();
    assert!(deliveries.jobs.claim_standstill(owner, &standing, at(900)).await.unwrap());
    assert!(
        !deliveries.jobs.claim_standstill(owner, &standing, at(901)).await.unwrap(),
        "another call has said so"
    );
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn lanes_limits_and_suspects() {
    let (client, deliveries) = deliveries().await;
    let open = Write::default().only_if(Condition::Absent(Attr::Phase)).set(Attr::Phase, "held");
    let open = open
        .set(Attr::Token, "token")
        .set(Attr::DueAt, at(60).as_millisecond())
        .set(Attr::DueShard, "L3");
    deliveries.lanes.write(&webhook_key(7), &open).await.unwrap();
    let nudge =
        Write::default().set(Attr::Strikes, 1_i64).remove(Attr::DueAt).remove(Attr::DueShard);
    deliveries.lanes.write(&webhook_key(8), &open).await.unwrap();
    deliveries.lanes.write(&webhook_key(8), &nudge).await.unwrap();
    let limit = RateLimit { requests: 10, per: Period::Second };
    deliveries.slots.reserve(&webhook_key(7), limit, 3, at(0)).await.unwrap();
    deliveries.slots.reserve(&webhook_key(7), limit, 3, at(0)).await.unwrap();
    deliveries.slots.reserve(&webhook_key(8), limit, 3, at(0)).await.unwrap();
    assert!(
        deliveries
            .suspects
            .begin(&[("message 1", 1), ("message 2", 2)], at(0))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(deliveries.suspects.forget(&["message 1"]).await.unwrap().is_empty());
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn backlogs() {
    let (client, deliveries) = deliveries().await;
    let webhook = webhook_key(7);
    let json = format!(
        r#"{{"workspace":"acme","webhook":7,"deliveries":[{{"id":"{}","content":{{"eventId":"{}"}}}}]}}"#,
        delivery(1),
        event_id(1)
    );
    let message = Task::parse(&json).unwrap();
    let first = Waiting::of(&message.with(vec![due(1), due(2), due(3)]), "message", at(0));
    assert!(deliveries.backlogs.put(&webhook, &first).await.unwrap().is_empty());
    deliveries
        .backlogs
        .rewrite(&webhook, &first[1].key, &message.with(vec![due(4)]))
        .await
        .unwrap();
    deliveries
        .backlogs
        .rewrite(&webhook, "a key of nothing", &message.with(vec![due(4)]))
        .await
        .unwrap();
    assert!(deliveries.backlogs.delete(&webhook, &[first[2].key.clone()]).await.unwrap());
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn events() {
    let client = table::create().await;
    let events = Events::new(client.clone(), table::NAME);
    let without_subject = Event { id: event_id(1), subject: None, ..event() };
    let all = [event(), without_subject].map(OfProcess::from);
    let new = all.iter().map(EventToStore::from);
    assert!(events.put(new, MONTH, at(0)).await.unwrap().is_empty());
    insta::assert_snapshot!(stored(&client).await);
}
