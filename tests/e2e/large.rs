//! A workspace may have more webhooks than one share of a fan-out takes, and may change in the
//! meantime. Those that want an event are found all the same.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use posthaste_tests::{Action, Aim, LATER, Posthaste};
use reqwest::Method;
use serde_json::{Value, json};

const WEBHOOKS: usize = 1_010;

#[tokio::test]
async fn every_webhook_of_a_large_workspace_gets_each_event_though_fan_out_dies_in_the_middle() {
    let template = posthaste_local::binaries::template().unwrap();
    let posthaste =
        Posthaste::with_template(template.replace("!Ref MaxWebhooks", &format!("\"{WEBHOOKS}\"")))
            .await;
    let body = |nth: usize| {
        json!({
            "url": format!("{}?n={nth}", posthaste.inbox_url("mine")), "events": ["order.*"],
        })
    };
    let register = |nth| posthaste.api.ok(Method::POST, "/webhooks", body(nth));
    let webhooks: Vec<Value> =
        stream::iter(0..WEBHOOKS).map(register).buffer_unordered(4).collect().await;

    let (status, refused) = posthaste.api.call(Method::POST, "/webhooks", body(WEBHOOKS)).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (409, &json!("too_many_webhooks")),
        "{refused}"
    );

    // Some way into a share of a thousand webhooks.
    let aimed = posthaste
        .system
        .faults()
        .aim(Aim::at("fanout", "sqs:SendMessageBatch", Action::KillAfter).skip(20));
    let event = posthaste.api.publish("order.created", json!({})).await;
    tokio::time::timeout(LATER, aimed.hit()).await.expect("the fault hits");
    posthaste_tests::eventually("it is killed", async || {
        (posthaste.system.metrics().functions["fanout"].crashes > 0).then_some(())
    })
    .await;
    posthaste.come_again();
    posthaste.arrived_within("mine", WEBHOOKS, LATER).await;
    posthaste.idle().await;
    let arrived = posthaste.system.inbox().arrived("mine");
    assert!(arrived.iter().all(|request| request.headers["webhook-id"] == event));
    let paths: BTreeSet<&str> = arrived.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths.len(), WEBHOOKS, "of {} requests", arrived.len());
    for webhook in [&webhooks[0], &webhooks[WEBHOOKS - 1]] {
        assert_eq!(posthaste.deliveries(webhook, "succeeded", 1).await.len(), 1);
    }
}

#[tokio::test]
async fn a_page_of_the_index_that_is_replaced_while_fan_out_reads_it_keeps_no_event_from_a_webhook()
{
    let posthaste = Posthaste::start().await;
    let webhook = posthaste.register("mine", &["order.*"]).await;
    // A function that knows nothing yet reads the root, and then its pages.
    let aimed = posthaste
        .system
        .faults()
        .aim(Aim::at("fanout", "dynamodb:BatchGetItem", Action::Pause).skip(1));
    let event = posthaste.api.publish("order.created", json!({})).await;
    tokio::time::timeout(LATER, aimed.hit()).await.expect("the fault hits");
    let path = format!("/webhooks/{}", webhook["id"]);
    posthaste.api.ok(Method::PATCH, &path, json!({ "events": ["order.*", "service_run"] })).await;
    aimed.release();
    let arrived = posthaste.arrived("mine", 1).await;
    assert_eq!(arrived[0].headers["webhook-id"], event);
    // The old root, the page that was gone, the new root and its page.
    assert_eq!(posthaste.calls("fanout", "dynamodb:BatchGetItem"), 4);

    posthaste.api.publish("order.created", json!({})).await;
    posthaste.arrived("mine", 2).await;
    assert_eq!(
        posthaste.calls("fanout", "dynamodb:BatchGetItem"),
        5,
        "a function that knows the page reads the root alone"
    );
}
