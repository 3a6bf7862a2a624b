//! Messages, requests and receives have ids.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use uuid::{Builder, Uuid};

/// Makes a new UUID. It has to differ from all others, not to be hard to guess, so the standard
/// library's randomly keyed hash of a counter is enough: it needs no system call that could fail.
pub(crate) fn uuid() -> Uuid {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (KEYS.hash_one((count, 0)), KEYS.hash_one((count, 1)));
    Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
        .into_uuid()
}

/// A receipt names one receive of one message in one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The queue's serial number. A queue that is created again under the same name has another
    /// one.
    pub(crate) queue: u64,
    /// The message's key in the queue.
    pub(crate) key: u64,
    /// The number of this receive in its queue, so that every handle is another one.
    pub(crate) receive: u64,
}

const MARK: [u8; 4] = *b"SQS1";

impl Receipt {
    pub(crate) fn encode(self) -> String {
        let mut bytes = MARK.to_vec();
        for number in [self.queue, self.key, self.receive] {
            bytes.extend(number.to_be_bytes());
        }
        BASE64_STANDARD.encode(bytes)
    }

    pub(crate) fn decode(handle: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(handle).ok()?;
        let (numbers, rest) = bytes.strip_prefix(&MARK)?.as_chunks::<8>();
        match (numbers, rest) {
            ([queue, key, receive], []) => {
                let [queue, key, receive] =
                    [queue, key, receive].map(|bytes| u64::from_be_bytes(*bytes));
                Some(Self { queue, key, receive })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_handle_survives_the_way_to_the_consumer_and_back() {
        let receipt = Receipt { queue: 3, key: u64::MAX, receive: 7 };
        assert_eq!(Receipt::decode(&receipt.encode()), Some(receipt));
    }

    #[test]
    fn anything_else_is_not_a_receipt_handle() {
        for garbage in ["", "garbage", "AQEB", &BASE64_STANDARD.encode(b"SQS1 and some more")] {
            assert_eq!(Receipt::decode(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn uuids_differ() {
        let all: std::collections::HashSet<_> = (0..10_000).map(|_| uuid()).collect();
        assert_eq!(all.len(), 10_000);
    }
}
