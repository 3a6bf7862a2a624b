//! The clocks of the functions step. No function has a way to be given another time, so that is done
//! from outside: the library libfaketime is loaded into their processes, and reads from a file how
//! far a function's clock is off. The time that only ever grows, by which a process measures how
//! long something takes, stays as it is, as it does on a real machine.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tempfile::TempDir;

use super::{Build, dice::Dice};

/// The library is here where Debian's package `libfaketime` is installed.
const INSTALLED: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// A clock is off by at most this much, in milliseconds: so two functions differ by less than the
/// 5 s that are allowed for (`CLOCK_SKEW` in `crates/domain/src/delivery/attempt.rs`).
const MOST_OFF_MS: usize = 2_000;

/// The clocks of all functions.
#[derive(Debug)]
pub(super) struct Clocks {
    library: PathBuf,
    directory: TempDir,
    functions: Vec<String>,
}

impl Clocks {
    /// Makes clocks that can step. None where the library is not installed.
    pub(super) fn find(build: &Build) -> anyhow::Result<Option<Self>> {
        let Some(library) = INSTALLED.map(PathBuf::from).into_iter().find(|path| path.is_file())
        else {
            eprintln!("no clock steps, because libfaketime is not installed");
            return Ok(None);
        };
        let directory = tempfile::tempdir().context("there is no place for clocks")?;
        let clocks = Self { library, directory, functions: build.keys().cloned().collect() };
        clocks.set_all_right()?;
        Ok(Some(clocks))
    }

    /// Returns a build whose functions start with these clocks. `name` tells it from other builds.
    pub(super) fn wind(&self, build: &Build, name: &str) -> anyhow::Result<Build> {
        let directory = self.directory.path().join(name);
        fs::create_dir(&directory)?;
        let wound = build.iter().map(|(function, binary)| {
            let script = directory.join(function);
            fs::write(&script, self.script(function, binary))?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            Ok((function.clone(), script))
        });
        wound.collect()
    }

    /// Sets the clock of one function, chosen by the dice, to another wrong time.
    pub(super) fn step(&self, dice: &Dice) -> anyhow::Result<()> {
        let function = &self.functions[dice.roll(self.functions.len())];
        let off = dice.roll(2 * MOST_OFF_MS + 1) as f64 - MOST_OFF_MS as f64;
        self.set(function, off / 1000.0)
    }

    /// Sets all clocks to the right time.
    pub(super) fn set_all_right(&self) -> anyhow::Result<()> {
        self.functions.iter().try_for_each(|function| self.set(function, 0.0))
    }

    fn set(&self, function: &str, seconds: f64) -> anyhow::Result<()> {
        // A process that reads the file meanwhile gets the old text or the new one.
        let new = self.directory.path().join("next.clock");
        fs::write(&new, format!("{seconds:+.3}\n"))?;
        fs::rename(new, self.file(function))?;
        Ok(())
    }

    fn file(&self, function: &str) -> PathBuf {
        self.directory.path().join(format!("{function}.clock"))
    }

    /// A script that becomes the function, with its clock.
    fn script(&self, function: &str, binary: &Path) -> String {
        format!(
            "#!/bin/sh\n\
             export LD_PRELOAD={} FAKETIME_TIMESTAMP_FILE={}\n\
             export FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1\n\
             exec {} \"$@\"\n",
            quoted(&self.library),
            quoted(&self.file(function)),
            quoted(binary)
        )
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::SystemTime};

    use super::*;

    #[test]
    fn a_function_has_the_time_that_its_clock_says() {
        let build = Build::from([("date".to_owned(), PathBuf::from("/bin/date"))]);
        let Some(clocks) = Clocks::find(&build).unwrap() else {
            let required = std::env::var("POSTHASTE_CLOCKS").is_ok_and(|value| value == "required");
            assert!(!required, "libfaketime is not installed");
            return;
        };
        let wound = clocks.wind(&build, "first").unwrap();
        let off = || {
            let said = Command::new(&wound["date"]).arg("+%s").output().unwrap().stdout;
            let said: i64 = String::from_utf8(said).unwrap().trim().parse().unwrap();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            said - i64::try_from(now.as_secs()).unwrap()
        };
        assert!((-1..=0).contains(&off()));
        clocks.set("date", 1000.0).unwrap();
        assert!((999..=1000).contains(&off()));
        clocks.set("date", -1000.0).unwrap();
        assert!((-1001..=-1000).contains(&off()));
    }

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
