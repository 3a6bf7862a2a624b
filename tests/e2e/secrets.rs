//! Secrets are rotated with an overlap, and no secret is stored or shown in plain.

use std::collections::BTreeSet;

use posthaste_tests::{Action, Aim, Aimed, Api, Arrived, Posthaste, SOON, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// Tells if the standardwebhooks library accepts a request with this secret.
fn accepts(secret: &Value, request: &Arrived) -> bool {
    let mut signed = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        signed.insert(name, request.headers[name].parse().unwrap());
    }
    let library = standardwebhooks::Webhook::new(secret.as_str().unwrap()).unwrap();
    library.verify(&request.bytes, &signed).is_ok()
}

fn signatures(request: &Arrived) -> usize {
    request.headers["webhook-signature"].split(' ').count()
}

async fn rotate(api: &Api, webhook: &Value, body: Value) -> (u16, Value) {
    api.call(Method::POST, &format!("/webhooks/{}/secret/rotate", webhook["id"]), body).await
}

pub(crate) async fn rotated(api: &Api, webhook: &Value, body: Value) -> Value {
    let (status, answer) = rotate(api, webhook, body).await;
    assert_eq!(status, 200, "{answer}");
    answer["data"].clone()
}

/// Publishes an event, and returns the newest request, which brought it.
pub(crate) async fn next_request(posthaste: &Posthaste, inbox: &str) -> Arrived {
    let before = posthaste.system.inbox().arrived(inbox).len();
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived(inbox, before + 1).await.pop().unwrap()
}

/// Reads the whole Registry as a text.
pub(crate) async fn registry(posthaste: &Posthaste) -> String {
    let table = &posthaste.system.stack().outputs["RegistryTable"];
    posthaste
        .system
        .dynamodb()
        .call("Scan", &json!({ "TableName": table }))
        .await
        .unwrap()
        .to_string()
}

/// Lists the ids of the keys that something in the Registry is sealed with.
async fn key_ids(posthaste: &Posthaste) -> BTreeSet<String> {
    let stored = registry(posthaste).await;
    stored.split("v1.").skip(1).map(|rest| rest.split('.').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn both_secrets_sign_during_the_overlap_and_the_new_one_alone_after_it() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let old = &webhook["secret"];
    let now = rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 5 })).await;
    let new = &now["secret"];
    assert_ne!(new, old);
    assert!(now["previousSecretsUntil"].is_string(), "{now}");

    let path = format!("/webhooks/{}", webhook["id"]);
    let shown = posthaste.api.ok(Method::GET, &path, Value::Null).await;
    assert_eq!(
        (&shown["secret"], &shown["previousSecretsUntil"]),
        (&Value::Null, &now["previousSecretsUntil"])
    );
    assert_eq!(shown["updatedAt"], webhook["updatedAt"], "no setting has changed");

    // The receiver still has the old one: `signatures` are what its check says.
    let during = next_request(&posthaste, "mine").await;
    assert!(accepts(old, &during) && accepts(new, &during), "{:?}", during.headers);
    assert_eq!(signatures(&during), 2);
    let checked = during.signatures.unwrap();
    assert!(
        checked.standard && !checked.spectra,
        "X-Webhook-Signature has room for the newest only"
    );

    let after = eventually("the overlap has ended", async || {
        let request = next_request(&posthaste, "mine").await;
        (signatures(&request) == 1).then_some(request)
    })
    .await;
    assert!(accepts(new, &after) && !accepts(old, &after));
}

#[tokio::test]
async fn without_overlap_the_old_secret_ends_at_once() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let now = rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 0 })).await;
    assert_eq!(now["previousSecretsUntil"], Value::Null);
    let request = next_request(&posthaste, "mine").await;
    assert!(accepts(&now["secret"], &request) && !accepts(&webhook["secret"], &request));
}

#[tokio::test]
async fn three_older_secrets_are_the_most_and_a_rotation_without_overlap_is_always_possible() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let mut secrets = vec![webhook["secret"].clone()];
    for body in [Value::Null, json!({}), json!({ "overlapSeconds": 600 })] {
        secrets.push(rotated(&posthaste.api, &webhook, body).await["secret"].clone());
    }
    let (status, answer) = rotate(&posthaste.api, &webhook, Value::Null).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("too_many_secrets")));
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(signatures(&request), 4);
    assert!(secrets.iter().all(|secret| accepts(secret, &request)));

    let leaked = secrets.pop().unwrap();
    secrets.push(
        rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 0 })).await["secret"].clone(),
    );
    let request = next_request(&posthaste, "mine").await;
    assert!(secrets.iter().all(|secret| accepts(secret, &request)) && !accepts(&leaked, &request));
}

#[tokio::test]
async fn rotations_at_the_same_time_are_made_one_after_the_other() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let (one, other) = tokio::join!(
        rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 600 })),
        rotated(&posthaste.api, &webhook, json!({ "overlapSeconds": 600 })),
    );
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(signatures(&request), 3);
    for secret in [&webhook["secret"], &one["secret"], &other["secret"]] {
        assert!(accepts(secret, &request));
    }
}

#[tokio::test]
async fn a_rotation_whose_write_lost_its_answer_is_one_rotation() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let aimed = posthaste.system.faults().aim(Aim::at(
        "register",
        "dynamodb:TransactWriteItems",
        Action::Lose,
    ));
    let now = rotated(&posthaste.api, &webhook, Value::Null).await;
    assert_eq!(aimed.hits(), 1);
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(signatures(&request), 2);
    assert!(accepts(&now["secret"], &request) && accepts(&webhook["secret"], &request));
}

#[tokio::test]
async fn nobody_rotates_what_is_anothers_or_without_the_scope() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let other = posthaste.api.workspace("other").await;
    let (status, answer) = rotate(&other, &webhook, Value::Null).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")));
    let key = posthaste.api.ok(Method::POST, "/keys", json!({ "scopes": ["events:read"] })).await;
    let (status, _) =
        rotate(&posthaste.api.with_key(key["key"].as_str().unwrap()), &webhook, Value::Null).await;
    assert_eq!(status, 403);
    let (status, answer) =
        rotate(&posthaste.api, &webhook, json!({ "overlapSeconds": 604_801 })).await;
    assert_eq!((status, &answer["error"]["field"]), (422, &json!("overlapSeconds")));
    let request = next_request(&posthaste, "mine").await;
    assert!(accepts(&webhook["secret"], &request));
}

#[tokio::test]
async fn the_table_holds_no_plain_secret() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste
        .register_with("mine", json!({ "headers": { "Authorization": "Bearer tell-nobody" } }))
        .await;
    let now = rotated(&posthaste.api, &webhook, Value::Null).await;
    next_request(&posthaste, "mine").await;
    posthaste.deliveries(&webhook, "succeeded", 1).await;
    let mut stored = registry(&posthaste).await;
    assert!(stored.contains("Authorization") && stored.contains("v1."), "{stored}");
    for table in ["EventsTable", "DeliveriesTable"] {
        let table = &posthaste.system.stack().outputs[table];
        stored += &posthaste
            .system
            .dynamodb()
            .call("Scan", &json!({ "TableName": table }))
            .await
            .unwrap()
            .to_string();
    }
    for secret in [&webhook["secret"], &now["secret"]] {
        let encoded = secret.as_str().unwrap().strip_prefix("whsec_").unwrap();
        assert!(!stored.contains(encoded));
    }
    assert!(!stored.contains("whsec_") && !stored.contains("tell-nobody"));
    for function in ["ingest", "fanout", "release", "types"] {
        assert_eq!(posthaste.calls(function, "secretsmanager:GetSecretValue"), 0, "{function}");
    }
}

#[tokio::test]
async fn a_sealed_secret_that_was_moved_to_another_webhook_signs_nothing() {
    let posthaste = Posthaste::start().await;
    let mine = posthaste.register("mine", &["*"]).await;
    let other = posthaste.register("other", &["*"]).await;
    let table = &posthaste.system.stack().outputs["RegistryTable"];
    let key = |webhook: &Value| {
        let sk = format!("webhook#{:020}", webhook["id"].as_u64().unwrap());
        json!({ "pk": { "S": "workspace#default" }, "sk": { "S": sk } })
    };
    let get = json!({ "TableName": table, "Key": key(&mine) });
    let item = posthaste.system.dynamodb().call("GetItem", &get).await.unwrap()["Item"].clone();
    let moved = json!({
        "TableName": table,
        "Key": key(&other),
        "UpdateExpression": "SET secrets = :s",
        "ExpressionAttributeValues": { ":s": item["secrets"] },
    });
    posthaste.system.dynamodb().call("UpdateItem", &moved).await.unwrap();
    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 1).await;
    eventually("deliver lets it wait", async || {
        (posthaste.calls("deliver", "sqs:ChangeMessageVisibilityBatch") > 0).then_some(())
    })
    .await;
    assert_eq!(posthaste.system.inbox().arrived("other").len(), 0);
    // A rotation without overlap is the way out.
    rotated(&posthaste.api, &other, json!({ "overlapSeconds": 0 })).await;
    eventually("it is delivered", async || {
        posthaste.hurry();
        (!posthaste.system.inbox().arrived("other").is_empty()).then_some(())
    })
    .await;
}

/// Publishes while a fault hits deliver's reading of the key.
async fn published_despite(action: Action, times: u32) -> (Posthaste, Value, Aimed) {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    let aimed = posthaste
        .system
        .faults()
        .aim(Aim::at("deliver", "secretsmanager:GetSecretValue", action).times(times));
    posthaste.api.publish("order.created", json!({})).await;
    tokio::time::timeout(SOON, aimed.hit()).await.expect("the fault hits");
    (posthaste, webhook, aimed)
}

#[tokio::test]
async fn a_function_killed_while_it_reads_the_key_delivers_all_the_same() {
    let (posthaste, ..) = published_despite(Action::KillBefore, 1).await;
    eventually("it is delivered", async || {
        posthaste.hurry();
        (!posthaste.system.inbox().arrived("mine").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_can_not_be_read_lets_a_delivery_wait_at_no_attempts_cost() {
    // The SDK calls five times an operation.
    let (posthaste, webhook, aimed) = published_despite(Action::Fail, 7).await;
    let delivery = posthaste.deliveries(&webhook, "succeeded", 1).await.remove(0);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{delivery}");
    assert_eq!((posthaste.system.inbox().arrived("mine").len(), aimed.hits()), (1, 7));
}

#[tokio::test]
async fn a_webhook_can_be_paused_and_not_registered_without_the_key() {
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["*"]).await;
    // The key is read once a process: the next one has to read it again.
    posthaste.system.faults().aim(Aim::at("register", "dynamodb:UpdateItem", Action::KillBefore));
    let body = json!({ "url": posthaste.inbox_url("mine"), "events": ["*"] });
    assert_eq!(posthaste.api.call(Method::POST, "/webhooks", body.clone()).await.0, 500);
    let failing = Aim::at("register", "secretsmanager:GetSecretValue", Action::Fail).times(1000);
    posthaste.system.faults().aim(failing);
    assert_eq!(posthaste.api.call(Method::POST, "/webhooks", body).await.0, 500);
    let path = format!("/webhooks/{}", webhook["id"]);
    let paused = posthaste.api.ok(Method::PATCH, &path, json!({ "enabled": false })).await;
    assert_eq!(paused["enabled"], false);
    posthaste.api.ok(Method::DELETE, &path, Value::Null).await;
}

#[tokio::test]
async fn the_encryption_key_can_be_changed_under_way() {
    let posthaste = Posthaste::start().await;
    let mine = posthaste.register_with("mine", json!({ "headers": { "X-Key": "k-1" } })).await;
    next_request(&posthaste, "mine").await;
    let before = key_ids(&posthaste).await;
    assert_eq!(before.len(), 1);

    let secret = &posthaste.system.stack().outputs["EncryptionKeyArn"];
    let put = json!({
        "SecretId": secret,
        "SecretString": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    });
    let call = reqwest::Client::new()
        .post(&posthaste.system.urls().sqs)
        .header("x-amz-target", "secretsmanager.PutSecretValue")
        .body(put.to_string());
    assert!(call.send().await.unwrap().status().is_success());

    // A register that knows the old key only goes on with it; the next process seals with the new
    // one.
    posthaste.system.faults().aim(Aim::at("register", "dynamodb:UpdateItem", Action::KillBefore));
    let body = json!({ "url": posthaste.inbox_url("other"), "events": ["*"] });
    assert_eq!(posthaste.api.call(Method::POST, "/webhooks", body).await.0, 500);
    let other = posthaste.register("other", &["*"]).await;
    assert_eq!(key_ids(&posthaste).await.len(), 2);

    // The deliver that runs knows the old key only, and learns the new one.
    let request = next_request(&posthaste, "mine").await;
    assert_eq!(request.headers["x-key"], "k-1");
    let arrived = posthaste.arrived("other", 1).await;
    assert!(accepts(&other["secret"], &arrived[0]));

    // What is written again is sealed with the new key, and says what it said.
    posthaste.api.ok(Method::PATCH, &format!("/webhooks/{}", mine["id"]), json!({})).await;
    let after = key_ids(&posthaste).await;
    assert!(after.len() == 1 && after.is_disjoint(&before), "{before:?} {after:?}");
    let request = next_request(&posthaste, "mine").await;
    assert!(accepts(&mine["secret"], &request));
    assert_eq!(request.headers["x-key"], "k-1");
}

/// Publishes an event, and waits until it has arrived at this inbox.
pub(crate) async fn delivered(posthaste: &Posthaste, inbox: &str) {
    next_request(posthaste, inbox).await;
}
