//! Turns the files of `events/catalogue` into a table of constants, so that nothing is read or
//! parsed when a function starts.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a build script reads and writes files and speaks to cargo"
)]

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    description: String,
    owner: String,
    document: String,
    status: String,
    #[serde(default)]
    aliases: Vec<String>,
    notes: Vec<String>,
    schema: Box<RawValue>,
    sample: Box<RawValue>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/catalogue");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let file: File =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if path.file_stem().is_none_or(|stem| stem != file.name.as_str()) {
            return Err(format!("{} has the name {}", path.display(), file.name).into());
        }
        files.push(file);
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut aliases: Vec<(&String, &String)> = Vec::new();
    for file in &files {
        aliases.extend(file.aliases.iter().map(|alias| (alias, &file.name)));
    }
    aliases.sort();
    let aliases = format!("static ALIASES: [(&str, &str); {}] = {aliases:?};\n", aliases.len());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("aliases.rs"), aliases)?;
    let mut table = String::new();
    writeln!(table, "static BUILT_IN: [BuiltIn; {}] = [", files.len())?;
    for file in &files {
        let File { name, title, description, owner, document, status, aliases, notes, .. } = file;
        let (schema, sample) = (minified(file.schema.get()), minified(file.sample.get()));
        writeln!(
            table,
            "BuiltIn {{ name: {name:?}, title: {title:?}, description: {description:?}, owner: \
             {owner:?}, document: {document:?}, status: {status:?}, aliases: &{aliases:?}, notes: \
             &{notes:?}, schema: {schema:?}, sample: {sample:?}, compiled: OnceLock::new() }},"
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("catalogue.rs"), table)?;
    Ok(())
}

/// JSON without the white space between its tokens.
fn minified(json: &str) -> String {
    let mut minified = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for char in json.chars() {
        if in_text || !char.is_ascii_whitespace() {
            minified.push(char);
        }
        (in_text, escaped) = match char {
            '"' if !escaped => (!in_text, false),
            '\\' if in_text => (true, !escaped),
            _ => (in_text, false),
        };
    }
    minified
}
