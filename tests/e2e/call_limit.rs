//! The keys of a workspace may make only so many calls a second together, and a key is read only
//! once in a while.

use std::time::Instant;

use posthaste_local::binaries;
use posthaste_tests::{Api, Posthaste};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Starts a system whose workspaces may make a call a second, and ten at once.
async fn limited() -> Posthaste {
    Posthaste::with_call_limit(binaries::template().unwrap(), 1).await
}

async fn refused(api: &Api, method: Method, path: &str, body: Value) -> Option<u64> {
    let answer = api.answer(method, path, body.to_string()).await;
    if answer.status() != StatusCode::TOO_MANY_REQUESTS {
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        return None;
    }
    let seconds = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(
        (&answer["success"], &answer["error"]["code"]),
        (&json!(false), &json!("too_many_calls")),
        "{answer}"
    );
    posthaste_api::check::answer("GET", "/api/v1/webhooks", 429, &answer).unwrap();
    Some(seconds)
}

#[tokio::test]
async fn every_call_of_a_workspace_counts_whichever_function_answers_it_and_others_are_not_affected()
 {
    let posthaste = limited().await;
    // This call is the first of ten.
    let other = posthaste.api.workspace("other").await;
    let (began, mut passed, mut longest) = (Instant::now(), 1, 0);
    for nth in 0..40 {
        let path = if nth % 2 == 0 { "/webhooks" } else { "/event-types/order.created" };
        let seconds = refused(&posthaste.api, Method::GET, path, Value::Null).await;
        match seconds {
            None => passed += 1,
            Some(seconds) => longest = longest.max(seconds),
        }
    }
    let elapsed = began.elapsed().as_secs() + 1;
    assert!((10..=10 + elapsed).contains(&passed), "{passed} calls in {elapsed} s");
    assert!(
        (1..=5).contains(&longest),
        "{longest}: a token comes each second, and a pause lasts 4 s"
    );
    other.ok(Method::GET, "/webhooks", Value::Null).await;
    // What is spent on other calls does not keep events from being taken, and the other way round.
    let mut published = 0;
    for _ in 0..20 {
        let event = json!({ "type": "order.created", "data": {} });
        if refused(&posthaste.api, Method::POST, "/events", event).await.is_none() {
            published += 1;
        }
    }
    assert!((10..20).contains(&published), "{published} publishing calls");
}

#[tokio::test]
async fn two_keys_of_a_workspace_get_one_limit_together() {
    let posthaste = limited().await;
    // Making the key is the first of ten calls.
    let second = posthaste.api.with_new_key(json!({ "scopes": ["webhooks:manage"] })).await;
    let (began, mut passed) = (Instant::now(), 1);
    for nth in 0..40 {
        let api = if nth % 2 == 0 { &posthaste.api } else { &second };
        if refused(api, Method::GET, "/webhooks", Value::Null).await.is_none() {
            passed += 1;
        }
    }
    let elapsed = began.elapsed().as_secs() + 1;
    assert!((10..=10 + elapsed).contains(&passed), "{passed} calls in {elapsed} s");
}

#[tokio::test]
async fn a_call_that_reads_much_counts_as_several() {
    let posthaste = limited().await;
    // With this item a list of the webhooks takes some 90 read units, which is the weight of four
    // calls.
    let id = posthaste.register("mine", &["*"]).await["id"].as_u64().unwrap();
    let table = &posthaste.system.stack().outputs["RegistryTable"];
    let key =
        json!({ "pk": { "S": "workspace#default" }, "sk": { "S": format!("webhook#{id:020}") } });
    let get = json!({ "TableName": table, "Key": key });
    let mut item = posthaste.system.dynamodb().call("GetItem", &get).await.unwrap()["Item"].clone();
    item["padding"] = json!({ "S": "x".repeat(350_000) });
    let put = json!({ "TableName": table, "Item": item });
    posthaste.system.dynamodb().call("PutItem", &put).await.unwrap();
    let (began, mut lists) = (Instant::now(), 0);
    while refused(&posthaste.api, Method::GET, "/webhooks", Value::Null).await.is_none() {
        lists += 1;
    }
    let elapsed = began.elapsed().as_secs();
    assert!(
        (2..=3 + elapsed.div_ceil(4)).contains(&lists),
        "{lists} lists in {elapsed} s, of ten calls at once"
    );
}

#[tokio::test]
async fn a_key_is_read_once_in_some_seconds_and_few_of_its_calls_ask_for_the_limit() {
    const WRONG: u64 = 30;
    const CALLS: u64 = 60;
    let posthaste = Posthaste::with_call_limit(binaries::template().unwrap(), 100).await;
    let publish = || posthaste.api.publish("order.created", json!({}));
    publish().await;
    let first = |operation| posthaste.calls("ingest", operation);
    assert_eq!(
        (first("dynamodb:GetItem"), first("dynamodb:UpdateItem")),
        (1, 0),
        "one call costs no more than its key"
    );
    let began = Instant::now();
    for _ in 1..CALLS {
        publish().await;
    }
    let elapsed = began.elapsed().as_secs();
    let processes = posthaste.system.metrics().functions["ingest"].cold_starts;
    let (reads, asks) = (
        posthaste.calls("ingest", "dynamodb:GetItem"),
        posthaste.calls("ingest", "dynamodb:UpdateItem"),
    );
    assert!(
        reads <= processes * (1 + elapsed / 5),
        "{reads} reads of {processes} processes in {elapsed} s"
    );
    assert!(asks <= CALLS / 4, "{asks} questions for {CALLS} calls in {elapsed} s");
    assert_eq!(
        posthaste.calls("ingest", "sqs:SendMessage")
            + posthaste.calls("ingest", "sqs:SendMessageBatch"),
        CALLS
    );

    let nobody = posthaste.api.with_key(&format!("spk_live_{}", "x".repeat(43)));
    let began = Instant::now();
    for _ in 0..WRONG {
        let (status, _) = nobody
            .call(Method::POST, "/events", json!({ "type": "order.created", "data": {} }))
            .await;
        assert_eq!(status, 401);
    }
    let elapsed = began.elapsed().as_secs();
    let wrong = posthaste.calls("ingest", "dynamodb:GetItem") - reads;
    let processes = posthaste.system.metrics().functions["ingest"].cold_starts;
    assert!(
        wrong <= processes * (1 + elapsed),
        "a wrong key is read {wrong} times in {elapsed} s, by {processes}"
    );
    posthaste.api.workspace("new").await.publish("order.created", json!({})).await;
}
