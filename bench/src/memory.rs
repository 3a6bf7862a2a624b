//! `memory` measures what the processes of each function hold after a number of events.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    load::{Carried, Load},
    options::Subject,
    proc::Held,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Publishes this many events, each with a call of its own, and reads lists beside.
    #[arg(long, default_value_t = 1000)]
    events: usize,
    /// Sends each event to this many webhooks.
    #[arg(long, default_value_t = 5)]
    webhooks: usize,
    /// Lets this many callers publish at once.
    #[arg(long, default_value_t = 8)]
    callers: usize,
    /// Gives each event's data this many bytes of text.
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Gives up after this many seconds if not all has arrived.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// The lists of the API that are read, each of them this often.
const LISTS: [&str; 4] = ["/webhooks", "/events?limit=100", "/event-types", "/deliveries?limit=50"];
const READS: usize = 20;

pub(crate) async fn run(
    args: &MemoryArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &MemoryArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let patience = Duration::from_secs(args.patience);
    let mut load = Load::prepare(bench, args.webhooks, args.bytes, patience).await?;
    eprintln!("{} events are published …", args.events);
    let carried = load.carry(bench, args.events, args.callers).await?;
    for _ in 0..READS {
        for path in LISTS {
            load.workspace().call(Method::GET, path, Value::Null).await?;
        }
    }
    let conditions = vec![
        ("events", args.events.to_string()),
        ("webhooks", args.webhooks.to_string()),
        ("callers", args.callers.to_string()),
        ("bytes", args.bytes.to_string()),
    ];
    let mut report = Report::new("memory".to_owned(), subject, bench, conditions);
    add(bench, &carried, &mut report)?;
    Ok(report)
}

fn add(bench: &Bench, carried: &Carried, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "function",
        "processes",
        "invocations",
        "resident MiB, the most of a process",
        "peak MiB",
        "open files",
    ]);
    let mut figures = BTreeMap::new();
    for (name, stats) in bench.metrics().functions {
        let held: Vec<Held> = stats.pids.iter().filter_map(|pid| Held::by(*pid)).collect();
        if held.is_empty() {
            continue;
        }
        let resident_kb = held.iter().map(|held| held.resident_kb).max().unwrap_or(0);
        let files = held.iter().map(|held| held.files).max().unwrap_or(0);
        table.row(vec![
            name.clone(),
            held.len().to_string(),
            stats.invocations.to_string(),
            format!("{:.1}", resident_kb as f64 / 1024.0),
            format!("{:.1}", stats.peak_memory_kb as f64 / 1024.0),
            files.to_string(),
        ]);
        let figure = json!({
            "processes": held.len(), "residentKb": resident_kb,
            "peakMemoryKb": stats.peak_memory_kb, "files": files,
        });
        figures.insert(name, figure);
    }
    report.table(&table);
    report.figure("functions", figures)?;
    report.figure("deliveries", carried.deliveries)?;
    report.lose(carried.lost);
    Ok(())
}
