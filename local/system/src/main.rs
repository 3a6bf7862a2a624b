//! `cargo local`: the whole system on this machine.

mod demo;
mod logs;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use posthaste_local::{FaultSpec, Functions, Options, System, Urls, binaries, private};
use tokio::signal::unix::{SignalKind, signal};

/// Runs Posthaste on this machine: the functions, and the AWS services that they use, made from
/// template.yaml.
#[derive(Parser)]
#[command(name = "cargo local", bin_name = "cargo local")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The API's port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Builds the functions with optimisations.
    #[arg(long)]
    release: bool,
    /// The most processes of one function; a queue's function has no more than the
    /// MaximumConcurrency of template.yaml.
    #[arg(long, value_name = "N", default_value_t = Options::MAX_PROCESSES)]
    max_processes: usize,
    /// Keeps DynamoDB's data and the first API key in this directory; without it they are in
    /// memory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Once requests are served, writes {"api", "key", "inbox", "admin", "sqs", "dynamodb", "pids",
    /// "outputs"} to this file.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Random faults, as seed=7,kill=500ms,duplicate=5%,reorder=20%,fail=5%,lose=1%,slow=2%,
    /// busy=2%.
    #[arg(long, value_name = "FAULTS", default_value = "")]
    faults: FaultSpec,
    /// Gives a parameter of template.yaml a value, such as LogLevel=debug. It can be given several
    /// times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
    /// Runs no functions: they are served by `cargo lambda watch`, with --env-file.
    #[arg(long)]
    no_functions: bool,
    /// The URL at which `cargo lambda watch` serves the functions.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9000",
        requires = "no_functions"
    )]
    lambda_url: String,
    /// Writes what `cargo lambda watch --env-file` needs to this file, with --no-functions.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/local.env",
        requires = "no_functions"
    )]
    env_file: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the main job, showing each step: register, publish, deliver, retry, dead-letter, look
    /// it up.
    Demo,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    logs::start();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let run = async {
        match cli.command {
            Some(Command::Demo) => demo::run(cli.release).await,
            None => serve(cli).await,
        }
    };
    // Leaving drops the system, and with it every process.
    tokio::select! {
        result = run => result,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    let functions = if cli.no_functions {
        Functions::External(cli.lambda_url.trim_end_matches('/').to_owned())
    } else {
        Functions::Processes(build(cli.release).await?)
    };
    let options = Options {
        parameters: cli.parameter.into_iter().collect(),
        max_processes: cli.max_processes,
        port: cli.port,
        data: cli.data,
        faults: cli.faults,
        log: logs::sink(),
        environment_file: cli.no_functions.then(|| cli.env_file.clone()),
        ..Options::new(binaries::template()?, functions)
    };
    let system = System::start(options).await?;
    print!("{}", greeting(&system));
    if let Some(file) = &cli.ready_file {
        write_ready(file, &system)?;
    }
    std::future::pending().await
}

fn parameter(given: &str) -> Result<(String, String), String> {
    let (name, value) = given.split_once('=').ok_or("a parameter is given as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn build(release: bool) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    eprintln!("building the functions{} …", if release { " with optimisations" } else { "" });
    binaries::build_until_dropped(release).await
}

/// Says what a person does first: the calls have the addresses and the key filled in.
fn greeting(system: &System) -> String {
    let Urls { api, inbox, admin, sqs, dynamodb } = system.urls();
    let key = system.first_key();
    format!(
        r#"
Register a webhook, publish an event, and see it arrive:

  curl -s {api}/api/v1/webhooks -H 'Authorization: Bearer {key}' \
    -d '{{"url": "{inbox}/inbox/mine", "events": ["order.*"]}}'
  curl -s {api}/api/v1/events -H 'Authorization: Bearer {key}' \
    -d '{{"type": "order.created", "data": {{"id": 42}}}}'
  curl -s {inbox}/inbox/mine

Or do it on pages: open {api}/console, and sign in with this key.

  {key}

The documents' calls need these variables:

  API={api} KEY={key}
  INBOX={inbox} ADMIN={admin}

SQS is at {sqs}, and DynamoDB at {dynamodb}.
Ctrl-C ends everything.
"#
    )
}

/// Writes the file under another name first, so that whoever waits for it never reads half of it.
/// It contains the first key, so only its owner may read it.
fn write_ready(file: &Path, system: &System) -> anyhow::Result<()> {
    let mut ready = serde_json::to_value(system.urls())?;
    ready["key"] = system.first_key().into();
    ready["pids"] = system.pids().into();
    ready["outputs"] = serde_json::to_value(&system.stack().outputs)?;
    private::write(file, &serde_json::to_vec_pretty(&ready)?)
        .with_context(|| format!("{} can't be written", file.display()))
}
