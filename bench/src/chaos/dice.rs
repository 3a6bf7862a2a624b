//! Chance comes from a seed, so that a run can be repeated as far as the machine's timing allows.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64 (Steele, Lea, Flood 2014), which makes a good sequence from any seed.
#[derive(Debug)]
pub(super) struct Dice(AtomicU64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Rolls a number below `sides`, which must not be 0.
    pub(super) fn roll(&self, sides: usize) -> usize {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_rolls_and_each_side_comes_up() {
        let (one, two) = (Dice::new(7), Dice::new(7));
        let rolls: Vec<usize> = (0..1000).map(|_| one.roll(6)).collect();
        assert!(rolls.iter().all(|roll| *roll == two.roll(6)));
        for side in 0..6 {
            assert!(rolls.contains(&side), "{side} never came up");
        }
    }
}
