//! `large` measures what it takes to fan events out to all webhooks of one workspace.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    options::Subject,
    report::{Report, Table},
    spent::Spent,
    system::{Bench, without_delivering},
    workspace::Workspace,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct LargeArgs {
    /// Gives the workspace this many webhooks, and with several numbers one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    webhooks: Vec<usize>,
    /// Publishes this many events at once.
    #[arg(long, default_value_t = 100)]
    events: usize,
    /// Gives the fan-out this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1200)]
    patience: u64,
}

/// This many webhooks are registered side by side.
const REGISTRATIONS: usize = 2;

pub(crate) async fn run(
    args: &LargeArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    for webhooks in &args.webhooks {
        let most = "!Ref MaxWebhooks";
        ensure!(subject.template.contains(most), "the template has no bound on webhooks");
        let template =
            without_delivering(&subject.template)?.replace(most, &format!("\"{webhooks}\""));
        let subject = Subject { template, ..subject.clone() };
        let bench = Bench::start(&subject).await?;
        let measured = measure(args, *webhooks, &subject, &bench).await;
        bench.stop().await;
        done(measured?);
    }
    Ok(())
}

async fn measure(
    args: &LargeArgs,
    webhooks: usize,
    subject: &Subject,
    bench: &Bench,
) -> anyhow::Result<Report> {
    let patience = Duration::from_secs(args.patience);
    let workspace = bench.workspace("large").await?;
    eprintln!("{webhooks} webhooks are registered …");
    let registering = Spending::begin(bench);
    register(&workspace, webhooks).await?;
    let registering = registering.end(bench);

    let stream = bench.bulk_stream(&workspace)?;
    eprintln!("one event is fanned out, by functions that know no webhook …");
    stream.publish(1).await?;
    fanned_out(bench, webhooks, patience).await?;

    eprintln!("{} events are fanned out …", args.events);
    let fanning_out = Spending::begin(bench);
    stream.publish(args.events).await?;
    let owed = webhooks * (args.events + 1);
    fanned_out(bench, owed, patience).await?;
    let fanning_out = fanning_out.end(bench);
    let root_bytes = bench.root_bytes(&workspace).await?;
    let conditions = vec![("webhooks", webhooks.to_string()), ("events", args.events.to_string())];
    let mut report = Report::new(format!("large: {webhooks} webhooks"), subject, bench, conditions);
    Figures::of(args, webhooks, bench, registering, fanning_out, root_bytes).add_to(&mut report)?;
    Ok(report)
}

async fn register(workspace: &Workspace, webhooks: usize) -> anyhow::Result<()> {
    let registrations = stream::iter(0..webhooks).map(|nth| register_one(workspace, nth));
    registrations.buffer_unordered(REGISTRATIONS).try_collect::<Vec<String>>().await?;
    Ok(())
}

async fn register_one(workspace: &Workspace, nth: usize) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:9/{nth}");
    workspace
        .register(&url, json!({ "events": ["order.*", "service_run", "process_run_end"] }))
        .await
}

/// Waits until the events queue is empty. The deliveries queue, which nobody reads, has a message
/// for each delivery then.
async fn fanned_out(bench: &Bench, owed: usize, patience: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    while bench.events_on_the_queue() > 0 || bench.tasks_on_the_queue() < owed {
        let tasks = bench.tasks_on_the_queue();
        ensure!(began.elapsed() < patience, "{tasks} of {owed} tasks were sent in time");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The calls and the request units that are spent from one moment to another.
struct Spending {
    before: posthaste_local::Metrics,
    began: Instant,
}

struct Spend {
    spent: Spent,
    seconds: f64,
    timeouts: u64,
}

impl Spending {
    fn begin(bench: &Bench) -> Self {
        Self { before: bench.metrics(), began: Instant::now() }
    }

    fn end(self, bench: &Bench) -> Spend {
        let after = bench.metrics();
        Spend {
            spent: Spent::between(&self.before, &after),
            seconds: self.began.elapsed().as_secs_f64(),
            timeouts: timeouts(&after) - timeouts(&self.before),
        }
    }
}

fn timeouts(metrics: &posthaste_local::Metrics) -> u64 {
    metrics.functions.get("fanout").map_or(0, |stats| stats.timeouts)
}

/// The figures of one number of webhooks.
struct Figures {
    webhooks: usize,
    deliveries: f64,
    owed: usize,
    sent: usize,
    invocations: u64,
    root_units: usize,
    reads: u64,
    cpu_ms: u64,
    peak_memory_kb: u64,
    registering: Spend,
    fanning_out: Spend,
}

impl Figures {
    fn of(
        args: &LargeArgs,
        webhooks: usize,
        bench: &Bench,
        registering: Spend,
        fanning_out: Spend,
        root_bytes: usize,
    ) -> Self {
        let spent = &fanning_out.spent;
        // Beside one read of the root, an invocation may have to read a page that its process does
        // not have yet.
        let reads = spent.count("fanout", "dynamodb:BatchGetItem")
            + spent.count("fanout", "dynamodb:Query");
        let metrics = bench.metrics();
        Self {
            webhooks,
            deliveries: (webhooks * args.events) as f64,
            owed: webhooks * (args.events + 1),
            sent: bench.tasks_on_the_queue(),
            invocations: spent.invocations.get("fanout").copied().unwrap_or(0),
            root_units: root_bytes.div_ceil(4096),
            reads,
            cpu_ms: spent.cpu_ms.get("fanout").copied().unwrap_or(0),
            peak_memory_kb: metrics.functions.get("fanout").map_or(0, |stats| stats.peak_memory_kb),
            registering,
            fanning_out,
        }
    }

    fn add_to(&self, report: &mut Report) -> anyhow::Result<()> {
        report.table(&self.table());
        report.table(&self.fanning_out.spent.table());
        report.figure("owed", self.owed)?;
        report.figure("sent", self.sent)?;
        report.figure("invocations", self.invocations)?;
        report.figure("timeouts", self.fanning_out.timeouts)?;
        report.figure("rootUnits", self.root_units)?;
        report.figure("indexReads", self.reads)?;
        report.figure("cpuMs", self.cpu_ms)?;
        report.figure("peakMemoryKb", self.peak_memory_kb)?;
        report.figure("seconds", self.fanning_out.seconds)?;
        report.figure("spent", &self.fanning_out.spent)?;
        report.lose(self.owed.saturating_sub(self.sent));
        Ok(())
    }

    fn table(&self) -> Table {
        let thousands = self.deliveries / 1000.0;
        let calls = self.fanning_out.spent.calls_of("fanout") as f64;
        let registering_calls = self.registering.spent.calls_of("register") as f64;
        let webhooks = self.webhooks as f64;
        let mut table = Table::new(&["fan-out", ""]);
        table.pair("deliveries", format!("{:.0}", self.deliveries));
        table.pair(
            "tasks on the queue, of which one event more",
            format!("{} of {}", self.sent, self.owed),
        );
        table.pair("invocations", self.invocations.to_string());
        table.pair("of which ran into their time", self.fanning_out.timeouts.to_string());
        table.pair("calls for 1,000 deliveries", format!("{:.1}", calls / thousands));
        table.pair("read units of the root, for an invocation", self.root_units.to_string());
        table.pair(
            "reads of the index, for an invocation",
            format!("{:.2}", self.reads as f64 / self.invocations.max(1) as f64),
        );
        table.pair("write units of an event, of up to 0.7 KB", "1".to_owned());
        table.pair("CPU ms for 1,000 deliveries", format!("{:.1}", self.cpu_ms as f64 / thousands));
        table.pair(
            "deliveries a second",
            format!("{:.0}", self.deliveries / self.fanning_out.seconds),
        );
        table.pair(
            "peak memory of a process, MiB",
            format!("{:.0}", self.peak_memory_kb as f64 / 1024.0),
        );
        table.pair("AWS calls of a registration", format!("{:.1}", registering_calls / webhooks));
        table.pair("registrations a second", format!("{:.0}", webhooks / self.registering.seconds));
        table
    }
}

impl Bench {
    /// Counts the bytes of a workspace's root in the table.
    async fn root_bytes(&self, workspace: &Workspace) -> anyhow::Result<usize> {
        let key =
            json!({ "pk": { "S": format!("routing#{}", workspace.name) }, "sk": { "S": "root" } });
        let root = self.registry_item(key).await?;
        root["root"]["S"].as_str().map(str::len).context("the workspace has no root")
    }
}
