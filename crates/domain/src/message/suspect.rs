//! Some messages may kill the function that handles them. These rules find them.
//!
//! A function that runs out of time or memory, or crashes, tells no message's fate, and takes the
//! other messages of its batch along. The receive count alone does not tell which message it was,
//! because throttles and other faults of ours raise it too. So a message that was received a few
//! times is a suspect. Before a suspect is handled, a record of that is written, and it is deleted
//! when the handling ends, whether well or not. So the records count the functions that died with
//! the suspect. A suspect without a record is handled together with others like it, after the
//! messages that are no suspects; one that saw a function die is handled alone; one that saw
//! several die in a row becomes a dead letter.

use std::time::Duration;

/// A message that was received this often is a suspect.
const SUSPECT_FROM: u32 = 3;
/// A suspect with which this many functions died in a row is given up.
pub const MAX_DEATHS: u32 = 3;
/// Time for work that has to be left when a suspect is begun: to write its record, to handle it,
/// and to delete the record. A function with less could be killed because its time is over, and
/// that would count against the suspect.
const TIME: Duration = Duration::from_secs(8);
/// The part of the time for work that is kept for deleting a suspect's record.
pub const FORGETTING: Duration = Duration::from_secs(3);

/// The way in which a message of a batch is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// First of all: the message is no suspect.
    First,
    /// After those, together with all others of this sort.
    Together,
    /// At the end, and alone.
    Alone,
    /// Not in this batch, for the sake of the one that is handled alone. It comes again soon.
    Later,
    /// Never: the message has to become a dead letter.
    GiveUp,
}

/// Tells whether a message that has been received this often, this time included, is a suspect.
pub fn is_suspect(receives: u32) -> bool {
    receives >= SUSPECT_FROM
}

/// Tells whether so much time for work is left that a suspect may be begun.
pub fn can_begin(time_left: Duration) -> bool {
    time_left >= TIME
}

/// Decides how each message of a batch is handled, by the number of functions that have died in a
/// row with it; none for a message that is no suspect.
pub fn handling(deaths: impl IntoIterator<Item = Option<u32>>) -> Vec<Handling> {
    let mut one_is_alone = false;
    let mut handling = Vec::new();
    for deaths in deaths {
        handling.push(match deaths {
            None => Handling::First,
            Some(0) => Handling::Together,
            Some(MAX_DEATHS..) => Handling::GiveUp,
            Some(_) if one_is_alone => Handling::Later,
            Some(_) => {
                one_is_alone = true;
                Handling::Alone
            }
        });
    }
    handling
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_a_suspect_when_it_comes_the_third_time() {
        assert_eq!([0, 1, 2, 3, 100].map(is_suspect), [false, false, false, true, true]);
    }

    #[test]
    fn a_suspect_is_begun_only_with_time_to_handle_and_forget_it() {
        assert_eq!(
            [7, 8, 27].map(|seconds| can_begin(Duration::from_secs(seconds))),
            [false, true, true]
        );
    }

    #[test]
    fn each_message_is_handled_as_its_deaths_ask_for() {
        let deaths = [None, Some(0), Some(2), Some(0), Some(1), Some(3), None, Some(4)];
        use Handling::{Alone, First, GiveUp, Later, Together};
        assert_eq!(
            handling(deaths),
            [First, Together, Alone, Together, Later, GiveUp, First, GiveUp]
        );
        assert_eq!(handling([]), []);
    }

    /// Batches of messages that come again until they are gone, of which some kill each function
    /// that handles them.
    fn rounds(kills: &[bool]) -> Vec<usize> {
        struct Message {
            at: usize,
            receives: u32,
            deaths: u32,
        }
        let mut left: Vec<_> =
            (0..kills.len()).map(|at| Message { at, receives: 0, deaths: 0 }).collect();
        let mut gone = vec![0; kills.len()];
        for round in 1.. {
            left.iter_mut().for_each(|message| message.receives += 1);
            let known =
                left.iter().map(|message| is_suspect(message.receives).then_some(message.deaths));
            let handling = handling(known);
            let mut done: Vec<usize> = (0..left.len())
                .filter(|nth| handling[*nth] == Handling::GiveUp)
                .map(|nth| left[nth].at)
                .collect();
            for sort in [Handling::First, Handling::Together, Handling::Alone] {
                let group: Vec<usize> =
                    (0..left.len()).filter(|nth| handling[*nth] == sort).collect();
                if group.iter().any(|nth| kills[left[*nth].at]) {
                    let counted = group.iter().filter(|_| sort != Handling::First);
                    counted.for_each(|nth| left[*nth].deaths += 1);
                    break;
                }
                done.extend(group.iter().map(|nth| left[*nth].at));
            }
            done.iter().for_each(|at| gone[*at] = round);
            left.retain(|message| !done.contains(&message.at));
            if left.is_empty() {
                break;
            }
        }
        gone
    }

    proptest! {
        #[test]
        fn what_kills_is_given_up_after_a_few_deaths_and_the_others_are_handled(
            kills in prop::collection::vec(any::<bool>(), 1..=10)
        ) {
            let killers = kills.iter().filter(|kills| **kills).count();
            let gone = rounds(&kills);
            for (at, kills) in kills.iter().enumerate() {
                // Without a killer in the batch all are handled in the first round.
                let most = if killers == 0 { 1 } else { 3 + 2 * killers + 10 };
                prop_assert!(gone[at] <= most, "{kills} {gone:?}");
            }
        }
    }
}
