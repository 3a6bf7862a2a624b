//! `cargo bench-posthaste`: what the aims of the design are held against, measured on a local system with release builds.
//!
//! ```text
//!  publisher ──▶ stream ──▶ events queue or API ──▶ local system ──▶ receiver
//!                  │ when each event was published                     │ when each arrived
//!                  └────────────────▶ a measurement ◀──────────────────┘──▶ report
//! ```
//!
//! Times depend on the machine and on what else it does, so a measurement compares times of one run, and fails only if
//! something that is counted is wrong: an accepted event is lost.

mod account;
mod clock;
mod isolation;
mod latency;
mod limits;
mod options;
mod publisher;
mod receiver;
mod recovery;
mod report;
mod spent;
mod stream;
mod system;
mod waiting;

use anyhow::ensure;
use clap::{Parser, Subcommand};
use report::Report;
use tracing_subscriber::EnvFilter;

/// Measures Posthaste on this machine.
#[derive(Parser)]
#[command(name = "cargo bench-posthaste", bin_name = "cargo bench-posthaste")]
struct Cli {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    common: options::Common,
}

#[derive(Subcommand)]
enum What {
    /// What a bad endpoint does to another tenant's healthy webhook.
    Isolation(isolation::IsolationArgs),
    /// What deliveries cost while they wait, and what it costs to get them there.
    Waiting(waiting::WaitingArgs),
    /// What arrives of a backlog under a rate limit.
    Limits(limits::LimitsArgs),
    /// How a busy webhook comes back after its endpoint was slow.
    Recovery(recovery::RecoveryArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let subject = cli.common.subject()?;
    let mut lost = 0;
    let mut done = |report: Report| {
        report.print(cli.common.json);
        lost += report.lost;
    };
    match &cli.what {
        What::Isolation(args) => isolation::run(args, &subject, &mut done).await?,
        What::Waiting(args) => waiting::run(args, &subject, &mut done).await?,
        What::Limits(args) => limits::run(args, &subject, &mut done).await?,
        What::Recovery(args) => recovery::run(args, &subject, &mut done).await?,
    }
    ensure!(lost == 0, "{lost} accepted events are lost");
    Ok(())
}
