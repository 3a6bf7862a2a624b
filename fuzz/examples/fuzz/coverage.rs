//! The counters that the compiler puts into each branch of an instrumented package
//! (`.ci/instrumented`).
#![allow(unsafe_code, reason = "the compiler hands the counters over as a range of addresses")]

use std::{
    ptr::null_mut,
    slice,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

static COUNTERS: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Takes the counters of this program. Code that the compiler has made calls it before `main`, once
/// for each package, and always with the same range, because the linker puts them all into one.
///
/// # Safety
/// The bytes from `start` to `stop` are counters, which live as long as the program.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    COUNTERS.store(start, Ordering::Relaxed);
    LENGTH.store(stop as usize - start as usize, Ordering::Relaxed);
}

/// The counters that are looked at together.
const PAGE: usize = 128;
const UNTAKEN: [u8; PAGE] = [0; PAGE];

/// The branches that have been taken by any input so far.
pub(crate) struct Coverage {
    /// For each branch a bit for each magnitude of how often one input took it.
    seen: Vec<u8>,
}

/// Something about an input that none before it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// It took a branch oftener, or less often.
    Count,
    /// It took a branch that none had taken.
    Branch,
}

impl Coverage {
    /// Knows no branch yet. None if this program is not instrumented.
    pub(crate) fn new() -> Option<Self> {
        let length = LENGTH.load(Ordering::Relaxed);
        (length > 0).then(|| Self { seen: vec![0; length] })
    }

    /// Runs something, and says what is new about the branches that it took.
    pub(crate) fn of(&mut self, run: impl FnOnce()) -> News {
        counters().fill(0);
        run();
        let mut news = News::None;
        for (counters, seen) in counters().chunks(PAGE).zip(self.seen.chunks_mut(PAGE)) {
            // Most branches are not taken by any one input.
            if counters != &UNTAKEN[..counters.len()] {
                news = news.max(news_of(counters, seen));
            }
        }
        news
    }

    /// The number of branches that were taken.
    pub(crate) fn branches(&self) -> usize {
        self.seen.iter().filter(|seen| **seen != 0).count()
    }
}

/// Notes which branches were taken how often, and says what is new about them.
fn news_of(counters: &[u8], seen: &mut [u8]) -> News {
    let mut news = News::None;
    for (counter, seen) in counters.iter().zip(seen) {
        if *counter == 0 {
            continue;
        }
        let magnitude = 1 << (u8::BITS - 1 - counter.leading_zeros());
        if *seen == 0 {
            news = News::Branch;
        } else if *seen & magnitude == 0 {
            news = news.max(News::Count);
        }
        *seen |= magnitude;
    }
    news
}

fn counters() -> &'static mut [u8] {
    let (start, length) = (COUNTERS.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    // The range is valid for as long as the program runs, and no other thread looks at it: the code
    // that is counted runs on this one.
    unsafe { slice::from_raw_parts_mut(start, length) }
}
