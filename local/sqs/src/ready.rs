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

    pub(crate) fn pop(&mut self) -> Option<u64> {
        match self.line.pop_front()? {
            Turn::One(key) => Some(key),
            Turn::Group(group) => {
                let keys = self.groups.get_mut(&group)?;
                let key = keys.pop_front();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(ready: &mut Ready) -> Vec<u64> {
        std::iter::from_fn(|| ready.pop()).collect()
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
        assert_eq!(ready.pop(), Some(1));
        assert_eq!(ready.pop(), None);
        ready.push(2, Some(&a));
        assert_eq!(ready.pop(), Some(2));
    }
}
