//! A load is a number of events for a number of webhooks, and all that is spent to deliver them.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use anyhow::ensure;
use posthaste_local::bill::Usage;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    callers::Callers,
    clock,
    cpu::own_cpu,
    receiver::{Behaviour, Hook},
    report::{Report, Table},
    spent::Spent,
    system::Bench,
    workspace::Workspace,
};

/// Webhooks whose endpoints answer 200 at once, and callers that publish for them.
pub(crate) struct Load {
    callers: Callers,
    hooks: Vec<Arc<Hook>>,
    patience: Duration,
    /// The number of the next event.
    next: usize,
}

/// Some events took this much, from their first call until everything was at rest.
pub(crate) struct Carried {
    pub(crate) deliveries: usize,
    /// The time from the first call to the last arrival.
    pub(crate) seconds: f64,
    /// Deliveries of accepted events that did not arrive, and events that were not accepted.
    pub(crate) lost: usize,
    pub(crate) spent: Spent,
    usage: Usage,
    /// The bytes of all requests that arrived.
    arrived_bytes: u64,
    own: Own,
}

/// The processor time of this process, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Own {
    stand_ins: f64,
    callers: f64,
    receiver: f64,
}

impl Load {
    /// Registers webhooks that want every event, in a workspace of their own.
    pub(crate) async fn prepare(
        bench: &Bench,
        webhooks: usize,
        bytes: usize,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let workspace = bench.workspace(&format!("load-{webhooks}")).await?;
        let mut hooks = Vec::new();
        for number in 0..webhooks {
            let name = format!("load-{webhooks}/{number}");
            let hook = bench.receiver.hook(&name, Behaviour::Well);
            workspace.register(hook.url(), json!({})).await?;
            hooks.push(hook);
        }
        Ok(Self { callers: Callers { workspace, bytes }, hooks, patience, next: 0 })
    }

    /// Publishes events that are not measured, so that processes are there and know the webhooks.
    pub(crate) async fn warm_up(
        &mut self,
        bench: &Bench,
        events: usize,
        callers: usize,
    ) -> anyhow::Result<()> {
        let numbers = self.take(events);
        self.callers.one_by_one(numbers, callers).await?;
        self.arrived(bench).await
    }

    /// Publishes events, waits until all have arrived and are recorded, and says what it took.
    pub(crate) async fn carry(
        &mut self,
        bench: &Bench,
        events: usize,
        callers: usize,
    ) -> anyhow::Result<Carried> {
        let usage = bench.usage().await?;
        let before = (bench.metrics(), own_cpu()?, bench.receiver.cpu()?);
        let (began_us, bytes) = (clock::now_us(), self.arrived_bytes());
        let numbers = self.take(events);
        let called = self.callers.one_by_one(numbers.clone(), callers).await?;
        self.arrived(bench).await?;
        let receiver = bench.receiver.cpu()? - before.2;
        let everything = own_cpu()?.saturating_sub(before.1);
        let after = bench.metrics();
        let (last_us, missing) = self.last_arrival(&numbers);
        let own = Own {
            stand_ins: ms(everything.saturating_sub(receiver + called.cpu)),
            callers: ms(called.cpu),
            receiver: ms(receiver),
        };
        Ok(Carried {
            deliveries: events * self.hooks.len() - missing,
            seconds: last_us.saturating_sub(began_us) as f64 / 1e6,
            lost: missing,
            spent: Spent::between(&before.0, &after),
            usage: bench.usage().await?.since(&usage),
            arrived_bytes: self.arrived_bytes() - bytes,
            own,
        })
    }

    pub(crate) fn workspace(&self) -> &Workspace {
        &self.callers.workspace
    }

    fn take(&mut self, events: usize) -> Range<usize> {
        let first = self.next;
        self.next += events;
        first..self.next
    }

    /// Waits until as many requests have arrived as there are events, and nothing is on its way. It
    /// looks seldom, because each look takes processor time.
    async fn arrived(&self, bench: &Bench) -> anyhow::Result<()> {
        let began = Instant::now();
        let wanted = self.next * self.hooks.len();
        while self.hooks.iter().map(|hook| hook.count()).sum::<usize>() < wanted
            || bench.messages() > 0
        {
            ensure!(began.elapsed() < self.patience, "not all has arrived in time");
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn arrived_bytes(&self) -> u64 {
        self.hooks.iter().map(|hook| hook.bytes()).sum()
    }

    /// Finds when the last of these events arrived, and counts those that did not.
    fn last_arrival(&self, numbers: &Range<usize>) -> (u64, usize) {
        let (mut last_us, mut missing) = (0, 0);
        for hook in &self.hooks {
            for arrival in &hook.first_arrivals(numbers.end)[numbers.clone()] {
                missing += usize::from(arrival.is_none());
                last_us = last_us.max(arrival.unwrap_or(0));
            }
        }
        (last_us, missing)
    }
}

impl Carried {
    /// Divides a figure by the number of deliveries.
    pub(crate) fn each(&self, figure: f64) -> f64 {
        figure / self.deliveries.max(1) as f64
    }

    /// The processor time of all functions for a delivery, in milliseconds.
    pub(crate) fn functions_ms(&self) -> f64 {
        self.each(self.spent.cpu_ms.values().sum::<u64>() as f64)
    }

    /// The processor time of the stand-ins for AWS for a delivery, in milliseconds.
    pub(crate) fn stand_ins_ms(&self) -> f64 {
        self.each(self.own.stand_ins)
    }

    pub(crate) fn a_second(&self) -> f64 {
        self.deliveries as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The bytes that functions exchange with AWS for a delivery.
    pub(crate) fn aws_bytes(&self) -> f64 {
        self.each(self.spent.bytes.values().sum::<u64>() as f64)
    }

    /// The write and the read units of all tables for a delivery.
    pub(crate) fn units(&self) -> (f64, f64) {
        let tables = self.usage.tables.values();
        let (writes, reads) = tables.fold((0.0, 0.0), |(writes, reads), table| {
            (writes + table.writes, reads + table.reads)
        });
        (self.each(writes), self.each(reads))
    }

    /// Adds everything to a report.
    pub(crate) fn add_to(&self, report: &mut Report) -> anyhow::Result<()> {
        report.table(&self.table());
        report.table(&self.spent.table());
        let per_delivery = self.spent.calls_per(self.deliveries);
        let cpu = self.spent.cpu_ms.iter();
        let cpu: BTreeMap<&str, f64> =
            cpu.map(|(function, ms)| (function.as_str(), self.each(*ms as f64))).collect();
        report.figure("deliveries", self.deliveries)?;
        report.figure("seconds", self.seconds)?;
        report.figure("deliveriesASecond", self.a_second())?;
        report.figure("cpuMsADelivery", self.functions_ms())?;
        report.figure("cpuMsADeliveryByFunction", cpu)?;
        report.figure("ownCpuMs", self.own)?;
        report.figure("callsADelivery", &per_delivery)?;
        report.figure("spent", &self.spent)?;
        for (operation, calls) in per_delivery {
            report.count(format!("calls a delivery: {operation}"), calls);
        }
        for (function, invocations) in &self.spent.invocations {
            let invocations = self.each(*invocations as f64);
            report.count(format!("invocations a delivery: {function}"), invocations);
        }
        let (writes, reads) = self.units();
        report.count("write units a delivery", writes);
        report.count("read units a delivery", reads);
        report.count("bytes to and from AWS a delivery", self.aws_bytes());
        report.count("bytes of a request to an endpoint", self.each(self.arrived_bytes as f64));
        report.lose(self.lost);
        Ok(())
    }

    fn table(&self) -> Table {
        let (writes, reads) = self.units();
        let mut table = Table::new(&["for a delivery", ""]);
        table.pair("CPU ms: functions", format!("{:.3}", self.functions_ms()));
        for (function, ms) in self.spent.cpu_ms.iter().filter(|(_, ms)| **ms > 0) {
            let ms = self.each(*ms as f64);
            table.pair(&format!("of which {function}"), format!("{ms:.3}"));
        }
        table.pair("CPU ms: stand-ins for AWS", format!("{:.3}", self.stand_ins_ms()));
        table.pair("CPU ms: publishing callers", format!("{:.3}", self.each(self.own.callers)));
        table.pair("CPU ms: receiver", format!("{:.3}", self.each(self.own.receiver)));
        let calls = self.each(self.spent.all_calls() as f64);
        table.pair("AWS calls", format!("{calls:.3}"));
        for (function, operations) in &self.spent.calls {
            for (operation, count) in operations {
                let name = format!("{function} {operation}");
                table.pair(&name, format!("{:.3}", self.each(*count as f64)));
            }
        }
        let invocations = self.each(self.spent.all_invocations() as f64);
        table.pair("invocations", format!("{invocations:.3}"));
        table.pair("write units", format!("{writes:.3}"));
        table.pair("read units", format!("{reads:.3}"));
        table.pair("bytes to and from AWS", format!("{:.0}", self.aws_bytes()));
        let leaving = self.each(self.arrived_bytes as f64);
        table.pair("bytes of the request to the endpoint", format!("{leaving:.0}"));
        table.pair("deliveries a second", format!("{:.0}", self.a_second()));
        table
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
