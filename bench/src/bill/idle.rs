//! `bill --idle` tells what a month costs in which nothing is published.

use anyhow::Context;
use posthaste_local::bill::{Prices, Standing, idle};

use super::{BillArgs, far_away, table};
use crate::{options::Subject, report::Report, system::Bench};

/// The functions that schedules call.
const SCHEDULED: [&str; 2] = ["release", "simulate"];
/// An invocation of one of them that finds nothing to do is assumed to take this long: `release`
/// makes 13 queries, some of them side by side, and `simulate` makes one with less of a processor.
const INVOCATION_MS: u64 = 40;

pub(super) async fn run(
    args: &BillArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &BillArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    far_away(args, bench);
    // The first time starts the processes.
    for function in SCHEDULED {
        bench.tick(function).await?;
    }
    let before = bench.usage().await?;
    for function in SCHEDULED {
        bench.tick(function).await?;
    }
    let minute = bench.usage().await?.since(&before);

    let alarms = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/alarms.yaml");
    let alarms = std::fs::read_to_string(alarms).context("infra/alarms.yaml can't be read")?;
    let standing = Standing::of(bench.stack(), &alarms)?;
    let (terms, prices) = (bench.terms()?, Prices::known()?);
    let assumed_minute = minute.clone().assuming(|_, invoked| INVOCATION_MS * invoked.invocations);
    let assumed = idle(&standing, &assumed_minute, &terms, &prices);
    let measured = idle(&standing, &minute.on_shares_of_a_processor(), &terms, &prices);
    let mut report = Report::new("bill: idle".to_owned(), subject, bench, Vec::new());
    report.line("Of one month, with durations that were measured here:");
    report.table(&table(&measured));
    report.line(format!("With durations that are assumed: ${:.2}", assumed.dollars));
    report.figure("measured", measured)?;
    report.figure("assumed", assumed)?;
    Ok(report)
}
