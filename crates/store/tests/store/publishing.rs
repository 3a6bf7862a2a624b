//! Tokens of a workspace's limit of publishing, taken by many at the same time.

use futures::future::join_all;
use posthaste_domain::{
    Timestamp,
    publish_limit::{Grant, PublishLimit},
    workspace::Workspace,
};
use posthaste_store::Registry;

use crate::table;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn limit(per_second: u32) -> PublishLimit {
    PublishLimit::new(per_second).unwrap()
}

#[tokio::test]
async fn many_who_ask_at_once_get_no_more_than_there_is_and_none_is_overtaken_too_often() {
    let registry = Registry::new(table::create().await, table::NAME);
    let workspace = Workspace::parse("acme").unwrap();
    let take = || registry.take_tokens(&workspace, limit(300), 10, 30, at(10_000));
    let mut taken = 0;
    for grant in join_all((0..40).map(|_| take())).await {
        match grant.unwrap() {
            Grant::Tokens { count, .. } => taken += count,
            Grant::Later(until) => assert!(until > at(10_000)),
        }
    }
    assert_eq!(taken, 300);
    assert!(matches!(take().await.unwrap(), Grant::Later(_)));
}

#[tokio::test]
async fn a_bucket_fills_again_and_is_one_workspaces_own() {
    let registry = Registry::new(table::create().await, table::NAME);
    let (acme, other) = (Workspace::parse("acme").unwrap(), Workspace::parse("other").unwrap());
    let take = async |workspace, least, most, ms| {
        registry.take_tokens(workspace, limit(10), least, most, at(ms)).await.unwrap()
    };
    let tokens = |ms, count| Grant::Tokens { first: at(ms), count };
    assert_eq!(take(&acme, 100, 100, 5000).await, tokens(5000, 100));
    assert_eq!(take(&acme, 1, 10, 5000).await, Grant::Later(at(5100)));
    assert_eq!(take(&other, 1, 10, 5000).await, tokens(5000, 10));
    assert_eq!(take(&acme, 1, 10, 5250).await, tokens(15_000, 2), "what there is, where it is enough");
    assert_eq!(take(&acme, 50, 100, 100_000).await, tokens(100_000, 100));
}
