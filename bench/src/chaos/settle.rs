//! After the chaos everything has to come to rest by itself. To wait for that takes minutes, so
//! time is let pass: what a killed function held comes again at once, and sleeping turns begin.
//! Dead letters are sent back, as an operator would do it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cast::{Member, Team};
use crate::system::Bench;

/// The functions that read queues, with the beginnings of their queues' outputs.
const QUEUES: [(&str, &str); 4] =
    [("fanout", "Events"), ("deliver", "Deliveries"), ("drain", "Turns"), ("replay", "Replay")];
/// The partitions of due items.
const DUE_PARTITIONS: u8 = 64;
/// From this look on, after five seconds, what is still in flight is held by nobody.
const SLOW_ROUND: u32 = 20;
/// Everything has to have been at rest for this long.
const CALM: Duration = Duration::from_millis(1500);

/// The things that are left and ought to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Left {
    pub(super) messages: usize,
    pub(super) dead_letters: usize,
    pub(super) waiting: usize,
    pub(super) parked: usize,
    pub(super) held: usize,
}

impl Left {
    pub(super) fn all(&self) -> usize {
        self.messages + self.dead_letters + self.waiting + self.parked + self.held
    }
}

/// The rest that a run came to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rest {
    pub(super) after_seconds: f64,
    /// Dead letters that were sent back.
    pub(super) sent_back: usize,
    pub(super) left: Left,
}

/// Waits until nothing is left to do, or patience is over.
pub(super) async fn settle(
    bench: &Bench,
    teams: &[Team],
    patience: Duration,
) -> anyhow::Result<Rest> {
    let began = Instant::now();
    let mut busy = began;
    let mut rest = Rest::default();
    for team in teams {
        for member in &team.members {
            enable(team, member).await?;
        }
    }
    for round in 1_u32.. {
        sleep(Duration::from_millis(250)).await;
        rest.left = left(bench, teams).await?;
        if rest.left.all() > 0 || is_working(bench) {
            busy = Instant::now();
        }
        if busy.elapsed() >= CALM || began.elapsed() >= patience {
            break;
        }
        rest.sent_back += send_back(bench).await?;
        // What is on its way by itself would be made twice.
        if round >= SLOW_ROUND && round.is_multiple_of(4) {
            hurry(bench);
        }
        if round.is_multiple_of(8) {
            wake(bench, teams).await?;
        }
        if round.is_multiple_of(40) {
            eprintln!("still left after {:.0} s: {:?}", began.elapsed().as_secs_f64(), rest.left);
        }
    }
    rest.after_seconds = began.elapsed().as_secs_f64();
    Ok(rest)
}

/// Enables a webhook, paused or not, which also ends the wait of an open circuit.
async fn enable(team: &Team, member: &Member) -> anyhow::Result<()> {
    let path = format!("/webhooks/{}", member.webhook);
    team.workspace.insist(Method::PATCH, &path, json!({ "enabled": true })).await.map(drop)
}

fn queue_name(bench: &Bench, output: &str) -> Option<String> {
    let url = bench.stack().outputs.get(&format!("{output}QueueUrl"))?;
    url.rsplit('/').next().map(str::to_owned)
}

fn is_working(bench: &Bench) -> bool {
    let functions = bench.metrics().functions;
    QUEUES.iter().any(|(name, _)| functions.get(*name).is_some_and(|one| one.under_way > 0))
}

/// Counts what is left. Tables are read only when no message is left.
async fn left(bench: &Bench, teams: &[Team]) -> anyhow::Result<Left> {
    let queues = bench.metrics().queues;
    let mut left = Left::default();
    for (_, output) in QUEUES {
        let depth = |name: Option<String>| {
            let depth = name.and_then(|name| queues.get(&name).copied()).unwrap_or_default();
            depth.visible + depth.in_flight + depth.delayed
        };
        left.messages += depth(queue_name(bench, output));
        left.dead_letters += depth(queue_name(bench, &format!("{output}DeadLetter")));
    }
    if left.messages + left.dead_letters > 0 {
        return Ok(left);
    }
    for team in teams {
        for member in &team.members {
            left.waiting += backlog(bench, team, member).await?;
        }
    }
    for partition in 0..DUE_PARTITIONS {
        left.parked += count(bench, &format!("#due#{partition}")).await?;
    }
    left.held = holds(teams).await?;
    Ok(left)
}

/// Counts the items of a webhook's backlog, up to a page of them.
async fn backlog(bench: &Bench, team: &Team, member: &Member) -> anyhow::Result<usize> {
    let webhook = format!("{}#{}", team.workspace.name, member.webhook);
    count(bench, &format!("#wait#{webhook}#0")).await
}

/// Counts the deliveries that the history says wait for the end of a run.
async fn holds(teams: &[Team]) -> anyhow::Result<usize> {
    let mut held = 0;
    for team in teams {
        for member in team.members.iter().filter(|member| member.role.waits()) {
            let path = format!("/webhooks/{}/deliveries?limit=100&status=waiting", member.webhook);
            let page = team.workspace.insist(Method::GET, &path, Value::Null).await?;
            held += page["items"].as_array().map_or(0, Vec::len);
        }
    }
    Ok(held)
}

/// Counts the items of a partition of the Deliveries table, up to a page of them.
async fn count(bench: &Bench, partition: &str) -> anyhow::Result<usize> {
    let query = json!({
        "TableName": table(bench)?, "ConsistentRead": true, "Select": "COUNT",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": { ":pk": { "S": partition } },
    });
    let answer = bench.system().dynamodb().call("Query", &query).await?;
    Ok(answer["Count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
}

fn table(bench: &Bench) -> anyhow::Result<&String> {
    bench.stack().outputs.get("DeliveriesTable").context("the template names no deliveries table")
}

/// Lets messages come again that nobody works on. Retries keep their waits, which are short, so
/// that no message is received too often.
fn hurry(bench: &Bench) {
    let functions = bench.metrics().functions;
    for (function, output) in QUEUES {
        let is_idle = functions.get(function).is_none_or(|figures| figures.under_way == 0);
        if let Some(name) = queue_name(bench, output).filter(|_| is_idle) {
            bench.system().sqs().expire_in_flight(&name);
            if output != "Deliveries" {
                bench.system().sqs().expire_delays(&name);
            }
        }
    }
}

/// Lets turns begin that nobody works on, and `release` do its round.
async fn wake(bench: &Bench, teams: &[Team]) -> anyhow::Result<()> {
    let functions = bench.metrics().functions;
    if functions.get("drain").is_some_and(|figures| figures.under_way > 0) {
        return Ok(());
    }
    for team in teams {
        for member in &team.members {
            if backlog(bench, team, member).await? == 0 {
                continue;
            }
            enable_if_sick(team, member).await?;
            let key = format!("#lane#{}#{}", team.workspace.name, member.webhook);
            let update = json!({
                "TableName": table(bench)?,
                "Key": { "pk": { "S": key }, "sk": { "S": "lane" } },
                "UpdateExpression": "SET wakeAt = :past, dueAt = :past REMOVE leaseUntil",
                "ConditionExpression": "attribute_exists(#token)",
                "ExpressionAttributeNames": { "#token": "token" },
                "ExpressionAttributeValues": { ":past": { "N": "1000" } },
            });
            // A lane without a turn has nobody to wake.
            let _ = bench.system().dynamodb().call("UpdateItem", &update).await;
        }
    }
    let _ = bench.tick("release").await;
    Ok(())
}

async fn enable_if_sick(team: &Team, member: &Member) -> anyhow::Result<()> {
    if team.workspace.state(&member.webhook).await? == "sick" {
        enable(team, member).await?;
    }
    Ok(())
}

/// Sends dead letters back to the queues that they came from, and counts them.
async fn send_back(bench: &Bench) -> anyhow::Result<usize> {
    let queues = bench.metrics().queues;
    let outputs: &BTreeMap<String, String> = &bench.stack().outputs;
    let mut sent = 0;
    for (_, output) in QUEUES {
        let letters = format!("{output}DeadLetter");
        let name = queue_name(bench, &letters);
        let count = name.and_then(|name| queues.get(&name)).map_or(0, |depth| depth.visible);
        if count == 0 {
            continue;
        }
        let arn = |queue: &str| outputs.get(&format!("{queue}QueueArn"));
        let (from, to) = (arn(&letters), arn(output));
        let task = json!({ "SourceArn": from, "DestinationArn": to });
        bench.system().sqs().call("StartMessageMoveTask", task.to_string().as_bytes()).await?;
        sent += count;
    }
    Ok(sent)
}
