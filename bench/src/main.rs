//! `cargo bench-posthaste` measures. It fails only if an accepted event is lost.

use anyhow::ensure;
use clap::{Parser, Subcommand};
use posthaste_bench::{Common, CompareArgs, Measurement, compare};
use tracing_subscriber::EnvFilter;

/// Measures Posthaste on this machine.
#[derive(Parser)]
#[command(name = "cargo bench-posthaste", bin_name = "cargo bench-posthaste")]
struct Cli {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    common: Common,
    /// Prints one JSON object for each measurement.
    #[arg(long, global = true)]
    json: bool,
}

/// Something is measured, or two results are compared.
#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Measure(Box<Measurement>),
    /// Compares two results of --json by what is counted. It fails if a figure became worse.
    Compare(CompareArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let measurement = match cli.what {
        What::Measure(measurement) => measurement,
        What::Compare(args) => {
            let comparison = compare(&args)?;
            print!("{}", comparison.text());
            let worse = comparison.worse;
            ensure!(worse.is_empty(), "worse than before: {}", worse.join(", "));
            return Ok(());
        }
    };
    let subject = cli.common.subject()?;
    let mut lost = 0;
    measurement
        .run(&subject, |report| {
            report.print(cli.json);
            lost += report.lost();
        })
        .await?;
    ensure!(lost == 0, "{lost} accepted events are lost");
    Ok(())
}
