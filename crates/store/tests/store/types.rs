//! The event types of a workspace's own.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::future::join_all;
use posthaste_domain::{
    access::workspace::Workspace,
    event::{
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
    },
};
use posthaste_store::{Registry, Written};

use crate::table;

fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn own(name: &str) -> OwnEventType {
    OwnEventType::parse(name, br#"{"schema":{"type":"object"}}"#).unwrap()
}

/// The code of a type that is refused; none of one that is stored.
async fn refused(registry: &Registry, name: &str, most: usize) -> Option<&'static str> {
    match registry.types.put(&workspace(), &own(name), most).await.unwrap() {
        Written::Done => None,
        Written::Refused(invalid) => Some(invalid.code),
        Written::Stale => Some("stale"),
    }
}

async fn delete(registry: &Registry, name: &str) -> bool {
    registry.types.delete(&workspace(), &EventType::parse(name).unwrap()).await.unwrap()
}

async fn names(registry: &Registry) -> Vec<String> {
    registry.types.some_names(&workspace()).await.unwrap().iter().map(ToString::to_string).collect()
}

/// Stores a type as an earlier version does, which keeps no count.
async fn store_uncounted(client: &Client, name: &str) {
    let put = client.put_item().table_name(table::NAME);
    let put = put.item("pk", AttributeValue::S("workspace#acme".to_owned()));
    let put = put.item("sk", AttributeValue::S(format!("type#{name}")));
    put.item("type", AttributeValue::S(format!(r#"{{"name":"{name}"}}"#))).send().await.unwrap();
}

#[tokio::test]
async fn a_workspace_has_no_more_types_than_it_may_have() {
    let registry = Registry::new(table::create().await, table::NAME);
    for name in ["a", "b", "c"] {
        assert_eq!(refused(&registry, name, 3).await, None);
    }
    assert_eq!(refused(&registry, "d", 3).await, Some("too_many_event_types"));
    assert_eq!(refused(&registry, "b", 3).await, None, "a type that is there can be replaced");
    assert_eq!(names(&registry).await, ["a", "b", "c"]);
    assert!(delete(&registry, "a").await);
    assert!(!delete(&registry, "a").await, "what is gone counts once");
    assert_eq!(refused(&registry, "d", 3).await, None);
    assert_eq!(refused(&registry, "e", 3).await, Some("too_many_event_types"));
    let other = Workspace::parse("other").unwrap();
    assert!(matches!(registry.types.put(&other, &own("a"), 1).await, Ok(Written::Done)));
}

#[tokio::test]
async fn types_that_come_at_the_same_time_are_all_counted() {
    let registry = Registry::new(table::create().await, table::NAME);
    let names: Vec<String> = (0..6).map(|at| format!("t{}", "x".repeat(at))).collect();
    let all = join_all(names.iter().map(|name| refused(&registry, name, 4))).await;
    assert_eq!(all.iter().filter(|refused| refused.is_none()).count(), 4, "{all:?}");
    assert_eq!(
        all.iter().flatten().filter(|code| **code == "too_many_event_types").count(),
        2,
        "{all:?}"
    );
}

#[tokio::test]
async fn types_that_an_earlier_version_has_stored_count() {
    let client = table::create().await;
    let registry = Registry::new(client.clone(), table::NAME);
    for name in ["a", "b"] {
        store_uncounted(&client, name).await;
    }
    assert!(delete(&registry, "a").await);
    assert_eq!(refused(&registry, "c", 2).await, None);
    assert_eq!(refused(&registry, "d", 2).await, Some("too_many_event_types"));
}

#[tokio::test]
async fn a_pattern_finds_the_first_type_that_it_matches() {
    let registry = Registry::new(table::create().await, table::NAME);
    for name in ["invoice", "invoice-2.paid", "invoice.paid", "invoice.voided", "ticket.opened"] {
        assert_eq!(refused(&registry, name, 10).await, None);
    }
    let matching = async |patterns: &[&str]| {
        let patterns = patterns.iter().map(|pattern| EventPattern::parse(pattern).unwrap());
        let found = registry.types.matching(&workspace(), patterns).await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(matching(&["ticket.opened", "invoice.*"]).await, ["ticket.opened", "invoice.paid"]);
    assert_eq!(matching(&["ticket", "invoice.pai", "ticket.opened.*", "order.*"]).await, [""; 0]);
    assert_eq!(matching(&["*", "invoice"]).await, ["invoice", "invoice"]);
}
