//! `release` measures what it takes to send retries that are due in the same minute.

use anyhow::Context;
use clap::Args;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clock,
    options::Subject,
    report::{Report, Table},
    spent::Spent,
    system::{Bench, without_delivering, without_schedules},
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Makes this many retries due.
    #[arg(long, default_value_t = 100_000)]
    due: usize,
    /// Spreads them over this many workspaces.
    #[arg(long, default_value_t = 50)]
    workspaces: usize,
}

/// `release` works in this many parts, each of which has this many partitions
/// (`crates/domain/src/delivery/parked.rs`).
const PARTS: usize = 8;
const SHARDS: usize = 64;
/// One call reads this many entries of a partition.
const PAGE: usize = 200;
/// The measurement is given up after this many calls of each part.
const MOST_MINUTES: usize = 20;
/// One BatchWriteItem has at most this many writes.
const MAX_WRITE: usize = 25;

pub(crate) async fn run(
    args: &ReleaseArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let subject = Subject {
        template: quiet(&subject.template)?,
        concurrency: subject.concurrency.max(PARTS),
        ..subject.clone()
    };
    let bench = Bench::start(&subject).await?;
    let measured = measure(args, &subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

/// Takes out of the template the schedules of `release`, which is invoked by hand, and the mapping
/// of `deliver`.
fn quiet(template: &str) -> anyhow::Result<String> {
    without_delivering(&without_schedules(template)?)
}

async fn measure(args: &ReleaseArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    eprintln!("{} retries are parked …", args.due);
    let item_bytes = park(args, bench).await?;
    let before = bench.metrics();
    let mut minutes = Vec::new();
    while bench.messages() < args.due && minutes.len() < MOST_MINUTES {
        let began = Instant::now();
        let parts = (0..PARTS).map(|part| bench.invoke("release", json!({ "part": part })));
        for answer in join_all(parts).await {
            answer?;
        }
        minutes.push(Minute { seconds: began.elapsed().as_secs_f64(), sent: bench.messages() });
        eprintln!(
            "{} have been sent after {:.1} s",
            bench.messages(),
            began.elapsed().as_secs_f64()
        );
    }
    let after = bench.metrics();
    let idle = idle(bench).await?;
    report(args, subject, bench, item_bytes, &minutes, &Spent::between(&before, &after), &idle)
}

/// A minute in which every part is called once.
struct Minute {
    seconds: f64,
    /// The number of messages that had been sent when it ended.
    sent: usize,
}

/// Measures what a minute costs in which nothing is due.
async fn idle(bench: &Bench) -> anyhow::Result<Spent> {
    let before = bench.metrics();
    for part in 0..PARTS {
        bench.invoke("release", json!({ "part": part })).await?;
    }
    Ok(Spent::between(&before, &bench.metrics()))
}

/// Puts due items into partitions as workspaces own them: four each, in four parts. Returns the
/// bytes of one.
async fn park(args: &ReleaseArgs, bench: &Bench) -> anyhow::Result<usize> {
    let due_ms = clock::now_us() / 1000;
    let mut bytes = 0;
    let mut puts = Vec::new();
    for n in 0..args.due {
        let workspace = n % args.workspaces.max(1);
        let nth = n / args.workspaces.max(1);
        // As the owners are spread here every part has as many as any other.
        let part = (workspace + 2 * (nth % 4)) % PARTS;
        let shard = part * (SHARDS / PARTS) + workspace % (SHARDS / PARTS);
        let delivery = uuid::Uuid::new_v4();
        let task = json!({
            "workspace": format!("tenant-{workspace}"), "webhook": workspace + 1, "recorded": true,
            "deliveries": [
                { "id": delivery, "content": { "eventId": uuid::Uuid::new_v4() }, "bytes": 512 }
            ],
        });
        let key = format!("{due_ms:013}#tenant-{workspace}#{}#{delivery}", workspace + 1);
        let item = json!({
            "pk": { "S": format!("#due#{shard}") }, "sk": { "S": key },
            "task": { "S": task.to_string() },
            "expiresAt": { "N": "1900000000" },
        });
        bytes = bytes.max(size(&item));
        puts.push(json!({ "PutRequest": { "Item": item } }));
        if puts.len() == MAX_WRITE || n + 1 == args.due {
            bench.write_deliveries(std::mem::take(&mut puts)).await?;
        }
    }
    Ok(bytes)
}

/// Counts the bytes of an item as DynamoDB does: names and values, and for a number one byte and
/// another for each two digits.
fn size(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    let sizes = attributes.map(|(name, value)| {
        let text = value["S"].as_str().map(str::len);
        name.len()
            + text.or_else(|| value["N"].as_str().map(|digits| digits.len() / 2 + 1)).unwrap_or(0)
    });
    sizes.sum()
}

fn report(
    args: &ReleaseArgs,
    subject: &Subject,
    bench: &Bench,
    item_bytes: usize,
    minutes: &[Minute],
    spent: &Spent,
    idle: &Spent,
) -> anyhow::Result<Report> {
    let conditions =
        vec![("due", args.due.to_string()), ("workspaces", args.workspaces.to_string())];
    let mut report = Report::new("release".to_owned(), subject, bench, conditions);
    let first = minutes.first().context("nothing was due")?;
    let (sent, calls) = (bench.messages(), spent.calls_of("release"));
    let queries = spent.count("release", "dynamodb:Query");
    let pages = args.due.div_ceil(PAGE) as u64;
    // Eventual reads take half a unit for 4 KB, and one that finds nothing takes half a unit too.
    let read_units = pages as f64 * (PAGE * item_bytes).div_ceil(4096) as f64 / 2.0
        + queries.saturating_sub(pages) as f64 / 2.0;
    let write_units = args.due * item_bytes.div_ceil(1024);
    let stats = bench.metrics().functions.get("release").cloned().unwrap_or_default();
    let cpu_ms = spent.cpu_ms.get("release").copied().unwrap_or(0);
    let invocations = spent.invocations.get("release").copied().unwrap_or(0);

    let mut table = Table::new(&["release", ""]);
    table.pair("sent with the first call of every part", first.sent.to_string());
    table.pair("seconds of that", format!("{:.1}", first.seconds));
    table.pair("calls of every part until all were sent", minutes.len().to_string());
    table.pair("AWS calls for 1,000", format!("{:.1}", calls as f64 * 1000.0 / args.due as f64));
    table.pair("read units", format!("{read_units:.0}"));
    table.pair("write units", write_units.to_string());
    table.pair("bytes of an item", item_bytes.to_string());
    table.pair(
        "CPU seconds of an invocation",
        format!("{:.2}", cpu_ms as f64 / 1000.0 / invocations.max(1) as f64),
    );
    table.pair("CPU ms for 1,000", format!("{:.0}", cpu_ms as f64 * 1000.0 / args.due as f64));
    table.pair(
        "peak memory of a process, MiB",
        format!("{:.0}", stats.peak_memory_kb as f64 / 1024.0),
    );
    table.pair("calls in a minute in which nothing is due", idle.calls_of("release").to_string());
    report.table(&table);
    report.table(&spent.table());
    report.figure("sent", sent)?;
    report.figure("sentInTheFirstMinute", first.sent)?;
    report.figure("firstMinuteSeconds", first.seconds)?;
    report.figure("minutes", minutes.len())?;
    report.figure("calls", calls)?;
    report.figure("readUnits", read_units)?;
    report.figure("writeUnits", write_units)?;
    report.figure("cpuMs", cpu_ms)?;
    report.figure("peakMemoryKb", stats.peak_memory_kb)?;
    report.figure("idleCalls", idle.calls_of("release"))?;
    report.figure("spent", spent)?;
    report.lose(args.due.saturating_sub(sent));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_the_size_that_dynamodb_counts() {
        assert_eq!(
            size(&json!({ "pk": { "S": "#due#1" }, "expiresAt": { "N": "1900000000" } })),
            2 + 6 + 9 + 6
        );
    }
}
