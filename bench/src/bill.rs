//! `bill` measures what a million events cost.

mod idle;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use posthaste_local::{
    Action, Aim,
    bill::{Bill, Invoked, Prices, Usage},
    inbox::{Answer, Settings},
};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    options::Subject,
    report::{Report, Table},
    system::{Bench, Logged},
    workspace::Workspace,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct BillArgs {
    /// Publishes this many events with each call, and with several numbers one after the other.
    /// With 1, each event waits until the one before it is delivered, so that every batch has one
    /// message.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1])]
    per_call: Vec<usize>,
    /// Lets ten calls go on at once, so that events in calls of their own do not wait for each
    /// other.
    #[arg(long)]
    together: bool,
    /// Tells instead what a month costs in which nothing is published.
    #[arg(long)]
    idle: bool,
    /// Makes this many calls.
    #[arg(long, default_value_t = 50)]
    calls: usize,
    /// Registers this many webhooks, which all want each event.
    #[arg(long, default_value_t = 1)]
    webhooks: usize,
    /// Gives each event's data this many bytes of text.
    #[arg(long, default_value_t = 300)]
    bytes: usize,
    /// Lets the endpoints take this many milliseconds to answer.
    #[arg(long, default_value_t = 150)]
    endpoint_ms: u64,
    /// Lets each call of DynamoDB take this many milliseconds more.
    #[arg(long, default_value_t = 5)]
    dynamodb_ms: u64,
    /// Lets each call of SQS take this many milliseconds more.
    #[arg(long, default_value_t = 10)]
    sqs_ms: u64,
    /// Gives up after this many seconds if not all is delivered.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

/// The functions that an event passes, and `release`, which runs all the time.
const FUNCTIONS: [&str; 5] = ["ingest", "fanout", "deliver", "drain", "release"];

/// The operations of DynamoDB that these functions call.
const DYNAMODB: [&str; 6] =
    ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "BatchWriteItem"];
const SQS: [&str; 3] = ["SendMessage", "SendMessageBatch", "ChangeMessageVisibility"];

/// Assumes a duration for all invocations of a function, where nothing is measured: for an endpoint
/// that answers in 150 ms, 5 ms for a call of DynamoDB and 10 ms for one of SQS. The function's own
/// work, on its share of a processor, is what release builds have shown. An invocation takes a
/// time, and each delivery a little more.
fn assumed_ms(function: &str, invoked: Invoked, deliveries: u64) -> u64 {
    match function {
        "ingest" => 32 * invoked.invocations + deliveries * 2 / 5,
        "fanout" => 28 * invoked.invocations + deliveries * 3 / 5,
        "deliver" => 174 * invoked.invocations + deliveries * 4,
        _ => 100 * invoked.invocations,
    }
}

pub(crate) async fn run(
    args: &BillArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    if args.idle {
        return idle::run(args, subject, done).await;
    }
    for per_call in &args.per_call {
        let bench = Bench::start(subject).await?;
        let measured = measure(args, *per_call, subject, &bench).await;
        bench.stop().await;
        done(measured?);
    }
    Ok(())
}

async fn measure(
    args: &BillArgs,
    per_call: usize,
    subject: &Subject,
    bench: &Bench,
) -> anyhow::Result<Report> {
    let workspace = bench.workspace("billed").await?;
    let (inbox, url) = bench.inbox("billed");
    let default = Some(Answer { delay_ms: args.endpoint_ms, ..Answer::status(200, 1) });
    inbox.set("billed", Settings { default, ..Settings::default() });
    for _ in 0..args.webhooks {
        workspace.register(&url, json!({})).await?;
    }
    far_away(args, bench);

    eprintln!("processes are started …");
    let publisher = Publisher { args, bench, workspace: &workspace, per_call };
    publisher.publish(2).await?;
    let (before, logged_before) = (bench.usage().await?, bench.logged());
    eprintln!("{} events are published in calls of {per_call} …", args.calls * per_call);
    publisher.publish(args.calls).await?;
    let expected = (args.calls + 2) * per_call * args.webhooks;
    // What waits in a backlog, because the endpoint was slow on a busy machine, is on no queue.
    let all = inbox
        .wait("billed", |arrived| arrived.len() >= expected, Duration::from_secs(args.patience))
        .await;
    bench
        .taken_in(Duration::from_secs(args.patience))
        .await
        .context("not all was recorded in time")?;
    let usage = bench.usage().await?.since(&before);
    let events = args.calls * per_call;
    ensure!(usage.events == events as u64, "{} events were stored, and not {events}", usage.events);
    let arrived = all.map_or_else(|| inbox.arrived("billed").len(), |arrived| arrived.len());
    let mut report = report(args, per_call, subject, bench, &usage)?;
    report.lose(expected.saturating_sub(arrived));
    let lines = lines(&mut report, &bench.logged(), &logged_before, events);
    report.figure("lines", lines)?;
    Ok(report)
}

/// Lets the calls of the functions take about as long as on AWS.
fn far_away(args: &BillArgs, bench: &Bench) {
    for function in FUNCTIONS {
        for operation in DYNAMODB {
            delay(bench, function, &format!("dynamodb:{operation}"), args.dynamodb_ms);
        }
        for operation in SQS {
            delay(bench, function, &format!("sqs:{operation}"), args.sqs_ms);
        }
    }
}

fn delay(bench: &Bench, function: &str, operation: &str, milliseconds: u64) {
    if milliseconds > 0 {
        let delay = Action::Delay(Duration::from_millis(milliseconds));
        bench.aim(Aim::at(function, operation, delay).times(u32::MAX));
    }
}

struct Publisher<'a> {
    args: &'a BillArgs,
    bench: &'a Bench,
    workspace: &'a Workspace,
    per_call: usize,
}

impl Publisher<'_> {
    /// Publishes with this many calls, one after the other unless they go together, and waits until
    /// all is delivered.
    async fn publish(&self, calls: usize) -> anyhow::Result<()> {
        let event =
            json!({ "type": "order.created", "data": { "text": "x".repeat(self.args.bytes) } });
        let body = match self.per_call {
            1 => event,
            count => json!({ "events": vec![event; count] }),
        };
        let at_once = if self.args.together { 10 } else { 1 };
        let calls = stream::iter(0..calls).map(|_| self.call(body.clone()));
        calls.buffer_unordered(at_once).try_collect::<()>().await?;
        self.bench.taken_in(self.patience()).await.context("not all was delivered in time")?;
        Ok(())
    }

    /// Makes one call. An event that is published alone is waited for.
    async fn call(&self, body: Value) -> anyhow::Result<()> {
        self.workspace.call(Method::POST, "/events", body).await?;
        if self.per_call == 1 && !self.args.together {
            self.bench.empty(self.patience()).await?;
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.args.patience)
    }
}

fn report(
    args: &BillArgs,
    per_call: usize,
    subject: &Subject,
    bench: &Bench,
    usage: &Usage,
) -> anyhow::Result<Report> {
    let (terms, prices, deliveries) =
        (bench.terms()?, Prices::known()?, usage.events * args.webhooks as u64);
    let measured = Bill::of(&usage.clone().on_shares_of_a_processor(), &terms, &prices)
        .for_a_million(usage.events);
    let assumed = Bill::of(
        &usage.clone().assuming(|name, invoked| assumed_ms(name, invoked, deliveries)),
        &terms,
        &prices,
    )
    .for_a_million(usage.events);
    let conditions = vec![
        ("events a call", per_call.to_string()),
        ("calls", args.calls.to_string()),
        ("webhooks", args.webhooks.to_string()),
        ("bytes of data", args.bytes.to_string()),
        ("an endpoint's answer", format!("{} ms", args.endpoint_ms)),
        ("DynamoDB", format!("+{} ms", args.dynamodb_ms)),
        ("SQS", format!("+{} ms", args.sqs_ms)),
    ];
    let together = if args.together { ", ten at once" } else { "" };
    let mut report =
        Report::new(format!("bill: calls of {per_call}{together}"), subject, bench, conditions);
    report.line("Of one million events, with durations that were measured here:");
    report.table(&table(&measured));
    report.line(format!("With durations that are assumed: ${:.2}", assumed.dollars));
    let metrics = usage.metrics_in_use();
    if metrics > 0 {
        let dollars = prices.custom_metric.dollars * metrics as f64;
        report.line(format!(
            "{metrics} custom metrics got values: ${dollars:.2} a month, however many events"
        ));
    }
    add_usage(&mut report, usage);
    report.figure("customMetrics", metrics)?;
    report.figure("usage", usage)?;
    report.figure("measured", measured)?;
    report.figure("assumed", assumed)?;
    Ok(report)
}

/// Adds a line for each function and each table that was used.
fn add_usage(report: &mut Report, usage: &Usage) {
    for (name, invoked) in &usage.functions {
        if invoked.invocations > 0 {
            report.line(format!(
                "{name}: {} invocations of {:.0} ms ({} started), {:.2} ms of CPU each",
                invoked.invocations,
                invoked.billed_ms as f64 / invoked.invocations as f64,
                invoked.cold_starts,
                invoked.cpu_ms as f64 / invoked.invocations as f64,
            ));
        }
    }
    for (name, capacity) in &usage.tables {
        if capacity.items > 0 {
            report.line(format!(
                "{name}: {:.0} bytes an item",
                capacity.bytes as f64 / capacity.items as f64
            ));
        }
    }
}

/// Makes a table with a row for each line of a bill.
fn table(bill: &Bill) -> Table {
    let mut table = Table::new(&["what", "quantity", "dollars", "one is"]);
    for line in &bill.lines {
        let quantity = if line.quantity < 100.0 {
            format!("{:.3}", line.quantity)
        } else {
            format!("{:.0}", line.quantity)
        };
        table.row(vec![
            line.what.clone(),
            quantity,
            format!("{:.3}", line.dollars),
            line.unit.clone(),
        ]);
    }
    table.row(vec!["all".to_owned(), String::new(), format!("{:.2}", bill.dollars)]);
    table
}

/// The log lines of one kind, for one event.
#[derive(Serialize)]
struct Lines {
    lines: f64,
    bytes: f64,
}

/// Counts the log lines of an event, and their bytes.
fn lines(
    report: &mut Report,
    after: &BTreeMap<String, Logged>,
    before: &BTreeMap<String, Logged>,
    events: usize,
) -> BTreeMap<String, Lines> {
    let mut table = Table::new(&["log lines", "for an event", "bytes for an event"]);
    let mut all = BTreeMap::new();
    for (kind, logged) in after {
        let before = before.get(kind).copied().unwrap_or_default();
        let lines = Lines {
            lines: (logged.lines - before.lines) as f64 / events.max(1) as f64,
            bytes: (logged.bytes - before.bytes) as f64 / events.max(1) as f64,
        };
        if lines.lines > 0.0 {
            table.row(vec![
                kind.clone(),
                format!("{:.2}", lines.lines),
                format!("{:.0}", lines.bytes),
            ]);
            all.insert(kind.clone(), lines);
        }
    }
    report.table(&table);
    all
}
