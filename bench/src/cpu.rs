//! The kernel tells how much processor time this process and its threads have used.
//!
//! The stand-ins for AWS run on the threads of the process beside the bench's own publisher and
//! receiver, which have threads of their own. So the share of the stand-ins is what is left.

use std::{fs::read_to_string, path::PathBuf, time::Duration};

use anyhow::Context;

/// `/proc/<pid>/stat` counts in these units, which are the same on all processors that Lambda has
/// (`USER_HZ`, proc(5)).
const TICKS_A_SECOND: u64 = 100;

/// A thread of this process, by its directory below `/proc`.
#[derive(Debug, Clone)]
pub(crate) struct Thread(PathBuf);

impl Thread {
    /// Finds the thread that calls this.
    pub(crate) fn current() -> anyhow::Result<Self> {
        let link = std::fs::read_link("/proc/thread-self").context("the thread is not in /proc")?;
        Ok(Self(PathBuf::from("/proc").join(link)))
    }

    /// Reads the processor time that the thread has used. A thread that has ended tells none.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let path = self.0.join("schedstat");
        let text = read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
        Ok(Duration::from_nanos(nanoseconds.context("the thread's time is no number")?))
    }
}

/// Reads the processor time that this process has used, with the threads that have ended.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    let stat = read_to_string("/proc/self/stat").context("the process is not in /proc")?;
    ticks(&stat)
        .map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
        .context("the process's time is no number")
}

/// Adds up user and system time, which are the fields 14 and 15. The second field, the name in
/// brackets, can have spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_found_behind_any_name() {
        let stat = "7 (a name) of) S 1 7 7 0 -1 4194560 9 8 7 6 150 25 3 4 20 0 9 0";
        assert_eq!(ticks(stat), Some(175));
    }

    #[test]
    fn a_thread_that_works_uses_processor_time() {
        let thread = Thread::current().unwrap();
        let before = thread.cpu().unwrap();
        while thread.cpu().unwrap() - before < Duration::from_millis(5) {}
        assert!(own_cpu().unwrap() < Duration::from_hours(1));
    }
}
