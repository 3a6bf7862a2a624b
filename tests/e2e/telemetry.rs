//! Every line that the functions write is one JSON object with its origin. The metrics agree with
//! what happened, and the trace of a publishing call arrives.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_domain::{metrics::Metric, trace::TraceParent};
use posthaste_tests::{Action, Aim, Aimed, Posthaste, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The SDK makes this many tries of a call, so the function itself has to cope with the failure.
const THROTTLED: u32 = 5;
const FUNCTIONS: [&str; 11] = [
    "console", "deliver", "drain", "fanout", "ingest", "register", "release", "replay", "setup",
    "simulate", "types",
];

/// The members of a line in their order. A map would hide one that is there twice.
struct Members(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Reads the lines of a function. Each has to be an object without a name twice.
fn lines(posthaste: &Posthaste, function: &str) -> Vec<Value> {
    let read = |line: &String| {
        let Members(members) =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{function} wrote {line}"));
        let names: BTreeSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), members.len(), "{line}");
        Value::Object(members.into_iter().collect())
    };
    posthaste.lines(function).iter().map(read).collect()
}

/// Reads the lines that are metrics. Each has to name what it has.
fn metrics(posthaste: &Posthaste, function: &str) -> Vec<Value> {
    let told: Vec<Value> =
        lines(posthaste, function).into_iter().filter(|line| line["_aws"].is_object()).collect();
    for line in &told {
        assert_eq!(
            (&line["Stage"], &line["Function"]),
            (&json!("local"), &json!(function)),
            "{line}"
        );
        assert!(line["_aws"]["Timestamp"].as_i64().unwrap() > 1_700_000_000_000, "{line}");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], "Posthaste");
            for set in directive["Dimensions"].as_array().unwrap() {
                let mut names = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                assert!(names.all(|name| line[name].is_string()), "{line}");
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                let known =
                    Metric::ALL.into_iter().find(|known| metric["Name"] == known.name()).unwrap();
                assert_eq!(metric["Unit"], known.unit());
                assert!(
                    line[known.name()].is_u64() || line[known.name()]["Values"].is_array(),
                    "{line}"
                );
            }
        }
    }
    told
}

/// Adds up a metric over all lines of a function that have these values. Of a spread it counts the
/// values.
fn sum(posthaste: &Posthaste, function: &str, metric: &str, labels: &[(&str, &str)]) -> u64 {
    let has = |line: &&Value| labels.iter().all(|(name, value)| line[*name] == *value);
    let is_spread =
        Metric::ALL.iter().any(|known| known.name() == metric && known.unit() == "Milliseconds");
    let value = |line: &Value| match &line[metric]["Counts"] {
        Value::Array(counts) => counts.iter().map(|count| count.as_u64().unwrap()).sum(),
        _ if is_spread => u64::from(line[metric].is_u64()),
        _ => line[metric].as_u64().unwrap_or(0),
    };
    metrics(posthaste, function).iter().filter(has).map(value).sum()
}

/// Asserts that no function has met a fault of ours so far.
pub(crate) fn has_no_faults(posthaste: &Posthaste) {
    for function in FUNCTIONS {
        let errors: Vec<Value> = lines(posthaste, function)
            .into_iter()
            .filter(|line| line["level"] == "ERROR")
            .collect();
        assert_eq!(sum(posthaste, function, "Faults", &[]), 0, "{function}: {errors:?}");
    }
}

fn parents(arrived: &[posthaste_tests::Arrived]) -> Vec<TraceParent> {
    arrived
        .iter()
        .map(|request| TraceParent::parse(&request.headers["traceparent"]).unwrap())
        .collect()
}

#[tokio::test]
async fn what_the_functions_write_agrees_with_what_happened() {
    let posthaste = Posthaste::start().await;
    let well = posthaste.register("well", &["order.*"]).await;
    let failing = posthaste.register_failing("failing", &["order.created"], 500, 100).await;
    let traced = posthaste.api.with_header("traceparent", GIVEN);
    traced.publish("order.created", json!({})).await;
    let plain = posthaste.api.publish("order.shipped", json!({})).await;
    posthaste.deliveries(&failing, "exhausted", 1).await;
    let well_arrived = posthaste.arrived("well", 2).await;
    posthaste.idle().await;

    // The trace of the call goes on in each attempt, and an event without one has its own.
    let given = TraceParent::parse(GIVEN).unwrap();
    let tried = parents(&posthaste.arrived("failing", 4).await);
    assert!(
        tried.iter().all(|parent| parent.trace == given.trace && parent.span != given.span),
        "{tried:?}"
    );
    let spans: BTreeSet<String> = tried.iter().map(ToString::to_string).collect();
    assert_eq!(spans.len(), 4, "each attempt is a span of its own: {spans:?}");
    let own: Vec<String> =
        parents(&well_arrived).iter().map(|parent| parent.trace.to_string()).collect();
    assert!(
        own.contains(&given.trace.to_string()) && own.contains(&plain.replace('-', "")),
        "{own:?}"
    );

    // A replay is of the same trace, and its function is heard of.
    let path = format!("/webhooks/{}/replay", well["id"]);
    posthaste
        .api
        .ok(Method::POST, &path, json!({ "since": "2020-01-01T00:00:00Z", "status": "all" }))
        .await;
    let replayed = parents(&posthaste.arrived("well", 4).await);
    assert_eq!(replayed.iter().filter(|parent| parent.trace == given.trace).count(), 2);
    posthaste.idle().await;
    posthaste.system.tick("release").await.unwrap();

    eventually("all is told", async || {
        let told = sum(&posthaste, "deliver", "Attempted", &[]) == 8
            && sum(&posthaste, "fanout", "FannedOut", &[]) >= 2;
        told.then_some(())
    })
    .await;
    let deliver = |metric, labels: &[(&str, &str)]| sum(&posthaste, "deliver", metric, labels);
    assert_eq!(sum(&posthaste, "ingest", "Accepted", &[("workspace", "default")]), 2);
    assert_eq!(deliver("Delivered", &[("Profile", "standard")]), 4);
    assert_eq!(deliver("Failed", &[("Profile", "standard"), ("Code", "http_status")]), 4);
    assert_eq!(
        [deliver("Failed", &[]), deliver("Exhausted", &[]), deliver("AttemptTime", &[])],
        [4, 1, 8]
    );
    assert_eq!(deliver("TimeToFirstAttempt", &[]), 3, "neither a retry nor a replay is the first");

    let failed: Vec<Value> = lines(&posthaste, "deliver")
        .into_iter()
        .filter(|line| line["message"] == "attempted")
        .collect();
    assert_eq!(failed.len(), 4, "what went well is in the metrics");
    for line in &failed {
        let about =
            json!([line["webhook.id"], line["workspace"], line["http.status"], line["trace.id"]]);
        let trace = given.trace.to_string();
        assert_eq!(about, json!([failing["id"].to_string(), "default", 500, trace]), "{line}");
        let span = line["span.id"].as_str().unwrap();
        assert!(tried.iter().any(|parent| parent.span.to_string() == span), "{line}");
    }
    posthaste.api.ok(Method::PUT, "/event-types/invoice.paid", json!({})).await;
    limited_deliveries_are_counted(&posthaste).await;
    every_line_says_its_origin(&posthaste);
    // Failed attempts, a spent schedule, a replay and a rate limit are none.
    has_no_faults(&posthaste);
}

/// Publishes events over a rate limit, which wait, and which another function sends.
async fn limited_deliveries_are_counted(posthaste: &Posthaste) {
    let limited = json!({
        "events": ["inventory.sold"], "profile": "dataspike",
        "rateLimit": { "requests": 1, "per": "second" },
    });
    posthaste.register_with("limited", limited).await;
    let events = vec![json!({ "type": "inventory.sold", "data": { "id": 1 } }); 4];
    posthaste.api.ok(Method::POST, "/events", json!({ "events": events })).await;
    posthaste.arrived("limited", 4).await;
    posthaste.idle().await;
    let delivered = |function| sum(posthaste, function, "Delivered", &[("Profile", "dataspike")]);
    eventually("all four are told", async || {
        (delivered("deliver") + delivered("drain") == 4).then_some(())
    })
    .await;
    let waited = sum(posthaste, "deliver", "Waiting", &[("Reason", "limited")]);
    assert!(waited > 0 && waited >= delivered("drain"), "{waited} have waited");
}

/// Asserts that every line says which invocation wrote it, and that functions that work are heard
/// of.
fn every_line_says_its_origin(posthaste: &Posthaste) {
    let mut levels = BTreeMap::new();
    for function in FUNCTIONS {
        for line in lines(posthaste, function) {
            assert!(
                line["requestId"].as_str().is_some_and(|id| id.len() == 36),
                "{function}: {line}"
            );
            if line["_aws"].is_null() {
                assert_eq!(line["stage"], "local", "{function}: {line}");
                assert!(
                    line["message"].is_string() && line["target"].is_string(),
                    "{function}: {line}"
                );
                levels.insert((function, line["level"].as_str().unwrap().to_owned()), ());
            }
        }
    }
    for function in ["drain", "register", "release", "replay", "setup", "types"] {
        assert!(
            levels.contains_key(&(function, "INFO".to_owned())),
            "{function} is not heard of: {levels:?}"
        );
    }
}

/// Waits until a function has told a fault that these calls of it meet.
async fn told_a_fault(posthaste: &Posthaste, function: &str, aimed: Aimed) {
    let what = format!("{function} tells a fault");
    eventually(&what, async || (sum(posthaste, function, "Faults", &[]) > 0).then_some(())).await;
    assert!(aimed.hits() >= THROTTLED, "{function}: {} calls have failed", aimed.hits());
}

#[tokio::test]
async fn what_calls_of_aws_that_keep_failing_leave_undone_is_told_as_faults() {
    let posthaste = Posthaste::start().await;
    let aim = |function, operation, times| {
        posthaste.system.faults().aim(Aim::at(function, operation, Action::Fail).times(times))
    };
    let well = posthaste.register("well", &["*"]).await;
    for (function, operation) in
        [("fanout", "dynamodb:BatchWriteItem"), ("deliver", "dynamodb:BatchGetItem")]
    {
        let aimed = aim(function, operation, THROTTLED);
        posthaste.api.publish("order.created", json!({})).await;
        told_a_fault(&posthaste, function, aimed).await;
    }
    posthaste.deliveries(&well, "succeeded", 2).await;

    let aimed = aim("register", "dynamodb:Query", THROTTLED);
    let (status, _) = posthaste.api.call(Method::GET, "/webhooks", Value::Null).await;
    assert_eq!(status, 500);
    told_a_fault(&posthaste, "register", aimed).await;

    let aimed = aim("replay", "dynamodb:GetItem", THROTTLED);
    let path = format!("/webhooks/{}/replay", well["id"]);
    posthaste
        .api
        .ok(Method::POST, &path, json!({ "since": "2020-01-01T00:00:00Z", "status": "all" }))
        .await;
    told_a_fault(&posthaste, "replay", aimed).await;
    posthaste.deliveries(&well, "succeeded", 4).await;

    // The turn is claimed, and its backlog can't be read.
    let held = posthaste.register_with("held", json!({ "events": ["order.shipped"] })).await;
    posthaste.hold(&held, "slow").await;
    posthaste.api.publish("order.shipped", json!({})).await;
    posthaste.backlog_of(&held, 1).await;
    let aimed = aim("drain", "dynamodb:Query", THROTTLED);
    posthaste.wake(&held).await;
    told_a_fault(&posthaste, "drain", aimed).await;

    // As long as it fails, whatever part of release asks first.
    let aimed = aim("release", "dynamodb:Query", 10_000);
    assert!(posthaste.system.tick("release").await.is_err(), "nothing was released");
    told_a_fault(&posthaste, "release", aimed).await;
    assert_eq!(sum(&posthaste, "ingest", "Faults", &[]), 0, "it has met none");
}
