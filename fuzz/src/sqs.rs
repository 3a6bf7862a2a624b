//! The events that Lambda's poller makes of SQS messages.

use aws_config::{BehaviorVersion, retry::RetryConfig};
use aws_lambda_events::event::sqs::SqsEvent;
use posthaste_domain::{
    access::workspace::Workspace,
    event::{Arrived, Origin},
};
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    batch::{self, Batch, Fate, Record},
};

/// Whatever messages an invocation gets, each has a fate of its own: those that are done are left
/// out of the answer, and all others are in it, in their order.
pub(crate) fn reports_each_message(input: &[u8]) -> bool {
    let Ok(event) = serde_json::from_slice::<SqsEvent>(input) else { return false };
    let count = event.records.len();
    let records = batch::records(event);
    assert_eq!(records.len(), count);
    let mut done = Vec::new();
    let mut left = Vec::new();
    for (at, record) in records.iter().enumerate() {
        if is_event(record) {
            done.push((at, Fate::Done));
        } else {
            left.push(record.message_id.clone());
        }
    }
    let is_any_done = !done.is_empty();
    // What gets no fate comes again: no call is made for that, and none for what is done.
    let answer = futures::executor::block_on(batch().settle(&records, futures::stream::iter(done)));
    let reported: Vec<String> =
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(reported, left);
    is_any_done
}

/// Tells whether a message brings an event.
fn is_event(record: &Record) -> bool {
    let kept = record.event_id.as_ref().and_then(|id| id.parse().ok());
    let origin = Origin { message_id: &record.message_id, sent: record.sent, kept };
    let default = Workspace::parse("default").expect("a name");
    Arrived::parse(&record.body, origin, &default)
        .and_then(|arrived| arrived.with_hops(record.hops.as_deref()))
        .map(|arrived| arrived.with_trace(record.traceparent.as_deref()))
        .is_ok()
}

/// Queues that nobody calls.
fn batch() -> Batch {
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .build();
    let queue = Queue::new(aws::sqs(&sdk), "https://sqs.invalid/");
    Batch { queue: queue.clone(), dead_letters: queue }
}
