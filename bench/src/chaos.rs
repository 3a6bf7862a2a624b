//! `chaos` lets everything go wrong at once, waits for quiet, and accounts for every pair of an
//! event and a webhook: at the receiver and in the history.
//!
//! ```text
//!  publisher ──▶ API and events queue ──▶ local system with faults ──▶ receiver that misbehaves
//!                                              ▲                          │ what it verified
//!  trouble: pauses, rotations, replays, deploys┘                          ▼
//!                                        history by the API ──────────▶ account
//! ```
//!
//! `docs/chaos.md` defines the classes of the account, and what excuses what.

mod account;
mod cast;
mod clocks;
mod dice;
mod event;
mod history;
mod publish;
mod receiver;
mod settle;
mod trouble;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use posthaste_local::FaultSpec;

use crate::{
    options::{Subject, ready_built},
    report::{Report, Table},
    system::Bench,
};
use account::{Account, Conditions};
use clocks::Clocks;
use dice::Dice;
use publish::Book;
use receiver::Receiver;
use settle::Rest;
use trouble::{Done, Trouble};

/// The faults of a run that names none. The seed comes before them.
const FAULTS: &str = "kill=1s,duplicate=5%,reorder=30%,fail=3%,lose=1%,slow=1%,busy=2%";

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct ChaosArgs {
    /// Publishes this many events.
    #[arg(long, default_value_t = 1_500)]
    events: usize,
    /// Publishes them over this many minutes, in which all goes wrong.
    #[arg(long, default_value_t = 0.3)]
    minutes: f64,
    /// Begins the dice with this number.
    #[arg(long, default_value_t = 15)]
    seed: u64,
    /// Injects these faults, written as for `cargo local`; `none` for a run in which only the
    /// endpoints misbehave.
    #[arg(long, default_value = FAULTS)]
    faults: String,
    /// Deploys every so many seconds; 0 is never.
    #[arg(long, default_value_t = 5)]
    deploys_every: u64,
    /// Steps the clock of a function every so many seconds; 0 is never.
    #[arg(long, default_value_t = 2)]
    clock_steps_every: u64,
    /// Deploys the functions in this directory by turns with the others.
    #[arg(long, value_name = "DIR")]
    functions_after: Option<PathBuf>,
    /// Waits for quiet for at most this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// The binaries of all functions.
type Build = BTreeMap<String, PathBuf>;

pub(crate) async fn run(
    args: &ChaosArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let clocks = match args.clock_steps_every {
        0 => None,
        _ => Clocks::find(&subject.binaries)?,
    };
    let mut builds = vec![subject.binaries.clone()];
    if let Some(directory) = &args.functions_after {
        builds.push(ready_built(directory)?);
    }
    if let Some(clocks) = &clocks {
        for (number, build) in builds.iter_mut().enumerate() {
            *build = clocks.wind(build, &number.to_string())?;
        }
    }
    let subject = &Subject { binaries: builds[0].clone(), ..subject.clone() };
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench, &builds, clocks.as_ref()).await;
    bench.stop().await;
    let (report, wrong) = measured?;
    done(report);
    ensure!(wrong == 0, "{wrong} things are wrong");
    Ok(())
}

async fn measure(
    args: &ChaosArgs,
    subject: &Subject,
    bench: &Bench,
    builds: &[Build],
    clocks: Option<&Clocks>,
) -> anyhow::Result<(Report, usize)> {
    let receiver = Receiver::start(args.seed)?;
    let teams = cast::assemble(bench, &receiver).await?;
    let book = Arc::new(Book::new(teams.len()));
    let mut crashes = Vec::new();
    let every = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
    let trouble = Trouble {
        bench,
        teams: &teams,
        dice: Dice::new(args.seed),
        builds,
        clocks,
        every: (args.time() / 60).clamp(Duration::from_millis(200), Duration::from_secs(5)),
        deploys_every: every(args.deploys_every),
        clock_steps_every: every(args.clock_steps_every),
    };
    let (made, rest) = tokio::select! {
        played = play(args, &trouble, &receiver, &book) => played?,
        () = trouble::watch_crashes(bench, &mut crashes) => Default::default(),
    };

    eprintln!("the account is drawn up …");
    let conditions = Conditions::of(&faults_of(args)?, made.clock_steps > 0, crashes);
    let mut account = Account::draw_up(&teams, &book, &conditions).await?;
    account.wrong.stuck += rest.left.all();
    for stray in receiver.strays() {
        account.wrong.wrong_workspace += 1;
        account.named.push(format!("a request came to {stray}, where no webhook is"));
    }
    let outcome = Outcome { account, made, rest, crashes: conditions.crashes.len() };
    let wrong = outcome.account.wrong.all();
    Ok((outcome.report(args, subject, bench)?, wrong))
}

/// Publishes while everything goes wrong, and waits for quiet.
async fn play(
    args: &ChaosArgs,
    trouble: &Trouble<'_>,
    receiver: &Receiver,
    book: &Arc<Book>,
) -> anyhow::Result<(Done, Rest)> {
    let (bench, teams, time) = (trouble.bench, trouble.teams, args.time());
    eprintln!("{} events are published over {:.0} s …", args.events, time.as_secs_f64());
    bench.system().faults().set(faults_of(args)?);
    let mut made = Done::default();
    tokio::select! {
        published = publish::steadily(bench, teams, book, args.events, time) => published?,
        () = trouble.make(&mut made) => {}
    }
    bench.system().faults().set(FaultSpec::default());
    trouble.clocks.map_or(Ok(()), Clocks::set_all_right)?;
    receiver.calm();
    eprintln!("everything comes to rest …");
    let rest = settle::settle(bench, teams, Duration::from_secs(args.patience)).await?;
    Ok((made, rest))
}

impl ChaosArgs {
    /// The time over which events are published.
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }
}

/// Reads the faults of a run.
fn faults_of(args: &ChaosArgs) -> anyhow::Result<FaultSpec> {
    if args.faults == "none" {
        return Ok(FaultSpec::default());
    }
    let text = format!("seed={},{}", args.seed, args.faults);
    text.parse().context("these are no faults")
}

/// Everything that a run has found.
struct Outcome {
    account: Account,
    made: Done,
    rest: Rest,
    crashes: usize,
}

impl Outcome {
    fn report(self, args: &ChaosArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
        let conditions = vec![
            ("events", args.events.to_string()),
            ("minutes", args.minutes.to_string()),
            ("seed", args.seed.to_string()),
            ("faults", args.faults.clone()),
        ];
        let mut report = Report::new("chaos".to_owned(), subject, bench, conditions);
        let Self { account, made, rest, crashes } = self;
        report.table(&pairs(&account));
        report.table(&wrong(&account));
        report.line(format!(
            "{} requests, {} copies of what had succeeded ({} of them begun more than a second later), \
             {} successes not heard in time; {} \
             requests without a record at {crashes} deaths of functions, {} failed copies without \
             one; {} pairs arrived without the history's knowledge.",
            account.requests,
            account.copies,
            account.late_copies,
            account.unheard,
            account.unrecorded_at_kills,
            account.failed_copies,
            account.arrived_unknown,
        ));
        report.line(format!(
            "{} moods of endpoints, {} pauses, {} rotations, {} calls for replays ({} deliveries), \
             {} deploys, {} steps of clocks; at rest after {:.0} s with {} dead letters sent back.",
            made.moods,
            made.pauses,
            made.rotations,
            made.replays,
            account.replays,
            made.deploys,
            made.clock_steps,
            rest.after_seconds,
            rest.sent_back,
        ));
        for named in &account.named {
            report.line(format!("WRONG: {named}"));
        }
        report.figure("account", account)?;
        report.figure("made", made)?;
        report.figure("rest", rest)?;
        report.figure("crashes", crashes)?;
        Ok(report)
    }
}

/// The table of what has become of the pairs.
fn pairs(account: &Account) -> Table {
    let mut table = Table::new(&["pairs of an event and a webhook", ""]);
    table.pair("all", account.pairs.to_string());
    table.pair("delivered once", account.delivered_once.to_string());
    table.pair("delivered more than once", account.delivered_more_than_once.to_string());
    table.pair("exhausted, with a record", account.exhausted.to_string());
    for (reason, count) in &account.skipped {
        table.pair(&format!("skipped: {reason}"), count.to_string());
    }
    table
}

/// The table of what must not be.
fn wrong(account: &Account) -> Table {
    let wrong = &account.wrong;
    let mut table = Table::new(&["has to be 0", ""]);
    table.pair("lost", wrong.lost.to_string());
    table.pair("wrong workspace", wrong.wrong_workspace.to_string());
    table.pair("stuck", wrong.stuck.to_string());
    table.pair("limit broken", wrong.limit_broken.to_string());
    table.pair("history untrue", wrong.history_untrue.to_string());
    table.pair("data altered", wrong.altered.to_string());
    table.pair("not subscribed", wrong.uninvited.to_string());
    table
}
