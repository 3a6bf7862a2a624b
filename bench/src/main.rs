//! `cargo bench-posthaste` measures. It fails only if an accepted event is lost.

use anyhow::ensure;
use clap::Parser;
use posthaste_bench::{Common, Measurement};
use tracing_subscriber::EnvFilter;

/// Measures Posthaste on this machine.
#[derive(Parser)]
#[command(name = "cargo bench-posthaste", bin_name = "cargo bench-posthaste")]
struct Cli {
    #[command(subcommand)]
    what: Measurement,
    #[command(flatten)]
    common: Common,
    /// Prints one JSON object for each measurement.
    #[arg(long, global = true)]
    json: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let subject = cli.common.subject()?;
    let mut lost = 0;
    cli.what
        .run(&subject, |report| {
            report.print(cli.json);
            lost += report.lost();
        })
        .await?;
    ensure!(lost == 0, "{lost} accepted events are lost");
    Ok(())
}
