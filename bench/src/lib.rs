//! Measurements hold the system against the aims of its design. They run on a local system of real
//! function processes: `cargo bench-posthaste` with optimised builds, and a small round of each as
//! a test.
//!
//! ```text
//!  publisher ──▶ stream ──▶ events queue or API ──▶ local system ──▶ receiver
//!                  │ when each event was published                     │ when each arrived
//!                  └────────────────▶ a measurement ◀──────────────────┘──▶ report
//! ```
//!
//! Times depend on the machine and on what else it does, so a measurement compares times of one
//! run. Only what is counted can be wrong: an accepted event that is lost, a call too many, a
//! request over a limit.

mod account;
mod bill;
mod callers;
mod chaos;
mod clock;
mod coldstart;
mod compare;
mod console;
mod cpu;
mod fanout;
mod floor;
mod growth;
mod invoked;
mod isolation;
mod large;
mod latency;
mod limits;
mod load;
mod memory;
mod options;
mod proc;
mod publisher;
mod receiver;
mod recovery;
mod release;
mod report;
mod size;
mod soak;
mod spent;
mod steady;
mod stream;
mod system;
mod throughput;
mod waiting;
mod workspace;

use clap::Subcommand;

pub use compare::{CompareArgs, Comparison, compare};
pub use options::{Common, Subject};
pub use report::Report;

/// The measurements, each with its options.
#[derive(Debug, Subcommand)]
pub enum Measurement {
    /// Measures what a bad endpoint does to another tenant's healthy webhook.
    Isolation(isolation::IsolationArgs),
    /// Measures what deliveries cost while they wait, and what it costs to get them there.
    Waiting(waiting::WaitingArgs),
    /// Measures what arrives of a backlog under a rate limit.
    Limits(limits::LimitsArgs),
    /// Measures how a busy webhook comes back after its endpoint was slow.
    Recovery(recovery::RecoveryArgs),
    /// Measures what it takes to fan events out to all webhooks of one workspace.
    Large(large::LargeArgs),
    /// Measures what it takes to send retries that are due in the same minute.
    Release(release::ReleaseArgs),
    /// Measures what a million events cost on AWS.
    Bill(bill::BillArgs),
    /// Measures how many deliveries a second there are, and what each takes of the processors.
    Throughput(throughput::ThroughputArgs),
    /// Measures what a delivery costs where an event goes to one webhook, and to many.
    Fanout(fanout::FanoutArgs),
    /// Measures how long events take that come at a steady rate, from when each was due.
    Latency(steady::LatencyArgs),
    /// Measures what the start of each function takes, to its first invocation and its answer.
    Coldstart(coldstart::ColdstartArgs),
    /// Measures what the libraries of every function take of a processor by themselves.
    Floor(floor::FloorArgs),
    /// Measures the bytes of each function's binary.
    Size(size::SizeArgs),
    /// Measures what the processes of each function hold after a number of events.
    Memory(memory::MemoryArgs),
    /// Lets everything go wrong at once, and accounts for every delivery.
    Chaos(chaos::ChaosArgs),
    /// Measures what an event costs while ever more events and histories are stored.
    Growth(growth::GrowthArgs),
    /// Runs a mixed load for an hour, and shows that nothing grows.
    Soak(soak::SoakArgs),
    /// Measures what pages of the console weigh, and what it costs to make them.
    Console(console::ConsoleArgs),
}

impl Measurement {
    /// Measures, each time on a new system, and hands each report to `done` as soon as it is there.
    pub async fn run(&self, subject: &Subject, mut done: impl FnMut(Report)) -> anyhow::Result<()> {
        match self {
            Self::Isolation(args) => isolation::run(args, subject, &mut done).await,
            Self::Waiting(args) => waiting::run(args, subject, &mut done).await,
            Self::Limits(args) => limits::run(args, subject, &mut done).await,
            Self::Recovery(args) => recovery::run(args, subject, &mut done).await,
            Self::Large(args) => large::run(args, subject, &mut done).await,
            Self::Release(args) => release::run(args, subject, &mut done).await,
            Self::Bill(args) => bill::run(args, subject, &mut done).await,
            Self::Throughput(args) => throughput::run(args, subject, &mut done).await,
            Self::Fanout(args) => fanout::run(args, subject, &mut done).await,
            Self::Latency(args) => steady::run(args, subject, &mut done).await,
            Self::Coldstart(args) => coldstart::run(args, subject, &mut done).await,
            Self::Floor(args) => floor::run(args, subject, &mut done).await,
            Self::Size(args) => size::run(args, subject, &mut done),
            Self::Memory(args) => memory::run(args, subject, &mut done).await,
            Self::Chaos(args) => chaos::run(args, subject, &mut done).await,
            Self::Growth(args) => growth::run(args, subject, &mut done).await,
            Self::Soak(args) => soak::run(args, subject, &mut done).await,
            Self::Console(args) => console::run(args, subject, &mut done).await,
        }
    }
}
