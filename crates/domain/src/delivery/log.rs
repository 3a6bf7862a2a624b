//! The deliveries of all webhooks of a workspace, newest first.
//!
//! They are merged from two sources. One follows the events, from the newest to the oldest, and has
//! for each event the webhooks that it was owed to, in the order of their ids: so it also has what
//! was never tried. The other one has what was active late, in the order of that activity: retries,
//! replays, and what waited. A delivery that was active late is in the second one alone. Each source
//! has an order of its own, so the cursor of a page has a place in each of them.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;

use crate::id::{DeliveryId, EventId, WebhookId};

/// The place where the list goes on. Its text has the three ids, separated by dots. What is not
/// known yet is a `-`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last delivery of the first source: its event and its webhook.
    pub owed: Option<(EventId, WebhookId)>,
    /// The last delivery of the second source.
    pub late: Option<DeliveryId>,
}

/// The error about a text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a list of deliveries")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owed {
            None => f.write_str("-.-.")?,
            Some((event, webhook)) => write!(f, "{event}.{webhook}.")?,
        }
        match self.late {
            None => f.write_str("-"),
            Some(late) => late.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let parts: Vec<&str> = text.split('.').collect();
        let [event, webhook, late] = parts[..] else { return Err(NoCursor) };
        let owed = match (event, webhook) {
            ("-", "-") => None,
            _ => {
                Some((event.parse().map_err(|_| NoCursor)?, webhook.parse().map_err(|_| NoCursor)?))
            }
        };
        let late = match late {
            "-" => None,
            late => Some(late.parse().map_err(|_| NoCursor)?),
        };
        Ok(Self { owed, late })
    }
}

/// Tells whether a delivery without a record can still be owed: a record is kept for this long after
/// its event, at the least, and events are kept for longer.
pub fn may_be_owed(event: EventId, retention: Duration, now: Timestamp) -> bool {
    now < event.time() + retention
}

/// The part of a source that was read, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<P, R> {
    /// The rows, each with its place in the source and its time.
    pub rows: Vec<(P, Timestamp, R)>,
    /// The place and the time up to which the source was looked through; none if to its end.
    pub up_to: Option<(P, Timestamp)>,
}

impl<P, R> Default for Part<P, R> {
    /// A source that has nothing.
    fn default() -> Self {
        Self { rows: Vec::new(), up_to: None }
    }
}

/// A page of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Merged<R> {
    /// The rows, newest first.
    pub rows: Vec<R>,
    /// The cursor of the next page; none on the last one.
    pub next: Option<Cursor>,
}

/// Merges a page of at most `limit` rows. It ends where one of the sources was read no further, and
/// `before` is the cursor that the sources were read with.
pub fn merge<R>(
    limit: usize,
    before: Cursor,
    owed: Part<(EventId, WebhookId), R>,
    late: Part<DeliveryId, R>,
) -> Merged<R> {
    let mut next = before;
    let mut rows = Vec::new();
    let (owed_end, late_end) = (owed.up_to, late.up_to);
    let (mut owed, mut late) = (owed.rows.into_iter().peekable(), late.rows.into_iter().peekable());
    // Nothing that is older than this was read of one of the sources.
    let known_to = [owed_end.map(|(_, time)| time), late_end.map(|(_, time)| time)];
    let known_to = known_to.into_iter().flatten().max();
    let is_known = |time: Timestamp| known_to.is_none_or(|known_to| time >= known_to);
    while rows.len() < limit {
        let times = (owed.peek().map(|(_, time, _)| *time), late.peek().map(|(_, time, _)| *time));
        let is_owed_first = times.0 >= times.1;
        if !times.0.max(times.1).is_some_and(is_known) {
            break;
        }
        if let Some((place, _, row)) = owed.next_if(|_| is_owed_first) {
            next.owed = Some(place);
            rows.push(row);
        } else if let Some((place, _, row)) = late.next() {
            next.late = Some(place);
            rows.push(row);
        }
    }
    let (is_owed_over, is_late_over) = (owed.peek().is_none(), late.peek().is_none());
    // A source of which everything that was read is shown goes on where its reading ended.
    if is_owed_over {
        next.owed = owed_end.map(|(place, _)| place).or(next.owed);
    }
    if is_late_over {
        next.late = late_end.map(|(place, _)| place).or(next.late);
    }
    let is_end = is_owed_over && is_late_over && owed_end.is_none() && late_end.is_none();
    Merged { rows, next: (!is_end).then_some(next) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Cause;

    type Owed = (EventId, WebhookId);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_690_000_000_000 + ms).unwrap()
    }

    fn event(ms: i64, nth: u8) -> EventId {
        EventId::new(at(ms), &[nth; 10])
    }

    fn late(ms: i64, nth: u8) -> DeliveryId {
        DeliveryId::derive(event(0, nth), WebhookId(1), Cause::Published).placed_at(at(ms))
    }

    /// Reads a part of a source as the API does: so many rows behind the cursor.
    fn part<P: Copy + PartialEq>(
        all: &[(P, Timestamp, usize)],
        after: Option<P>,
        most: usize,
    ) -> Part<P, usize> {
        let from = all.iter().position(|(place, ..)| Some(*place) == after).map_or(0, |at| at + 1);
        let rest = &all[from..];
        let rows = rest[..rest.len().min(most)].to_vec();
        let last = rows.last().map(|(place, time, _)| (*place, *time));
        Part { up_to: last.filter(|_| rows.len() < rest.len()), rows }
    }

    #[test]
    fn a_cursor_has_a_place_in_each_source() {
        let id = "018566ad-3f93-7f0b-9ed5-36f7ac81ef7b";
        let place = (id.parse().unwrap(), WebhookId(7));
        let cases = [
            ("-.-.-".to_owned(), Cursor::default()),
            (format!("{id}.7.-"), Cursor { owed: Some(place), late: None }),
            (format!("-.-.{id}"), Cursor { owed: None, late: id.parse().ok() }),
        ];
        for (text, cursor) in cases {
            assert_eq!((cursor.to_string(), text.parse()), (text.clone(), Ok(cursor)));
        }
        for wrong in ["", id, "-.7.-", &format!("{id}.-.-"), "-.-.x", "-.-.-.-"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NoCursor), "{wrong}");
        }
    }

    #[test]
    fn a_record_that_is_gone_is_no_delivery_that_is_owed() {
        let day = Duration::from_secs(24 * 60 * 60);
        let is_owed = |days: u32| may_be_owed(event(0, 1), day * 30, at(0) + day * days);
        assert_eq!([0, 29, 30, 36].map(is_owed), [true, true, false, false]);
    }

    #[test]
    fn a_page_without_rows_goes_on_where_the_sources_were_read_to() {
        let owed: Part<Owed, u8> =
            Part { rows: Vec::new(), up_to: Some(((event(5, 0), WebhookId(9)), at(5))) };
        let late = Part { rows: vec![(late(3, 0), at(3), 1)], up_to: None };
        let merged = merge(10, Cursor::default(), owed, late);
        let next = Cursor { owed: Some((event(5, 0), WebhookId(9))), late: None };
        assert_eq!(merged, Merged { rows: Vec::new(), next: Some(next) });
    }

    proptest! {
        #[test]
        fn each_row_comes_once_and_the_newest_first_over_all_pages(
            owed in prop::collection::vec((0..9_i64, 0..4_u8), 0..30),
            lates in prop::collection::btree_set((0..9_i64, 0..9_u8), 0..30),
            limit in 1..7_usize,
            most in 1..7_usize,
        ) {
            let mut all_owed: Vec<(Owed, Timestamp, usize)> = Vec::new();
            for (nth, (ms, entropy)) in owed.iter().enumerate() {
                let place = (event(*ms, *entropy), WebhookId(nth as u64));
                all_owed.push((place, at(*ms), nth));
            }
            all_owed.sort_by_key(|((event, webhook), ..)| (std::cmp::Reverse(*event), *webhook));
            let mut all_late: Vec<(DeliveryId, Timestamp, usize)> = Vec::new();
            for (nth, (ms, entropy)) in lates.iter().enumerate() {
                all_late.push((late(*ms, *entropy), at(*ms), 1000 + nth));
            }
            all_late.sort_by_key(|(place, ..)| std::cmp::Reverse(*place));
            let times = |nth: usize| -> Timestamp {
                let all = all_owed.iter().map(|(_, time, row)| (*row, *time));
                let all = all.chain(all_late.iter().map(|(_, time, row)| (*row, *time)));
                all.into_iter().find(|(row, _)| *row == nth).unwrap().1
            };
            let (mut before, mut shown) = (Cursor::default(), Vec::new());
            for _ in 0..200 {
                let merged = merge(
                    limit,
                    before,
                    part(&all_owed, before.owed, most),
                    part(&all_late, before.late, most),
                );
                prop_assert!(merged.rows.len() <= limit);
                shown.extend(merged.rows);
                let Some(next) = merged.next else { break };
                prop_assert_ne!(next, before, "each page goes on");
                before = next;
            }
            prop_assert!(shown.is_sorted_by_key(|row| std::cmp::Reverse(times(*row))));
            let mut rows = shown.clone();
            rows.sort_unstable();
            let mut expected: Vec<usize> = (0..owed.len()).chain((0..lates.len()).map(|n| 1000 + n)).collect();
            expected.sort_unstable();
            prop_assert_eq!(rows, expected);
        }
    }
}
