//! The secrets that a webhook's requests are signed with, and how a new one takes over.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Invalid,
    input::{Fields, Number, Optional, body},
};

/// The number of older secrets that may sign next to the current one. Every one of them is a
/// signature in each request's header.
pub const MAX_OLDER: usize = 3;
/// The overlap of a rotation that does not say how long.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The secrets of a webhook: plain or sealed, which is `S`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets<S> {
    /// The newest, which signs without an end.
    pub current: S,
    /// Those before it, newest first. Some may have ended.
    #[serde(default = "Vec::new")]
    pub older: Vec<Older<S>>,
    /// True if the secret before the newest is not among the older ones, because it has ended before
    /// those that earlier rotations promised. It may have leaked, and none of them takes its place.
    #[serde(default, alias = "at_once", skip_serializing_if = "std::ops::Not::not")]
    pub predecessor_ended: bool,
}

/// A secret that another one has followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Older<S> {
    /// The secret that was current before.
    pub secret: S,
    /// It signs before this time, and no more from then on.
    pub until: Timestamp,
}

impl<S> Secrets<S> {
    /// The secrets of a new webhook.
    pub fn new(current: S) -> Self {
        Self { current, older: Vec::new(), predecessor_ended: false }
    }

    /// All of them, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        std::iter::once(&self.current).chain(self.older.iter().map(|older| &older.secret))
    }

    /// Those that sign `now`, newest first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &S> {
        let valid = self.older.iter().filter(move |older| now < older.until);
        std::iter::once(&self.current).chain(valid.map(|older| &older.secret))
    }

    /// The secret before the newest, as long as it signs; then the newest.
    pub fn outgoing(&self, now: Timestamp) -> &S {
        match self.older.first() {
            Some(before) if now < before.until && !self.predecessor_ended => &before.secret,
            _ => &self.current,
        }
    }

    /// Without those that have ended.
    pub fn pruned(self, now: Timestamp) -> Self {
        let ended = self.older.first().is_some_and(|before| before.until <= now);
        let older: Vec<_> = self.older.into_iter().filter(|older| now < older.until).collect();
        let predecessor_ended = (self.predecessor_ended || ended) && !older.is_empty();
        Self { current: self.current, older, predecessor_ended }
    }

    /// Returns the time at which the last of the older ones ends, or has ended.
    pub fn older_until(&self) -> Option<Timestamp> {
        self.older.iter().map(|older| older.until).max()
    }

    /// Lets `new` sign from `now` on, and the current one for the overlap. What an earlier rotation
    /// promised is kept: the others end when they were to end. So it is refused when [`MAX_OLDER`]
    /// are valid already, unless there is no overlap, which is always possible.
    pub fn rotate(self, new: S, now: Timestamp, overlap: Duration) -> Result<Self, Invalid> {
        let Self { current, mut older, .. } = self.pruned(now);
        if !overlap.is_zero() {
            if let Some(first_end) =
                older.iter().map(|older| older.until).min().filter(|_| older.len() >= MAX_OLDER)
            {
                let message = format!(
                    "{MAX_OLDER} older secrets are still valid, the first of them until \
                     {first_end}: rotate then, or with overlapSeconds 0"
                );
                return Err(Invalid::conflicting(
                    Some("overlapSeconds"),
                    "too_many_secrets",
                    message,
                ));
            }
            // Whole seconds of at most a week.
            older.insert(0, Older { secret: current, until: now + overlap });
        }
        let predecessor_ended = overlap.is_zero() && !older.is_empty();
        Ok(Self { current: new, older, predecessor_ended })
    }

    /// The same secrets in another form.
    pub fn try_map<T, E>(
        &self,
        mut convert: impl FnMut(&S) -> Result<T, E>,
    ) -> Result<Secrets<T>, E> {
        let current = convert(&self.current)?;
        let older = self
            .older
            .iter()
            .map(|older| Ok(Older { secret: convert(&older.secret)?, until: older.until }));
        let older = older.collect::<Result<_, E>>()?;
        Ok(Secrets { current, older, predecessor_ended: self.predecessor_ended })
    }
}

body! {
    /// The body of a call that rotates a secret. The body may be left out.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct RotateSecret {
        /// The time for which the replaced secret signs too, in seconds: up to seven days. 86,400
        /// (a day) unless given.
        pub overlap_seconds: Option<u64> as Optional<Number<u64, 0, 604_800>>,
    }
}

impl RotateSecret {
    /// Reads the body of the call, which may be empty.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        Fields::of_optional_body(body)?.map_or_else(|| Ok(Self::default()), Self::of_fields)
    }

    /// Returns the time for which the secret before goes on signing.
    pub fn overlap(self) -> Duration {
        self.overlap_seconds.map_or(DEFAULT_OVERLAP, Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn signing(secrets: &Secrets<u32>, second: i64) -> Vec<u32> {
        secrets.signing(at(second)).copied().collect()
    }

    #[test]
    fn the_secret_before_signs_too_until_the_overlap_ends() {
        let secrets = Secrets::new(1).rotate(2, at(100), seconds(10)).unwrap();
        assert_eq!(signing(&secrets, 100), [2, 1]);
        assert_eq!(signing(&secrets, 109), [2, 1]);
        assert_eq!(signing(&secrets, 110), [2]);
        assert_eq!(secrets.older_until(), Some(at(110)));
    }

    #[test]
    fn the_name_that_was_stored_before_is_read() {
        let json =
            r#"{"current":3,"older":[{"secret":1,"until":"2026-01-01T00:00:00Z"}],"at_once":true}"#;
        let secrets: Secrets<u32> = serde_json::from_str(json).unwrap();
        assert_eq!(*secrets.outgoing(at(0)), 3);
    }

    #[test]
    fn without_overlap_only_the_new_one_signs() {
        let secrets = Secrets::new(1).rotate(2, at(100), Duration::ZERO).unwrap();
        assert_eq!(secrets, Secrets::new(2));
    }

    #[test]
    fn an_older_promise_does_not_make_a_secret_the_one_before_the_newest() {
        let first = Secrets::new(1).rotate(2, at(0), seconds(1000)).unwrap();
        let short = first.clone().rotate(3, at(1), seconds(10)).unwrap();
        assert_eq!((*short.outgoing(at(10)), *short.outgoing(at(11))), (2, 3));
        assert_eq!(*short.clone().pruned(at(10)).outgoing(at(10)), 2);
        let pruned = short.pruned(at(11));
        assert_eq!((*pruned.outgoing(at(11)), signing(&pruned, 11)), (3, vec![3, 1]));
        let none = first.rotate(3, at(1), Duration::ZERO).unwrap();
        assert_eq!((*none.outgoing(at(1)), signing(&none, 1)), (3, vec![3, 1]));
        let again = pruned.rotate(4, at(12), seconds(10)).unwrap();
        assert_eq!((*again.outgoing(at(12)), *again.outgoing(at(22))), (3, 4));
    }

    #[test]
    fn a_fourth_older_secret_is_refused_until_one_has_ended_unless_there_is_no_overlap() {
        let three = (2..=4).try_fold(Secrets::new(1), |secrets, new| {
            secrets.rotate(new, at(new.into()), seconds(100))
        });
        let three = three.unwrap();
        assert_eq!(signing(&three, 5), [4, 3, 2, 1]);
        let refused = three.clone().rotate(5, at(101), seconds(1)).unwrap_err();
        assert_eq!(
            (refused.code, refused.field.as_deref()),
            ("too_many_secrets", Some("overlapSeconds"))
        );
        assert!(refused.message.contains("1970-01-01T00:01:42Z"), "{}", refused.message);
        assert_eq!(
            signing(&three.clone().rotate(5, at(101), Duration::ZERO).unwrap(), 101),
            [5, 3, 2, 1]
        );
        assert_eq!(signing(&three.rotate(5, at(102), seconds(100)).unwrap(), 102), [5, 4, 3, 2]);
    }

    #[test]
    fn the_body_may_be_empty_and_what_is_wrong_is_named() {
        for nothing in ["", " ", "{}", r#"{"overlapSeconds":null}"#] {
            assert_eq!(
                RotateSecret::parse(nothing.as_bytes()).unwrap().overlap(),
                DEFAULT_OVERLAP,
                "{nothing}"
            );
        }
        for (body, expected) in
            [(r#"{"overlapSeconds":0}"#, 0), (r#"{"overlapSeconds":604800}"#, 604_800)]
        {
            assert_eq!(RotateSecret::parse(body.as_bytes()).unwrap().overlap(), seconds(expected));
        }
        for (body, code) in [
            (r#"{"overlapSeconds":604801}"#, "out_of_range"),
            (r#"{"overlapSeconds":-1}"#, "out_of_range"),
            (r#"{"overlapSeconds":1.5}"#, "wrong_type"),
            (r#"{"overlap":1}"#, "unknown_field"),
            ("[]", "malformed_json"),
        ] {
            assert_eq!(RotateSecret::parse(body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }

    proptest! {
        /// Whatever rotations come when: the newest signs first, each older one exactly until its
        /// promised end, and never more than the bound at once.
        #[test]
        fn every_promise_is_kept(
            rotations in prop::collection::vec((0_u64..50, 0_u64..100), 0..20)
        ) {
            let (mut secrets, mut now) = (Secrets::new(0), 0);
            let mut promised: Vec<(u32, i64)> = Vec::new();
            for (new, (passed, overlap)) in (1..).zip(rotations) {
                now += i64::try_from(passed).unwrap();
                let current = secrets.current;
                if let Ok(rotated) = secrets.clone().rotate(new, at(now), seconds(overlap)) {
                    promised.insert(0, (current, now + i64::try_from(overlap).unwrap()));
                    secrets = rotated;
                }
                let valid = promised.iter().filter(|(_, until)| now < *until).map(|(secret, _)| *secret);
                let expected: Vec<u32> = [secrets.current].into_iter().chain(valid).collect();
                prop_assert_eq!(signing(&secrets, now), expected.clone());
                prop_assert!(expected.len() <= 1 + MAX_OLDER);
            }
            let json = serde_json::to_string(&secrets).unwrap();
            prop_assert_eq!(serde_json::from_str::<Secrets<u32>>(&json).unwrap(), secrets);
        }
    }
}
