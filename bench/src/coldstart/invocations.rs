//! Every function gets the sample invocation of `events/`, for webhooks and keys of this system.

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{invoked::SAMPLE_KEY, system::Bench};

/// The things of this system that stand in invocations.
pub(super) struct Known<'a> {
    pub(super) key: &'a str,
    /// Simulations are for test mode.
    pub(super) test_key: &'a str,
    pub(super) webhook: &'a str,
    /// `setup` sends CloudFormation its answer there.
    pub(super) answer_url: &'a str,
}

/// Makes the first invocation of a function.
pub(super) fn of(function: &str, known: &Known<'_>, bench: &Bench) -> anyhow::Result<Bytes> {
    let sample = match function {
        "console" => include_str!("../../../events/console/list-portal-links.json"),
        "deliver" => include_str!("../../../events/deliver/one-delivery.json"),
        "fanout" => include_str!("../../../events/fanout/one-event.json"),
        "ingest" => include_str!("../../../events/ingest/one-event.json"),
        "register" => include_str!("../../../events/register/list-webhooks.json"),
        "release" => include_str!("../../../events/release/schedule.json"),
        // There is no sample of a turn, whose message also stands in a record of SQS.
        "drain" | "replay" => include_str!("../../../events/replay/one-page.json"),
        "setup" => include_str!("../../../events/setup/create.json"),
        "simulate" => include_str!("../../../events/simulate/start.json"),
        "types" => include_str!("../../../events/types/list-event-types.json"),
        _ => bail!("there is no sample of an invocation"),
    };
    let key = if function == "simulate" { known.test_key } else { known.key };
    let mut event: Value = serde_json::from_str(&sample.replace(SAMPLE_KEY, key))?;
    match function {
        "deliver" | "replay" => about_webhook(&mut event["Records"][0]["body"], known.webhook)?,
        "drain" => {
            let turn = json!({
                "workspace": "default", "webhook": known.webhook.parse::<u64>()?, "token": "gone",
            });
            event["Records"][0]["body"] = turn.to_string().into();
        }
        "simulate" => list_simulations(&mut event),
        "setup" => {
            let first_key = bench.stack().custom_resources.iter().find(|resource| {
                resource.resource_type == event["ResourceType"].as_str().unwrap_or_default()
            });
            event["ResourceProperties"] = json!(first_key.context("no key is made")?.properties);
            event["ResponseURL"] = known.answer_url.into();
        }
        _ => {}
    }
    Ok(event.to_string().into())
}

/// Puts a webhook of this system into a message.
fn about_webhook(body: &mut Value, webhook: &str) -> anyhow::Result<()> {
    let mut message: Value = serde_json::from_str(body.as_str().context("there is no message")?)?;
    message["webhook"] = webhook.parse::<u64>()?.into();
    *body = message.to_string().into();
    Ok(())
}

/// Makes a call that lists simulations of one that starts one, which would play on.
fn list_simulations(event: &mut Value) {
    const ROUTE: &str = "GET /api/v1/simulations";
    event["routeKey"] = ROUTE.into();
    event["requestContext"]["routeKey"] = ROUTE.into();
    event["requestContext"]["http"]["method"] = "GET".into();
    if let Some(event) = event.as_object_mut() {
        event.remove("body");
    }
}
