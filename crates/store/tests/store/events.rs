//! Checks how long events are kept.

use std::time::Duration;

use posthaste_domain::{Timestamp, event::Event};
use posthaste_store::Events;

use crate::table;

const DAY: u64 = 24 * 60 * 60;

/// A service may give an event an id of up to 30 days back, which is longer than some deployments
/// keep events.
#[tokio::test]
async fn an_event_with_an_old_id_is_kept_from_now_on() {
    let client = table::create().await;
    let json = r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{}}"#;
    let event: Event = serde_json::from_str(json).unwrap();
    let now: Timestamp = event.id.time() + Duration::from_secs(30 * DAY);
    let events = Events::new(client.clone(), table::NAME);
    assert!(events.put([&event], Duration::from_secs(21 * DAY), now).await.unwrap().is_empty());
    let scan = client.scan().table_name(table::NAME).send().await.unwrap();
    let expires: i64 = scan.items()[0]["expiresAt"].as_n().unwrap().parse().unwrap();
    assert_eq!(
        expires,
        (now + Duration::from_secs(28 * DAY)).as_second(),
        "retention, and 7 days for replays"
    );
}
