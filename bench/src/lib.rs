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
mod clock;
mod console;
mod isolation;
mod large;
mod latency;
mod limits;
mod options;
mod publisher;
mod receiver;
mod recovery;
mod release;
mod report;
mod spent;
mod stream;
mod system;
mod waiting;
mod workspace;

use clap::Subcommand;

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
            Self::Console(args) => console::run(args, subject, &mut done).await,
        }
    }
}
