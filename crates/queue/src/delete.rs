use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;

use crate::{MAX_ENTRIES, Queue, QueueError};

const OPERATION: &str = "DeleteMessageBatch";

impl Queue {
    /// Deletes received messages, by the handles of their receives. One that can't be deleted comes
    /// again. Returns the failures, by their place in `receipt_handles`.
    pub async fn delete(&self, receipt_handles: &[&str]) -> Vec<(usize, QueueError)> {
        let mut failures = Vec::new();
        for (nth, chunk) in receipt_handles.chunks(MAX_ENTRIES).enumerate() {
            let first = nth * MAX_ENTRIES;
            match self.delete_chunk(chunk).await {
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

    async fn delete_chunk(
        &self,
        receipt_handles: &[&str],
    ) -> Result<Vec<(usize, QueueError)>, QueueError> {
        let mut entries = Vec::new();
        for (at, receipt_handle) in receipt_handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*receipt_handle);
            entries.push(entry.build().map_err(|error| QueueError::incomplete(OPERATION, error))?);
        }
        let call =
            self.client.delete_message_batch().queue_url(&*self.url).set_entries(Some(entries));
        let answer = call.send().await.map_err(|error| QueueError::call(OPERATION, error))?;
        let failed = answer.failed.into_iter().filter_map(|entry| {
            let at = entry.id.parse().ok()?;
            Some((at, QueueError::Entry { operation: OPERATION, code: entry.code }))
        });
        Ok(failed.collect())
    }
}
