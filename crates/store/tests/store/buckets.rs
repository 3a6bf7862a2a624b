//! Tokens of a bucket, taken by many at the same time.

use futures::future::join_all;
use posthaste_domain::{
    Timestamp,
    access::{
        tokens::{Grant, Limit, Question},
        workspace::Workspace,
    },
};
use posthaste_store::{Bucket, Registry};

use crate::table;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn limit(per_second: u32) -> Limit {
    Limit::of_events(per_second).unwrap()
}

fn publishing(workspace: &str) -> Bucket {
    Bucket::Publishing(Workspace::parse(workspace).unwrap())
}

#[tokio::test]
async fn many_who_ask_at_once_get_no_more_than_there_is_and_none_is_overtaken_too_often() {
    let registry = Registry::new(table::create().await, table::NAME);
    let bucket = publishing("acme");
    let take =
        || registry.buckets.take(&bucket, limit(300), Question { least: 10, most: 30 }, at(10_000));
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
async fn a_bucket_fills_again_and_belongs_to_one_workspace() {
    let registry = Registry::new(table::create().await, table::NAME);
    let (acme, other) = (publishing("acme"), publishing("other"));
    let take = async |bucket, least, most, ms| {
        registry.buckets.take(bucket, limit(10), Question { least, most }, at(ms)).await.unwrap()
    };
    let tokens = |ms, count| Grant::Tokens { first: at(ms), count };
    assert_eq!(take(&acme, 100, 100, 5000).await, tokens(5000, 100));
    assert_eq!(take(&acme, 1, 10, 5000).await, Grant::Later(at(5100)));
    assert_eq!(take(&other, 1, 10, 5000).await, tokens(5000, 10));
    assert_eq!(
        take(&acme, 1, 10, 5250).await,
        tokens(15_000, 2),
        "what there is, where it is enough"
    );
    assert_eq!(take(&acme, 50, 100, 100_000).await, tokens(100_000, 100));
}

#[tokio::test]
async fn what_is_owed_is_taken_beyond_what_the_bucket_has_by_as_many_as_owe_at_once() {
    let registry = Registry::new(table::create().await, table::NAME);
    let bucket = Bucket::Calls(Workspace::parse("acme").unwrap());
    let calls = Limit::of_calls(100).unwrap();
    let owed =
        join_all((0..10).map(|_| registry.buckets.owe(&bucket, calls, 50, at(10_000)))).await;
    let last = owed.into_iter().map(Result::unwrap).max();
    assert_eq!(last, Some(at(15_000)), "500 tokens from now on");
    let one = Question { least: 1, most: 1 };
    assert_eq!(
        registry.buckets.take(&bucket, calls, one, at(10_000)).await.unwrap(),
        Grant::Later(at(14_010))
    );
    assert_eq!(
        registry.buckets.owe(&bucket, calls, 1, at(20_000)).await.unwrap(),
        at(20_010),
        "what is past is past"
    );
}
