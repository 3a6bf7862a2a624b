//! An environment remembers the API keys that it has looked up, so that not every call reads its
//! key.
//!
//! A key that exists is believed for 5 seconds, so a revoked one is of no use anywhere after that.
//! A key that does not exist is remembered for a second. That hides no new key: nobody knows a key
//! before it is stored, except the first one, whose secret is made before it.
//!
//! Only hashes of keys are kept, and no key itself.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use crate::access::api_key::{KeyHash, KeyInfo};

/// A key that was found is used for this long.
pub const BELIEVED: Duration = Duration::from_secs(5);
/// A key that was not found is refused for this long.
pub const REFUSED: Duration = Duration::from_secs(1);
/// At most this many keys are remembered.
const MOST: usize = 1000;

/// The answers to earlier look-ups.
#[derive(Debug, Default)]
pub struct KnownKeys {
    answers: HashMap<KeyHash, Answer>,
}

#[derive(Debug)]
struct Answer {
    info: Option<KeyInfo>,
    /// The time at which the look-up began.
    asked_at: Timestamp,
}

/// The knowledge about a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// The key existed a moment ago.
    Key(KeyInfo),
    /// The key did not exist a moment ago.
    NoKey,
    /// Nothing is known: the key has to be looked up.
    Nothing,
}

impl KnownKeys {
    /// The knowledge about the key with this hash.
    pub fn find(&self, hash: &KeyHash, now: Timestamp) -> Known {
        match self.answers.get(hash).filter(|answer| answer.is_fresh(now)) {
            Some(Answer { info: Some(info), .. }) => Known::Key(info.clone()),
            Some(Answer { info: None, .. }) => Known::NoKey,
            None => Known::Nothing,
        }
    }

    /// Remembers the answer of a look-up that began at `asked_at`.
    pub fn learn(&mut self, hash: KeyHash, info: Option<KeyInfo>, asked_at: Timestamp) {
        if self.answers.len() >= MOST {
            self.answers.retain(|_, answer| answer.is_fresh(asked_at));
        }
        if self.answers.len() >= MOST {
            self.answers.retain(|_, answer| answer.info.is_some());
        }
        if self.answers.len() >= MOST {
            self.answers.clear();
        }
        self.answers.insert(hash, Answer { info, asked_at });
    }

    /// Forgets a key that has been revoked here.
    pub fn forget(&mut self, hash: &KeyHash) {
        self.answers.remove(hash);
    }
}

impl Answer {
    /// Tells whether the answer may still be used. A clock that was set back makes nothing last
    /// longer.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let life = if self.info.is_some() { BELIEVED } else { REFUSED };
        self.asked_at <= now && now < self.asked_at + life
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        access::workspace::{Environment, Workspace},
        id::KeyId,
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn hash(nth: usize) -> KeyHash {
        KeyHash::from(format!("{nth:064x}"))
    }

    fn info() -> KeyInfo {
        KeyInfo {
            id: KeyId::new(at(0), &[7; 10]),
            workspace: Workspace::parse("acme").unwrap(),
            name: None,
            scopes: BTreeSet::new(),
            environment: Environment::Live,
            created_at: at(0),
        }
    }

    #[test]
    fn a_key_is_believed_for_5_seconds_and_its_absence_for_one() {
        let mut known = KnownKeys::default();
        assert_eq!(known.find(&hash(1), at(10_000)), Known::Nothing);
        known.learn(hash(1), Some(info()), at(10_000));
        known.learn(hash(2), None, at(10_000));
        assert_eq!(known.find(&hash(1), at(14_999)), Known::Key(info()));
        assert_eq!(known.find(&hash(1), at(15_000)), Known::Nothing);
        assert_eq!(known.find(&hash(2), at(10_999)), Known::NoKey);
        assert_eq!(known.find(&hash(2), at(11_000)), Known::Nothing);
        assert_eq!(known.find(&hash(1), at(9_999)), Known::Nothing, "the clock was set back");
    }

    #[test]
    fn a_key_that_is_revoked_here_is_forgotten_at_once() {
        let mut known = KnownKeys::default();
        known.learn(hash(1), Some(info()), at(0));
        known.forget(&hash(1));
        assert_eq!(known.find(&hash(1), at(0)), Known::Nothing);
    }

    #[test]
    fn a_flood_of_unknown_keys_takes_a_bounded_memory_and_drives_no_known_one_out() {
        let mut known = KnownKeys::default();
        known.learn(hash(0), Some(info()), at(0));
        for nth in 1..10 * MOST {
            known.learn(hash(nth), None, at(1));
            assert!(known.answers.len() <= MOST);
        }
        assert_eq!(known.find(&hash(0), at(2)), Known::Key(info()));
        for nth in 1..10 * MOST {
            known.learn(hash(nth), Some(info()), at(2));
            assert!(known.answers.len() <= MOST);
        }
    }
}
