//! The results of a webhook's newest attempts, in figures and as a chart.

use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    parts::{Bar, List, chart, time},
    visitor::Visitor,
};

/// A chart has so many bars.
const BARS: usize = 12;

/// A delivery, as far as a chart needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    attempts: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    at: Timestamp,
    /// It is there where the attempt failed.
    error: Option<IgnoredAny>,
}

/// The results of a webhook's newest attempts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recent {
    good: u32,
    bad: u32,
    since: Option<Timestamp>,
    bars: [Bar; BARS],
}

pub(super) fn part(recent: Option<&Recent>) -> Markup {
    html! {
        @match recent {
            Some(Recent { good, bad, since: Some(since), bars }) => {
                (chart(&format!("{good} attempts succeeded and {bad} failed"), bars))
                p.quiet {
                    (percent(*good, *bad)) " of " (good + bad)
                    @if good + bad == 1 { " attempt" } @else { " attempts" }
                    " since " (time(*since))
                }
            }
            Some(_) => p.quiet { "no attempts yet" },
            None => p.quiet { "its attempts can't be read now" },
        }
    }
}

fn percent(good: u32, bad: u32) -> String {
    let all = f64::from(good + bad).max(1.0);
    // What is not all is never shown as all.
    let share = (f64::from(good) * 1000.0 / all).floor() / 10.0;
    format!("{share}%")
}

/// The newest attempts of a webhook; none if they can't be read, which spoils only its own row.
/// So many of its newest deliveries are counted.
pub(super) async fn read(visitor: &Visitor, webhook: u64, counted: usize) -> Option<Recent> {
    let path = format!("/webhooks/{webhook}/deliveries?limit={counted}");
    let List::<Delivery> { items, .. } = visitor.get(&path).await.ok()?;
    Some(Recent::of(items.iter().flat_map(|delivery| &delivery.attempts)))
}

impl Recent {
    fn of<'a>(attempts: impl Iterator<Item = &'a Attempt> + Clone) -> Self {
        let times = attempts.clone().map(|attempt| attempt.at.as_millisecond());
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Self::default();
        };
        let span = (last - first + 1).max(1);
        let mut bars = [Bar::default(); BARS];
        for attempt in attempts {
            let place = (attempt.at.as_millisecond() - first) * BARS as i64 / span;
            let Some(bar) = usize::try_from(place).ok().and_then(|place| bars.get_mut(place))
            else {
                continue;
            };
            if attempt.error.is_none() { bar.good += 1 } else { bar.bad += 1 }
        }
        let (good, bad) =
            bars.iter().fold((0, 0), |(good, bad), bar| (good + bar.good, bad + bar.bad));
        Self { good, bad, since: Timestamp::from_millisecond(first).ok(), bars }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(second: i64, has_failed: bool) -> Attempt {
        let at = Timestamp::from_second(second).unwrap();
        Attempt { at, error: has_failed.then_some(IgnoredAny) }
    }

    #[test]
    fn a_failure_may_say_anything() {
        let attempt: Attempt = serde_json::from_str(
            r#"{"at":"2026-01-01T00:00:00Z","error":{"code":"timeout","message":"too late"}}"#,
        )
        .unwrap();
        assert!(attempt.error.is_some());
    }

    #[test]
    fn attempts_are_counted_where_they_lie() {
        let attempts: Vec<_> = (0..24).map(|hour| attempt(hour * 3600, hour == 23)).collect();
        let recent = Recent::of(attempts.iter());
        assert_eq!((recent.good, recent.bad), (23, 1));
        assert_eq!(recent.bars[0], Bar { good: 2, bad: 0 });
        assert_eq!(recent.bars[11], Bar { good: 1, bad: 1 });
        assert_eq!(Recent::of([].iter()), Recent::default());
    }

    #[test]
    fn what_is_not_all_is_not_a_hundred_percent() {
        assert_eq!(percent(9_999, 1), "99.9%");
        assert_eq!((percent(3, 0), percent(0, 3)), ("100%".to_owned(), "0%".to_owned()));
    }
}
