//! Every kind of item of the Registry table as it is stored: see [`crate::items`].

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use posthaste_domain::{
    access::{
        api_key::{ApiKey, KeyInfo, Scope},
        portal_link::PortalToken,
        tokens::{Limit, Question},
        workspace::Environment,
    },
    endpoint::{health::Reason, url::UrlPolicy},
    event::{
        idempotency::{IdempotencyKey, KeyedCall},
        own_type::OwnEventType,
    },
    id::KeyId,
    testing,
    webhook::{
        Registration, Webhook, headers::Headers, profile::Profile, rotation::Secrets,
        secret::Sealed,
    },
};
use posthaste_store::{Bucket, Registry, Replaced, Written};

use crate::{
    items::{at, stored, workspace},
    portal_links, table,
};

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

async fn registry() -> (Client, Registry) {
    let client = table::create().await;
    (client.clone(), Registry::new(client, table::NAME))
}

fn webhook(id: u64, body: &str) -> Webhook {
    Webhook {
        key: testing::webhook_key(id),
        settings: Registration::parse(body.as_bytes(), &UrlPolicy::default(), Profile::default())
            .unwrap()
            .settings,
        secrets: Secrets::new(Sealed("sealed".to_owned())),
        headers: Headers::default(),
        created_at: at(0),
        updated_at: at(0),
        health: Default::default(),
        revision: 1,
    }
}

#[tokio::test]
async fn webhooks_and_their_index() {
    let (client, registry) = registry().await;
    let all = webhook(1, r#"{"url":"https://example.com/","events":["*"]}"#);
    let failing = webhook(
        2,
        r#"{"url":"https://example.com/","events":["order.*"],"rateLimit":{"requests":1,"per":"second"}}"#,
    );
    let changed =
        webhook(3, r#"{"url":"https://example.com/","events":["order.created"],"enabled":false}"#);
    let gone = webhook(4, r#"{"url":"https://example.com/","events":["order.created"]}"#);
    for webhook in [&all, &failing, &changed, &gone] {
        assert_eq!(registry.webhooks.next_id().await.unwrap(), webhook.key.id);
        registry.webhooks.insert(webhook, 10).await.unwrap();
    }
    registry.health.note_success(&all, at(5)).await.unwrap();
    for second in 10..12 {
        registry.health.count_failure(&failing, at(second)).await.unwrap();
        registry.health.count_failure(&changed, at(second)).await.unwrap();
    }
    registry.health.begin_announcing(&failing, at(10), at(12)).await.unwrap();
    registry.health.note_announced(&failing, at(12)).await.unwrap();
    registry.health.note_announced(&all, at(12)).await.unwrap();
    registry.health.disable(&failing, Reason::Gone, None, at(20)).await.unwrap();
    registry.health.note_disabling_told(&failing, at(20)).await.unwrap();
    registry.health.begin_announcing(&changed, at(10), at(19)).await.unwrap();
    for second in [20, 21] {
        let disabling =
            registry.health.disable(&changed, Reason::Failing, Some(at(10)), at(second)).await;
        assert_eq!(disabling.unwrap().map(|disabled| disabled.at), Some(at(20)));
    }
    let read = registry.webhooks.get(&changed.key).await.unwrap().unwrap();
    let replaced = |webhook, second| Replaced { webhook, at: at(second), retention: MONTH };
    let renamed = Webhook {
        updated_at: at(30),
        ..webhook(3, r#"{"url":"https://example.com/","events":["a", "b"]}"#)
    };
    registry.webhooks.change(&renamed, replaced(&read, 30), true).await.unwrap();
    let read = registry.webhooks.get(&all.key).await.unwrap().unwrap();
    let described =
        webhook(1, r#"{"url":"https://example.com/","events":["*"],"description":"All."}"#);
    registry.webhooks.change(&described, replaced(&read, 30), false).await.unwrap();
    registry.webhooks.delete(&gone.key, Some(replaced(&gone, 30))).await.unwrap();
    assert_eq!(registry.health.count_failure(&gone, at(40)).await.unwrap(), None);
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn keys_types_calls_and_buckets() {
    let (client, registry) = registry().await;
    let info = |nth: u8, name: Option<&str>| KeyInfo {
        id: KeyId::new(at(0), &[nth; 10]),
        workspace: workspace(),
        name: name.map(str::to_owned),
        scopes: [Scope::EventsRead, Scope::WebhooksManage].into(),
        environment: Environment::Live,
        created_at: at(0),
    };
    let hash = |nth: u8| ApiKey::new(Environment::Live, &[nth; 32]).hash();
    for (nth, name) in [(1, Some("ours")), (2, None), (3, None)] {
        registry.keys.insert(&hash(nth), &info(nth, name)).await.unwrap();
    }
    registry.keys.delete(&info(3, None).workspace, info(3, None).id, &hash(3)).await.unwrap();
    for name in ["order.lost", "order.found", "order.lost"] {
        let own = OwnEventType::parse(name, br#"{"schema":{"type":"object"}}"#).unwrap();
        registry.types.put(&workspace(), &own, 10).await.unwrap();
    }
    let key = |name: &[u8]| IdempotencyKey::parse(name).unwrap();
    let started = KeyedCall::start(b"{}", at(0), [0xf0; 10]);
    for name in [b"one", b"two"] {
        registry.calls.start(&workspace(), &key(name), started.clone(), at(0)).await.unwrap();
    }
    registry.calls.mark_sent(&workspace(), &key(b"two"), &started).await.unwrap();
    let publishing = Bucket::Publishing(workspace());
    let limit = Limit::of_events(10).unwrap();
    for _ in 0..2 {
        registry
            .buckets
            .take(&publishing, limit, Question { least: 1, most: 5 }, at(0))
            .await
            .unwrap();
    }
    let calls = Limit::of_calls(100).unwrap();
    registry.buckets.owe(&Bucket::Calls(workspace()), calls, 50, at(0)).await.unwrap();
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn portal_links() {
    let (client, registry) = registry().await;
    let theme =
        r##"{"name":"Shop","logoUrl":"https://a.example/logo.svg","accentColor":"#36a64f"}"##;
    let everything = format!(
        r#"{{"scopes":["webhooks:manage"],"webhookIds":[7,9],"sessionSeconds":60,"theme":{theme},
        "returnUrl":"https://a.example/back","frameOrigins":["https://a.example"]}}"#
    );
    let simple = r#"{"scopes":["events:read","webhooks:manage"]}"#;
    for (nth, body) in [(1, everything.as_str()), (2, simple), (3, simple)] {
        let hash = PortalToken::new(&[nth; 32]).hash();
        registry.portal_links.insert(&hash, &portal_links::link(nth, body)).await.unwrap();
    }
    let used = PortalToken::new(&[2; 32]).hash();
    registry.portal_links.open(&used, [7; 16], at(5)).await.unwrap().unwrap();
    let gone = portal_links::link(3, simple);
    registry.portal_links.delete(&gone.workspace, gone.id).await.unwrap();
    insta::assert_snapshot!(stored(&client).await);
}

#[tokio::test]
async fn what_a_webhook_was_is_kept_for_the_history_and_without_anything_secret() {
    let (client, registry) = registry().await;
    let sealed = webhook(1, r#"{"url":"https://example.com/","events":["a"]}"#);
    let headers = serde_json::from_str(r#"{"Authorization":"v1.00000000.AAAA"}"#).unwrap();
    let first = Webhook { headers, ..sealed };
    registry.webhooks.insert(&first, 10).await.unwrap();
    for (second, events) in [(10, "a"), (20, "b"), (30, "b")] {
        let was = registry.webhooks.get(&first.key).await.unwrap().unwrap();
        let body = format!(r#"{{"url":"https://example.com/","events":["{events}"]}}"#);
        let changed = Webhook { headers: was.headers.clone(), ..webhook(1, &body) };
        let was = Replaced { webhook: &was, at: at(second), retention: MONTH };
        let written = registry.webhooks.change(&changed, was, false).await.unwrap();
        assert!(matches!(written, Written::Done));
        let again = registry.webhooks.change(&changed, was, false).await.unwrap();
        assert!(matches!(again, Written::Stale), "nothing is kept of what was not replaced");
    }
    assert!(registry.revisions.removed(&first.key).await.unwrap().is_none());
    let last = registry.webhooks.get(&first.key).await.unwrap().unwrap();
    for (was, is_done) in [(&first, false), (&last, true), (&last, false)] {
        let was = Replaced { webhook: was, at: at(40), retention: MONTH };
        let written = registry.webhooks.delete(&first.key, Some(was)).await.unwrap();
        assert_eq!(matches!(written, Written::Done), is_done, "only what was read is removed");
    }

    let removed = registry.revisions.removed(&first.key).await.unwrap().unwrap();
    assert_eq!((removed.removed_at, removed.webhook.revision), (at(40), 4));
    for revision in 1..=3 {
        let kept = registry.revisions.get(&first.key, revision).await.unwrap().unwrap();
        assert_eq!((kept.revision, kept.created_at), (revision, first.created_at));
        assert_eq!(kept.headers.masked().len(), 1);
    }
    for revision in [0, 4, 5] {
        assert!(registry.revisions.get(&first.key, revision).await.unwrap().is_none());
    }
    let items = stored(&client).await;
    let kept: Vec<&str> = items.split("revision#").skip(1).collect();
    assert_eq!(kept.len(), 4);
    assert!(kept.iter().all(|item| !item.contains("AAAA") && !item.contains("secrets")));
    insta::assert_snapshot!(items);
}

#[tokio::test]
async fn a_webhook_that_can_not_be_read_is_removed_all_the_same() {
    let (client, registry) = registry().await;
    let webhook = webhook(1, r#"{"url":"https://example.com/","events":["a"]}"#);
    registry.webhooks.insert(&webhook, 10).await.unwrap();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let update = client
        .update_item()
        .table_name(table::NAME)
        .key("pk", text("workspace#acme"))
        .key("sk", text("webhook#00000000000000000001"))
        .update_expression("SET settings = :settings")
        .expression_attribute_values(":settings", text("{"));
    update.send().await.unwrap();
    assert!(registry.webhooks.get(&webhook.key).await.is_err());
    let written = registry.webhooks.delete(&webhook.key, None).await.unwrap();
    assert!(matches!(written, Written::Done));
    assert!(registry.webhooks.get(&webhook.key).await.unwrap().is_none());
    assert!(registry.revisions.removed(&webhook.key).await.unwrap().is_none());
}
