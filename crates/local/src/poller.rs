//! The event source mapping of a queue: receives batches, invokes the function, and deletes what succeeded.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
//!
//! It never touches the visibility of what failed: that stands as the function left it, or else runs out.

use std::{sync::Arc, time::Duration};

use posthaste_local_lambda::{Function, sqs_event};
use posthaste_local_sqs::{AttributeValue, MessageAttribute, Received, Sqs};
use posthaste_local_template::QueueMapping;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// How long one receive waits: the longest that SQS takes.
const LONG_POLL: Duration = Duration::from_secs(20);

/// One mapping.
pub(crate) struct Poller {
    pub(crate) sqs: Sqs,
    pub(crate) queue: String,
    pub(crate) mapping: QueueMapping,
    pub(crate) function: Function,
    /// How many invocations go on at once.
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
                poller.invoke(batch).await;
                drop(permit);
            });
        }
    }

    /// A batch: what is there, and what comes within the window.
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
            Ok(received) => received,
            Err(error) => {
                tracing::error!(queue = %self.queue, %error, "the poller could not receive");
                tokio::time::sleep(Duration::from_secs(1)).await;
                Vec::new()
            }
        }
    }

    async fn invoke(&self, batch: Vec<Received>) {
        let messages: Vec<sqs_event::Message> = batch.into_iter().map(message).collect();
        let ids: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
        let answer = self.function.invoke(sqs_event::to_event(&self.mapping.queue_arn, &messages)).await;
        let verdict = sqs_event::judge(&ids, self.mapping.report_batch_item_failures, answer.as_deref());
        if let Some(problem) = verdict.problem {
            tracing::warn!(queue = %self.queue, %problem, "a whole batch failed");
        }
        for message in messages.iter().filter(|message| verdict.succeeded.contains(&message.message_id)) {
            if let Err(error) = self.sqs.delete(&self.queue, &message.receipt_handle) {
                tracing::warn!(queue = %self.queue, %error, "the poller could not delete a message");
            }
        }
    }
}

fn message(received: Received) -> sqs_event::Message {
    let attribute = |attribute: MessageAttribute| sqs_event::MessageAttribute {
        data_type: attribute.data_type,
        value: match attribute.value {
            AttributeValue::Text(text) => sqs_event::AttributeValue::Text(text),
            AttributeValue::Binary(bytes) => sqs_event::AttributeValue::Binary(bytes.into()),
        },
    };
    sqs_event::Message {
        message_id: received.message_id,
        receipt_handle: received.receipt_handle,
        body: received.body,
        attributes: received.attributes,
        message_attributes: received
            .message_attributes
            .into_iter()
            .map(|(name, value)| (name, attribute(value)))
            .collect(),
        md5_of_body: received.md5_of_body,
    }
}
