//! The function `release` looks every minute for deliveries and lanes that are due, in several
//! parts at once.

use std::time::Duration;

/// `release` looks this far ahead: until its next call, and some seconds for the start of that.
pub const AHEAD: Duration = Duration::from_secs(75);

/// The number of parts. Each part has partitions of its own.
pub(crate) const PARTS: u8 = 8;
/// The number of partitions of due items that each part has.
pub(crate) const SHARDS_A_PART: u8 = 8;

/// One of the parts that `release` works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part(u8);

impl Part {
    /// The part of this number, from 0 to 7.
    pub fn new(number: u64) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number < PARTS).map(Self)
    }

    /// Every part.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTS).map(Self)
    }

    /// The partitions of due items that the part works off.
    pub fn shards(self) -> impl Iterator<Item = u8> {
        let first = self.0 * SHARDS_A_PART;
        first..first + SHARDS_A_PART
    }

    /// The part's share of `count` partitions of another kind.
    pub fn share_of(self, count: u8) -> impl Iterator<Item = u8> {
        (self.0..count).step_by(usize::from(PARTS))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_parts_do_all_partitions_and_none_twice() {
        let shards: Vec<u8> = Part::all().flat_map(Part::shards).collect();
        assert_eq!(shards, (0..64).collect::<Vec<_>>());
        let others: BTreeSet<u8> = Part::all().flat_map(|part| part.share_of(16)).collect();
        assert_eq!(
            (others.len(), Part::all().flat_map(|part| part.share_of(16)).count()),
            (16, 16)
        );
        assert_eq!(Part::all().map(|part| part.share_of(8).count()).collect::<Vec<_>>(), [1; 8]);
        assert_eq!((Part::new(7), Part::new(8)), (Part::all().last(), None));
    }
}
