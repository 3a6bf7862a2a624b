//! `limits` measures what arrives of a backlog under a rate limit.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    account::{Account, Target},
    clock,
    options::Subject,
    receiver::{Behaviour, Request},
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct LimitsArgs {
    /// Allows this many requests.
    #[arg(long, default_value_t = 10)]
    requests: u32,
    /// Allows them in each of these units of time.
    #[arg(long, value_enum, default_value = "second")]
    per: Per,
    /// Takes a webhook of the profile spektr, whose requests have up to 100 events.
    #[arg(long)]
    list: bool,
    /// Publishes this many events at once.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Measures for this many seconds, once all events are fanned out and, with --list, their
    /// deliveries wait.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Gives that this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    patience: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Second,
    Minute,
}

impl Per {
    fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }
}

pub(crate) async fn run(
    args: &LimitsArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &LimitsArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let workspace = bench.workspace("limited").await?;
    let hook = bench.receiver.hook("limited", Behaviour::Well);
    let mut settings = json!({ "rateLimit": { "requests": args.requests, "per": args.per } });
    if args.list {
        settings["profile"] = "spektr".into();
    }
    let webhook = workspace.register(hook.url(), settings).await?;
    let stream = bench.bulk_stream(&workspace)?;
    let target = Target { workspace, webhook, hook, stream, answers: true, has_lists: args.list };

    eprintln!("{} events are taken in …", args.events);
    target.stream.publish(args.events).await?;
    // The deliveries of a list wait until they are many. Others go from the first one on, and above
    // 50 a second they need not wait.
    let patience = Duration::from_secs(args.patience);
    let taken_in =
        if args.list { bench.taken_in(patience).await } else { bench.fanned_out(patience).await };
    let from_us = clock::now_us();
    eprintln!("requests are counted for {} s …", args.seconds);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(args.seconds) && !all_arrived(&target, args.events)
    {
        sleep(Duration::from_millis(100)).await;
    }
    let to_us = clock::now_us();

    let per = args.per.seconds();
    let begun_ms = begun_ms(&target).await?;
    let figures = Figures::of(&target.hook.requests(), &begun_ms, from_us, to_us, per * 1_000_000);
    let conditions = vec![
        ("limit", format!("{} a {}", args.requests, format!("{:?}", args.per).to_lowercase())),
        ("profile", if args.list { "spektr" } else { "standard" }.to_owned()),
        ("events", args.events.to_string()),
        ("seconds", format!("{:.1}", (to_us - from_us) as f64 / 1e6)),
        (
            "taken in after",
            taken_in.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64())),
        ),
    ];
    let mut report = Report::new("limits".to_owned(), subject, bench, conditions);
    report.figure("takenInAfterSeconds", taken_in.map(|time| time.as_secs_f64()))?;
    report.table(&figures.table(per));
    report.figure("arrived", figures)?;
    report.account(Account::of(bench, &[target]).await?)?;
    Ok(report)
}

/// Lists the times at which requests began, sorted, from the attempts in the history. All
/// deliveries of a request have the same time there.
async fn begun_ms(target: &Target) -> anyhow::Result<Vec<u64>> {
    let mut deliveries_by_time = BTreeMap::<u64, usize>::new();
    for delivery in target.workspace.history(&target.webhook).await? {
        for attempt in delivery["attempts"].as_array().into_iter().flatten() {
            let at: Timestamp =
                attempt["at"].as_str().context("an attempt has no time")?.parse()?;
            *deliveries_by_time.entry(u64::try_from(at.as_millisecond())?).or_default() += 1;
        }
    }
    let mut begun_ms = Vec::new();
    for (at_ms, deliveries) in deliveries_by_time {
        let requests = if target.has_lists { 1 } else { deliveries };
        begun_ms.extend(std::iter::repeat_n(at_ms, requests));
    }
    Ok(begun_ms)
}

fn all_arrived(target: &Target, events: usize) -> bool {
    target.hook.first_arrivals(events).iter().all(Option::is_some)
}

/// The requests that arrived, held against the limit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    /// Requests that arrived before all events were taken in.
    requests_before: usize,
    requests: usize,
    events: usize,
    /// Requests in the limit's unit of time, on average.
    rate: f64,
    events_a_request: f64,
    /// The numbers of requests by the number of their events.
    requests_by_events: BTreeMap<usize, usize>,
    /// The most requests in any stretch as long as the limit's unit of time, from the very
    /// beginning.
    worst_window: usize,
    /// The same number by the times at which requests began, so that it tells nothing of how long
    /// they took to arrive on a busy machine.
    worst_window_begun: usize,
}

impl Figures {
    fn of(all: &[Request], begun_ms: &[u64], from_us: u64, to_us: u64, window_us: u64) -> Self {
        let measured: Vec<&Request> =
            all.iter().filter(|request| (from_us..to_us).contains(&request.at_us)).collect();
        let events = measured.iter().map(|request| request.events.len()).sum();
        let mut requests_by_events = BTreeMap::new();
        for request in &measured {
            *requests_by_events.entry(request.events.len()).or_default() += 1;
        }
        let times: Vec<u64> = all.iter().map(|request| request.at_us).collect();
        Self {
            requests_before: all.iter().filter(|request| request.at_us < from_us).count(),
            requests: measured.len(),
            events,
            rate: measured.len() as f64 * window_us as f64 / (to_us - from_us).max(1) as f64,
            events_a_request: events as f64 / measured.len().max(1) as f64,
            requests_by_events,
            worst_window: most_in_any(&times, window_us),
            worst_window_begun: most_in_any(begun_ms, window_us / 1000),
        }
    }

    fn table(&self, per: u64) -> Table {
        let mut table = Table::new(&["what arrived", ""]);
        table.pair("requests before all was taken in", self.requests_before.to_string());
        table.pair("requests", self.requests.to_string());
        table.pair(&format!("requests in {per} s, on average"), format!("{:.2}", self.rate));
        table.pair(&format!("the most requests in any {per} s"), self.worst_window.to_string());
        table.pair(
            &format!("the most that began in any {per} s"),
            self.worst_window_begun.to_string(),
        );
        table.pair("events", self.events.to_string());
        table.pair("events a request", format!("{:.1}", self.events_a_request));
        table
    }
}

/// Counts the most of these sorted times that lie within any one window.
fn most_in_any(times: &[u64], window: u64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while time - times[first] >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_window_may_begin_anywhere() {
        assert_eq!(most_in_any(&[], 10), 0);
        assert_eq!(most_in_any(&[0, 10, 20], 10), 1);
        assert_eq!(most_in_any(&[0, 8, 9, 17, 18, 19], 10), 3);
        assert_eq!(most_in_any(&[5; 7], 10), 7);
    }
}
