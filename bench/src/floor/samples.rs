//! Each invocation has an event of its own.

use anyhow::Context;
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use crate::{invoked::SAMPLE_KEY, stream::event_id, system::Bench};

/// The bare function does so many things of one kind in an invocation.
pub(super) const EACH: u32 = 10;

/// A kind of invocations.
pub(super) struct Sample {
    invocation: Value,
    /// Gives the body of the first message another event.
    renew: Option<fn(&mut Value)>,
}

impl Sample {
    /// The invocations of the bare function, by what it does in them.
    pub(super) fn of_bare(
        bench: &Bench,
        endpoint: &str,
        text: &str,
    ) -> anyhow::Result<Vec<(&'static str, Self)>> {
        let output = |name: &str| {
            let outputs = &bench.stack().outputs;
            outputs.get(name).with_context(|| format!("the template has no output {name}"))
        };
        let asked = json!({
            "sends": 0, "queue": output("DeliveriesDeadLetterQueueUrl")?,
            "reads": 0, "table": output("DeliveriesTable")?,
            "posts": 0, "endpoint": endpoint, "body": text,
        });
        let kinds = ["nothing", "sends", "reads", "posts"].into_iter().map(|what| {
            let mut invocation = asked.clone();
            if let Some(count) = invocation.get_mut(what) {
                *count = EACH.into();
            }
            (what, Self { invocation, renew: None })
        });
        Ok(kinds.collect())
    }

    /// The invocations of the functions on the way of an event: one event each.
    pub(super) fn of_functions(
        key: &str,
        webhook: &str,
        text: &str,
    ) -> anyhow::Result<[(&'static str, Self); 3]> {
        let data = json!({ "text": text });
        let ingest = include_str!("../../../events/ingest/one-event.json");
        let mut ingest: Value = serde_json::from_str(&ingest.replace(SAMPLE_KEY, key))?;
        change(&mut ingest["body"], |event| event["data"] = data.clone())?;
        let mut fanout: Value =
            serde_json::from_str(include_str!("../../../events/fanout/one-event.json"))?;
        change(&mut fanout["Records"][0]["body"], |event| event["data"] = data.clone())?;
        let mut deliver: Value =
            serde_json::from_str(include_str!("../../../events/deliver/one-delivery.json"))?;
        let webhook: u64 = webhook.parse()?;
        change(&mut deliver["Records"][0]["body"], |task| {
            task["webhook"] = webhook.into();
            task["deliveries"][0]["content"]["event"]["data"] = data.clone();
        })?;
        Ok([
            ("ingest", Self { invocation: ingest, renew: None }),
            ("fanout", Self { invocation: fanout, renew: Some(new_event) }),
            ("deliver", Self { invocation: deliver, renew: Some(new_delivery) }),
        ])
    }

    /// Makes the next invocation.
    pub(super) fn next(&self) -> anyhow::Result<Bytes> {
        let mut invocation = self.invocation.clone();
        if let Some(renew) = self.renew {
            let message = &mut invocation["Records"][0];
            message["attributes"]["SentTimestamp"] =
                jiff::Timestamp::now().as_millisecond().to_string().into();
            change(&mut message["body"], renew)?;
        }
        Ok(invocation.to_string().into())
    }
}

fn new_event(event: &mut Value) {
    event["id"] = event_id().to_string().into();
}

fn new_delivery(task: &mut Value) {
    let event = event_id();
    let delivery: Uuid = Builder::from_custom_bytes(event.into_bytes()).into_uuid();
    task["deliveries"][0]["id"] = delivery.to_string().into();
    task["deliveries"][0]["content"]["event"]["id"] = event.to_string().into();
}

/// Changes the JSON in a text.
fn change(text: &mut Value, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let mut json = serde_json::from_str(text.as_str().context("there is no text")?)?;
    change(&mut json);
    *text = json.to_string().into();
    Ok(())
}
