//! `latency` measures how long events take that come at a steady rate, in an open loop: an event
//! counts from the time at which its call had to begin. A call that begins late, because the one
//! before it took long, makes its event late, and is not left out.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    callers::{Called, Callers},
    latency::{Latencies, ways_from},
    options::Subject,
    receiver::{Behaviour, Hook},
    report::{Report, Table},
    spent::Spent,
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    /// Publishes this many events a second, each with a call of its own.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Publishes for this many seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Publishes at the same rate for this many seconds before, which are not measured.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Gives each event's data this many bytes of text.
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Waits for the last events for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

pub(crate) async fn run(
    args: &LatencyArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    ensure!(args.rate > 0.0, "the rate has to be above 0");
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &LatencyArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let patience = Duration::from_secs(args.patience);
    let workspace = bench.workspace("steady").await?;
    let hook = bench.receiver.hook("steady", Behaviour::Well);
    workspace.register(hook.url(), json!({})).await?;
    let callers = Callers { workspace, bytes: args.bytes };
    let first = (args.rate * args.warm_up as f64).ceil() as usize;
    let end = first + (args.rate * args.seconds as f64).ceil() as usize;
    callers.on_time(0..first, args.rate).await?;
    wait(bench, &hook, first, patience).await;

    eprintln!("{} events are published at {} a second …", end - first, args.rate);
    let before = bench.metrics();
    let called = callers.on_time(first..end, args.rate).await?;
    wait(bench, &hook, end, patience).await;
    let spent = Spent::between(&before, &bench.metrics());
    let conditions = vec![
        ("rate", format!("{}/s", args.rate)),
        ("seconds", args.seconds.to_string()),
        ("bytes", args.bytes.to_string()),
        ("callers late by", format!("{} ms", called.late.as_millis())),
    ];
    let mut report = Report::new("latency".to_owned(), subject, bench, conditions);
    report_on(&called, &hook, first, &spent, &mut report)?;
    Ok(report)
}

/// Waits until this many requests have arrived and nothing is on its way, or the patience is over.
async fn wait(bench: &Bench, hook: &Hook, requests: usize, patience: Duration) {
    let began = Instant::now();
    while (hook.count() < requests || bench.messages() > 0) && began.elapsed() < patience {
        sleep(Duration::from_millis(100)).await;
    }
}

fn report_on(
    called: &Called,
    hook: &Hook,
    first: usize,
    spent: &Spent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let ways = ways_from(first, &called.events, hook);
    let latencies = Latencies::of(ways.iter());
    let Latencies { p50, p90, p99, max, not_arrived, .. } = latencies;
    let mut table = Table::new(&["from when it was due to its arrival", "ms", "÷ p50"]);
    for (name, ms) in [("p50", p50), ("p90", p90), ("p99", p99), ("max", max)] {
        table.row(vec![name.to_owned(), format!("{ms:.1}"), format!("{:.2}", ms / p50)]);
    }
    report.table(&table);
    report.table(&spent.table());
    let refused = called.events.iter().filter(|event| event.id.is_none()).count();
    report.line(format!("{} events were accepted, and {refused} were not.", ways.len()));
    report.figure("latencies", latencies)?;
    report.figure("refused", refused)?;
    report.figure("spent", spent)?;
    for (operation, calls) in spent.calls_per(ways.len()) {
        report.count(format!("calls an event: {operation}"), calls);
    }
    report.lose(not_arrived);
    Ok(())
}
