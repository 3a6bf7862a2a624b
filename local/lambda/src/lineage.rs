//! A lineage is the chain of invocations that led to one. A guard stops chains that lead back to a
//! function again and again.
//!
//! On Lambda a process is told the trace header of its invocation, the SDK sends it with every call
//! (`X-Amzn-Trace-Id`), SQS keeps it with the messages (`AWSTraceHeader`), and Lambda counts in a
//! field of it how often a function has been invoked in one chain
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>). The form of that
//! field is not documented. Here it is `Lineage=`, and then for each function of the chain its
//! name, a colon and how often it was invoked, separated by commas:
//!
//! ```text
//! Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=0;Lineage=deliver:3,fanout:1
//! ```
//!
//! A batch can have messages of several chains. For each function the highest count of any of them
//! is the batch's, so that no chain gets away in the company of others; how Lambda merges them is
//! not documented either.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::InvokeError;

/// Lambda invokes a function this often in one chain, and not once more.
const MAX_IN_A_CHAIN: u64 = 16;

/// The functions of the chain that led to an invocation, each with the number of its invocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage(BTreeMap<String, u64>);

impl Lineage {
    /// Joins the lineages of these trace headers: of each function the highest count stays. A
    /// header without the field, or with a malformed one, begins a chain.
    pub fn of_trace_headers<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let fields = headers.into_iter().flat_map(|header| header.split(';'));
        let lineages = fields.filter_map(|field| field.trim().strip_prefix("Lineage="));
        for (function, count) in
            lineages.flat_map(|lineage| lineage.split(',')).filter_map(|part| part.split_once(':'))
        {
            let Ok(count) = count.parse() else { continue };
            let highest = counts.entry(function.to_owned()).or_insert(count);
            *highest = (*highest).max(count);
        }
        Self(counts)
    }

    /// Adds an invocation of a function to the chain, and returns how many of it there are then.
    fn with(mut self, function: &str) -> (Self, u64) {
        let count = self.0.entry(function.to_owned()).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        (self, count)
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> =
            self.0.iter().map(|(function, count)| format!("{function}:{count}")).collect();
        write!(f, "Lineage={}", parts.join(","))
    }
}

/// The guard is Lambda's recursive loop detection for one function.
#[derive(Debug)]
pub(crate) struct LoopGuard {
    function: String,
    allows_recursion: bool,
    dropped: AtomicU64,
}

impl LoopGuard {
    pub(crate) fn new(function: &str, allows_recursion: bool) -> Self {
        Self { function: function.to_owned(), allows_recursion, dropped: AtomicU64::new(0) }
    }

    /// Returns the lineage of an invocation that this chain leads to, unless it is one too many.
    pub(crate) fn admit(&self, chain: Lineage) -> Result<Lineage, InvokeError> {
        let (lineage, count) = chain.with(&self.function);
        if count > MAX_IN_A_CHAIN && !self.allows_recursion {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return Err(InvokeError::RecursiveLoop {
                function: self.function.clone(),
                allowed: MAX_IN_A_CHAIN,
            });
        }
        Ok(lineage)
    }

    /// Counts the invocations that were refused.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(headers: &[&str]) -> String {
        Lineage::of_trace_headers(headers.iter().copied()).to_string()
    }

    #[test]
    fn a_lineage_is_read_as_it_was_written() {
        let written = "Lineage=deliver:3,fanout:1";
        assert_eq!(lineage(&[written]), written);
        assert_eq!(
            lineage(&[
                "Root=1-67891233-abcdef;Parent=463ac35c;Sampled=0;Lineage=deliver:3,fanout:1"
            ]),
            written
        );
        assert_eq!(lineage(&["Lineage=deliver:3,fanout:1;Root=1-67891233-abcdef"]), written);
    }

    #[test]
    fn a_batch_has_the_highest_count_of_each_function() {
        let headers =
            ["Lineage=deliver:3,fanout:1", "Root=1-0-0", "Lineage=deliver:2,fanout:4,replay:1"];
        assert_eq!(lineage(&headers), "Lineage=deliver:3,fanout:4,replay:1");
    }

    #[test]
    fn what_is_no_lineage_begins_a_chain() {
        for header in [
            "",
            "Root=1-0-0;Sampled=0",
            "Lineage=",
            "Lineage=deliver",
            "Lineage=deliver:x",
            "lineage=deliver:3",
        ] {
            assert_eq!(Lineage::of_trace_headers([header]), Lineage::default(), "{header}");
        }
        assert_eq!(Lineage::of_trace_headers([]), Lineage::default());
    }

    /// Invokes these functions in turn, until one is refused or there have been `at_most`
    /// invocations, and counts them.
    fn turns(guards: &[&LoopGuard], at_most: usize) -> usize {
        let mut chain = Lineage::default();
        for (done, guard) in guards.iter().cycle().take(at_most).enumerate() {
            match guard.admit(chain) {
                // What one function sends is read from the header that the next gets.
                Ok(lineage) => chain = Lineage::of_trace_headers([lineage.to_string().as_str()]),
                Err(_) => return done,
            }
        }
        at_most
    }

    #[test]
    fn the_17th_invocation_in_a_chain_is_refused_unless_the_function_allows_it() {
        let terminates = LoopGuard::new("deliver", false);
        assert_eq!((turns(&[&terminates], 100), terminates.dropped()), (16, 1));
        assert_eq!(
            (turns(&[&terminates], 100), terminates.dropped()),
            (16, 2),
            "another chain begins anew"
        );
        let allows = LoopGuard::new("deliver", true);
        assert_eq!((turns(&[&allows], 100), allows.dropped()), (100, 0));
    }

    #[test]
    fn each_function_of_a_chain_is_counted() {
        let (pour, drain) = (LoopGuard::new("pour", false), LoopGuard::new("drain", false));
        assert_eq!(turns(&[&pour, &drain], 100), 32);
        assert_eq!(
            (pour.dropped(), drain.dropped()),
            (1, 0),
            "the first of them is first at its limit"
        );
        let pour = LoopGuard::new("pour", true);
        assert_eq!(turns(&[&pour, &drain], 100), 33);
        assert_eq!((pour.dropped(), drain.dropped()), (0, 1), "what one allows, another does not");
    }
}
