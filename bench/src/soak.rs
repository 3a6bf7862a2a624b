//! `soak` runs a mixed load for an hour, and shows that nothing grows: no function's memory, no
//! open files, no queue, and no table by more than what each event leaves there.

mod load;
mod samples;

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use tokio::time::{Instant, interval, sleep};

use self::{
    load::Load,
    samples::{Sample, Verdict, judge, keeps},
};
use crate::{
    options::Subject,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// Lets the load go on for this many minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Publishes this many events a second one by one, beside batches.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Looks at everything after each of so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    sample: f64,
    /// Waits for quiet for this many seconds in the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// Two samples make no quarter.
const FEWEST_SAMPLES: usize = 8;

pub(crate) async fn run(
    args: &SoakArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    ensure!(args.rate > 0.0 && args.sample > 0.0, "the rate and the pause have to be above 0");
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &SoakArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let load = Load::prepare(bench).await?;
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(args.minutes * 60.0);
    eprintln!("the load goes on for {} minutes …", args.minutes);
    let (samples, ()) =
        tokio::join!(sampled(args, bench, &load, end), load.run_until(end, args.rate));
    let samples = samples?;
    let got = samples.len();
    ensure!(got >= FEWEST_SAMPLES, "{got} samples are too few: let it run for longer");
    eprintln!("quiet is waited for …");
    let quiet = quiet(bench, Duration::from_secs(args.patience)).await;
    let last = Sample::take(bench, began.elapsed().as_secs(), load.events()).await?;
    let conditions = vec![
        ("minutes", args.minutes.to_string()),
        ("rate", format!("{}/s and batches", args.rate)),
        ("samples", got.to_string()),
    ];
    let mut report = Report::new("soak".to_owned(), subject, bench, conditions);
    add(&judge(&samples), &last, &mut report)?;
    let did = load.done();
    report.line(format!(
        "{} events were accepted and {} refused, {} lists were read, {} replays began. In the end \
         {}.",
        did.events,
        did.refused,
        did.reads,
        did.replays,
        if quiet { "all was quiet" } else { "messages were still on their way" },
    ));
    report.figure("load", did)?;
    report.figure("isQuiet", quiet)?;
    report.figure("last", &last)?;
    report.figure("samples", &samples)?;
    report.lose(did.missing);
    Ok(report)
}

/// Takes samples until a moment.
async fn sampled(
    args: &SoakArgs,
    bench: &Bench,
    load: &Load,
    end: Instant,
) -> anyhow::Result<Vec<Sample>> {
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut ticks = interval(Duration::from_secs_f64(args.sample));
    ticks.tick().await;
    while ticks.tick().await <= end {
        let second = began.elapsed().as_secs();
        samples.push(Sample::take(bench, second, load.events()).await?);
    }
    Ok(samples)
}

/// Waits until no queue has a message, but for those that keep what failed.
async fn quiet(bench: &Bench, patience: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < patience {
        let queues = bench.metrics().queues.into_iter();
        let left: usize = queues
            .filter(|(name, _)| !name.rsplit('-').next().is_some_and(keeps))
            .map(|(_, depth)| depth.visible + depth.in_flight + depth.delayed)
            .sum();
        if left == 0 {
            return true;
        }
        sleep(Duration::from_millis(200)).await;
    }
    false
}

fn add(verdicts: &[Verdict], last: &Sample, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(&["mean of", "second quarter", "last quarter", ""]);
    for verdict in verdicts {
        let figures = [verdict.second_quarter, verdict.last_quarter];
        let [second, last] = figures.map(|figure| format!("{figure:.2}"));
        let judged = if verdict.is_flat { "flat" } else { "GREW" };
        table.row(vec![verdict.what.clone(), second, last, judged.to_owned()]);
    }
    report.table(&table);
    let grew: Vec<&str> = verdicts
        .iter()
        .filter(|verdict| !verdict.is_flat)
        .map(|verdict| verdict.what.as_str())
        .collect();
    if grew.is_empty() {
        report.line("Everything is flat.");
    } else {
        report.line(format!("What grew: {}.", grew.join(", ")));
    }
    report.line(format!(
        "The local system and the bench, which hold the tables, have {} MiB and {} open files.",
        last.own.resident_kb / 1024,
        last.own.files
    ));
    report.figure("grew", grew)?;
    report.figure("verdicts", verdicts)
}
