//! The local system has promises of its own: roles are enforced, faults can be changed while it
//! runs, and the receiver does as it is told.

use posthaste_local::binaries;
use posthaste_tests::{Action, Aim, Posthaste};
use serde_json::{Value, json};

#[tokio::test]
async fn a_permission_that_a_role_lacks_is_missing_here_too() {
    let template = binaries::template().unwrap();
    let without = template.replace(
        "Action: [dynamodb:BatchWriteItem, dynamodb:Query]",
        "Action: [dynamodb:PutItem, dynamodb:Query]",
    );
    assert_ne!(without, template);
    let posthaste = Posthaste::with_template(without).await;
    posthaste.register("mine", &["*"]).await;
    posthaste.api.publish("order.created", json!({})).await;
    let calls = posthaste_tests::eventually("fan-out is refused", async || {
        let metrics = posthaste.system.metrics();
        let calls = metrics.calls.get("fanout")?.get("dynamodb:BatchWriteItem").copied()?;
        (calls.errors > 0).then_some(calls)
    })
    .await;
    assert_eq!(calls.errors, calls.count);
    assert_eq!(posthaste.calls("fanout", "sqs:SendMessageBatch"), 0);
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
}

/// IAM tells the services of a new role within seconds. Until then they refuse what the role may
/// do.
#[tokio::test]
async fn the_first_key_is_stored_although_the_role_is_not_known_yet() {
    let posthaste = Posthaste::start().await;
    let calls = ["secretsmanager:GetSecretValue", "dynamodb:TransactWriteItems"];
    let aimed =
        calls.map(|call| posthaste.system.faults().aim(Aim::at("setup", call, Action::Forbid)));
    let mut event: Value =
        serde_json::from_str(include_str!("../../events/setup/create.json")).unwrap();
    event["ResponseURL"] = json!(posthaste.inbox_url("cloudformation"));
    event["ResourceProperties"]["SecretArn"] =
        json!(posthaste.system.stack().outputs["FirstKeySecretArn"]);
    posthaste.system.function("setup").unwrap().invoke(event.to_string().into()).await.unwrap();
    assert_eq!(aimed.map(|aimed| aimed.hits()), [1, 1]);
    let answer: Value =
        serde_json::from_str(&posthaste.arrived("cloudformation", 1).await[0].body).unwrap();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
}

#[tokio::test]
async fn faults_can_be_changed_while_it_runs() {
    let posthaste = Posthaste::start().await;
    let url = format!("{}/faults", posthaste.system.urls().admin);
    let http = reqwest::Client::new();
    let post = async |faults: &'static str| {
        let answer = http.post(&url).body(faults).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, answer) = post("seed=7,fail=5%").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(posthaste.system.faults().spec(), "seed=7,fail=5%".parse().unwrap());
    let (status, answer) = post("fail=500%").await;
    assert!(status == 422 && answer.contains("fail=500%"), "{status} {answer}");
    assert_eq!(
        posthaste.system.faults().spec(),
        "seed=7,fail=5%".parse().unwrap(),
        "a bad one changes nothing"
    );
    assert_eq!(post("").await.0, 200);
    assert_eq!(posthaste.system.faults().spec(), "".parse().unwrap());
}

#[tokio::test]
async fn the_receiver_answers_as_it_is_told_and_shows_what_arrived() {
    let posthaste = Posthaste::start().await;
    let url = posthaste.inbox_url("mine");
    let http = reqwest::Client::new();
    let settings = json!({
        "responses": [
            { "status": 418, "times": 2, "body": "teapot", "headers": { "retry-after": "7" } }
        ],
    });
    let told = http.put(format!("{url}/settings")).body(settings.to_string()).send().await.unwrap();
    assert_eq!(told.status(), 200);
    let refused =
        http.put(format!("{url}/settings")).body(r#"{"respones": []}"#).send().await.unwrap();
    assert!(refused.status() == 422 && refused.text().await.unwrap().contains("respones"));

    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = http.post(&url).header("x-mine", "<b>").body("hello").send().await.unwrap();
        statuses.push((answer.status().as_u16(), answer.headers().get("retry-after").is_some()));
    }
    assert_eq!(statuses, [(418, true), (418, true), (200, false)]);
    let shown: Value =
        serde_json::from_str(&http.get(&url).send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(shown["requests"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&shown["requests"][0]["body"], &shown["requests"][0]["answered"]),
        (&json!("hello"), &json!(418))
    );
    let page =
        http.get(&url).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("hello") && page.contains("&lt;b&gt;") && !page.contains("<b>"),
        "{page}"
    );
    http.delete(&url).send().await.unwrap();
    assert_eq!(posthaste.system.inbox().arrived("mine").len(), 0);
}

#[tokio::test]
async fn no_address_answers_a_web_page_of_elsewhere() {
    let posthaste = Posthaste::start().await;
    let urls = posthaste.system.urls();
    let arn = &posthaste.system.stack().outputs["FirstKeySecretArn"];
    let secret = json!({ "SecretId": arn }).to_string();
    let calls = [
        (format!("{}/api/v1/openapi.json", urls.api), "GET", "", String::new()),
        (format!("{}/inbox/mine", urls.inbox), "GET", "", String::new()),
        (format!("{}/faults", urls.admin), "POST", "", "fail=100%".to_owned()),
        (urls.sqs.clone(), "POST", "AmazonSQS.ListQueues", "{}".to_owned()),
        (urls.dynamodb.clone(), "POST", "DynamoDB_20120810.ListTables", "{}".to_owned()),
        (urls.sqs.clone(), "POST", "secretsmanager.GetSecretValue", secret),
    ];
    let http = reqwest::Client::new();
    for (url, method, target, body) in calls {
        let call = async |name: &'static str, value: &'static str| {
            let request = http
                .request(method.parse().unwrap(), &url)
                .header("x-amz-target", target)
                .header(name, value);
            let answer = request.body(body.clone()).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        for (name, value) in
            [("host", "evil.example:8080"), ("origin", "https://evil.example"), ("origin", "null")]
        {
            let (status, answer) = call(name, value).await;
            assert_eq!(status, 403, "{url} {target} {name}: {value}");
            assert!(
                answer.to_lowercase().starts_with(&format!("the {name} has to be localhost")),
                "{answer}"
            );
        }
        assert_eq!(
            posthaste.system.faults().spec(),
            "".parse().unwrap(),
            "what is refused does nothing"
        );
        for (name, value) in [("host", "localhost:8080"), ("origin", "http://localhost:3000")] {
            assert_ne!(call(name, value).await.0, 403, "{url} {target} {name}: {value}");
        }
        posthaste.system.faults().set("".parse().unwrap());
    }
}
