//! Making new inputs of known ones.

/// The longest input.
pub(crate) const LONGEST: usize = 2048;

/// Numbers without a pattern (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    /// Throws that depend on the seed alone.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below this one, which is not 0.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most
    }

    /// One of these, which are not none.
    pub(crate) fn one_of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}

/// Changes an input in one to eight places. `other` is another input, of which parts can come in.
pub(crate) fn mutate(input: &[u8], other: &[u8], words: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..1 << dice.below(4) {
        change(&mut changed, other, words, dice);
    }
    changed.truncate(LONGEST);
    changed
}

fn change(input: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let end = (at + 1 + dice.below(16)).min(input.len());
    match dice.below(9) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = dice.below(256) as u8,
        2 if at < input.len() => input[at] = *dice.one_of(b"\0\x01\x7f\xff\"\\{}[]:,.0919aZ-%@/* "),
        3 => drop(input.drain(at.min(end)..end)),
        4 => {
            let copied = input[at.min(end)..end].to_vec();
            let to = dice.below(input.len() + 1);
            input.splice(to..to, copied);
        }
        5 | 6 if !words.is_empty() => {
            let word = dice.one_of(words).clone();
            // It comes in between, or in place of as much.
            let replaced = if dice.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
            input.splice(at..replaced, word);
        }
        7 if !other.is_empty() => {
            let from = dice.below(other.len());
            let part = &other[from..(from + 1 + dice.below(64)).min(other.len())];
            input.splice(at..at, part.iter().copied());
        }
        _ => {
            let digits = dice.below(1 << 20).to_string();
            input.splice(at..end.max(at), digits.into_bytes());
        }
    }
}
