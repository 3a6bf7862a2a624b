//! `throughput` measures how many deliveries a second there are, and what each takes.

use std::time::Duration;

use clap::Args;

use crate::{
    load::{Carried, Load},
    options::Subject,
    report::Report,
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct ThroughputArgs {
    /// Sends each event to this many webhooks, and with several numbers one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100])]
    webhooks: Vec<usize>,
    /// Publishes this many events. Without it there are as many as make 5,000 deliveries, and at
    /// least 50.
    #[arg(long)]
    events: Option<usize>,
    /// Publishes this many events before, which are not measured. Without it there are a tenth as
    /// many as measured ones, and at least one for each caller.
    #[arg(long)]
    warm_up: Option<usize>,
    /// Lets this many callers publish at once, each one event with each call.
    #[arg(long, default_value_t = 32)]
    callers: usize,
    /// Gives each event's data this many bytes of text.
    #[arg(long, default_value_t = 1000)]
    bytes: usize,
    /// Gives up after this many seconds if not all has arrived.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// Without another number, events make this many deliveries.
const DELIVERIES: usize = 5000;
const FEWEST_EVENTS: usize = 50;

pub(crate) async fn run(
    args: &ThroughputArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    for webhooks in &args.webhooks {
        let events = args.events.unwrap_or(FEWEST_EVENTS.max(DELIVERIES / (*webhooks).max(1)));
        let bench = Bench::start(subject).await?;
        let carried = carry(args, *webhooks, events, &bench).await;
        let reported = carried.and_then(|carried| {
            let conditions = vec![
                ("webhooks", webhooks.to_string()),
                ("events", events.to_string()),
                ("callers", args.callers.to_string()),
                ("bytes", args.bytes.to_string()),
            ];
            let title = format!("throughput: {webhooks} webhooks");
            let mut report = Report::new(title, subject, &bench, conditions);
            carried.add_to(&mut report)?;
            Ok(report)
        });
        bench.stop().await;
        done(reported?);
    }
    Ok(())
}

async fn carry(
    args: &ThroughputArgs,
    webhooks: usize,
    events: usize,
    bench: &Bench,
) -> anyhow::Result<Carried> {
    let patience = Duration::from_secs(args.patience);
    let mut load = Load::prepare(bench, webhooks, args.bytes, patience).await?;
    let warm_up = args.warm_up.unwrap_or(args.callers.max(events / 10));
    eprintln!("{warm_up} events for {webhooks} webhooks warm the functions up …");
    load.warm_up(bench, warm_up, args.callers).await?;
    eprintln!("{events} events are published by {} callers …", args.callers);
    load.carry(bench, events, args.callers).await
}
