//! The poller is the event source mapping of a queue: it receives batches, invokes the function,
//! and deletes the messages that succeeded.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
//!
//! It never touches the visibility of what failed: that stands as the function left it, or else
//! runs out. A batch for which Lambda does not invoke the function, because its chain led there too
//! often, has failed too.

use std::{sync::Arc, time::Duration};

use posthaste_local_lambda::{Function, Lineage, sqs_event};
use posthaste_local_sqs::{AttributeValue, MessageAttribute, Received, Sqs};
use posthaste_local_template::QueueMapping;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use crate::bill::{Meter, sqs_requests};

/// A receive waits for as long as SQS allows.
const LONG_POLL: Duration = Duration::from_secs(20);

/// The payload of an invocation has at most this many bytes. Ten messages of 1 MiB are longer.
const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// A record has fewer bytes than these beside its message.
const RECORD_FRAME: usize = 512;

/// A poller serves one mapping of a queue to a function.
pub(crate) struct Poller {
    pub(crate) sqs: Sqs,
    pub(crate) queue: String,
    pub(crate) mapping: QueueMapping,
    pub(crate) function: Function,
    pub(crate) meter: Arc<Meter>,
    /// The number of invocations that may go on at once.
    pub(crate) concurrency: usize,
}

impl Poller {
    /// Polls until it is dropped.
    pub(crate) async fn run(self) {
        let free = Arc::new(Semaphore::new(self.concurrency));
        let poller = Arc::new(self);
        let mut invocations = JoinSet::new();
        loop {
            let Ok(permit) = free.clone().acquire_owned().await else { return };
            let batch = poller.receive().await;
            while invocations.try_join_next().is_some() {}
            if batch.is_empty() {
                continue;
            }
            let poller = poller.clone();
            invocations.spawn(async move {
                for batch in within_payload_limit(batch.into_iter().map(message)) {
                    poller.invoke(batch).await;
                }
                drop(permit);
            });
        }
    }

    /// Receives a batch: the messages that are there, and those that come within the window.
    async fn receive(&self) -> Vec<Received> {
        let mut batch = self.receive_up_to(self.mapping.batch_size.min(10), LONG_POLL).await;
        let end = Instant::now() + self.mapping.window;
        while !batch.is_empty() && batch.len() < self.mapping.batch_size && Instant::now() < end {
            let room = (self.mapping.batch_size - batch.len()).min(10);
            batch.extend(self.receive_up_to(room, end - Instant::now()).await);
        }
        batch
    }

    async fn receive_up_to(&self, max: usize, wait: Duration) -> Vec<Received> {
        match self.sqs.receive(&self.queue, max, wait).await {
            Ok(received) => {
                // A long poll that finds nothing counts with what an idle system costs.
                if !received.is_empty() {
                    self.count(sqs_requests(received.iter().map(billed_bytes).sum()));
                }
                received
            }
            Err(error) => {
                tracing::error!(queue = %self.queue, %error, "the poller could not receive");
                tokio::time::sleep(Duration::from_secs(1)).await;
                Vec::new()
            }
        }
    }

    fn count(&self, requests: u64) {
        self.meter.sqs(&format!("poller of {}", self.queue), requests);
    }

    async fn invoke(&self, messages: Vec<sqs_event::Message>) {
        let ids: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
        let trace_headers =
            messages.iter().filter_map(|message| message.attributes.get("AWSTraceHeader"));
        let chain = Lineage::of_trace_headers(trace_headers.map(String::as_str));
        let event = sqs_event::to_event(&self.mapping.queue_arn, &messages);
        let answer = self.function.invoke_in(chain, event).await;
        let verdict =
            sqs_event::judge(&ids, self.mapping.report_batch_item_failures, answer.as_deref());
        if let Some(problem) = verdict.problem {
            tracing::warn!(queue = %self.queue, %problem, "a whole batch failed");
        }
        // Lambda deletes with calls of up to ten messages.
        self.count(verdict.succeeded.len().div_ceil(10) as u64);
        for message in
            messages.iter().filter(|message| verdict.succeeded.contains(&message.message_id))
        {
            if let Err(error) = self.sqs.delete(&self.queue, &message.receipt_handle) {
                tracing::warn!(
                    queue = %self.queue, %error, "the poller could not delete a message"
                );
            }
        }
    }
}

/// Divides the messages among invocations. Each takes as many, in their order, as its payload has
/// room for.
fn within_payload_limit(
    messages: impl Iterator<Item = sqs_event::Message>,
) -> Vec<Vec<sqs_event::Message>> {
    let mut invocations: Vec<Vec<_>> = Vec::new();
    let mut room = 0;
    for message in messages {
        let size = RECORD_FRAME + serde_json::to_vec(&message).map_or(0, |json| json.len());
        match invocations.last_mut().filter(|_| size <= room) {
            Some(invocation) => {
                room -= size;
                invocation.push(message);
            }
            None => {
                room = PAYLOAD_LIMIT.saturating_sub(size);
                invocations.push(vec![message]);
            }
        }
    }
    invocations
}

/// Counts the bytes of a message that SQS bills: its body and its attributes.
fn billed_bytes(received: &Received) -> u64 {
    let mut bytes = received.body.len();
    for (name, attribute) in &received.message_attributes {
        bytes += name.len() + attribute.data_type.len();
        bytes += match &attribute.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(binary) => binary.len(),
        };
    }
    bytes as u64
}

fn message(received: Received) -> sqs_event::Message {
    let attributes = received.message_attributes.into_iter();
    sqs_event::Message {
        message_id: received.message_id,
        receipt_handle: received.receipt_handle,
        body: received.body,
        attributes: received.attributes,
        message_attributes: attributes.map(|(name, value)| (name, attribute(value))).collect(),
        md5_of_body: received.md5_of_body,
    }
}

/// Puts an attribute of SQS's own type into the form of a Lambda event.
fn attribute(attribute: MessageAttribute) -> sqs_event::MessageAttribute {
    let value = match attribute.value {
        AttributeValue::Text(text) => sqs_event::AttributeValue::Text(text),
        AttributeValue::Binary(bytes) => sqs_event::AttributeValue::Binary(bytes.into()),
    };
    sqs_event::MessageAttribute { data_type: attribute.data_type, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(length: usize) -> sqs_event::Message {
        sqs_event::Message {
            message_id: length.to_string(),
            receipt_handle: String::new(),
            body: "x".repeat(length),
            attributes: [].into(),
            message_attributes: [].into(),
            md5_of_body: String::new(),
        }
    }

    fn sizes(bodies: &[usize]) -> Vec<usize> {
        let invocations = within_payload_limit(bodies.iter().map(|length| message_of(*length)));
        for invocation in &invocations {
            assert!(
                sqs_event::to_event("arn:aws:sqs:us-east-1:000000000000:q", invocation).len()
                    <= PAYLOAD_LIMIT
            );
        }
        invocations.iter().map(Vec::len).collect()
    }

    #[test]
    fn what_is_too_long_for_one_invocation_goes_in_several() {
        const MIB: usize = 1024 * 1024;
        assert_eq!(sizes(&[10; 10]), [10]);
        assert_eq!(sizes(&[MIB; 10]), [5, 5]);
        assert_eq!(sizes(&[MIB, MIB, MIB, MIB, MIB, 10, MIB]), [6, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
