//! A fuzzer that is guided by coverage, on stable Rust and without another compiler: `.ci/fuzz`
//! builds it, and calls it for each property.
//!
//! It keeps every input that takes a branch which no input before it took, or takes one much
//! oftener, and makes new inputs of those that it has kept.

mod coverage;
mod mutation;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use posthaste_fuzz::{Property, by_name};

use coverage::{Coverage, News};
use mutation::{Dice, mutate};

/// Nothing that a client sends may take this long.
const SLOWEST: Duration = Duration::from_secs(10);
/// The exit status for an input that breaks the property. It is in the file of the present input.
const BROKEN: u8 = 2;
const USAGE: &str = "fuzz <property> <seconds, or keep> <file of the present input> <words> \
     <folder of what is found> <folder>…";

/// The inputs that were begun, by which the watch sees that one does not end.
static BEGUN: AtomicU64 = AtomicU64::new(0);

struct Fuzzer {
    property: &'static Property,
    coverage: Coverage,
    present: PathBuf,
    found: PathBuf,
    /// The inputs that are worth changing.
    pool: Vec<Vec<u8>>,
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, how, present, words, found, folders @ ..] = &arguments[..] else {
        return Err(io::Error::other(USAGE));
    };
    let property = by_name(name).ok_or_else(|| io::Error::other("no such property"))?;
    let coverage = Coverage::new().ok_or_else(|| io::Error::other("not instrumented"))?;
    let (present, found) = (present.into(), found.into());
    let mut fuzzer = Fuzzer { property, coverage, present, found, pool: Vec::new() };
    thread::spawn(watch);
    let mut known = Vec::new();
    for folder in folders {
        known.extend(inputs(Path::new(folder))?);
    }
    known.sort_by_key(Vec::len);
    if how == "keep" {
        return fuzzer.keep(&known);
    }
    let seconds = how.parse().map_err(io::Error::other)?;
    fuzzer.fuzz(known, &read_words(words)?, Duration::from_secs(seconds))
}

/// Where the dice begin: `FUZZ_SEED`, or anywhere.
fn seed() -> u64 {
    let given = env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        SystemTime::now().hash(&mut hasher);
        hasher.finish()
    })
}

impl Fuzzer {
    /// Writes those inputs that take a branch which no shorter one takes.
    fn keep(&mut self, known: &[Vec<u8>]) -> io::Result<ExitCode> {
        for input in known {
            match self.run(input)? {
                None => return Ok(ExitCode::from(BROKEN)),
                Some(News::Branch) => self.write(input)?,
                Some(_) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn fuzz(
        &mut self,
        known: Vec<Vec<u8>>,
        words: &[Vec<u8>],
        time: Duration,
    ) -> io::Result<ExitCode> {
        let mut dice = Dice::new(seed());
        for input in known {
            match self.run(&input)? {
                None => return Ok(ExitCode::from(BROKEN)),
                Some(News::None) => {}
                Some(_) => self.pool.push(input),
            }
        }
        self.pool.push(Vec::new());
        let began = Instant::now();
        while began.elapsed() < time {
            // The newest inputs have been tried least.
            let newest = self.pool.len().saturating_sub(8);
            let at = if dice.below(4) == 0 { newest } else { 0 };
            let input = dice.one_of(&self.pool[at..]);
            let other = self.pool[dice.below(self.pool.len())].as_slice();
            let changed = mutate(input, other, words, &mut dice);
            match self.run(&changed)? {
                None => return Ok(ExitCode::from(BROKEN)),
                Some(News::None) => {}
                Some(_) => {
                    self.write(&changed)?;
                    self.pool.push(changed);
                }
            }
        }
        let (tried, branches) = (BEGUN.load(Ordering::Relaxed), self.coverage.branches());
        print(&format!("{tried} inputs, {branches} branches, {} worth keeping", self.pool.len()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Tries an input, and says what is new about it; none if it breaks the property.
    fn run(&mut self, input: &[u8]) -> io::Result<Option<News>> {
        fs::write(&self.present, input)?;
        BEGUN.fetch_add(1, Ordering::Relaxed);
        let mut holds = true;
        let news = self.coverage.of(|| {
            holds = catch_unwind(|| (self.property.holds_for)(input)).is_ok();
        });
        Ok(holds.then_some(news))
    }

    fn write(&self, input: &[u8]) -> io::Result<()> {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        fs::write(self.found.join(format!("{:016x}", hasher.finish())), input)
    }
}

/// Ends the program where an input does not end.
fn watch() {
    let (mut number, mut since) = (0, Instant::now());
    loop {
        thread::sleep(Duration::from_millis(500));
        let begun = BEGUN.load(Ordering::Relaxed);
        if begun != number {
            (number, since) = (begun, Instant::now());
        } else if since.elapsed() > SLOWEST {
            std::process::exit(BROKEN.into());
        }
    }
}

/// The files of a folder, which need not exist.
fn inputs(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    let Ok(files) = fs::read_dir(folder) else { return Ok(inputs) };
    for file in files {
        inputs.push(fs::read(file?.path())?);
    }
    Ok(inputs)
}

/// The lines of a file of words, without comments and empty lines.
fn read_words(path: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    Ok(lines.map(|line| line.as_bytes().to_vec()).collect())
}

fn print(line: &str) -> io::Result<()> {
    io::Write::write_all(&mut io::stdout(), format!("{line}\n").as_bytes())
}
