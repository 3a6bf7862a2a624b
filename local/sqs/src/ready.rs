//! Visible messages are in line to be handed out.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The line is in the order in which messages became visible, with turns between message groups.
///
/// A message group has one turn at a time; after it the group goes to the end of the line. A
/// message without a group is, as in SQS, a group of its own. Keys of messages that are gone may
/// still be in line: the caller skips them.
#[derive(Default)]
pub(crate) struct Ready {
    line: VecDeque<Turn>,
    /// The messages of every group that is in line. None of these lists is empty.
    groups: HashMap<Arc<str>, VecDeque<u64>>,
}

enum Turn {
    One(u64),
    Group(Arc<str>),
}

impl Ready {
    pub(crate) fn push(&mut self, key: u64, group: Option<&Arc<str>>) {
        let Some(group) = group else {
            self.line.push_back(Turn::One(key));
            return;
        };
        if let Some(keys) = self.groups.get_mut(group) {
            keys.push_back(key);
        } else {
            self.groups.insert(group.clone(), VecDeque::from([key]));
            self.line.push_back(Turn::Group(group.clone()));
        }
    }

    /// Takes the next message out. `pick` is told how many are in line and says which one is next;
    /// the first one has the place 0.
    pub(crate) fn pop(&mut self, pick: &dyn Fn(usize) -> usize) -> Option<u64> {
        match take(&mut self.line, pick)? {
            Turn::One(key) => Some(key),
            Turn::Group(group) => {
                let keys = self.groups.get_mut(&group)?;
                let key = take(keys, pick);
                if keys.is_empty() {
                    self.groups.remove(&group);
                } else {
                    self.line.push_back(Turn::Group(group));
                }
                key
            }
        }
    }
}

/// Takes one out of a line. The one at the front changes places with it.
fn take<T>(line: &mut VecDeque<T>, pick: &dyn Fn(usize) -> usize) -> Option<T> {
    if line.len() > 1 {
        line.swap(0, pick(line.len()) % line.len());
    }
    line.pop_front()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(ready: &mut Ready) -> Vec<u64> {
        std::iter::from_fn(|| ready.pop(&|_| 0)).collect()
    }

    #[test]
    fn messages_without_a_group_come_in_order() {
        let mut ready = Ready::default();
        (0..5).for_each(|key| ready.push(key, None));
        assert_eq!(drain(&mut ready), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn groups_take_turns_and_keep_their_own_order() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut ready = Ready::default();
        (0..4).for_each(|key| ready.push(key, Some(&a)));
        (10..12).for_each(|key| ready.push(key, Some(&b)));
        ready.push(20, None);
        assert_eq!(drain(&mut ready), [0, 10, 20, 1, 11, 2, 3]);
    }

    #[test]
    fn a_group_that_ran_empty_can_come_back() {
        let a: Arc<str> = "a".into();
        let mut ready = Ready::default();
        ready.push(1, Some(&a));
        assert_eq!(ready.pop(&|_| 0), Some(1));
        assert_eq!(ready.pop(&|_| 0), None);
        ready.push(2, Some(&a));
        assert_eq!(ready.pop(&|_| 0), Some(2));
    }

    #[test]
    fn another_one_can_be_picked_and_all_come() {
        let a: Arc<str> = "a".into();
        let mut ready = Ready::default();
        (0..3).for_each(|key| ready.push(key, Some(&a)));
        (10..12).for_each(|key| ready.push(key, None));
        let mut keys: Vec<u64> = std::iter::from_fn(|| ready.pop(&|waiting| waiting - 1)).collect();
        assert_eq!(keys[0], 11, "the last one in line");
        keys.sort_unstable();
        assert_eq!(keys, [0, 1, 2, 10, 11]);
    }
}
