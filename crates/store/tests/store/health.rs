//! The health of a webhook.

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    endpoint::{health::Reason, url::UrlPolicy},
    id::WebhookId,
    webhook::{Registration, Webhook, headers::Headers, rotation::Secrets, secret::Sealed},
};
use posthaste_store::Registry;

use crate::table;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn webhook() -> Webhook {
    let body = br#"{"url":"https://example.com/","events":["*"]}"#;
    Webhook {
        id: WebhookId(7),
        workspace: Workspace::parse("acme").unwrap(),
        settings: Registration::parse(body, &UrlPolicy::default()).unwrap().settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: at(0),
        updated_at: at(0),
        health: Default::default(),
    }
}

async fn is_disabled(registry: &Registry, webhook: &Webhook) -> bool {
    let read = registry.webhook(&webhook.workspace, webhook.id).await.unwrap();
    read.unwrap().0.health.disabled.is_some()
}

#[tokio::test]
async fn a_webhook_that_has_recovered_in_the_meantime_is_not_disabled() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.insert_webhook(&webhook, 1000).await.unwrap();
    let counted = registry.count_failure(&webhook, at(1)).await.unwrap().unwrap();
    registry.note_success(&webhook, at(2)).await.unwrap();
    registry.disable(&webhook, Reason::Failing, counted.failing_since, at(3)).await.unwrap();
    assert!(!is_disabled(&registry, &webhook).await);
    let failed_again = registry.count_failure(&webhook, at(4)).await.unwrap().unwrap();
    registry.disable(&webhook, Reason::Failing, counted.failing_since, at(5)).await.unwrap();
    assert!(!is_disabled(&registry, &webhook).await, "it has not failed for long");
    registry.disable(&webhook, Reason::Failing, failed_again.failing_since, at(6)).await.unwrap();
    assert!(is_disabled(&registry, &webhook).await);
}

#[tokio::test]
async fn a_410_disables_whatever_was_before() {
    let registry = Registry::new(table::create().await, table::NAME);
    let webhook = webhook();
    registry.insert_webhook(&webhook, 1000).await.unwrap();
    let counted = registry.count_failure(&webhook, at(1)).await.unwrap().unwrap();
    registry.note_success(&webhook, at(2)).await.unwrap();
    registry.disable(&webhook, Reason::Gone, counted.failing_since, at(3)).await.unwrap();
    assert!(is_disabled(&registry, &webhook).await);
}
