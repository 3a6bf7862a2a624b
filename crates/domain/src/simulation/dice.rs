//! Chance that repeats itself: the same seed gives the same throws. It is SplitMix64
//! (<https://prng.di.unimi.it/splitmix64.c>), which is quick and even enough for sample data, and
//! no source of secrets.

/// Dice that were thrown with a seed.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

/// The things that dice are thrown for. Each of them has throws of its own, so that none depends on
/// how many throws another one takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// The nth event.
    Event(u32),
    /// The nth customer.
    Customer(u32),
    /// The process of this place in the list.
    Process(u32),
    /// The nth form that a customer fills in.
    Step(u32),
    /// The pauses of a timeline.
    Pauses,
}

impl Dice {
    /// The dice of a thing, under a seed.
    pub(super) fn of(seed: u32, about: About) -> Self {
        let (kind, nth) = match about {
            About::Event(nth) => (1, nth),
            About::Customer(nth) => (2, nth),
            About::Process(nth) => (3, nth),
            About::Step(nth) => (4, nth),
            About::Pauses => (5, 0),
        };
        let mut dice = Self(u64::from(seed));
        let mixed = dice.next() ^ (kind << 32 | u64::from(nth));
        Self(Self(mixed).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Throws a number below this one, and 0 below 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Throws a number from the least to the most, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Throws true once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Chooses one of these.
    pub(super) fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        const { assert!(N > 0) };
        all[self.place_in(N)]
    }

    /// Chooses a place in a list of this length.
    pub(super) fn place_in(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// Throws so many hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }

    /// Throws the id of a thing of Spektr: an object id of MongoDB.
    pub(super) fn object_id(&mut self) -> String {
        self.hex(24)
    }

    /// Throws the id of a thing of Dataspike, which has the form of a UUIDv7.
    pub(super) fn uuid(&mut self) -> String {
        let [time, clock, node] = [self.hex(11), self.hex(6), self.hex(12)];
        format!("0{}-{}-7{}-a{}-{node}", &time[..7], &time[7..], &clock[..3], &clock[3..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_another_one_something_else() {
        let throw = |seed, about| Dice::of(seed, about).hex(40);
        assert_eq!(throw(7, About::Event(3)), throw(7, About::Event(3)));
        let others = [
            throw(8, About::Event(3)),
            throw(7, About::Event(4)),
            throw(7, About::Customer(3)),
            throw(7, About::Pauses),
        ];
        assert!(others.iter().all(|other| *other != throw(7, About::Event(3))));
    }

    #[test]
    fn throws_are_in_their_bounds_and_reach_them() {
        let mut dice = Dice::of(1, About::Pauses);
        let thrown: Vec<u64> = (0..200).map(|_| dice.between(3, 5)).collect();
        assert_eq!((thrown.iter().min(), thrown.iter().max()), (Some(&3), Some(&5)));
        assert_eq!(dice.below(0), 0);
        let uuid: uuid::Uuid = dice.uuid().parse().unwrap();
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(dice.object_id().len(), 24);
    }
}
