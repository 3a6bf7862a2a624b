use std::time::Duration;

use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;

use crate::{MAX_ENTRIES, Queue, QueueError};

const OPERATION: &str = "ChangeMessageVisibilityBatch";

/// A received message that shall come again.
#[derive(Debug, Clone)]
pub struct Wait<'a> {
    /// The handle of this receive.
    pub receipt_handle: &'a str,
    /// After how long, in whole seconds rounded up.
    pub after: Duration,
}

impl Queue {
    /// Lets received messages come again after their waits. Where that fails, the message comes
    /// when the queue's visibility timeout ends: later than asked for, but it is not lost. Returns
    /// the failures, by their place in `waits`.
    pub async fn come_again(&self, waits: &[Wait<'_>]) -> Vec<(usize, QueueError)> {
        let mut failures = Vec::new();
        for (nth, chunk) in waits.chunks(MAX_ENTRIES).enumerate() {
            let first = nth * MAX_ENTRIES;
            match self.change(chunk).await {
                Ok(failed) => {
                    failures.extend(failed.into_iter().map(|(at, error)| (first + at, error)))
                }
                Err(error) => {
                    failures.extend((0..chunk.len()).map(|at| (first + at, error.clone())))
                }
            }
        }
        failures
    }

    async fn change(&self, waits: &[Wait<'_>]) -> Result<Vec<(usize, QueueError)>, QueueError> {
        let mut entries = Vec::new();
        for (at, wait) in waits.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(wait.receipt_handle)
                .visibility_timeout(whole_seconds(wait.after));
            entries.push(entry.build().map_err(|error| QueueError::incomplete(OPERATION, error))?);
        }
        let call = self
            .client
            .change_message_visibility_batch()
            .queue_url(&*self.url)
            .set_entries(Some(entries));
        let answer = call.send().await.map_err(|error| QueueError::call(OPERATION, error))?;
        let failed = answer.failed.into_iter().filter_map(|entry| {
            let at = entry.id.parse().ok()?;
            Some((at, QueueError::Entry { operation: OPERATION, code: entry.code }))
        });
        Ok(failed.collect())
    }
}

/// SQS counts whole seconds, up to 12 hours.
pub(crate) fn whole_seconds(wait: Duration) -> i32 {
    let up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i32::try_from(up.min(43_200)).unwrap_or(43_200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_bounded() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(1 << 40)), 43_200);
    }
}
