//! Each attempt of the history is matched with the request that was made for it.

use std::collections::{HashMap, HashSet};

use posthaste_local::FaultSpec;

use super::Case;
use crate::chaos::{
    event::Mark,
    history::{Attempt, Listed, span},
    receiver::Seen,
};

/// A request may have no record if its function was killed within this time. The answer may take
/// the webhook's timeout of 2 s, and recording is tried for 3 s.
const KILLED_WITHIN_US: i64 = 10_000_000;
/// Crashes are noticed this much late at most.
const NOTICED_WITHIN_US: i64 = 500_000;
/// A success is recorded within this time after its answer, unless something goes wrong.
const RECORDED_WITHIN_US: i64 = 1_000_000;

/// The run did this to the functions.
#[derive(Debug, Default)]
pub(in crate::chaos) struct Conditions {
    /// The times at which functions that send requests died, in Unix microseconds, sorted.
    pub(in crate::chaos) crashes: Vec<i64>,
    /// Messages may have come twice.
    may_copy: bool,
    /// The clocks of functions have stepped.
    pub(super) clocks_step: bool,
}

impl Conditions {
    /// Sums a run up by its faults.
    pub(in crate::chaos) fn of(faults: &FaultSpec, clocks_step: bool, crashes: Vec<i64>) -> Self {
        let FaultSpec { seed: _, kill, duplicate, reorder: _, fail, lose, slow, busy: _ } = faults;
        // A call whose answer got lost is repeated, and so may send its messages again.
        let may_copy =
            kill.is_some() || [duplicate, fail, lose, slow].iter().any(|chance| **chance > 0.0);
        Self { crashes, may_copy, clocks_step }
    }

    /// Tells if a function died while this request may have been without a record.
    fn killed_after(&self, at_us: i64) -> bool {
        let from = self.crashes.partition_point(|crash| *crash < at_us);
        let crash = self.crashes.get(from);
        crash.is_some_and(|crash| *crash <= at_us + KILLED_WITHIN_US + NOTICED_WITHIN_US)
    }
}

/// The attempts of a webhook's history, matched with the requests that its receiver saw.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// The requests, by their places, whose success came too late to be heard, and the events for
    /// which that is recorded.
    pub(super) unheard: HashSet<(usize, Mark)>,
    /// Requests without a record that the death of a function explains.
    pub(super) at_kills: usize,
    /// Failed requests without a record after the success of their pair.
    pub(super) failed_copies: usize,
    /// Successful requests for a delivery that began more than a second after the answer to the
    /// first one.
    pub(super) late_copies: usize,
    /// The times at which requests began by the clocks of their functions, in Unix milliseconds,
    /// sorted. A request without a record counts where all clocks are alike.
    pub(super) begun_ms: Vec<i64>,
    /// The successful requests of each event, by their places.
    pub(super) successes: HashMap<Mark, Vec<usize>>,
    /// Contradictions between the two sides.
    pub(super) problems: Vec<String>,
    /// The requests by their places, with the events for which an attempt is recorded.
    recorded: HashSet<(usize, Mark)>,
    /// The times of requests for which an attempt is recorded.
    begun: HashMap<usize, i64>,
}

impl Matched {
    pub(super) fn of(case: &Case<'_>, conditions: &Conditions) -> Self {
        let mut by_mark = HashMap::<Mark, Vec<usize>>::new();
        for (place, seen) in case.seen.iter().enumerate() {
            for mark in &seen.marks {
                by_mark.entry(*mark).or_default().push(place);
            }
        }
        let mut matched = Self::default();
        for (mark, places) in &by_mark {
            let successes = places.iter().filter(|place| case.seen[**place].succeeded);
            matched.successes.insert(*mark, successes.copied().collect());
        }
        for (mark, deliveries) in &case.deliveries {
            let places = by_mark.get(mark).map_or(&[][..], Vec::as_slice);
            for delivery in deliveries {
                matched.match_attempts(case, *mark, delivery, places);
            }
        }
        matched.explain_the_rest(case, conditions);
        for (place, seen) in case.seen.iter().enumerate() {
            let seen_ms = (!conditions.clocks_step).then_some(seen.at_us / 1000);
            matched.begun_ms.extend(matched.begun.get(&place).copied().or(seen_ms));
        }
        matched.begun_ms.sort_unstable();
        matched
    }

    /// Finds the request of an attempt. Two copies of a message can begin in the same millisecond,
    /// so one that no other attempt has, and that agrees, comes first.
    fn request_of(
        &self,
        case: &Case<'_>,
        mark: Mark,
        attempt: &Attempt,
        places: &[usize],
    ) -> Option<usize> {
        let rank = |place: &usize| {
            let agrees = matches!(disagreement(attempt, &case.seen[*place]), Verdict::Agree);
            (self.recorded.contains(&(*place, mark)), !agrees)
        };
        let mine = places.iter().copied().filter(|place| is_for(case, &case.seen[*place], attempt));
        mine.min_by_key(rank)
    }

    /// Finds the request of each attempt of a delivery, among those with its event.
    fn match_attempts(&mut self, case: &Case<'_>, mark: Mark, delivery: &Listed, places: &[usize]) {
        if delivery.attempt_count != delivery.attempts.len() {
            self.problems.push(format!(
                "delivery {} counts {} attempts and lists {}",
                delivery.id,
                delivery.attempt_count,
                delivery.attempts.len()
            ));
        }
        let mut successes = Vec::new();
        for attempt in &delivery.attempts {
            let Some(place) = self.request_of(case, mark, attempt, places) else {
                // What could not be sent was not seen.
                if attempt.http_status.is_some() {
                    self.problems.push(format!(
                        "the receiver never saw the attempt at {} of delivery {}",
                        attempt.at, delivery.id
                    ));
                }
                continue;
            };
            self.begun.insert(place, attempt.at.as_millisecond());
            self.recorded.insert((place, mark));
            match disagreement(attempt, &case.seen[place]) {
                Verdict::Agree if attempt.error.is_none() => successes.push(&case.seen[place]),
                Verdict::Agree => {}
                Verdict::Unheard => {
                    self.unheard.insert((place, mark));
                }
                Verdict::Contradict => self.problems.push(format!(
                    "the attempt at {} of delivery {} was recorded as {attempt:?} and seen as {:?}",
                    attempt.at, delivery.id, case.seen[place]
                )),
            }
        }
        self.late_copies += late(&successes);
    }

    /// Looks for the reason of each request that no attempt is recorded of.
    fn explain_the_rest(&mut self, case: &Case<'_>, conditions: &Conditions) {
        for (place, seen) in case.seen.iter().enumerate() {
            let unrecorded: Vec<Mark> = seen
                .marks
                .iter()
                .filter(|mark| mark.workspace == case.place)
                .filter(|mark| !self.recorded.contains(&(place, **mark)))
                .copied()
                .collect();
            if unrecorded.is_empty() {
                continue;
            }
            let has_succeeded = |mark: &Mark| {
                let deliveries = case.deliveries.get(mark);
                deliveries.is_some_and(|all| all.iter().any(|one| one.status == "succeeded"))
            };
            if conditions.may_copy && !seen.succeeded && unrecorded.iter().all(has_succeeded) {
                self.failed_copies += 1;
            } else if conditions.killed_after(seen.at_us) {
                self.at_kills += 1;
            } else {
                let recorded: Vec<_> =
                    unrecorded.iter().filter_map(|mark| case.deliveries.get(mark)).collect();
                self.problems.push(format!(
                    "no attempt is recorded of {seen:?} at {} for {unrecorded:?}, but {recorded:?}",
                    case.member.hook.url()
                ));
            }
        }
    }
}

/// Counts the successful requests for one delivery that began when the first one must have been
/// recorded.
fn late(successes: &[&Seen]) -> usize {
    let known_us = |seen: &&Seen| seen.answered_us.map(|at| at + RECORDED_WITHIN_US);
    let Some(first_known_us) = successes.iter().filter_map(known_us).min() else { return 0 };
    successes.iter().filter(|seen| seen.at_us > first_known_us).count()
}

/// Tells if a request was made for this attempt. The first event of the request tells which
/// delivery may be its first one.
fn is_for(case: &Case<'_>, seen: &Seen, attempt: &Attempt) -> bool {
    let Some(first) = seen.marks.first() else { return false };
    let deliveries = case.deliveries.get(first).map_or(&[][..], Vec::as_slice);
    deliveries.iter().any(|delivery| span(delivery.id, attempt.at) == seen.span)
}

/// The relation of a recorded attempt to the request that was seen.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Agree,
    /// The receiver gave an answer, and the sender had given up by then.
    Unheard,
    Contradict,
}

fn disagreement(attempt: &Attempt, seen: &Seen) -> Verdict {
    match (&attempt.error, attempt.http_status) {
        (None, status) if seen.succeeded && status == seen.status => Verdict::Agree,
        (None, _) => Verdict::Contradict,
        (Some(_), None) if seen.succeeded => Verdict::Unheard,
        (Some(_), None) => Verdict::Agree,
        (Some(_), status) if status == seen.status && !seen.succeeded => Verdict::Agree,
        (Some(_), _) => Verdict::Contradict,
    }
}

/// Says where a limit of requests in a second is broken. `docs/limits.md` promises the limit and
/// the slots of half a second, and the ends of a window may both have one.
/// A clock that steps back while a request waits for its slot lays the slots of a second over
/// earlier ones.
pub(super) fn broken_limit(limit: u32, begun_ms: &[i64], clocks_step: bool) -> Option<String> {
    const WINDOWS_MS: [i64; 3] = [1_000, 5_000, 30_000];
    let laid_over = if clocks_step { limit } else { 0 };
    let burst = usize::try_from((limit / 2).max(1) + laid_over).unwrap_or(usize::MAX) + 1;
    for window in WINDOWS_MS {
        let allowed = usize::try_from(i64::from(limit) * window / 1_000).unwrap_or(0) + burst;
        let mut first = 0;
        for (last, time) in begun_ms.iter().enumerate() {
            while time - begun_ms[first] >= window {
                first += 1;
            }
            let count = last + 1 - first;
            if count > allowed {
                return Some(format!(
                    "{count} requests within {window} ms from {}",
                    begun_ms[first]
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: Option<u16>, succeeded: bool) -> Seen {
        let marks = Vec::new();
        let (signed, intact, answered_us) = (true, true, Some(0));
        Seen { at_us: 0, answered_us, span: 1, marks, signed, intact, status, succeeded }
    }

    fn attempt(error: Option<&str>, status: Option<u16>) -> Attempt {
        let error = error.map(|code| serde_json::json!({ "code": code }));
        let attempt = serde_json::json!({
            "at": "2026-01-15T09:30:00Z", "httpStatus": status, "error": error,
        });
        serde_json::from_value(attempt).unwrap()
    }

    #[test]
    fn a_record_of_success_needs_an_answer_of_success() {
        let success = attempt(None, Some(200));
        assert_eq!(disagreement(&success, &seen(Some(200), true)), Verdict::Agree);
        assert_eq!(disagreement(&success, &seen(Some(500), false)), Verdict::Contradict);
        assert_eq!(disagreement(&success, &seen(None, false)), Verdict::Contradict);
        assert_eq!(disagreement(&success, &seen(Some(202), true)), Verdict::Contradict);
    }

    #[test]
    fn a_record_of_failure_needs_an_answer_of_failure_or_none_in_time() {
        let refused = attempt(Some("http_status"), Some(500));
        assert_eq!(disagreement(&refused, &seen(Some(500), false)), Verdict::Agree);
        assert_eq!(disagreement(&refused, &seen(Some(200), true)), Verdict::Contradict);
        let late = attempt(Some("timeout"), None);
        assert_eq!(disagreement(&late, &seen(Some(200), true)), Verdict::Unheard);
        assert_eq!(disagreement(&late, &seen(None, false)), Verdict::Agree);
    }

    #[test]
    fn a_limit_is_broken_by_one_request_above_the_burst() {
        // Ten a second and a burst of five, with a slot at each end of the window.
        let times: Vec<i64> = (0..16).map(|request| request * 10).collect();
        assert_eq!(broken_limit(10, &times, false), None);
        let times: Vec<i64> = (0..17).map(|request| request * 10).collect();
        assert!(broken_limit(10, &times, false).is_some());
        let steady: Vec<i64> = (0..600).map(|request| request * 100).collect();
        assert_eq!(broken_limit(10, &steady, false), None);
        let fast: Vec<i64> = (0..600).map(|request| request * 90).collect();
        assert!(broken_limit(10, &fast, false).is_some());
    }

    #[test]
    fn a_copy_is_late_if_the_success_was_recorded_when_it_began() {
        let copy = |at_us| Seen { at_us, ..seen(Some(200), true) };
        let (first, under_way, late_one) =
            (copy(-5), copy(RECORDED_WITHIN_US), copy(RECORDED_WITHIN_US + 1));
        assert_eq!(late(&[&under_way, &first]), 0);
        assert_eq!(late(&[&late_one, &first, &under_way]), 1);
    }

    #[test]
    fn only_a_death_soon_after_a_request_explains_that_it_has_no_record() {
        let conditions = Conditions { crashes: vec![5_000_000], ..Conditions::default() };
        assert!(conditions.killed_after(4_000_000));
        assert!(!conditions.killed_after(5_000_001));
        let conditions = Conditions { crashes: vec![50_000_000], ..Conditions::default() };
        assert!(!conditions.killed_after(4_000_000));
    }
}
