//! `floor` measures what the libraries of every function take of a processor by themselves: an
//! invocation in which nothing is done, a call of AWS, and a request to an endpoint. No function that
//! is made of them can take less than the sum of its own.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    invoked::{Invoked, environment},
    options::Subject,
    receiver::Behaviour,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// Measures this binary, which has to be the example `bare`.
    #[arg(long, value_name = "FILE")]
    function: PathBuf,
    /// Invokes it this often for each figure.
    #[arg(long, default_value_t = 2_000)]
    times: u32,
    /// Sends this many bytes in each message and request.
    #[arg(long, default_value_t = 1_000)]
    bytes: usize,
}

/// So many calls or requests are made in an invocation where they are measured.
const EACH: u32 = 10;
/// So many invocations come before those that are measured.
const WARM_UP: u32 = 100;
/// The function may do in the local system what this one may, whose dead letters nobody reads.
const AS: &str = "deliver";

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

async fn measure(args: &FloorArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let output = |name: &str| {
        let outputs = &bench.stack().outputs;
        outputs.get(name).cloned().with_context(|| format!("the template has no output {name}"))
    };
    let endpoint = bench.receiver.hook("floor", Behaviour::Well);
    let invocation = json!({
        "sends": 0, "queue": output("DeliveriesDeadLetterQueueUrl")?,
        "reads": 0, "table": output("DeliveriesTable")?,
        "posts": 0, "endpoint": endpoint.url(), "body": "x".repeat(args.bytes),
    });
    let binary = std::path::absolute(&args.function)?;
    let environment = environment(AS, &BTreeMap::new(), &bench.aws_url());
    let mut function = Invoked::start(&binary, &environment).await?;
    let mut cpu_ms = BTreeMap::new();
    for what in ["nothing", "sends", "reads", "posts"] {
        let mut invocation = invocation.clone();
        if let Some(count) = invocation.get_mut(what) {
            *count = EACH.into();
        }
        let invocation = Bytes::from(invocation.to_string());
        invoke(&mut function, &invocation, WARM_UP).await?;
        let before = function.cpu_ms()?;
        invoke(&mut function, &invocation, args.times).await?;
        cpu_ms.insert(what, (function.cpu_ms()? - before) / f64::from(args.times));
    }
    function.end().await?;
    let conditions = vec![("times", args.times.to_string()), ("bytes", args.bytes.to_string())];
    let mut report = Report::new("floor".to_owned(), subject, bench, conditions);
    let nothing = cpu_ms["nothing"];
    let each = |what: &str| (cpu_ms[what] - nothing) / f64::from(EACH);
    let mut table = Table::new(&["once", "CPU ms"]);
    let rows = [
        ("an invocation in which nothing is done", nothing),
        ("a call of SQS: SendMessageBatch with one message", each("sends")),
        ("a call of DynamoDB: GetItem of nothing", each("reads")),
        ("a request to an endpoint", each("posts")),
    ];
    for (name, ms) in rows {
        table.pair(name, format!("{ms:.3}"));
    }
    report.table(&table);
    let figures: BTreeMap<&str, f64> = rows.into_iter().collect();
    report.figure("cpuMs", figures)?;
    report.figure("requests", endpoint.count())?;
    Ok(report)
}

async fn invoke(function: &mut Invoked, invocation: &Bytes, times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        let answer: Value = serde_json::from_slice(&function.invoke(invocation).await?)?;
        ensure!(answer == "done", "the function answered {answer}");
    }
    Ok(())
}
