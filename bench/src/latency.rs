//! Events take some time from the beginning of the call that publishes them to their first arrival.

use serde::Serialize;

use crate::{clock, receiver::Hook, stream::Published};

/// The way of one event, from its call to its arrival.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) published_us: u64,
    pub(crate) arrived_us: Option<u64>,
}

/// Lists the ways of all accepted events.
pub(crate) fn ways(published: &[Published], hook: &Hook) -> Vec<Way> {
    ways_from(0, published, hook)
}

/// Lists the ways of accepted events whose numbers begin with this one.
pub(crate) fn ways_from(first: usize, published: &[Published], hook: &Hook) -> Vec<Way> {
    let arrivals = hook.first_arrivals(first + published.len()).into_iter().skip(first);
    let accepted = published.iter().zip(arrivals).filter(|(event, _)| event.id.is_some());
    accepted.map(|(event, arrived_us)| Way { published_us: event.at_us, arrived_us }).collect()
}

/// The milliseconds that some events took. Those that have not arrived count with the time until
/// now.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latencies {
    pub(crate) events: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) not_arrived: usize,
}

impl Latencies {
    pub(crate) fn of<'a>(ways: impl Iterator<Item = &'a Way> + Clone) -> Self {
        let now = clock::now_us();
        let mut ms: Vec<f64> = ways
            .clone()
            .map(|way| {
                way.arrived_us.unwrap_or(now).saturating_sub(way.published_us) as f64 / 1000.0
            })
            .collect();
        ms.sort_by(f64::total_cmp);
        Self {
            events: ms.len(),
            p50: percentile(&ms, 50),
            p90: percentile(&ms, 90),
            p99: percentile(&ms, 99),
            max: percentile(&ms, 100),
            not_arrived: ways.filter(|way| way.arrived_us.is_none()).count(),
        }
    }
}

/// Finds the smallest value that this many percent of the sorted values do not exceed. It is 0 if
/// there is none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&hundred, percent)), [50.0, 99.0, 100.0]);
        assert_eq!([50, 99, 100].map(|percent| percentile(&[7.0], percent)), [7.0; 3]);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
