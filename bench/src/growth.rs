//! `growth` measures what an event costs while ever more events and histories are stored. What is
//! counted must not grow.

mod fill;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::fill::Samples;
use crate::{
    callers::Callers,
    options::Subject,
    receiver::{Behaviour, Hook},
    report::{Report, Table},
    spent::Spent,
    system::{Bench, without_schedules},
    workspace::Workspace,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct GrowthArgs {
    /// Stores this many events of a workspace, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    events: Vec<usize>,
    /// Then stores this many deliveries in the history of its webhook, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000])]
    histories: Vec<usize>,
    /// Measures this many events each time, each of which waits until the one before is delivered.
    #[arg(long, default_value_t = 50)]
    measured: usize,
    /// Waits for an event for this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
}

/// This many events are published in the beginning, so that there is one in each partition.
const FIRST: usize = 60;
/// Each list is read this often.
const READS: usize = 10;
/// A figure that is larger by this factor has grown.
const FLAT: f64 = 1.1;

pub(crate) async fn run(
    args: &GrowthArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    // What `release` reads every minute belongs to no event.
    let template = without_schedules(&subject.template)?;
    let subject = Subject { template, ..subject.clone() };
    let bench = Bench::start(&subject).await?;
    let measured = measure(args, &subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &GrowthArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    ensure!(args.measured > 0, "at least one event is measured");
    let mut grown = Grown::prepare(args, bench).await?;
    let mut events = Samples::find(bench, "EventsTable", "growth").await?;
    let partition = format!("growth#{}", grown.webhook);
    let mut histories = Samples::find(bench, "DeliveriesTable", &partition).await?;
    let mut stages = Vec::new();
    for count in &args.events {
        eprintln!("{count} events are stored …");
        events.fill(bench, *count).await?;
        stages.push((format!("{count} events"), grown.stage(args, bench).await?));
    }
    for count in &args.histories {
        eprintln!("{count} deliveries are stored …");
        histories.fill(bench, *count).await?;
        stages.push((format!("{count} deliveries"), grown.stage(args, bench).await?));
    }
    let conditions = vec![("measured", args.measured.to_string()), ("reads", READS.to_string())];
    let mut report = Report::new("growth".to_owned(), subject, bench, conditions);
    add(&stages, &mut report)?;
    report.lose(grown.hook.first_arrivals(grown.next).iter().filter(|at| at.is_none()).count());
    Ok(report)
}

/// The webhook whose history grows, and whoever publishes for it.
struct Grown {
    callers: Callers,
    workspace: Workspace,
    webhook: String,
    hook: Arc<Hook>,
    /// The number of the next event.
    next: usize,
}

/// The costs at one moment.
#[derive(Debug, Serialize)]
struct Stage {
    /// The counted costs of an event, by name.
    event: BTreeMap<String, f64>,
    #[serde(rename = "cpuMsAnEvent")]
    cpu_ms: f64,
    /// The costs of one reading call, by its path.
    reads: BTreeMap<&'static str, Reading>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading {
    calls: f64,
    units: f64,
    cpu_ms: f64,
}

impl Grown {
    async fn prepare(args: &GrowthArgs, bench: &Bench) -> anyhow::Result<Self> {
        let workspace = bench.workspace("growth").await?;
        let hook = bench.receiver.hook("growth", Behaviour::Well);
        let webhook = workspace.register(hook.url(), json!({})).await?;
        let callers = Callers { workspace: workspace.clone(), bytes: 300 };
        let mut grown = Self { callers, workspace, webhook, hook, next: 0 };
        grown.publish(args, bench, FIRST).await?;
        Ok(grown)
    }

    /// Publishes events one by one: each is delivered and recorded before the next.
    async fn publish(
        &mut self,
        args: &GrowthArgs,
        bench: &Bench,
        events: usize,
    ) -> anyhow::Result<()> {
        let patience = Duration::from_secs(args.patience);
        for _ in 0..events {
            let number = self.next;
            self.next += 1;
            let called = self.callers.one_by_one(number..number + 1, 1).await?;
            ensure!(called.events[0].id.is_some(), "an event was refused");
            let began = Instant::now();
            while self.hook.count() < self.next || bench.messages() > 0 {
                ensure!(began.elapsed() < patience, "an event was not delivered in time");
                sleep(Duration::from_millis(2)).await;
            }
        }
        Ok(())
    }

    /// Measures events, and then lists.
    async fn stage(&mut self, args: &GrowthArgs, bench: &Bench) -> anyhow::Result<Stage> {
        // The first one after a while may find out again what was forgotten meanwhile.
        self.publish(args, bench, 1).await?;
        let (usage, before) = (bench.usage().await?, bench.metrics());
        self.publish(args, bench, args.measured).await?;
        let spent = Spent::between(&before, &bench.metrics());
        let usage = bench.usage().await?.since(&usage);
        let each = |figure: f64| figure / args.measured as f64;
        let mut event = BTreeMap::new();
        event.insert("AWS calls".to_owned(), each(spent.all_calls() as f64));
        event.insert("invocations".to_owned(), each(spent.all_invocations() as f64));
        for (table, capacity) in &usage.tables {
            let table = table.rsplit('-').next().unwrap_or(table);
            event.insert(format!("write units: {table}"), each(capacity.writes));
            event.insert(format!("read units: {table}"), each(capacity.reads));
        }
        let cpu_ms = each(spent.cpu_ms.values().sum::<u64>() as f64);
        Ok(Stage { event, cpu_ms, reads: self.reads(bench).await? })
    }

    async fn reads(&self, bench: &Bench) -> anyhow::Result<BTreeMap<&'static str, Reading>> {
        let webhook = &self.webhook;
        let newest = self.workspace.call(Method::GET, "/events?limit=1", Value::Null).await?;
        let newest = newest["items"][0]["id"].as_str().context("there is no event")?.to_owned();
        let paths = [
            ("one event", format!("/events/{newest}")),
            ("the webhook", format!("/webhooks/{webhook}")),
            ("a page of events", "/events?limit=50".to_owned()),
            ("a page of its history", format!("/webhooks/{webhook}/deliveries?limit=50")),
            ("a page of all deliveries", "/deliveries?limit=50".to_owned()),
        ];
        let mut reads = BTreeMap::new();
        for (name, path) in paths {
            let (usage, before) = (bench.usage().await?, bench.metrics());
            for _ in 0..READS {
                self.workspace.call(Method::GET, &path, Value::Null).await?;
            }
            let spent = Spent::between(&before, &bench.metrics());
            let usage = bench.usage().await?.since(&usage);
            let units: f64 = usage.tables.values().map(|table| table.reads).sum();
            let cpu_ms: u64 = spent.cpu_ms.values().sum();
            let figures = [spent.all_calls() as f64, units, cpu_ms as f64];
            let [calls, units, cpu_ms] = figures.map(|figure| figure / READS as f64);
            reads.insert(name, Reading { calls, units, cpu_ms });
        }
        Ok(reads)
    }
}

/// Finds the counted costs of an event that grew from the first stage to any later one, each with
/// the factor by which it did.
fn grew(stages: &[(String, Stage)]) -> BTreeMap<String, f64> {
    let mut grew = BTreeMap::new();
    let Some(((_, first), later)) = stages.split_first() else { return grew };
    for (name, before) in &first.event {
        let after = later.iter().filter_map(|(_, stage)| stage.event.get(name));
        let most = after.copied().fold(*before, f64::max);
        if most > before * FLAT + 1e-9 {
            grew.insert(name.clone(), most / before);
        }
    }
    grew
}

fn add(stages: &[(String, Stage)], report: &mut Report) -> anyhow::Result<()> {
    let names = stages.first().context("nothing was measured")?.1.event.keys();
    let mut headings = vec!["for an event, with"];
    headings.extend(names.map(String::as_str));
    headings.push("CPU ms");
    let mut table = Table::new(&headings);
    let mut reading = Table::new(&["to read, with", "what", "AWS calls", "read units", "CPU ms"]);
    for (stored, stage) in stages {
        let mut row = vec![stored.clone()];
        row.extend(stage.event.values().map(|figure| format!("{figure:.2}")));
        row.push(format!("{:.1}", stage.cpu_ms));
        table.row(row);
        for (name, figure) in &stage.event {
            report.count(format!("{name} an event, with {stored}"), *figure);
        }
        for (what, read) in &stage.reads {
            let figures = [read.calls, read.units, read.cpu_ms].map(|one| format!("{one:.1}"));
            let row = [vec![stored.clone(), (*what).to_owned()], figures.to_vec()].concat();
            reading.row(row);
            report.count(format!("read units of {what}, with {stored}"), read.units);
        }
    }
    report.table(&table);
    report.table(&reading);
    let grew = grew(stages);
    if grew.is_empty() {
        report.line("What an event costs is flat within 10 %.");
    }
    for (name, factor) in &grew {
        report.line(format!("{name} grew by the factor {factor:.2}."));
    }
    report.figure("grew", grew)?;
    let stages: BTreeMap<_, _> = stages.iter().map(|(stored, stage)| (stored, stage)).collect();
    report.figure("stages", stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(calls: f64) -> (String, Stage) {
        let event = [("AWS calls".to_owned(), calls)].into();
        (format!("{calls}"), Stage { event, cpu_ms: 0.0, reads: BTreeMap::new() })
    }

    #[test]
    fn a_tenth_more_is_flat_and_more_than_that_has_grown() {
        assert!(grew(&[stage(10.0), stage(11.0), stage(9.0)]).is_empty());
        assert_eq!(grew(&[stage(10.0), stage(20.0), stage(9.0)])["AWS calls"], 2.0);
    }
}
