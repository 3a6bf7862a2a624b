//! The API keys of a workspace.

use posthaste_domain::{
    Timestamp,
    access::{
        api_key::{ApiKey, KeyInfo, Scope},
        workspace::{Environment, Workspace},
    },
    id::KeyId,
};
use posthaste_store::Registry;

use crate::table;

#[tokio::test]
async fn keys_come_in_pages() {
    let workspace = Workspace::parse("acme").unwrap();
    let registry = Registry::new(table::create().await, table::NAME);
    let mut made = Vec::new();
    for at in 0..5 {
        let now = Timestamp::from_second(i64::from(at) + 1).unwrap();
        let id = KeyId::new(now, &[at; 10]);
        let info = KeyInfo {
            id,
            workspace: workspace.clone(),
            name: None,
            scopes: [Scope::EventsRead].into(),
            environment: Environment::Live,
            created_at: now,
        };
        registry
            .keys
            .insert(&ApiKey::new(Environment::Live, &[at; 32]).hash(), &info)
            .await
            .unwrap();
        made.push(id);
    }
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = registry.keys.page(&workspace, 2, after).await.unwrap();
        pages.push(page.items.iter().map(|info| info.id).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [&made[0..2], &made[2..4], &made[4..5]]);
}
