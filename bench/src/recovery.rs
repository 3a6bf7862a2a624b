//! `recovery` measures a busy webhook that is slow for a while and then well, while its events go
//! on.

mod lane;

use std::{sync::Arc, time::Duration};

use clap::Args;
use lane::Lane;
use serde::Serialize;
use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    account::{Account, Target},
    clock,
    latency::{Way, ways},
    options::Subject,
    publisher::{Pace, steadily},
    receiver::{Behaviour, Hook},
    report::{Report, Table, seconds},
    system::Bench,
};

const WARM_UP: Duration = Duration::from_secs(5);
const SLOW: Duration = Duration::from_secs(3);
const ROW_US: u64 = 5_000_000;
/// An event that takes longer is late.
const LATE_US: u64 = 1_000_000;
/// At the end, events are waited for this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// After that, the lane may take this long to be closed.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct RecoveryArgs {
    /// Publishes this many events a second.
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// Lets the endpoint take 3 s for each answer, for this many seconds.
    #[arg(long, default_value_t = 10)]
    slow: u64,
    /// Measures for this many seconds, from the moment at which the endpoint becomes slow.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// Makes the lane look as if it had been opened long ago, so that the endpoint is well after
    /// twenty quick answers, without the minute for which it has to give them.
    #[arg(long)]
    skip_proof: bool,
}

pub(crate) async fn run(
    args: &RecoveryArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &RecoveryArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let workspace = bench.workspace("busy").await?;
    let hook = bench.receiver.hook("busy", Behaviour::Well);
    let webhook = workspace.register(hook.url(), json!({})).await?;
    let stream = bench.stream(&workspace)?;
    let target = Target { workspace, webhook, hook, stream, answers: true, has_lists: false };
    let pace = Pace { stream: target.stream.clone(), rate: args.rate };

    steadily(&[&pace], WARM_UP).await?;
    eprintln!("the endpoint is slow for {} s; {} s are measured …", args.slow, args.seconds);
    let slow_us = clock::now_us();
    target.hook.behave(Behaviour::Slow(SLOW));
    let recovers = well_after(target.hook.clone(), Duration::from_secs(args.slow));
    let mut lane = Lane::of(&target, bench, slow_us, args.skip_proof);
    let publishing = async {
        let late = steadily(&[&pace], Duration::from_secs(args.seconds)).await?;
        let end_us = clock::now_us();
        wait_for_all(&target).await;
        anyhow::Ok((late, end_us))
    };
    let (late, end_us) = tokio::select! {
        done = publishing => done?,
        ended = lane.watch() => match ended? {},
    };
    lane.watch_until_closed(CLOSES_WITHIN).await?;
    let well_us = recovers.await?;

    let ways = ways(&target.stream.accepted().await, &target.hook);
    let conditions = vec![
        ("λ", format!("{}/s", args.rate)),
        ("T", "5 s".to_owned()),
        ("slow", format!("{} s for an answer, for {} s", SLOW.as_secs(), args.slow)),
        ("seconds", args.seconds.to_string()),
        ("publisher late by", format!("{} ms", late.as_millis())),
    ];
    let mut report = Report::new("recovery".to_owned(), subject, bench, conditions);
    let rows = rows(&ways, slow_us, end_us);
    report.table(&table(&rows));
    let backlog_gone = seconds_between(well_us, backlog_gone(&ways, well_us, end_us));
    let fast_again = seconds_between(well_us, fast_again(&ways, well_us, end_us));
    report.line(format!("from the moment at which the endpoint is slow, {}", lane.line()));
    report.line("from the moment at which the endpoint is well again,");
    report.line(format!("  until no event is more than a second late: {}", show(backlog_gone)));
    report.line(format!(
        "  until new events arrive within a second (99 of 100, and it stays so): {}",
        show(fast_again)
    ));
    report.figure("rows", &rows)?;
    report.figure("states", lane.seen())?;
    report.figure("isClosed", lane.is_closed())?;
    report.figure("backlogGoneAfterSeconds", backlog_gone)?;
    report.figure("fastAgainAfterSeconds", fast_again)?;
    report.account(Account::of(bench, &[target]).await?)?;
    Ok(report)
}

async fn wait_for_all(target: &Target) {
    let published = target.stream.accepted().await;
    let began = Instant::now();
    while ways(&published, &target.hook).iter().any(|way| way.arrived_us.is_none())
        && began.elapsed() < PATIENCE
    {
        sleep(Duration::from_millis(200)).await;
    }
}

fn seconds_between(from_us: u64, to_us: Option<u64>) -> Option<f64> {
    Some(to_us?.saturating_sub(from_us) as f64 / 1e6)
}

fn show(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) => format!("{seconds:.1} s"),
        None => "not within the time measured".to_owned(),
    }
}

/// Lets the endpoint recover after this time, and returns the moment.
fn well_after(hook: Arc<Hook>, time: Duration) -> JoinHandle<u64> {
    tokio::spawn(async move {
        sleep(time).await;
        hook.behave(Behaviour::Well);
        clock::now_us()
    })
}

/// The counts of what had happened by a moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    second: u64,
    published: usize,
    arrived: usize,
    backlog: usize,
}

fn rows(ways: &[Way], from_us: u64, to_us: u64) -> Vec<Row> {
    let steps = (to_us - from_us) / ROW_US;
    let mut rows = Vec::new();
    for step in 0..=steps {
        let at = from_us + step * ROW_US;
        let published = ways.iter().filter(|way| way.published_us <= at).count();
        let arrived =
            ways.iter().filter(|way| way.arrived_us.is_some_and(|arrived| arrived <= at)).count();
        let backlog = published.saturating_sub(arrived);
        rows.push(Row { second: step * ROW_US / 1_000_000, published, arrived, backlog });
    }
    rows
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["s", "published", "arrived", "backlog"]);
    for row in rows {
        let figures = [row.published, row.arrived, row.backlog].map(|figure| figure.to_string());
        table.row([vec![seconds(row.second * 1_000_000)], figures.to_vec()].concat());
    }
    table
}

/// Finds the first moment from `well_us` on at which no event is late.
fn backlog_gone(ways: &[Way], well_us: u64, end_us: u64) -> Option<u64> {
    let mut late: Vec<(u64, u64)> = ways
        .iter()
        .map(|way| (way.published_us + LATE_US, way.arrived_us.unwrap_or(u64::MAX)))
        .filter(|(late_from, arrived)| arrived > late_from)
        .collect();
    late.sort_unstable();
    let mut free_from = well_us;
    for (late_from, arrived) in late {
        if late_from > free_from {
            break;
        }
        free_from = free_from.max(arrived);
    }
    (free_from <= end_us).then_some(free_from)
}

/// Finds the first second from `well_us` on from which every second has 99 of 100 of its events in
/// time.
fn fast_again(ways: &[Way], well_us: u64, end_us: u64) -> Option<u64> {
    let count = usize::try_from(end_us.saturating_sub(well_us) / 1_000_000).unwrap_or(0);
    let mut all = vec![0_usize; count];
    let mut late = vec![0_usize; count];
    for way in ways.iter().filter(|way| way.published_us >= well_us) {
        let second =
            usize::try_from((way.published_us - well_us) / 1_000_000).unwrap_or(usize::MAX);
        let Some(published) = all.get_mut(second) else { continue };
        *published += 1;
        late[second] +=
            usize::from(way.arrived_us.is_none_or(|arrived| arrived > way.published_us + LATE_US));
    }
    let bad = (0..count).rev().find(|second| late[*second] * 100 > all[*second]);
    let first = bad.map_or(0, |second| second + 1);
    (first < count).then_some(well_us + first as u64 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Makes events at these seconds that take this long.
    fn ways(seconds_and_times: &[(u64, u64)]) -> Vec<Way> {
        let mut ways = Vec::new();
        for (second, time) in seconds_and_times {
            let published_us = second * SECOND;
            ways.push(Way { published_us, arrived_us: Some(published_us + time * SECOND) });
        }
        ways
    }

    #[test]
    fn the_backlog_is_gone_when_the_last_of_a_row_of_late_events_has_arrived() {
        let ways = ways(&[(1, 0), (2, 6), (4, 8), (9, 5), (20, 5)]);
        assert_eq!(
            backlog_gone(&ways, 5 * SECOND, 30 * SECOND),
            Some(14 * SECOND),
            "what is late later is another row"
        );
        assert_eq!(backlog_gone(&ways, 15 * SECOND, 30 * SECOND), Some(15 * SECOND));
        assert_eq!(backlog_gone(&ways, 5 * SECOND, 13 * SECOND), None);
    }

    #[test]
    fn it_is_fast_again_after_the_last_second_with_late_events() {
        let ways = ways(&[(1, 0), (2, 6), (4, 8), (5, 0), (6, 1)]);
        assert_eq!(fast_again(&ways, 2 * SECOND, 8 * SECOND), Some(5 * SECOND));
        assert_eq!(fast_again(&ways, 2 * SECOND, 5 * SECOND), None);
        assert_eq!(fast_again(&ways, 5 * SECOND, 8 * SECOND), Some(5 * SECOND));
    }
}
