//! Some messages kill the function that handles them.

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Posthaste, Received, eventually, now_ms};
use reqwest::Method;
use serde_json::{Value, json};

/// Makes a message straight to the queue, for a workspace, with a text in its data.
fn message(workspace: &str, text: &str) -> String {
    json!({ "workspace": workspace, "type": "order.created", "data": { "text": text } }).to_string()
}

fn reason(letter: &Received) -> String {
    format!("{:?}", letter.message_attributes["reason"].value)
}

/// Aims at each function that stores the event: it dies as of a crash or of too much memory.
fn poison() -> Aim {
    Aim::at("fanout", "dynamodb:BatchWriteItem", Action::KillBefore)
        .containing("poison")
        .times(1_000)
}

#[tokio::test]
async fn a_message_that_kills_its_function_harms_no_other_and_ends_as_a_dead_letter() {
    let posthaste = Posthaste::start().await;
    let other = posthaste.api.workspace("other").await;
    let webhook = json!({ "url": posthaste.inbox_url("other"), "events": ["*"] });
    other.ok(Method::POST, "/webhooks", webhook).await;
    let deaths = posthaste.system.faults().aim(poison());
    let mut bodies: Vec<String> = (0..4).map(|n| message("other", &format!("good {n}"))).collect();
    bodies.insert(2, message("default", "poison"));
    posthaste.send("EventsQueueUrl", &bodies).await;
    let mut died = 0;
    eventually("the other workspace has its events, and the poison is gone", async || {
        // What a dead function held comes again after 60 s; here at once.
        if deaths.hits() > died && !posthaste.is_working("fanout") {
            died = deaths.hits();
            posthaste.hurry();
        }
        let arrived = posthaste.system.inbox().arrived("other").len();
        let depth = posthaste.system.metrics().queues[&posthaste.queue("EventsQueueUrl")];
        (arrived >= 4 && depth.visible + depth.in_flight + depth.delayed == 0).then_some(())
    })
    .await;
    let letter = posthaste.receive("EventsDeadLetterQueueUrl").await;
    assert_eq!((&letter.body, reason(&letter).as_str()), (&bodies[2], r#"Text("function_died")"#));
    assert_eq!(
        posthaste.system.metrics().queues[&posthaste.queue("EventsDeadLetterQueueUrl")].visible,
        0
    );
    // Two before it is a suspect, and three while it is one.
    assert!(deaths.hits() <= 5, "{} functions died", deaths.hits());
    let events = other.ok(Method::GET, "/events", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 4);
}

/// Makes the poller's event for an invocation with these messages, each of which has been received
/// this often.
fn batch(queue_arn: &str, messages: &[(&str, u32, String)]) -> Value {
    let record = |(id, receives, body): &(&str, u32, String)| {
        let attributes = json!({
            "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": now_ms().to_string(),
        });
        json!({ "messageId": id, "receiptHandle": format!("handle-{id}"), "body": body, "attributes": attributes,
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": "us-east-1" })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

#[tokio::test]
async fn what_is_no_suspect_is_done_and_deleted_before_a_suspect_is_begun() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let deaths = posthaste.system.faults().aim(poison());
    let fanout = posthaste.system.function("fanout").unwrap();
    let arn = "arn:aws:sqs:us-east-1:000000000000:events";
    let messages = [
        ("good", 1, message("default", "good")),
        ("bad", 3, message("default", "poison")),
        ("late", 3, message("default", "late")),
    ];
    let invoke = async |messages: &[(&str, u32, String)]| {
        let answer = fanout.invoke(batch(arn, messages).to_string().into()).await;
        answer.ok().map(|answer| serde_json::from_slice::<Value>(&answer).unwrap())
    };
    assert_eq!(invoke(&messages).await, None, "the function died of the suspects");
    assert_eq!((deaths.hits(), posthaste.calls("fanout", "sqs:DeleteMessageBatch")), (1, 1));
    assert_eq!(posthaste.arrived("mine", 1).await.len(), 1, "what was no suspect went out");

    // The two were together when the function died, so each is handled alone: one of them now, the
    // other one a moment later.
    let again = [("late", 4, message("default", "late")), ("bad", 4, message("default", "poison"))];
    let answer = invoke(&again)
        .await
        .expect("the function lives: it handled the first one and put the other one back");
    let left: Vec<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["itemIdentifier"].as_str().unwrap())
        .collect();
    assert_eq!((left, deaths.hits()), (vec!["bad"], 1));
    posthaste.arrived("mine", 2).await;

    for receives in [5, 6] {
        assert_eq!(invoke(&[("bad", receives, message("default", "poison"))]).await, None);
    }
    let answer = invoke(&[("bad", 7, message("default", "poison"))])
        .await
        .expect("nothing is tried any more");
    assert_eq!(
        (answer["batchItemFailures"].as_array().map(Vec::len).unwrap_or(0), deaths.hits()),
        (0, 3)
    );
    assert_eq!(
        reason(&posthaste.receive("EventsDeadLetterQueueUrl").await),
        r#"Text("function_died")"#
    );
}

/// Lists the ids of the messages that an invocation leaves undone.
fn left(answer: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn faults_of_ours_make_suspects_and_no_dead_letters() {
    let posthaste = Posthaste::start().await;
    posthaste.register("mine", &["*"]).await;
    let throttle =
        |text| Aim::at("fanout", "dynamodb:BatchWriteItem", Action::Fail).containing(text);
    let events = posthaste.system.faults().aim(throttle("good").times(1_000));
    let fanout = posthaste.system.function("fanout").unwrap();
    let arn = "arn:aws:sqs:us-east-1:000000000000:events";
    let invoke = async |receives| {
        let payload = batch(arn, &[("one", receives, message("default", "good"))]);
        left(&fanout.invoke(payload.to_string().into()).await.expect("no function dies"))
    };
    for receives in 3..8 {
        // That the suspect is begun is forgotten late: all tries of one call are refused, and one
        // more.
        let forgetting = posthaste.system.faults().aim(throttle("DeleteRequest").times(6));
        assert_eq!(invoke(receives).await, ["one"], "after {receives} receives");
        assert_eq!(forgetting.hits(), 6);
    }
    events.end();
    assert_eq!(invoke(8).await, [""; 0]);
    posthaste.arrived("mine", 1).await;
    let kept = posthaste
        .scan("begins_with(pk, :suspect)", json!({ ":suspect": { "S": "#suspect#" } }))
        .await;
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn a_suspect_is_not_begun_where_too_little_time_is_left() {
    // 3 s of these are no time for work.
    let (before, after) =
        ("MemorySize: 512\n      Timeout: 30", "MemorySize: 512\n      Timeout: 10");
    let template = binaries::template().unwrap();
    assert_eq!(template.matches(before).count(), 1, "only fanout has these");
    let posthaste = Posthaste::with_template(template.replace(before, after)).await;
    posthaste.register("mine", &["*"]).await;
    let deaths = posthaste.system.faults().aim(poison());
    let fanout = posthaste.system.function("fanout").unwrap();
    let arn = "arn:aws:sqs:us-east-1:000000000000:events";
    for receives in 3..8 {
        let good = format!("good-{receives}");
        let messages = [
            (good.as_str(), 1, message("default", "good")),
            ("late", receives, message("default", "poison")),
        ];
        let answer = fanout
            .invoke(batch(arn, &messages).to_string().into())
            .await
            .expect("no function dies");
        assert_eq!(left(&answer), ["late"], "it comes again");
    }
    posthaste.arrived("mine", 5).await;
    assert_eq!(deaths.hits(), 0);
    assert_eq!(
        posthaste.system.metrics().queues[&posthaste.queue("EventsDeadLetterQueueUrl")].visible,
        0
    );
}
