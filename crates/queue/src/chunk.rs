//! Messages are divided into batch calls here.

use std::ops::Range;

use crate::{MAX_BATCH_BYTES, MAX_ENTRIES};

/// Divides messages of these sizes, in their order, into ranges that one call can take. A message
/// larger than a call gets a call of its own, which SQS will refuse.
pub(crate) fn chunks(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, size) in sizes.iter().enumerate() {
        if at > start && (at - start == MAX_ENTRIES || bytes + size > MAX_BATCH_BYTES) {
            chunks.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < sizes.len() {
        chunks.push(start..sizes.len());
    }
    chunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_small_messages_are_one_call() {
        assert_eq!(chunks(&[64 * 1024; 10]).len(), 1);
        assert_eq!(chunks(&[1; 11]), [0..10, 10..11]);
        assert_eq!(chunks(&[]), []);
    }

    #[test]
    fn bytes_end_a_call_before_ten_messages_do() {
        assert_eq!(chunks(&[MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES / 2, 1]), [0..2, 2..3]);
        assert_eq!(chunks(&[MAX_BATCH_BYTES + 1, 1]), [0..1, 1..2]);
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_call_that_sqs_takes(
            sizes in prop::collection::vec(0..=MAX_BATCH_BYTES, 0..60)
        ) {
            let chunks = chunks(&sizes);
            prop_assert_eq!(
                chunks.iter().cloned().flatten().collect::<Vec<_>>(),
                (0..sizes.len()).collect::<Vec<_>>()
            );
            for chunk in &chunks {
                prop_assert!(!chunk.is_empty() && chunk.len() <= MAX_ENTRIES);
                prop_assert!(sizes[chunk.clone()].iter().sum::<usize>() <= MAX_BATCH_BYTES);
            }
            for pair in chunks.windows(2) {
                let with_next = sizes[pair[0].start..=pair[1].start].iter().sum::<usize>();
                prop_assert!(
                    pair[0].len() == MAX_ENTRIES || with_next > MAX_BATCH_BYTES,
                    "a call is as full as it can be"
                );
            }
        }
    }
}
