//! `waiting` measures what deliveries cost while they wait, and what it costs to get them there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use posthaste_local::Metrics;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    account::{Account, Target},
    options::Subject,
    receiver::Behaviour,
    report::{Report, Table},
    spent::Spent,
    system::Bench,
    workspace::Workspace,
};

/// At most this many events show what the ordinary path of a delivery costs.
const ORDINARY: usize = 1000;
/// These events may take this long.
const ORDINARY_BOUND: Duration = Duration::from_secs(60);

/// This call records an attempt.
const RECORDING: &str = "deliver dynamodb:UpdateItem";

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct WaitingArgs {
    /// Chooses why deliveries wait. Without a choice all reasons come in turn.
    #[arg(long, value_enum, value_delimiter = ',')]
    case: Vec<Case>,
    /// Publishes this many events at once.
    #[arg(long, default_value_t = 10_000)]
    waiting: usize,
    /// Measures this many seconds of waiting. A dead endpoint is tried after 30 s, then half as
    /// often each time, down to every 10 minutes: an hour of that is what an hour shows.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Gives the webhook a timeout of this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u8,
    /// Lets it take this many seconds until all deliveries wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    patience: u64,
}

/// Deliveries wait for one of these reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// The endpoint never answers.
    Dead,
    /// A rate limit allows 10 requests a minute.
    Limit,
    /// A rate limit allows one request a minute, with the profile spektr, whose format has lists.
    List,
}

impl Case {
    fn settings(self, timeout: u8) -> Value {
        match self {
            Self::Dead => json!({ "timeoutSeconds": timeout }),
            Self::Limit => json!({ "rateLimit": { "requests": 10, "per": "minute" } }),
            Self::List => {
                json!({ "profile": "spektr", "rateLimit": { "requests": 1, "per": "minute" } })
            }
        }
    }
}

pub(crate) async fn run(
    args: &WaitingArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let chosen = if args.case.is_empty() { Case::value_variants() } else { &args.case };
    for case in chosen {
        let bench = Bench::start(subject).await?;
        let measured = measure(args, *case, subject, &bench).await;
        bench.stop().await;
        done(measured?);
    }
    Ok(())
}

async fn measure(
    args: &WaitingArgs,
    case: Case,
    subject: &Subject,
    bench: &Bench,
) -> anyhow::Result<Report> {
    let patience = Duration::from_secs(args.patience);
    let ordinary = ordinary_path(bench, args.waiting.min(ORDINARY), case).await?;
    let behaviour = if case == Case::Dead { Behaviour::Hang } else { Behaviour::Well };
    let workspace = bench.workspace("waiting").await?;
    let target =
        target(bench, workspace, "waiting", behaviour, case.settings(args.timeout), case).await?;

    eprintln!(
        "{case:?}: {} events are published, and their deliveries come to wait …",
        args.waiting
    );
    let before = bench.metrics();
    target.stream.publish(args.waiting).await?;
    let taken_in = bench.taken_in(patience).await;
    let settled = bench.metrics();
    let early = target.hook.requests();
    eprintln!("they wait for {} s …", args.seconds);
    sleep(Duration::from_secs(args.seconds)).await;
    let after = bench.metrics();
    let requests = target.hook.requests().len() - early.len();

    let conditions = vec![
        ("waiting", args.waiting.to_string()),
        ("T", format!("{} s", args.timeout)),
        ("seconds", args.seconds.to_string()),
        (
            "taken in after",
            taken_in.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64())),
        ),
    ];
    let name = format!("{case:?}").to_lowercase();
    let mut report = Report::new(format!("waiting: {name}"), subject, bench, conditions);
    let attempts: usize = early.iter().map(|request| request.events.len()).sum();
    report.figure("takenInAfterSeconds", taken_in.map(|time| time.as_secs_f64()))?;
    let getting_there = Spent::between(&before, &settled);
    report.line("until all waited:");
    report.table(&getting_there.table());
    report.figure("gettingThere", &getting_there)?;
    let there = GettingThere {
        ordinary,
        waiting: getting_there.calls_per(args.waiting),
        attempts: attempts as f64 / args.waiting as f64,
    };
    there.report(&mut report)?;
    while_waiting(args, &settled, &after, requests, &mut report)?;
    report.account(Account::of(bench, &[target]).await?)?;
    Ok(report)
}

async fn target(
    bench: &Bench,
    workspace: Workspace,
    name: &str,
    behaviour: Behaviour,
    settings: Value,
    case: Case,
) -> anyhow::Result<Target> {
    let hook = bench.receiver.hook(name, behaviour);
    let webhook = workspace.register(hook.url(), settings).await?;
    let stream = bench.bulk_stream(&workspace)?;
    Ok(Target {
        workspace,
        webhook,
        hook,
        stream,
        answers: behaviour == Behaviour::Well,
        has_lists: case == Case::List,
    })
}

/// Counts the calls for a delivery that waits for nothing, by function and operation.
async fn ordinary_path(
    bench: &Bench,
    events: usize,
    case: Case,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let workspace = bench.workspace("ordinary").await?;
    let settings = if case == Case::List { json!({ "profile": "spektr" }) } else { json!({}) };
    let target = target(bench, workspace, "ordinary", Behaviour::Well, settings, case).await?;
    // The first success of a webhook is noted, later ones for a while are not.
    target.stream.publish(1).await?;
    all_done(bench).await?;
    let before = bench.metrics();
    target.stream.publish(events).await?;
    all_done(bench).await?;
    Ok(Spent::between(&before, &bench.metrics()).calls_per(events))
}

async fn all_done(bench: &Bench) -> anyhow::Result<()> {
    let began = Instant::now();
    while bench.messages() > 0 {
        ensure!(began.elapsed() < ORDINARY_BOUND, "deliveries to a healthy webhook are not done");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The calls that it takes until deliveries wait, by function and operation, for each delivery.
struct GettingThere {
    ordinary: BTreeMap<String, f64>,
    waiting: BTreeMap<String, f64>,
    /// The attempts that were made for each delivery until all waited.
    attempts: f64,
}

impl GettingThere {
    /// Counts the calls of the ordinary path that have been made by now. An attempt is recorded
    /// when it was made.
    fn ordinary_by_now(&self, operation: &str) -> f64 {
        let ordinary = self.ordinary.get(operation).copied().unwrap_or(0.0);
        if operation == RECORDING { ordinary * self.attempts } else { ordinary }
    }

    fn report(&self, report: &mut Report) -> anyhow::Result<()> {
        let mut table =
            Table::new(&["calls a delivery", "ordinary path", "to get it waiting", "beyond"]);
        let mut beyond = 0.0;
        for (operation, waiting) in &self.waiting {
            let more = (waiting - self.ordinary_by_now(operation)).max(0.0);
            beyond += more;
            let ordinary = self.ordinary.get(operation).copied().unwrap_or(0.0);
            table.row(vec![
                operation.clone(),
                format!("{ordinary:.3}"),
                format!("{waiting:.3}"),
                format!("{more:.3}"),
            ]);
        }
        table.row(vec![
            "beyond the ordinary path".to_owned(),
            String::new(),
            String::new(),
            format!("{beyond:.3}"),
        ]);
        report.table(&table);
        report.line(format!(
            "{:.3} attempts a delivery were made before all waited.\n",
            self.attempts
        ));
        report.figure("ordinaryCallsADelivery", &self.ordinary)?;
        report.figure("callsADeliveryToGetThere", &self.waiting)?;
        report.figure("attemptsADelivery", self.attempts)?;
        report.figure("beyondTheOrdinaryPath", beyond)
    }
}

fn while_waiting(
    args: &WaitingArgs,
    before: &Metrics,
    after: &Metrics,
    requests: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let spent = Spent::between(before, after);
    let an_hour = 3600.0 / args.seconds as f64;
    let without_release = spent.all_calls() - spent.calls_of("release");
    let calls_an_hour = without_release as f64 * an_hour;
    let invocations =
        spent.all_invocations() - spent.invocations.get("release").copied().unwrap_or(0);
    let invocations_an_hour = invocations as f64 * an_hour;
    let for_each = calls_an_hour / args.waiting as f64;
    report.line(format!("while they waited, in {} s:", args.seconds));
    report.table(&spent.table());
    report.line(format!(
        "an hour of it is {calls_an_hour:.0} calls and {invocations_an_hour:.0} invocations \
         without those of release, {for_each:.4} calls for each waiting delivery; {requests} \
         requests arrived."
    ));
    report.figure("callsWithoutRelease", without_release)?;
    report.figure("callsAnHourWithoutRelease", calls_an_hour)?;
    report.figure("invocationsAnHourWithoutRelease", invocations_an_hour)?;
    report.figure("callsAnHourAndDelivery", for_each)?;
    report.figure("requests", requests)?;
    report.figure("whileWaiting", spent)
}
