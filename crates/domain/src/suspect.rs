//! Messages that may kill the function that handles them.
//!
//! A function that runs out of time or memory, or crashes, tells no message's fate, and takes the other messages of its batch
//! along. The receive count alone does not tell which one it was: throttles and other faults of ours raise it too. So a message that
//! has come a few times is a suspect. That the handling of a suspect begins is written down before, and forgotten when it ends
//! whatever way, so what is written down counts the functions that died with it. A suspect that nothing is written about is
//! handled together with others of that sort, after what is no suspect is done; one that saw a function die is handled alone; one
//! that saw several die in a row becomes a dead letter.

use std::time::Duration;

/// How often a message has to have come to be a suspect.
const SUSPECT_FROM: u32 = 3;
/// How many functions may die in a row with a suspect.
pub const MAX_DEATHS: u32 = 3;
/// How much time has to be left for work when a suspect is begun: to write that down, to handle it, and to forget it. A function
/// with less could be killed because its time is over, and that would count against the suspect.
const TIME: Duration = Duration::from_secs(8);
/// How much of the time for work is kept for forgetting a suspect.
pub const FORGETTING: Duration = Duration::from_secs(3);

/// When a message of a batch is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// First: it is no suspect.
    First,
    /// Then, together with all others of this sort.
    Together,
    /// At last, and alone.
    Alone,
    /// Not in this batch, for the sake of the one that is handled alone. It comes again soon.
    Later,
    /// Never: it has to become a dead letter.
    GiveUp,
}

/// Whether a message that has been received this often, this time included, is a suspect.
pub fn is_suspect(receives: u32) -> bool {
    receives >= SUSPECT_FROM
}

/// Whether a suspect may be begun with so much time left for work.
pub fn can_begin(time_left: Duration) -> bool {
    time_left >= TIME
}

/// When each message of a batch is handled, by how many functions have died in a row with it; none for one that is no suspect.
pub fn turns(deaths: impl IntoIterator<Item = Option<u32>>) -> Vec<Turn> {
    let mut is_taken = false;
    let turn = |deaths: Option<u32>| match deaths {
        None => Turn::First,
        Some(0) => Turn::Together,
        Some(MAX_DEATHS..) => Turn::GiveUp,
        Some(_) if std::mem::replace(&mut is_taken, true) => Turn::Later,
        Some(_) => Turn::Alone,
    };
    deaths.into_iter().map(turn).collect()
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
        assert_eq!([7, 8, 27].map(|seconds| can_begin(Duration::from_secs(seconds))), [false, true, true]);
    }

    #[test]
    fn each_message_has_the_turn_that_its_deaths_ask_for() {
        let deaths = [None, Some(0), Some(2), Some(0), Some(1), Some(3), None, Some(4)];
        use Turn::{Alone, First, GiveUp, Later, Together};
        assert_eq!(turns(deaths), [First, Together, Alone, Together, Later, GiveUp, First, GiveUp]);
        assert_eq!(turns([]), []);
    }

    /// Batches of messages that come again until they are gone, of which some kill each function that handles them.
    fn rounds(kills: &[bool]) -> Vec<usize> {
        struct Message {
            at: usize,
            receives: u32,
            deaths: u32,
        }
        let mut left: Vec<_> = (0..kills.len()).map(|at| Message { at, receives: 0, deaths: 0 }).collect();
        let mut gone = vec![0; kills.len()];
        for round in 1.. {
            left.iter_mut().for_each(|message| message.receives += 1);
            let known = left.iter().map(|message| is_suspect(message.receives).then_some(message.deaths));
            let turns = turns(known);
            let mut done: Vec<usize> =
                (0..left.len()).filter(|nth| turns[*nth] == Turn::GiveUp).map(|nth| left[nth].at).collect();
            for sort in [Turn::First, Turn::Together, Turn::Alone] {
                let group: Vec<usize> = (0..left.len()).filter(|nth| turns[*nth] == sort).collect();
                if group.iter().any(|nth| kills[left[*nth].at]) {
                    let counted = group.iter().filter(|_| sort != Turn::First);
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
        fn what_kills_is_given_up_after_a_few_deaths_and_the_others_are_handled(kills in prop::collection::vec(any::<bool>(), 1..=10)) {
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
