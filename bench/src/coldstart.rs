//! `coldstart` measures what the start of each function takes: until it asks for its first
//! invocation, and through its first answer, whose calls of AWS go over TLS.

mod invocations;
mod tls;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use self::{invocations::Known, tls::Door};
use crate::{
    invoked::{self, Invoked, Since},
    options::Subject,
    receiver::Behaviour,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct ColdstartArgs {
    /// Starts each function this often, one start after the other.
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// Starts only these functions.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Compares them with this binary, such as that of the example `hello`.
    #[arg(long, value_name = "FILE")]
    floor: Option<PathBuf>,
}

/// The row of the floor.
const FLOOR: &str = "(floor)";

pub(crate) async fn run(
    args: &ColdstartArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    ensure!(args.times > 0, "at least one start is measured");
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &ColdstartArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let workspace = bench.first_workspace();
    let hook = bench.receiver.hook("cold", Behaviour::Well);
    let webhook = workspace.register(hook.url(), json!({})).await?;
    let test = json!({ "scopes": ["events:publish"], "environment": "test" });
    let test = workspace.call(Method::POST, "/keys", test).await?;
    let test_key = test["key"].as_str().context("there is no key of test mode")?;
    let door = Door::open(bench.aws_url()).await?;
    let (key, answer_url) = (workspace.key.as_str(), hook.url());
    let known = Known { key, test_key, webhook: &webhook, answer_url };
    let mut rows = BTreeMap::new();
    if let Some(floor) = &args.floor {
        let floor = std::path::absolute(floor)?;
        let environment = invoked::environment("floor", &BTreeMap::new(), bench.aws_url());
        let starts = starts(args, &floor, &environment, &Bytes::from_static(b"{}")).await?;
        rows.insert(FLOOR.to_owned(), Row::of(&starts, 0));
    }
    for function in &bench.stack().functions {
        if !args.only.is_empty() && !args.only.contains(&function.name) {
            continue;
        }
        let name = &function.name;
        let binary = subject.binaries.get(name).with_context(|| format!("no binary {name}"))?;
        let event = invocations::of(name, &known, bench).with_context(|| name.clone())?;
        let environment = environment(name, &function.environment, &door);
        eprintln!("{name} is started {} times …", args.times);
        let before = door.handshakes();
        let starts = starts(args, binary, &environment, &event).await?;
        for start in &starts {
            succeeded(&start.answered).with_context(|| name.clone())?;
        }
        rows.insert(name.clone(), Row::of(&starts, door.handshakes() - before));
    }
    let conditions = vec![("times", args.times.to_string())];
    let mut report = Report::new("coldstart".to_owned(), subject, bench, conditions);
    add(&rows, &mut report)?;
    report.figure("deliveredToTheEndpoint", hook.count())?;
    Ok(report)
}

async fn starts(
    args: &ColdstartArgs,
    binary: &Path,
    environment: &BTreeMap<String, String>,
    event: &Bytes,
) -> anyhow::Result<Vec<Start>> {
    let mut starts = Vec::new();
    for _ in 0..args.times {
        let start = start(binary, environment, event).await;
        starts.push(start.with_context(|| format!("{}", binary.display()))?);
    }
    Ok(starts)
}

/// A start that was measured.
#[derive(Debug, Clone)]
struct Start {
    /// Until the process asked for its first invocation.
    next: Since,
    /// Until it had answered it.
    answer: Since,
    /// The largest resident set until then, in KiB.
    peak_memory_kb: u64,
    answered: Bytes,
}

/// Starts a binary, gives it an invocation, and ends it.
async fn start(
    binary: &Path,
    environment: &BTreeMap<String, String>,
    event: &Bytes,
) -> anyhow::Result<Start> {
    let mut function = Invoked::start(binary, environment)?;
    let give = function.asks().await?;
    let next = function.since_start()?;
    let _ = give.send(event.clone());
    let answered = function.answer().await?;
    let answer = function.since_start()?;
    let peak_memory_kb = function.peak_memory_kb()?;
    function.end().await?;
    Ok(Start { next, answer, peak_memory_kb, answered })
}

/// Makes the variables of a function, with a door over TLS to AWS.
fn environment(
    name: &str,
    declared: &BTreeMap<String, String>,
    door: &Door,
) -> BTreeMap<String, String> {
    let mut environment = invoked::environment(name, declared, &door.url());
    let authority = door.authority().to_string_lossy().into_owned();
    environment.insert("AWS_CA_BUNDLE".to_owned(), authority);
    environment
}

/// Looks into an answer: a call of the API succeeded, and no message of SQS has to come again.
fn succeeded(answer: &[u8]) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let is_well = answer["statusCode"].as_u64().is_none_or(|status| status < 300)
        && answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty);
    ensure!(is_well, "the first answer was {answer}");
    Ok(())
}

/// The medians of some starts.
struct Row {
    next: Since,
    answer: Since,
    peak_memory_kb: f64,
    handshakes: f64,
}

impl Row {
    fn of(starts: &[Start], handshakes: u64) -> Self {
        let since = |moment: fn(&Start) -> Since| Since {
            cpu_ms: median(starts.iter().map(|start| moment(start).cpu_ms).collect()),
            wall_ms: median(starts.iter().map(|start| moment(start).wall_ms).collect()),
        };
        Self {
            next: since(|start| start.next),
            answer: since(|start| start.answer),
            peak_memory_kb: median(starts.iter().map(|s| s.peak_memory_kb as f64).collect()),
            handshakes: handshakes as f64 / starts.len() as f64,
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn add(rows: &BTreeMap<String, Row>, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "medians",
        "to next: CPU ms",
        "÷ floor",
        "wall ms",
        "÷ floor",
        "through the answer: CPU ms",
        "wall ms",
        "TLS handshakes",
        "peak MiB",
    ]);
    let floor = rows.get(FLOOR).map(|row| row.next);
    let ratio = |figure: f64, floor: Option<f64>| {
        floor.map_or(String::new(), |floor| format!("{:.2}", figure / floor))
    };
    let mut figures = BTreeMap::new();
    for (name, row) in rows {
        table.row(vec![
            name.clone(),
            format!("{:.1}", row.next.cpu_ms),
            ratio(row.next.cpu_ms, floor.map(|floor| floor.cpu_ms)),
            format!("{:.1}", row.next.wall_ms),
            ratio(row.next.wall_ms, floor.map(|floor| floor.wall_ms)),
            format!("{:.1}", row.answer.cpu_ms),
            format!("{:.1}", row.answer.wall_ms),
            format!("{:.1}", row.handshakes),
            format!("{:.1}", row.peak_memory_kb / 1024.0),
        ]);
        let figure = json!({
            "next": row.next, "answer": row.answer, "handshakes": row.handshakes,
            "peakMemoryKb": row.peak_memory_kb,
        });
        figures.insert(name.clone(), figure);
    }
    report.table(&table);
    report.figure("functions", figures)
}
