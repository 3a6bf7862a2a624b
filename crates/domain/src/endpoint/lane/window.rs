//! The window bounds the number of requests of one webhook that are under way at once.
//!
//! The bound follows outcomes and never latency: an endpoint that takes 4.5 s and gets 20 events a
//! second needs 90 requests side by side (Little's law), and a bound that shrank because it is slow
//! would end at one, with a backlog for ever. It doubles in each round until the first failure;
//! from then on it grows by one in each round, and each failure halves it (AIMD, as in RFC 5681).

/// The most requests of one webhook that are under way at once. Together with an endpoint's latency
/// this bounds its rate.
pub const MAX_WINDOW: u32 = 100;

/// The current bound, and the outcomes that move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    size: u32,
    has_failed: bool,
    successes: u32,
}

impl Window {
    /// A window that begins at this size.
    pub fn new(size: u32) -> Self {
        Self { size: size.clamp(1, MAX_WINDOW), has_failed: false, successes: 0 }
    }

    /// The number of requests that may be under way.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Notes a request that was answered without a sign of overload.
    pub fn succeeded(&mut self) {
        self.successes += 1;
        if !self.has_failed || self.successes >= self.size {
            self.size = (self.size + 1).min(MAX_WINDOW);
            self.successes = 0;
        }
    }

    /// Notes a request that timed out, or was answered with 429 or 5xx.
    pub fn failed(&mut self) {
        *self = Self { size: (self.size / 2).max(1), has_failed: true, successes: 0 };
    }
}
