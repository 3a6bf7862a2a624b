//! `fanout` measures what a delivery costs where an event goes to one webhook, and to many.

use std::time::Duration;

use clap::Args;

use crate::{
    load::{Carried, Load},
    options::Subject,
    report::{Report, Table},
    system::Bench,
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct FanoutArgs {
    /// Sends each event to this many webhooks, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
    webhooks: Vec<usize>,
    /// Publishes as many events as make this many deliveries, and at least one.
    #[arg(long, default_value_t = 3000)]
    deliveries: usize,
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

pub(crate) async fn run(
    args: &FanoutArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    // Another system for each number: a webhook more is one that nothing is known of.
    let mut rows = Vec::new();
    let mut errors = 0;
    for webhooks in &args.webhooks {
        let bench = Bench::start(subject).await?;
        let carried = carry(args, *webhooks, &bench).await;
        errors += bench.errors();
        bench.stop().await;
        rows.push((*webhooks, carried?));
    }
    let conditions = vec![
        ("C", subject.concurrency.to_string()),
        ("deliveries", args.deliveries.to_string()),
        ("callers", args.callers.to_string()),
        ("bytes", args.bytes.to_string()),
        ("errors logged", errors.to_string()),
    ];
    let mut report = Report::without_a_system("fanout".to_owned(), subject, conditions);
    add(&rows, &mut report)?;
    done(report);
    Ok(())
}

async fn carry(args: &FanoutArgs, webhooks: usize, bench: &Bench) -> anyhow::Result<Carried> {
    let patience = Duration::from_secs(args.patience);
    let mut load = Load::prepare(bench, webhooks, args.bytes, patience).await?;
    let events = (args.deliveries / webhooks.max(1)).max(1);
    load.warm_up(bench, (events / 10).max(2), args.callers).await?;
    eprintln!("{events} events go to {webhooks} webhooks …");
    load.carry(bench, events, args.callers).await
}

fn add(rows: &[(usize, Carried)], report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "webhooks",
        "deliveries",
        "CPU ms a delivery",
        "AWS calls",
        "invocations",
        "write units",
        "read units",
        "bytes to and from AWS",
        "deliveries a second",
    ]);
    let mut lost = 0;
    for (webhooks, carried) in rows {
        let calls = carried.each(carried.spent.all_calls() as f64);
        let invocations = carried.each(carried.spent.all_invocations() as f64);
        let (writes, reads) = carried.units();
        let counted = [
            ("AWS calls", calls),
            ("invocations", invocations),
            ("write units", writes),
            ("read units", reads),
            ("bytes to and from AWS", carried.aws_bytes()),
        ];
        for (what, figure) in counted {
            report.count(format!("{what} a delivery, {webhooks} webhooks"), figure);
        }
        let mut row = vec![webhooks.to_string(), carried.deliveries.to_string()];
        row.push(format!("{:.3}", carried.functions_ms()));
        row.extend(counted.iter().map(|(_, figure)| format!("{figure:.3}")));
        row.push(format!("{:.0}", carried.a_second()));
        table.row(row);
        report.figure(
            &format!("{webhooks}"),
            serde_json::json!({
                "deliveries": carried.deliveries,
                "cpuMsADelivery": carried.functions_ms(),
                "deliveriesASecond": carried.a_second(),
                "spent": &carried.spent,
            }),
        )?;
        lost += carried.lost;
    }
    report.table(&table);
    report.lose(lost);
    Ok(())
}
