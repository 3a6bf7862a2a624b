//! The programs of others that the tests need: a browser, its driver and axe-core.

use std::{
    env, fs,
    io::{Write, stderr},
    path::{Path, PathBuf},
};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const DRIVERS: [&str; 2] = ["chromedriver", "chromium.chromedriver"];

/// A browser and its driver.
#[derive(Clone)]
pub(crate) struct Programs {
    pub(crate) browser: PathBuf,
    pub(crate) driver: PathBuf,
}

impl Programs {
    /// Finds the programs on the path, or where variables say that they are.
    pub(crate) fn find() -> Result<Self, String> {
        Ok(Self {
            browser: program("POSTHASTE_CHROMIUM", &BROWSERS)?,
            driver: program("POSTHASTE_CHROMEDRIVER", &DRIVERS)?,
        })
    }
}

/// Reads the script of axe-core, which `.ci/run` installs below the target directory.
pub(crate) fn axe() -> Result<String, String> {
    let installed = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("../ci/console/node_modules/axe-core/axe.min.js");
    let path = env::var_os("POSTHASTE_AXE").map_or(installed, PathBuf::from);
    fs::read_to_string(path).map_err(|_| {
        "axe-core is not installed: CONTRIBUTING.md says how, and POSTHASTE_AXE can name its file"
            .to_owned()
    })
}

/// Says that something is left out and why, or fails where nothing may be left out.
pub(crate) fn leave_out(what: &str, why: &str) {
    let required = env::var("POSTHASTE_BROWSER").is_ok_and(|value| value == "required");
    assert!(!required, "{what} is left out, but POSTHASTE_BROWSER is `required`: {why}");
    // What a test prints with `println!` is shown only when it fails.
    let _ = writeln!(stderr(), "{what} is skipped: {why}");
}

fn program(variable: &str, names: &[&str]) -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(variable) {
        let path = PathBuf::from(named);
        let there = path.is_file();
        return there.then_some(path).ok_or_else(|| format!("{variable} names no file"));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places =
        env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    places.find(|place| place.is_file()).ok_or_else(|| {
        format!("there is no {} on the path, and {variable} names none", names.join(" or "))
    })
}
