//! Every measurement takes these options.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use clap::Args;
use posthaste_local::{Options, binaries};

use crate::stream::Through;

/// The options of all measurements.
#[derive(Debug, Args)]
pub struct Common {
    /// Uses the binaries in this directory, such as those of another version, and builds none.
    #[arg(long, global = true, value_name = "DIR")]
    functions: Option<PathBuf>,
    /// Uses this template, such as that of another version.
    #[arg(long, global = true, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Sets a parameter of the template, for example LogLevel=warn. It can be given several times.
    #[arg(long = "parameter", global = true, value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Gives each function this many processes at most, and the template's parameter
    /// DeliverMaximumConcurrency this value.
    #[arg(long, global = true, value_name = "C", default_value_t = Options::MAX_PROCESSES)]
    concurrency: usize,
    /// Chooses the way by which events come in where a pace is kept.
    #[arg(long, global = true, value_enum, default_value = "queue")]
    through: Through,
}

/// The version that is measured, ready to be started.
#[derive(Clone)]
pub struct Subject {
    pub(crate) binaries: BTreeMap<String, PathBuf>,
    pub(crate) template: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) concurrency: usize,
    pub(crate) through: Through,
    /// The name of the version in reports.
    pub(crate) version: String,
}

impl Subject {
    /// Takes this version with debug builds of its functions, which are as right and not as fast,
    /// and at most this many processes of each.
    pub fn debug_build(concurrency: usize) -> anyhow::Result<Self> {
        let (binaries, template) = (binaries::build(false)?, binaries::template()?);
        let parameters = BTreeMap::new();
        Ok(Self {
            binaries,
            template,
            parameters,
            concurrency,
            through: Through::Queue,
            version: revision(),
        })
    }
}

impl Common {
    /// Reads the template, and builds the functions unless they are there.
    pub fn subject(&self) -> anyhow::Result<Subject> {
        let template = match &self.template {
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("{} can't be read", file.display()))?,
            None => binaries::template()?,
        };
        let (binaries, version) = match &self.functions {
            Some(directory) => (ready_built(directory)?, directory.display().to_string()),
            None => {
                eprintln!("building the functions with optimisations …");
                (binaries::build(true)?, revision())
            }
        };
        let parameters = self.parameters.iter().cloned().collect();
        Ok(Subject {
            binaries,
            template,
            parameters,
            concurrency: self.concurrency,
            through: self.through,
            version,
        })
    }
}

fn parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("it has to be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Lists the binaries in a directory. Every file without an extension counts as the function of its
/// name.
pub(crate) fn ready_built(directory: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let entries =
        directory.read_dir().with_context(|| format!("{} can't be read", directory.display()))?;
    let mut binaries = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        if let (Some(name), None, true) = (path.file_name(), path.extension(), path.is_file()) {
            binaries.insert(name.to_string_lossy().into_owned(), path.clone());
        }
    }
    ensure!(!binaries.is_empty(), "there are no functions in {}", directory.display());
    Ok(binaries)
}

/// Names the version, and the commit where git knows it.
fn revision() -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let commit = git.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    match commit {
        Some(commit) => {
            format!("{} ({})", env!("CARGO_PKG_VERSION"), String::from_utf8_lossy(&commit).trim())
        }
        None => env!("CARGO_PKG_VERSION").to_owned(),
    }
}
