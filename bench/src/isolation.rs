//! `isolation`: what a bad endpoint does to another tenant's healthy webhook.

mod endpoint;

use std::{sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use endpoint::Endpoint;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    account::{Account, Target},
    clock,
    latency::{Latencies, Way, ways},
    options::Subject,
    publisher::{Pace, steadily},
    receiver::{Behaviour, Hook},
    report::{Report, Table},
    stream::Stream,
    system::Bench,
};

/// The time in which processes start and connections are made.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long events of the healthy webhook are waited for at the end.
const PATIENCE: Duration = Duration::from_secs(180);
/// Events that each of them gets at once.
const TENANT_BURST: usize = 10;

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct IsolationArgs {
    /// What is beside the healthy webhook; all of them, one after the other, unless chosen.
    #[arg(long, value_enum, value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// Events a second for each of the two. The tenant's webhooks get one a second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// How many seconds the healthy webhook is alone.
    #[arg(long, default_value_t = 20)]
    alone: u64,
    /// How many seconds the bad endpoint is beside it.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) async fn run(args: &IsolationArgs, subject: &Subject, done: &mut impl FnMut(Report)) -> anyhow::Result<()> {
    let chosen = if args.endpoint.is_empty() { Endpoint::value_variants() } else { &args.endpoint };
    for endpoint in chosen {
        let bench = Bench::start(subject).await?;
        let measured = measure(args, *endpoint, subject, &bench).await;
        bench.stop().await;
        done(measured?);
    }
    Ok(())
}

async fn measure(args: &IsolationArgs, endpoint: Endpoint, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let healthy = healthy(bench).await?;
    let bad = bad(bench, endpoint).await?;
    let bad_stream = bad[0].stream.clone();
    let bad_rate = if endpoint == Endpoint::Tenant { 1.0 } else { args.rate };
    let pace = |stream: &Arc<Stream>, rate| Pace { stream: stream.clone(), rate };

    steadily(&[pace(&healthy.stream, args.rate)], WARM_UP).await?;
    let alone_us = clock::now_us();
    eprintln!("the healthy webhook is alone for {} s …", args.alone);
    steadily(&[pace(&healthy.stream, args.rate)], Duration::from_secs(args.alone)).await?;
    let beside_us = clock::now_us();
    eprintln!("{endpoint:?} is beside it for {} s …", args.seconds);
    if endpoint == Endpoint::Tenant {
        bad_stream.publish(TENANT_BURST).await?;
    }
    let paces = [pace(&healthy.stream, args.rate), pace(&bad_stream, bad_rate)];
    let late = steadily(&paces, Duration::from_secs(args.seconds)).await?;
    eprintln!("what has not arrived yet is waited for …");
    wait_for_all(&healthy.hook, &healthy.stream).await;

    let ways = ways(&healthy.stream.accepted().await, &healthy.hook);
    let phases = Phases { alone_us, beside_us, timeout_us: endpoint.timeout() * 1_000_000 };
    let conditions = vec![
        ("λ", format!("{}/s", bad_rate * endpoint.webhooks() as f64)),
        ("T", format!("{} s", endpoint.timeout())),
        ("healthy", format!("{}/s", args.rate)),
        ("seconds", format!("{} alone, {} beside", args.alone, args.seconds)),
        ("publisher late by", format!("{} ms", late.as_millis())),
    ];
    let name = format!("{endpoint:?}").to_lowercase();
    let mut report = Report::new(format!("isolation: {name}"), subject, bench, conditions);
    phases.report(&ways, &mut report)?;
    let bad_requests: usize = bad.iter().map(|target| target.hook.requests().len()).sum();
    report.line(format!("{bad_requests} requests arrived at the bad endpoint."));
    report.figure("badRequests", bad_requests)?;
    // Together: what waits for a bad endpoint must not stand for what the healthy one lacks.
    let targets: Vec<Target> = bad.into_iter().chain([healthy]).collect();
    report.account(Account::of(bench, &targets).await?)?;
    Ok(report)
}

/// A healthy webhook in a workspace of its own.
async fn healthy(bench: &Bench) -> anyhow::Result<Target> {
    let workspace = bench.workspace("healthy").await?;
    let hook = bench.receiver.hook("healthy", Behaviour::Well);
    let webhook = workspace.register(hook.url(), json!({})).await?;
    let stream = bench.stream(&workspace)?;
    Ok(Target { workspace, webhook, hook, stream, answers: true, has_lists: false })
}

/// The bad webhooks in a workspace of their own.
async fn bad(bench: &Bench, endpoint: Endpoint) -> anyhow::Result<Vec<Target>> {
    let workspace = bench.workspace("bad").await?;
    let stream = bench.stream(&workspace)?;
    let mut targets = Vec::new();
    for number in 0..endpoint.webhooks() {
        let hook = bench.receiver.hook(&format!("bad/{number}"), endpoint.behaviour());
        let webhook = workspace.register(hook.url(), json!({ "timeoutSeconds": endpoint.timeout() })).await?;
        let (workspace, stream) = (workspace.clone(), stream.clone());
        let answers = endpoint == Endpoint::Slow;
        targets.push(Target { workspace, webhook, hook, stream, answers, has_lists: false });
    }
    Ok(targets)
}

async fn wait_for_all(hook: &Hook, stream: &Stream) {
    let published = stream.accepted().await;
    let began = Instant::now();
    while ways(&published, hook).iter().any(|way| way.arrived_us.is_none()) && began.elapsed() < PATIENCE {
        sleep(Duration::from_millis(200)).await;
    }
}

/// When the phases began.
struct Phases {
    alone_us: u64,
    beside_us: u64,
    timeout_us: u64,
}

impl Phases {
    fn report(&self, ways: &[Way], report: &mut Report) -> anyhow::Result<()> {
        let between =
            |from: u64, to: u64| Latencies::of(ways.iter().filter(move |way| (from..to).contains(&way.published_us)));
        let after_timeout = self.beside_us + self.timeout_us;
        let alone = between(self.alone_us, self.beside_us);
        let first = format!("beside it, the first {} s", self.timeout_us / 1_000_000);
        let phases = [
            ("alone", "alone", alone),
            ("first", first.as_str(), between(self.beside_us, after_timeout)),
            ("rest", "beside it, the rest", between(after_timeout, u64::MAX)),
            ("whole", "beside it, the whole time", between(self.beside_us, u64::MAX)),
        ];
        let mut table =
            Table::new(&["the healthy webhook, ms", "events", "p50", "p99", "max", "÷ alone: p50", "p99", "max"]);
        for (name, heading, latencies) in phases {
            let Latencies { events, p50, p99, max, .. } = latencies;
            let ratio = |value: f64, alone: f64| format!("{:.2}", value / alone);
            table.row(vec![
                heading.to_owned(),
                events.to_string(),
                format!("{p50:.1}"),
                format!("{p99:.1}"),
                format!("{max:.1}"),
                ratio(p50, alone.p50),
                ratio(p99, alone.p99),
                ratio(max, alone.max),
            ]);
            report.figure(name, latencies)?;
        }
        report.table(&table);
        Ok(())
    }
}
