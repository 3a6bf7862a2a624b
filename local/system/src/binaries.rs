//! Cargo builds the functions, whose binaries the local system runs.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Builds all functions and returns the path of each binary. Cargo's progress goes to standard
/// error.
pub fn build(release: bool) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let names = names()?;
    read(&names, &command(&names, release).output().context("cargo can't be run")?)
}

/// Builds as [`build`] does. Dropping the future ends cargo and the compilers that it started.
pub async fn build_until_dropped(release: bool) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let names = names()?;
    let mut command = command(&names, release);
    command.stdout(Stdio::piped()).process_group(0);
    let cargo = tokio::process::Command::from(command).spawn().context("cargo can't be run")?;
    let group = Group(cargo.id());
    let output = cargo.wait_with_output().await;
    group.has_ended();
    read(&names, &output.context("cargo can't be run")?)
}

/// The process group of a running cargo, which dropping this ends.
struct Group(Option<u32>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let _ = Command::new("sh")
                .args(["-c", "kill -s TERM -- -$0", &id.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Lists the packages of the functions. Each has a directory and a binary of its name.
fn names() -> anyhow::Result<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let mut names = Vec::new();
    for entry in
        directory.read_dir().with_context(|| format!("{} can't be read", directory.display()))?
    {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn command(names: &[String], release: bool) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--locked", "--message-format=json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(names.iter().flat_map(|name| ["--package", name.as_str()]));
    if release {
        command.arg("--release");
    }
    // What cargo told this process about its own package would count as a change for build scripts,
    // which would run again.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let about_us = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_NAME",
            "CARGO_CRATE_NAME",
            "CARGO_PRIMARY_PACKAGE",
        ];
        if about_us.iter().any(|prefix| name_text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

fn read(names: &[String], output: &Output) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    if !output.status.success() {
        bail!("the functions could not be built");
    }
    let messages = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let binaries: BTreeMap<String, PathBuf> = messages
        .filter_map(|message| {
            let path = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
        })
        .collect();
    for name in names {
        ensure!(binaries.contains_key(name), "cargo built no binary {name}");
    }
    Ok(binaries)
}

/// Reads the project's `template.yaml`.
pub fn template() -> anyhow::Result<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    std::fs::read_to_string(path).context("template.yaml can't be read")
}
