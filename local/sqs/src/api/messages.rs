//! Messages are sent and deleted, and their visibility changed, one by one or in batches.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{batch, done};
use crate::{
    ErrorKind, Sqs, SqsError,
    attributes::{MAX_MESSAGE_BYTES, MAX_VISIBILITY_SECONDS},
    digest,
    draft::{Draft, Outgoing},
    queue::Queue,
    state::wall_ms,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<E> {
    queue_url: Option<String>,
    entries: Option<Vec<E>>,
}

/// A call of DeleteMessage or ChangeMessageVisibility, or an entry of their batches.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OnReceipt {
    queue_url: Option<String>,
    id: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

impl Sqs {
    pub(super) fn send_message(&self, request: Outgoing) -> Result<Value, SqsError> {
        let url = request.queue_url.clone();
        let draft = request.check()?;
        let id = self.state().queue_at(url.as_deref())?.send(&draft, Instant::now(), wall_ms())?;
        Ok(sent(&draft, &id))
    }

    pub(super) fn send_message_batch(&self, request: Batch<Outgoing>) -> Result<Value, SqsError> {
        let entries =
            batch::check("SendMessageBatchRequestEntry", request.entries, |entry| entry.id.take())?;
        let bytes: usize = entries.iter().map(|(_, entry)| entry.size()).sum();
        if bytes > MAX_MESSAGE_BYTES {
            let message = format!(
                "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent \
                 {bytes} bytes."
            );
            return Err(SqsError::new(ErrorKind::BatchRequestTooLong, message));
        }
        let drafts: Vec<(String, Result<Draft, SqsError>)> =
            entries.into_iter().map(|(id, entry)| (id, entry.check())).collect();

        let mut state = self.state();
        let queue = state.queue_at(request.queue_url.as_deref())?;
        let (now, wall_ms) = (Instant::now(), wall_ms());
        Ok(batch::answer(drafts.into_iter().map(|(entry, draft)| {
            let answer = draft.and_then(|draft| {
                let id = queue.send(&draft, now, wall_ms)?;
                Ok(sent(&draft, &id))
            });
            (entry, answer)
        })))
    }

    pub(super) fn delete_message(&self, request: OnReceipt) -> Result<Value, SqsError> {
        let mut state = self.state();
        delete(state.queue_at(request.queue_url.as_deref())?, &request)
    }

    pub(super) fn delete_message_batch(
        &self,
        request: Batch<OnReceipt>,
    ) -> Result<Value, SqsError> {
        let entries = batch::check("DeleteMessageBatchRequestEntry", request.entries, |entry| {
            entry.id.take()
        })?;
        let mut state = self.state();
        let queue = state.queue_at(request.queue_url.as_deref())?;
        Ok(batch::answer(entries.into_iter().map(|(id, entry)| (id, delete(queue, &entry)))))
    }

    pub(super) fn change_message_visibility(&self, request: OnReceipt) -> Result<Value, SqsError> {
        let mut state = self.state();
        change_visibility(state.queue_at(request.queue_url.as_deref())?, &request)
    }

    pub(super) fn change_message_visibility_batch(
        &self,
        request: Batch<OnReceipt>,
    ) -> Result<Value, SqsError> {
        let entry_type = "ChangeMessageVisibilityBatchRequestEntry";
        let entries = batch::check(entry_type, request.entries, |entry| entry.id.take())?;
        let mut state = self.state();
        let queue = state.queue_at(request.queue_url.as_deref())?;
        Ok(batch::answer(
            entries.into_iter().map(|(id, entry)| (id, change_visibility(queue, &entry))),
        ))
    }
}

fn sent(draft: &Draft, id: &str) -> Value {
    let content = &draft.content;
    let mut answer = json!({"MessageId": id, "MD5OfMessageBody": content.md5_of_body});
    if let Some(md5) = digest::of_attributes(&content.attributes) {
        answer["MD5OfMessageAttributes"] = Value::String(md5);
    }
    let header = content.trace_header.as_ref().map(|header| ("AWSTraceHeader".to_owned(), header));
    if let Some(md5) = digest::of_attributes(header.iter().map(|(name, header)| (name, *header))) {
        answer["MD5OfMessageSystemAttributes"] = Value::String(md5);
    }
    answer
}

fn receipt_handle(request: &OnReceipt) -> Result<&str, SqsError> {
    request
        .receipt_handle
        .as_deref()
        .filter(|handle| !handle.is_empty())
        .ok_or_else(|| SqsError::missing("ReceiptHandle"))
}

fn delete(queue: &mut Queue, request: &OnReceipt) -> Result<Value, SqsError> {
    queue.delete(receipt_handle(request)?)?;
    Ok(done())
}

fn change_visibility(queue: &mut Queue, request: &OnReceipt) -> Result<Value, SqsError> {
    let handle = receipt_handle(request)?;
    let seconds =
        request.visibility_timeout.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
    match u32::try_from(seconds) {
        Ok(seconds @ 0..=MAX_VISIBILITY_SECONDS) => {
            queue.change_visibility(handle, seconds, Instant::now())?
        }
        _ => {
            let reason =
                format!("VisibilityTimeout must be between 0 and {MAX_VISIBILITY_SECONDS}.");
            return Err(SqsError::value(seconds, "VisibilityTimeout", &reason));
        }
    }
    Ok(done())
}
