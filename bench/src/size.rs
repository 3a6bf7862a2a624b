//! `size` measures the bytes of each function's binary, as it is and compressed as in its package.

use std::{collections::BTreeMap, io::Write as _, path::Path};

use anyhow::{Context, ensure};
use clap::Args;
use flate2::{Compression, write::DeflateEncoder};
use serde_json::json;

use crate::{
    options::Subject,
    report::{Report, Table},
};

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct SizeArgs {
    /// Measures only these functions.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

pub(crate) fn run(
    args: &SizeArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    ensure!(!subject.binaries.is_empty(), "there are no functions");
    let mut table = Table::new(&["function", "KiB", "compressed KiB"]);
    let mut figures = BTreeMap::new();
    let mut report = Report::without_a_system("size".to_owned(), subject, Vec::new());
    for (name, path) in &subject.binaries {
        if !args.only.is_empty() && !args.only.contains(name) {
            continue;
        }
        let (bytes, compressed) = sizes(path).with_context(|| format!("{}", path.display()))?;
        table.row(vec![name.clone(), kib(bytes), kib(compressed)]);
        report.count(format!("bytes of {name}"), bytes as f64);
        report.count(format!("compressed bytes of {name}"), compressed as f64);
        figures.insert(name, json!({ "bytes": bytes, "compressedBytes": compressed }));
    }
    report.table(&table);
    report.figure("functions", figures)?;
    done(report);
    Ok(())
}

/// Measures a file, and what `zip` would make of it.
fn sizes(path: &Path) -> anyhow::Result<(usize, usize)> {
    let binary = std::fs::read(path)?;
    let mut compressed = DeflateEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(&binary)?;
    Ok((binary.len(), compressed.finish()?.len()))
}

fn kib(bytes: usize) -> String {
    format!("{:.0}", bytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_one_letter_becomes_small() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'a'; 10_000]).unwrap();
        let (bytes, compressed) = sizes(file.path()).unwrap();
        assert_eq!(bytes, 10_000);
        assert!(compressed < 100, "{compressed} bytes");
    }
}
