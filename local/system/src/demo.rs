//! `cargo local demo` does the main job step by step, through the public API alone. It prints
//! nothing that it has not checked.

use std::time::Duration;

use anyhow::{Context, ensure};
use posthaste_local::{
    Functions, Options, System, binaries,
    inbox::{Answer, Arrived, Settings},
};
use posthaste_local_sqs::AttributeValue;
use serde_json::{Value, json};

/// Any one step may take this long.
const BOUND: Duration = Duration::from_secs(30);

/// Runs the demonstration; it succeeds only if everything that it shows happened.
pub(crate) async fn run(release: bool) -> anyhow::Result<()> {
    let functions = Functions::Processes(crate::build(release).await?);
    let options = Options::new(binaries::template()?, functions);
    let demo = Demo { system: System::start(options).await?, http: reqwest::Client::new() };
    let shown = demo.show().await;
    demo.system.stop().await;
    shown
}

struct Demo {
    system: System,
    http: reqwest::Client,
}

impl Demo {
    async fn show(&self) -> anyhow::Result<()> {
        println!("Posthaste runs at {}\n", self.system.urls().api);
        self.deliver().await?;
        self.retry().await?;
        println!("\nAll of this happened and was checked.");
        Ok(())
    }

    async fn deliver(&self) -> anyhow::Result<()> {
        println!("1. Register a webhook: POST /api/v1/webhooks");
        let webhook = self.register("good").await?;
        println!(
            "   webhook {} for order.*, with its secret {}…",
            webhook["id"],
            &text(&webhook["secret"])?[..12]
        );
        let settings =
            Settings { secret: Some(text(&webhook["secret"])?.to_owned()), ..Settings::default() };
        self.system.inbox().set("good", settings);

        println!("2. Publish an event: POST /api/v1/events");
        let event = self
            .publish(json!({ "type": "order.created", "data": { "order": 42, "total": "99.90" } }))
            .await?;
        println!("   202, event {}", text(&event["id"])?);

        println!("3. The request as it arrived:");
        let arrived = self.arrived("good", 1).await?;
        let request = &arrived[0];
        show(request);
        let valid = request.signatures.context("the receiver verified no signature")?;
        ensure!(valid.standard && valid.spectra, "a signature is not valid: {valid:?}");
        ensure!(
            request.headers["webhook-id"] == text(&event["id"])?,
            "the request has another webhook-id than the event's id"
        );
        println!("   both signatures are valid");

        println!("4. The history: GET /api/v1/webhooks/{}/deliveries", webhook["id"]);
        let delivery = self.delivery(&webhook, "succeeded").await?;
        println!(
            "   {} {} after {} attempt: {}",
            text(&delivery["eventType"])?,
            text(&delivery["status"])?,
            attempts(&delivery),
            delivery["httpStatus"]
        );
        self.call("DELETE", &format!("/api/v1/webhooks/{}", webhook["id"]), None).await?;
        Ok(())
    }

    async fn retry(&self) -> anyhow::Result<()> {
        println!("5. An endpoint that answers 500, whatever comes");
        let settings = Settings {
            responses: [Answer { body: "no".to_owned(), ..Answer::status(500, 100) }].into(),
            ..Settings::default()
        };
        self.system.inbox().set("bad", settings);
        let webhook = self.register("bad").await?;
        self.publish(json!({ "type": "order.shipped", "data": { "order": 42 } })).await?;
        let arrived = self.arrived("bad", 4).await?;
        for (nth, request) in arrived.iter().enumerate() {
            let after = (request.at_ms - arrived[0].at_ms) as f64 / 1000.0;
            println!(
                "   {} at {after:.1} s, answered {}",
                if nth == 0 { "first try".to_owned() } else { format!("retry {nth}  ") },
                request.answered
            );
        }
        let gaps = arrived.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms);
        for gap in gaps {
            ensure!(
                (900..5000).contains(&gap),
                "a retry came after {gap} ms and not after about a second"
            );
        }

        println!("6. Its dead letter, and the history:");
        let delivery = self.delivery(&webhook, "exhausted").await?;
        println!(
            "   {} {} after {} attempts, last {}",
            text(&delivery["eventType"])?,
            text(&delivery["status"])?,
            attempts(&delivery),
            delivery["error"]["message"]
        );
        ensure!(
            attempts(&delivery) == 4,
            "the history shows {} attempts and not 4",
            attempts(&delivery)
        );
        let letter = self.dead_letter().await?;
        ensure!(
            letter.body.contains(text(&delivery["id"])?),
            "the dead letter is another delivery's"
        );
        let reason =
            letter.message_attributes.get("reason").and_then(|reason| match &reason.value {
                AttributeValue::Text(text) => Some(text),
                AttributeValue::Binary(_) => None,
            });
        println!(
            "   on the queue of exhausted deliveries with the reason {}",
            reason.context("the dead letter has no reason")?
        );
        Ok(())
    }

    async fn register(&self, inbox: &str) -> anyhow::Result<Value> {
        let url = format!("{}/inbox/{inbox}", self.system.urls().inbox);
        self.call(
            "POST",
            "/api/v1/webhooks",
            Some(json!({ "url": url, "events": ["order.*"], "retrySchedule": [1, 1, 1] })),
        )
        .await
    }

    async fn publish(&self, event: Value) -> anyhow::Result<Value> {
        self.call("POST", "/api/v1/events", Some(event)).await
    }

    async fn arrived(&self, inbox: &str, count: usize) -> anyhow::Result<Vec<Arrived>> {
        let arrived =
            self.system.inbox().wait(inbox, |arrived| arrived.len() >= count, BOUND).await;
        arrived.with_context(|| {
            format!("not {count} requests arrived at {inbox} within {} s", BOUND.as_secs())
        })
    }

    /// Waits until the webhook's only delivery has this status, and returns it.
    async fn delivery(&self, webhook: &Value, status: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/webhooks/{}/deliveries?status={status}", webhook["id"]);
        let look = async {
            loop {
                let page = self.call("GET", &path, None).await?;
                if let Some(delivery) = page["items"].get(0) {
                    return Ok(delivery.clone());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(BOUND, look)
            .await
            .with_context(|| format!("the history shows nothing that is {status}"))?
    }

    async fn dead_letter(&self) -> anyhow::Result<posthaste_local_sqs::Received> {
        let url = self
            .system
            .stack()
            .outputs
            .get("ExhaustedDeliveriesQueueUrl")
            .context("the template has no queue of exhausted deliveries")?;
        let queue = url.rsplit('/').next().unwrap_or_default();
        let received = self.system.sqs().receive(queue, 1, BOUND).await?;
        received.into_iter().next().context("the queue of exhausted deliveries is empty")
    }

    /// Calls the API, and fails unless the answer is a success.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.system.urls().api);
        let request = self.http.request(method.parse()?, url).bearer_auth(self.system.first_key());
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await?)
            .context("the API did not answer with JSON")?;
        ensure!(
            status.is_success() && body["success"] == true,
            "{method} {path} was answered with {status}: {body}"
        );
        Ok(body["data"].clone())
    }
}

fn show(request: &Arrived) {
    println!("   {} {}", request.method, request.path);
    for (name, value) in &request.headers {
        println!("   {name}: {value}");
    }
    println!("\n   {}\n", request.body);
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("the API answered {value} where a text was expected"))
}

fn attempts(delivery: &Value) -> usize {
    delivery["attempts"].as_array().map_or(0, Vec::len)
}
