//! `isolation` measures what a bad endpoint does to another tenant's healthy webhook.

mod endpoint;

use std::time::Duration;

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

/// Processes start and connections are made within this time.
const WARM_UP: Duration = Duration::from_secs(3);
/// At the end, events of the healthy webhook are waited for this long.
const PATIENCE: Duration = Duration::from_secs(180);
/// Each webhook of the tenant gets this many events at once.
const TENANT_BURST: usize = 10;

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct IsolationArgs {
    /// Chooses the endpoints that are beside the healthy webhook. Without a choice all of them are,
    /// one after the other.
    #[arg(long, value_enum, value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// Publishes this many events a second for each of the two. The tenant's webhooks get one a
    /// second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Leaves the healthy webhook alone for this many seconds.
    #[arg(long, default_value_t = 20)]
    alone: u64,
    /// Puts the bad endpoint beside it for this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) async fn run(
    args: &IsolationArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let chosen = if args.endpoint.is_empty() { Endpoint::value_variants() } else { &args.endpoint };
    for endpoint in chosen {
        let bench = Bench::start(subject).await?;
        let measured = measure(args, *endpoint, subject, &bench).await;
        bench.stop().await;
        done(measured?);
    }
    Ok(())
}

async fn measure(
    args: &IsolationArgs,
    endpoint: Endpoint,
    subject: &Subject,
    bench: &Bench,
) -> anyhow::Result<Report> {
    let healthy = healthy(bench).await?;
    let bad = bad(bench, endpoint).await?;
    let bad_stream = bad[0].stream.clone();
    let bad_rate = if endpoint == Endpoint::Tenant { 1.0 } else { args.rate };
    let healthy_pace = Pace { stream: healthy.stream.clone(), rate: args.rate };
    let bad_pace = Pace { stream: bad_stream.clone(), rate: bad_rate };

    steadily(&[&healthy_pace], WARM_UP).await?;
    let alone_us = clock::now_us();
    eprintln!("the healthy webhook is alone for {} s …", args.alone);
    steadily(&[&healthy_pace], Duration::from_secs(args.alone)).await?;
    let beside_us = clock::now_us();
    eprintln!("{endpoint:?} is beside it for {} s …", args.seconds);
    if endpoint == Endpoint::Tenant {
        bad_stream.publish(TENANT_BURST).await?;
    }
    let late = steadily(&[&healthy_pace, &bad_pace], Duration::from_secs(args.seconds)).await?;
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

/// Makes a healthy webhook in a workspace of its own.
async fn healthy(bench: &Bench) -> anyhow::Result<Target> {
    let workspace = bench.workspace("healthy").await?;
    let hook = bench.receiver.hook("healthy", Behaviour::Well);
    let webhook = workspace.register(hook.url(), json!({})).await?;
    let stream = bench.stream(&workspace)?;
    Ok(Target { workspace, webhook, hook, stream, answers: true, has_lists: false })
}

/// Makes the bad webhooks in a workspace of their own.
async fn bad(bench: &Bench, endpoint: Endpoint) -> anyhow::Result<Vec<Target>> {
    let workspace = bench.workspace("bad").await?;
    let stream = bench.stream(&workspace)?;
    let mut targets = Vec::new();
    for number in 0..endpoint.webhooks() {
        let hook = bench.receiver.hook(&format!("bad/{number}"), endpoint.behaviour());
        let webhook =
            workspace.register(hook.url(), json!({ "timeoutSeconds": endpoint.timeout() })).await?;
        let (workspace, stream) = (workspace.clone(), stream.clone());
        let answers = endpoint == Endpoint::Slow;
        targets.push(Target { workspace, webhook, hook, stream, answers, has_lists: false });
    }
    Ok(targets)
}

async fn wait_for_all(hook: &Hook, stream: &Stream) {
    let published = stream.accepted().await;
    let began = Instant::now();
    while ways(&published, hook).iter().any(|way| way.arrived_us.is_none())
        && began.elapsed() < PATIENCE
    {
        sleep(Duration::from_millis(200)).await;
    }
}

/// The moments at which the phases began.
struct Phases {
    alone_us: u64,
    beside_us: u64,
    timeout_us: u64,
}

impl Phases {
    fn report(&self, ways: &[Way], report: &mut Report) -> anyhow::Result<()> {
        let after_timeout = self.beside_us + self.timeout_us;
        let alone = between(ways, self.alone_us, self.beside_us);
        let first = format!("beside it, the first {} s", self.timeout_us / 1_000_000);
        let phases = [
            ("alone", "alone", alone),
            ("first", first.as_str(), between(ways, self.beside_us, after_timeout)),
            ("rest", "beside it, the rest", between(ways, after_timeout, u64::MAX)),
            ("whole", "beside it, the whole time", between(ways, self.beside_us, u64::MAX)),
        ];
        let mut table = Table::new(&[
            "the healthy webhook, ms",
            "events",
            "p50",
            "p99",
            "max",
            "÷ alone: p50",
            "p99",
            "max",
        ]);
        for (name, heading, latencies) in phases {
            let Latencies { events, p50, p99, max, .. } = latencies;
            table.row(vec![
                heading.to_owned(),
                events.to_string(),
                format!("{p50:.1}"),
                format!("{p99:.1}"),
                format!("{max:.1}"),
                format!("{:.2}", p50 / alone.p50),
                format!("{:.2}", p99 / alone.p99),
                format!("{:.2}", max / alone.max),
            ]);
            report.figure(name, latencies)?;
        }
        report.table(&table);
        Ok(())
    }
}

fn between(ways: &[Way], from_us: u64, to_us: u64) -> Latencies {
    Latencies::of(ways.iter().filter(|way| (from_us..to_us).contains(&way.published_us)))
}
