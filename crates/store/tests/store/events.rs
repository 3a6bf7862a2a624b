//! Checks how long events are kept, and what reading the events of a call takes.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use posthaste_domain::{
    Timestamp,
    event::{
        Event,
        process::{OfProcess, Process},
    },
    id::EventId,
};
use posthaste_store::{EventToStore, Events};

use crate::{reads, table};

const DAY: u64 = 24 * 60 * 60;
const MONTH: Duration = Duration::from_secs(30 * DAY);

/// A service may give an event an id of up to 30 days back, which is longer than some deployments
/// keep events.
#[tokio::test]
async fn an_event_with_an_old_id_is_kept_from_now_on() {
    let client = table::create().await;
    let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#;
    let event: Event = serde_json::from_str(json).unwrap();
    let now: Timestamp = event.id.time() + Duration::from_secs(30 * DAY);
    let events = Events::new(client.clone(), table::NAME);
    let retention = Duration::from_secs(21 * DAY);
    let event = OfProcess::from(event);
    assert!(events.put([(&event).into()], retention, now).await.unwrap().is_empty());
    let scan = client.scan().table_name(table::NAME).send().await.unwrap();
    let expires: i64 = scan.items()[0]["expiresAt"].as_n().unwrap().parse().unwrap();
    assert_eq!(
        expires,
        (now + Duration::from_secs(28 * DAY)).as_second(),
        "retention, and 7 days for replays"
    );
}

/// The event at a place of a call, with so many bytes of text and a run of its own.
fn event_of_call(mark: [u8; 4], place: usize, bytes: usize) -> Event {
    let entropy = [u8::try_from(place).unwrap(); 10];
    let id = EventId::new(Timestamp::from_second(1_700_000_000).unwrap(), &entropy).of(mark, place);
    let text = "x".repeat(bytes);
    let json = format!(
        r#"{{"id":"{id}","type":"service_run","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{{"processType":"onboarding","contextId":"run-{place}","text":"{text}"}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

async fn store(client: &Client, all: &[Event]) -> Events {
    let events = Events::new(client.clone(), table::NAME);
    let all: Vec<OfProcess> = all.iter().cloned().map(OfProcess::from).collect();
    let new = all.iter().map(EventToStore::from);
    assert!(events.put(new, MONTH, Timestamp::UNIX_EPOCH).await.unwrap().is_empty());
    events
}

#[tokio::test]
async fn the_events_of_a_call_are_read_once_and_without_those_behind_the_wanted_places() {
    const LARGE: usize = 250 * 1024;
    let client = table::create().await;
    let mut all: Vec<Event> = (0..15).map(|place| event_of_call([7; 4], place, LARGE)).collect();
    all.extend((15..20).map(|place| event_of_call([7; 4], place, 10)));
    all.extend((20..25).map(|place| event_of_call([7; 4], place, LARGE)));
    all.extend((15..30).map(|place| event_of_call([8; 4], place, 10)));
    store(&client, &all).await;
    let (client, meter) = reads::metered(&client);
    let events = Events::new(client, table::NAME);
    let (workspace, call) = (&all[0].workspace, all[3].id.call());

    let mut read = events.of_call(workspace, call, 0..20).await.unwrap();
    // An item of 250 KiB takes 32 units and a half, read eventually consistently.
    let (calls, units) = meter.taken();
    assert!(calls <= 16 && units <= 15.0 * 32.0 + 16.0, "{calls} calls, {units} units");
    read.sort_by_key(|event| event.place);
    let expected: Vec<_> = (0..20).map(|place| (place, all[place].id)).collect();
    assert_eq!(read.iter().map(|event| (event.place, event.id)).collect::<Vec<_>>(), expected);
    assert!(read.iter().zip(&all).all(|(read, event)| read.process == Process::of(event)));

    let rest = events.of_call(workspace, call, 15..20).await.unwrap();
    let (calls, units) = meter.taken();
    assert!(calls <= 8 && units <= 8.0, "{calls} calls, {units} units");
    assert_eq!(rest.len(), 5);
}

/// Changes the stored item of an event.
async fn update(client: &Client, event: &Event, change: &str, value: Option<&str>) {
    let partition = format!("acme#{}", event.id.spread() % 8);
    let value = value.map(|value| (":value".to_owned(), AttributeValue::S(value.to_owned())));
    client
        .update_item()
        .table_name(table::NAME)
        .key("pk", AttributeValue::S(partition))
        .key("sk", AttributeValue::S(event.id.to_string()))
        .update_expression(change)
        .set_expression_attribute_names(
            change.contains("#type").then(|| [("#type".to_owned(), "type".to_owned())].into()),
        )
        .set_expression_attribute_values(value.map(|value| [value].into()))
        .condition_expression("attribute_exists(process)")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_event_that_does_not_tell_its_process_beside_its_data_is_read_itself() {
    let client = table::create().await;
    let mut all: Vec<Event> = (0..3).map(|place| event_of_call([7; 4], place, 10)).collect();
    let data = format!(r#"{{"contextId":"{}"}}"#, "x".repeat(2_000));
    all[2].data = serde_json::value::RawValue::from_string(data).unwrap();
    let events = store(&client, &all).await;
    // An earlier version stored it.
    update(&client, &all[1], "REMOVE process", None).await;
    let mut read = events.of_call(&all[0].workspace, all[0].id.call(), 0..3).await.unwrap();
    read.sort_by_key(|event| event.place);
    let processes: Vec<Process> = read.into_iter().map(|event| event.process).collect();
    assert_eq!(processes, all.iter().map(Process::of).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_item_that_can_not_be_read_says_nothing_about_the_other_events_of_its_call() {
    let client = table::create().await;
    let all: Vec<Event> = (0..5).map(|place| event_of_call([7; 4], place, 10)).collect();
    let events = store(&client, &all).await;
    // The events of the first two can still be read, and that of the third one can't.
    update(&client, &all[0], "SET process = :value", Some("{")).await;
    update(&client, &all[1], "SET #type = :value", Some("no type")).await;
    update(&client, &all[2], "SET event = :value REMOVE process", Some("{")).await;
    // A key behind that of the fourth, which is the key of no event.
    let odd = AttributeValue::S(format!("{}x", all[3].id));
    let odd = client.put_item().table_name(table::NAME).item("sk", odd);
    odd.item("pk", AttributeValue::S("acme#0".to_owned())).send().await.unwrap();

    let mut read = events.of_call(&all[0].workspace, all[0].id.call(), 0..5).await.unwrap();
    read.sort_by_key(|event| event.place);
    let expected: Vec<_> = [0, 1, 3, 4].map(|place| (place, Process::of(&all[place]))).into();
    assert!(read.iter().all(|event| event.event_type.as_str() == "service_run"));
    let read: Vec<_> = read.into_iter().map(|event| (event.place, event.process)).collect();
    assert_eq!(read, expected);
}
