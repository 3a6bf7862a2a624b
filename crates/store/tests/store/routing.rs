//! The routing index says of every webhook what the webhook says.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use posthaste_domain::testing;
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    fanout::subscription::Subscription,
    id::WebhookId,
    webhook::{Webhook, rotation::Secrets, secret::Sealed},
};
use posthaste_store::{Registry, Replaced, Written};
use serde_json::json;

use crate::table;

fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn webhook(id: u64, pattern: &str) -> Webhook {
    Webhook {
        key: testing::webhook_key(id),
        secrets: Secrets::new(Sealed(format!("sealed {id}"))),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        ..testing::webhook(json!({ "events": [pattern] }))
    }
}

/// Returns what the index says, read as fan-out reads it.
async fn index(registry: &Registry) -> BTreeMap<WebhookId, Subscription> {
    let root = registry.routing.roots([workspace()]).await.items.remove(&workspace()).unwrap();
    let keys: Vec<_> = root.hashes().map(|hash| (workspace(), hash.to_owned())).collect();
    let pages = registry.routing.pages(keys.clone()).await;
    let subscriptions =
        keys.iter().flat_map(|key| pages.items[key].subscriptions().collect::<Vec<_>>());
    let index: BTreeMap<_, _> =
        subscriptions.map(|(id, subscription)| (id, subscription.unwrap())).collect();
    assert_eq!(index.len(), root.webhooks());
    index
}

/// Returns what the webhooks themselves say.
async fn webhooks(registry: &Registry) -> BTreeMap<WebhookId, Subscription> {
    let all = registry.webhooks.all(&workspace()).await.unwrap();
    assert!(all.unreadable.is_empty());
    all.webhooks.iter().map(|webhook| (webhook.key.id, Subscription::of(webhook))).collect()
}

fn replaced(webhook: &Webhook) -> Replaced<'_> {
    Replaced { webhook, at: webhook.updated_at, retention: Duration::ZERO }
}

async fn remove(registry: &Registry, id: u64) -> Written {
    let was = registry.webhooks.get(&testing::webhook_key(id)).await.unwrap();
    let was = was.unwrap_or_else(|| webhook(id, "*"));
    registry.webhooks.delete(&testing::webhook_key(id), Some(replaced(&was))).await.unwrap()
}

async fn change(registry: &Registry, id: u64, pattern: &str) -> Written {
    let read = registry.webhooks.get(&testing::webhook_key(id)).await.unwrap().unwrap();
    let changed = webhook(id, pattern);
    registry.webhooks.change(&changed, replaced(&read), false).await.unwrap()
}

#[tokio::test]
async fn registering_changing_and_removing_are_in_the_index_when_they_are_answered() {
    let registry = Registry::new(table::create().await, table::NAME);
    for id in 1..=3 {
        let written = registry.webhooks.insert(&webhook(id, "order.created"), 3).await.unwrap();
        assert!(matches!(written, Written::Done));
        assert_eq!(index(&registry).await, webhooks(&registry).await);
    }
    let Written::Refused(why) =
        registry.webhooks.insert(&webhook(4, "order.created"), 3).await.unwrap()
    else {
        panic!("the fourth of three");
    };
    assert_eq!((why.code, why.field), ("too_many_webhooks", None));
    assert_eq!(webhooks(&registry).await.len(), 3, "a webhook that is refused is not stored");

    assert!(matches!(change(&registry, 2, "order.shipped").await, Written::Done));
    assert_eq!(index(&registry).await, webhooks(&registry).await);
    let old = registry.webhooks.get(&testing::webhook_key(2)).await.unwrap().unwrap();
    assert!(matches!(change(&registry, 2, "order.paid").await, Written::Done));
    let stale =
        registry.webhooks.change(&webhook(2, "order.lost"), replaced(&old), false).await.unwrap();
    assert!(matches!(stale, Written::Stale));

    assert!(matches!(remove(&registry, 1).await, Written::Done));
    assert!(matches!(remove(&registry, 1).await, Written::Stale));
    assert_eq!(index(&registry).await, webhooks(&registry).await);
    assert_eq!(index(&registry).await.len(), 2);
}

#[tokio::test]
async fn registering_again_after_a_lost_answer_leaves_one_webhook() {
    let registry = Registry::new(table::create().await, table::NAME);
    for _ in 0..2 {
        let written = registry.webhooks.insert(&webhook(1, "*"), 1).await.unwrap();
        assert!(matches!(written, Written::Done), "{written:?}");
    }
    assert_eq!((index(&registry).await.len(), webhooks(&registry).await.len()), (1, 1));
}

#[tokio::test]
async fn calls_at_the_same_time_are_all_in_the_index() {
    let registry = Registry::new(table::create().await, table::NAME);
    for id in 1..=10 {
        registry.webhooks.insert(&webhook(id, "order.created"), 100).await.unwrap();
    }
    let inserts =
        (11..=20).map(async |id| registry.webhooks.insert(&webhook(id, "*"), 100).await.unwrap());
    let changes = (1..=5).map(async |id| change(&registry, id, "order.paid").await);
    let removals = (6..=10).map(async |id| remove(&registry, id).await);
    let (inserted, changed, removed) =
        tokio::join!(join_all(inserts), join_all(changes), join_all(removals));
    let all = inserted.into_iter().chain(changed).chain(removed);
    assert!(all.into_iter().all(|written| matches!(written, Written::Done)));
    assert_eq!(index(&registry).await, webhooks(&registry).await);
    assert_eq!(index(&registry).await.len(), 15);
}

#[tokio::test]
async fn a_workspace_whose_index_is_missing_gets_one_with_its_next_change() {
    let client = table::create().await;
    let registry = Registry::new(client.clone(), table::NAME);
    for id in 1..=3 {
        registry.webhooks.insert(&webhook(id, "order.created"), 100).await.unwrap();
    }
    let root = [("pk", "routing#acme"), ("sk", "root")].map(|(name, value)| {
        (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned()))
    });
    client.delete_item().table_name(table::NAME).set_key(Some(root.into())).send().await.unwrap();
    assert!(registry.routing.roots([workspace()]).await.items.is_empty());
    assert!(matches!(remove(&registry, 2).await, Written::Done));
    assert_eq!(index(&registry).await, webhooks(&registry).await);
    assert_eq!(index(&registry).await.len(), 2);
}
