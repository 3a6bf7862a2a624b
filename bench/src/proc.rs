//! The kernel tells how much memory a process holds, and how many files it has open.

use std::{fs::read_to_string, path::PathBuf};

use serde::Serialize;

/// The memory and the files of one process at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    pub(crate) resident_kb: u64,
    pub(crate) peak_kb: u64,
    pub(crate) files: u64,
}

impl Held {
    /// Looks at a process, which may have ended meanwhile.
    pub(crate) fn by(process: u32) -> Option<Self> {
        let directory = PathBuf::from(format!("/proc/{process}"));
        let status = read_to_string(directory.join("status")).ok()?;
        let files = directory.join("fd").read_dir().ok()?.count() as u64;
        Some(Self { resident_kb: kb(&status, "VmRSS:")?, peak_kb: kb(&status, "VmHWM:")?, files })
    }

    /// Looks at this process.
    pub(crate) fn by_us() -> Option<Self> {
        Self::by(std::process::id())
    }
}

fn kb(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_memory_and_each_file_that_it_opens() {
        let before = Held::by_us().unwrap();
        assert!(before.resident_kb > 0 && before.peak_kb >= before.resident_kb, "{before:?}");
        let open: Vec<_> = (0..100).map(|_| tempfile::tempfile().unwrap()).collect();
        // The tests beside this one open and close files too.
        let more = Held::by_us().unwrap().files.saturating_sub(before.files);
        assert!(more > 50, "{more} files more with {} open ones", open.len());
    }

    #[test]
    fn a_line_of_the_status_has_kilobytes() {
        assert_eq!(kb("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 99 kB\n", "VmHWM:"), Some(1234));
        assert_eq!(kb("Name:\tx\n", "VmRSS:"), None);
    }
}
