//! Publishing and arrival are timed with one clock.

use std::{sync::LazyLock, time::Instant};

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts the microseconds since the clock was first read.
pub(crate) fn now_us() -> u64 {
    u64::try_from(BEGAN.elapsed().as_micros()).unwrap_or(u64::MAX)
}
