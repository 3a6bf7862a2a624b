//! `floor` invokes the functions on the way of an event, each alone, with one event at a time. Beside
//! them it invokes a function that only does what its libraries do: an invocation in which nothing
//! is done, a call of AWS, a request to an endpoint. No function that is made of them can take less
//! than their sum.

mod samples;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use self::samples::Sample;
use crate::{
    invoked::{Allocated, Invoked, environment},
    options::Subject,
    receiver::Behaviour,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Takes this binary, which has to be the example `bare`, for the floor.
    #[arg(long, value_name = "FILE")]
    bare: PathBuf,
    /// Invokes a function this often for each figure.
    #[arg(long, default_value_t = 1_000)]
    times: u32,
    /// Sends this many bytes of text with each event, call and request.
    #[arg(long, default_value_t = 1_000)]
    bytes: usize,
}

/// So many invocations come before those that are measured.
const WARM_UP: u32 = 50;

pub(crate) async fn run(
    args: &FloorArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    ensure!(args.times > 0, "at least one invocation is measured");
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

/// An invocation took this much.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Took {
    cpu_ms: f64,
    allocations: f64,
    allocated_bytes: f64,
}

impl Took {
    /// One of ten things that an invocation did beside what another one did.
    fn a_tenth_beyond(self, other: Self) -> Self {
        let tenth = |all: f64, without: f64| (all - without) / f64::from(samples::EACH);
        Self {
            cpu_ms: tenth(self.cpu_ms, other.cpu_ms),
            allocations: tenth(self.allocations, other.allocations),
            allocated_bytes: tenth(self.allocated_bytes, other.allocated_bytes),
        }
    }
}

async fn measure(args: &FloorArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let workspace = bench.first_workspace();
    let hook = bench.receiver.hook("floor", Behaviour::Well);
    let webhook = workspace.register(hook.url(), json!({})).await?;
    let text = "x".repeat(args.bytes);
    let bare = std::path::absolute(&args.bare)?;
    // It may do what `deliver` may, and nobody reads the dead letters that it sends.
    let as_deliver = environment("deliver", &BTreeMap::new(), bench.aws_url());
    let mut took = BTreeMap::new();
    for (what, sample) in Sample::of_bare(bench, hook.url(), &text)? {
        took.insert(what, invocation(args, &bare, &as_deliver, &sample).await?);
    }
    let nothing = took["nothing"];
    let mut rows = vec![("an invocation in which nothing is done", nothing)];
    for (what, name) in [
        ("sends", "a call of SQS: SendMessageBatch with one message"),
        ("reads", "a call of DynamoDB: GetItem of nothing"),
        ("posts", "a request to an endpoint"),
    ] {
        rows.push((name, took[what].a_tenth_beyond(nothing)));
    }
    for (name, sample) in Sample::of_functions(&workspace.key, &webhook, &text)? {
        let function = bench.stack().functions.iter().find(|function| function.name == name);
        let declared = &function.with_context(|| format!("there is no {name}"))?.environment;
        let environment = environment(name, declared, bench.aws_url());
        rows.push((name, invocation(args, &subject.binaries[name], &environment, &sample).await?));
    }
    let letters = bench.stack().outputs["EventsDeadLetterQueueUrl"].rsplit('/').next();
    let queues = bench.metrics().queues;
    let letters = letters.and_then(|name| queues.get(name)).context("there is no such queue")?;
    ensure!(letters.visible == 0, "fanout has made {} dead letters", letters.visible);
    let conditions = vec![("times", args.times.to_string()), ("bytes", args.bytes.to_string())];
    let mut report = Report::new("floor".to_owned(), subject, bench, conditions);
    let mut table = Table::new(&["once", "CPU ms", "allocations", "bytes of them"]);
    for (name, Took { cpu_ms, allocations, allocated_bytes }) in &rows {
        let figures =
            [format!("{cpu_ms:.3}"), format!("{allocations:.0}"), format!("{allocated_bytes:.0}")];
        table.row([vec![(*name).to_owned()], figures.to_vec()].concat());
    }
    report.table(&table);
    let figures: BTreeMap<&str, Took> = rows.into_iter().collect();
    report.figure("took", figures)?;
    report.figure("requests", hook.count())?;
    Ok(report)
}

/// Measures an invocation: the processor time of some, and then, in other processes, what they
/// allocate.
async fn invocation(
    args: &FloorArgs,
    binary: &Path,
    environment: &BTreeMap<String, String>,
    sample: &Sample,
) -> anyhow::Result<Took> {
    let mut function = Invoked::start(binary, environment)?;
    invoke(&mut function, sample, WARM_UP).await?;
    let before = function.cpu_ms()?;
    invoke(&mut function, sample, args.times).await?;
    let cpu_ms = (function.cpu_ms()? - before) / f64::from(args.times);
    function.end().await?;
    let few = allocated(binary, environment, sample, WARM_UP).await?;
    let many = allocated(binary, environment, sample, WARM_UP + args.times).await?;
    let each = |many: u64, few: u64| many.saturating_sub(few) as f64 / f64::from(args.times);
    Ok(Took {
        cpu_ms,
        allocations: each(many.times, few.times),
        allocated_bytes: each(many.bytes, few.bytes),
    })
}

async fn allocated(
    binary: &Path,
    environment: &BTreeMap<String, String>,
    sample: &Sample,
    times: u32,
) -> anyhow::Result<Allocated> {
    let mut function = Invoked::start_counting_allocations(binary, environment)?;
    invoke(&mut function, sample, times).await?;
    function.end_with_allocations().await
}

async fn invoke(function: &mut Invoked, sample: &Sample, times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        let answer = function.invoke(&sample.next()?).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let is_well = answer["statusCode"].as_u64().is_none_or(|status| status < 300)
            && answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty);
        ensure!(is_well, "the function answered {answer}");
    }
    Ok(())
}
