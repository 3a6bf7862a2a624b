//! The health of a webhook.

use aws_sdk_dynamodb::types::AttributeValue;
use posthaste_domain::testing;
use posthaste_domain::{
    Timestamp,
    endpoint::health::{Disabled, Reason},
    webhook::Webhook,
};
use posthaste_store::Registry;

use crate::table;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn webhook() -> Webhook {
    Webhook {
        key: testing::webhook_key(7),
        created_at: at(0),
        updated_at: at(0),
        ..testing::webhook(serde_json::json!({}))
    }
}

async fn is_disabled(registry: &Registry, webhook: &Webhook) -> bool {
    let read = registry.webhooks.get(&webhook.key).await.unwrap();
    read.unwrap().health.disabled.is_some()
}

#[tokio::test]
async fn a_webhook_that_has_recovered_in_the_meantime_is_not_disabled() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.webhooks.insert(&webhook, 1000).await.unwrap();
    let counted = registry.health.count_failure(&webhook, at(1)).await.unwrap().unwrap();
    registry.health.note_success(&webhook, at(2)).await.unwrap();
    let refused =
        registry.health.disable(&webhook, Reason::Failing, counted.failing_since, at(3)).await;
    assert_eq!(refused.unwrap(), None);
    assert!(!is_disabled(&registry, &webhook).await);
    let failed_again = registry.health.count_failure(&webhook, at(4)).await.unwrap().unwrap();
    registry.health.disable(&webhook, Reason::Failing, counted.failing_since, at(5)).await.unwrap();
    assert!(!is_disabled(&registry, &webhook).await, "it has not failed for long");
    registry
        .health
        .disable(&webhook, Reason::Failing, failed_again.failing_since, at(6))
        .await
        .unwrap();
    assert!(is_disabled(&registry, &webhook).await);
}

#[tokio::test]
async fn a_410_disables_whatever_was_before() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.webhooks.insert(&webhook, 1000).await.unwrap();
    let counted = registry.health.count_failure(&webhook, at(1)).await.unwrap().unwrap();
    registry.health.note_success(&webhook, at(2)).await.unwrap();
    registry.health.disable(&webhook, Reason::Gone, counted.failing_since, at(3)).await.unwrap();
    assert!(is_disabled(&registry, &webhook).await);
}

#[tokio::test]
async fn a_disabling_is_untold_until_it_is_noted() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.webhooks.insert(&webhook, 1000).await.unwrap();
    let untold = Some(Disabled { at: at(3), reason: Reason::Gone, is_told: false });
    for second in [3, 4] {
        let disabling =
            registry.health.disable(&webhook, Reason::Gone, None, at(second)).await.unwrap();
        assert_eq!(disabling, untold, "there is one disabling, whoever asks for it");
    }
    registry.health.note_disabling_told(&webhook, at(2)).await.unwrap();
    let read = async || {
        let read = registry.webhooks.get(&webhook.key).await.unwrap();
        read.unwrap().health.disabled
    };
    assert_eq!(read().await, untold, "that was the news of another disabling");
    registry.health.note_disabling_told(&webhook, at(3)).await.unwrap();
    assert_eq!(read().await, untold.map(|untold| Disabled { is_told: true, ..untold }));
}

#[tokio::test]
async fn failures_that_are_announced_again_have_the_time_of_the_first_announcement() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.webhooks.insert(&webhook, 1000).await.unwrap();
    registry.health.count_failure(&webhook, at(1)).await.unwrap();
    for second in [5, 10] {
        let announcing =
            registry.health.begin_announcing(&webhook, at(1), at(second)).await.unwrap();
        assert_eq!(announcing, Some(at(5)));
    }
    registry.health.note_announced(&webhook, at(5)).await.unwrap();
    assert_eq!(registry.health.begin_announcing(&webhook, at(1), at(11)).await.unwrap(), None);
    registry.health.note_success(&webhook, at(12)).await.unwrap();
    registry.health.count_failure(&webhook, at(13)).await.unwrap();
    assert_eq!(registry.health.begin_announcing(&webhook, at(1), at(14)).await.unwrap(), None);
    let announcing = registry.health.begin_announcing(&webhook, at(13), at(15)).await.unwrap();
    assert_eq!(announcing, Some(at(15)), "those are other failures");
    registry.health.note_announced(&webhook, at(5)).await.unwrap();
    let announcing = registry.health.begin_announcing(&webhook, at(13), at(16)).await.unwrap();
    assert_eq!(announcing, Some(at(15)), "that was the announcement of the failures before");
}

#[tokio::test]
async fn an_announcement_that_another_version_left_behind_is_not_that_of_later_failures() {
    let client = table::create().await;
    let registry = Registry::new(client.clone(), table::NAME);
    let webhook = webhook();
    registry.webhooks.insert(&webhook, 1000).await.unwrap();
    registry.health.count_failure(&webhook, at(10)).await.unwrap();
    let leave_behind = client
        .update_item()
        .table_name(table::NAME)
        .key("pk", AttributeValue::S("workspace#acme".to_owned()))
        .key("sk", AttributeValue::S("webhook#00000000000000000007".to_owned()))
        .update_expression("SET announcingAt = :at, announcingSince = :since")
        .condition_expression("attribute_exists(failingSince)")
        .expression_attribute_values(":at", AttributeValue::S(at(5).to_string()))
        .expression_attribute_values(":since", AttributeValue::S(at(1).to_string()));
    leave_behind.send().await.unwrap();
    for second in [15, 20] {
        let announcing =
            registry.health.begin_announcing(&webhook, at(10), at(second)).await.unwrap();
        assert_eq!(announcing, Some(at(15)));
    }
}
