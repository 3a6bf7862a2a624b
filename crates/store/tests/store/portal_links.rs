//! Portal links: one caller opens each.

use posthaste_domain::{
    access::{
        api_key::{ApiKey, KeyHash},
        portal_link::{NewPortalLink, NotOpened, PortalLink, PortalToken, PortalTokenHash},
        workspace::{Environment, Workspace},
    },
    id::{KeyId, PortalLinkId, WebhookId},
};
use posthaste_store::Registry;

use crate::{
    items::{at, workspace},
    table,
};

const SIMPLE: &str = r#"{"scopes":["webhooks:manage"],"expiresInSeconds":100}"#;

fn key_hash() -> KeyHash {
    ApiKey::new(Environment::Live, &[9; 32]).hash()
}

pub(crate) fn link(nth: u8, body: &str) -> PortalLink {
    let asked = NewPortalLink::parse(body.as_bytes()).unwrap();
    let now = at(i64::from(nth));
    let maker = (KeyId::new(at(0), &[9; 10]), key_hash());
    PortalLink::new(PortalLinkId::new(now, &[nth; 10]), workspace(), asked, maker, now)
}

fn hash(nth: u8) -> PortalTokenHash {
    PortalToken::new(&[nth; 32]).hash()
}

async fn registry_with(links: u8) -> Registry {
    let registry = Registry::new(table::create().await, table::NAME);
    for nth in 0..links {
        registry.portal_links.insert(&hash(nth), &link(nth, SIMPLE)).await.unwrap();
    }
    registry
}

#[tokio::test]
async fn a_link_is_found_by_its_token_and_by_its_id() {
    let registry = registry_with(2).await;
    let links = &registry.portal_links;
    let made = link(1, SIMPLE);
    assert_eq!(made.key_hash, key_hash());
    assert_eq!(links.find(&hash(1)).await.unwrap(), Some(made.clone()));
    assert_eq!(links.get(&workspace(), made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(links.find(&hash(7)).await.unwrap(), None);
    for other in ["globex", "acme~test"] {
        let other = Workspace::parse(other).unwrap();
        assert_eq!(links.get(&other, made.id).await.unwrap(), None);
        links.delete(&other, made.id).await.unwrap();
    }
    assert_eq!(links.find(&hash(1)).await.unwrap(), Some(made));
}

#[tokio::test]
async fn of_all_who_open_a_link_at_once_one_wins() {
    let registry = registry_with(1).await;
    let openings = (0..16).map(|nth| {
        let links = registry.portal_links.clone();
        tokio::spawn(async move { links.open(&hash(0), [nth; 16], at(10)).await.unwrap() })
    });
    let mut won = 0;
    for opening in openings.collect::<Vec<_>>() {
        match opening.await.unwrap() {
            Ok(link) => {
                assert_eq!(link.opened_at, Some(at(10)));
                won += 1;
            }
            Err(reason) => assert_eq!(reason, NotOpened::Used),
        }
    }
    assert_eq!(won, 1);
    let known = registry.portal_links.find(&hash(0)).await.unwrap().unwrap();
    assert_eq!(known.opened_at, Some(at(10)));
}

#[tokio::test]
async fn a_link_that_is_used_expired_or_gone_is_not_opened() {
    let registry = registry_with(3).await;
    let links = &registry.portal_links;
    assert!(links.open(&hash(0), [1; 16], at(1)).await.unwrap().is_ok());
    let again = links.open(&hash(0), [2; 16], at(2)).await.unwrap();
    assert_eq!(again, Err(NotOpened::Used));
    let late = links.open(&hash(1), [3; 16], at(101)).await.unwrap();
    assert_eq!(late, Err(NotOpened::Expired));
    let gone = link(2, SIMPLE);
    links.delete(&workspace(), gone.id).await.unwrap();
    links.delete(&workspace(), gone.id).await.unwrap();
    assert_eq!(links.open(&hash(2), [4; 16], at(3)).await.unwrap(), Err(NotOpened::Missing));
    assert_eq!(links.find(&hash(2)).await.unwrap(), None);
    assert_eq!(links.get(&workspace(), gone.id).await.unwrap(), None);
}

#[tokio::test]
async fn links_come_in_pages_and_say_whether_they_were_opened() {
    let registry = registry_with(5).await;
    registry.portal_links.open(&hash(3), [1; 16], at(5)).await.unwrap().unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = registry.portal_links.page(&workspace(), 2, after).await.unwrap();
        pages.push(page.items.iter().map(|link| link.opened_at).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![None, Some(at(5))], vec![None, None], vec![None]], "the newest first");
}

#[tokio::test]
async fn the_webhooks_that_exist_are_known() {
    let registry = registry_with(0).await;
    let webhook = posthaste_domain::testing::webhook(serde_json::json!({}));
    registry.webhooks.insert(&webhook, 10).await.unwrap();
    let (here, gone) = (webhook.key.id, WebhookId(webhook.key.id.0 + 1));
    let workspace = &webhook.key.workspace;
    let found = registry.webhooks.existing(workspace, &[gone, here, here]).await;
    assert!(found.unread.is_empty());
    assert_eq!(found.items.keys().collect::<Vec<_>>(), [&here]);
}
