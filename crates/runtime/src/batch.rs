//! The batch of an SQS event source: its records, and carrying out what becomes of each.
//!
//! It guarantees this: a record whose fate is [`Fate::Done`] is deleted; every other is either on
//! the dead-letter queue and deleted, or comes again. One record never decides about another. When
//! the function dies here, every record that was not reported comes again after the queue's
//! visibility timeout.

use std::{collections::BTreeSet, time::Duration};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{Stream, StreamExt, stream};
use posthaste_domain::{
    Timestamp,
    message::{dead_letter::DeadLetterReason, version::Unreadable},
    metrics::Metric,
    trace,
    webhook::retry,
};
use posthaste_queue::{Message, Queue, Wait};

use crate::{
    clock,
    event_message::{BEFORE, HOPS},
    telemetry::count,
};

/// The message attribute of a dead letter that says in a word why it is one.
pub const REASON: &str = "reason";
/// The message attribute of a dead letter that says it in a sentence.
pub const DETAIL: &str = "detail";
/// The message attribute of a dead letter that says which id the event has that its body does not
/// name.
pub const EVENT_ID: &str = "eventId";

/// One message, as its poller handed it over.
#[derive(Clone, Default)]
pub struct Record {
    /// SQS's id of the message.
    pub message_id: String,
    /// The handle of this receive.
    pub receipt_handle: String,
    /// The body of the message.
    pub body: String,
    /// The number of times that the message has been received, this time included. SQS says
    /// approximately.
    pub receives: u32,
    /// The time at which the message was sent.
    pub sent: Timestamp,
    /// It says whether the message was a dead letter before: somebody sent it back from the
    /// dead-letter queue.
    pub redriven: bool,
    /// The id of its event that it had as a dead letter.
    pub event_id: Option<String>,
    /// The message group that the message belongs to.
    pub group: Option<String>,
    /// The hops of its event, as it says them: its attribute [`HOPS`].
    pub hops: Option<String>,
    /// The trace that its event belongs to: its attribute `traceparent`.
    pub traceparent: Option<String>,
    /// The number of events that its call has before it, if it is the end of a run: its attribute
    /// [`BEFORE`].
    pub before: usize,
}

/// The fate of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is left to do: the message can go.
    Done,
    /// It shall come again after this wait, without a fault of ours: it waits for something, or
    /// another one was faster.
    RetryIn(Duration),
    /// It met a fault of ours, and shall come again after this wait. [`Metric::Faults`] counts it.
    OurFault(Duration),
    /// It shall go to the dead-letter queue.
    DeadLetter {
        /// The reason that it can't go on, as a stable word.
        reason: DeadLetterReason,
        /// A sentence, without the message's content.
        detail: String,
        /// The id of its event, which its body need not name.
        event_id: Option<String>,
    },
}

/// A message of a version that is not known is tried again for so long.
const UNKNOWN_VERSION_FOR: Duration = Duration::from_secs(60 * 60);
/// It comes again after each wait of this length.
const UNKNOWN_VERSION_WAIT: Duration = Duration::from_secs(60);

impl Fate {
    /// Decides about a message that can't be read. One of a newer version is tried again for an
    /// hour: that version is being rolled out, or was rolled back a moment ago.
    pub fn of_unreadable(
        record: &Record,
        why: &Unreadable,
        reason: DeadLetterReason,
        now: Timestamp,
    ) -> Self {
        match why {
            Unreadable::Newer(_) if now < record.sent + UNKNOWN_VERSION_FOR => {
                Self::RetryIn(UNKNOWN_VERSION_WAIT)
            }
            Unreadable::Newer(_) => Self::DeadLetter {
                reason: DeadLetterReason::UnknownVersion,
                detail: why.to_string(),
                event_id: None,
            },
            Unreadable::Malformed(_) => {
                Self::DeadLetter { reason, detail: why.to_string(), event_id: None }
            }
        }
    }

    /// Decides about a record that met a fault of ours: it comes again, later the oftener it has
    /// come.
    pub fn after_our_fault(record: &Record) -> Self {
        Self::OurFault(retry::wait_after_our_fault(record.receives))
    }

    /// Decides about a record that can't be handled yet, without a fault of ours: it waits as long
    /// as after one, and does not count.
    pub fn later(record: &Record) -> Self {
        Self::RetryIn(retry::wait_after_our_fault(record.receives))
    }
}

/// The records of an invocation.
pub fn records(event: SqsEvent) -> Vec<Record> {
    event.records.into_iter().map(record).collect()
}

fn record(mut message: SqsMessage) -> Record {
    let receives =
        message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let sent_ms = message.attributes.get("SentTimestamp").and_then(|ms| ms.parse().ok());
    let sent = sent_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let before = given(&mut message, BEFORE).and_then(|count| count.parse().ok());
    Record {
        redriven: message.message_attributes.contains_key(REASON),
        event_id: given(&mut message, EVENT_ID),
        traceparent: given(&mut message, trace::HEADER),
        hops: given(&mut message, HOPS),
        group: message.attributes.remove("MessageGroupId"),
        before: before.unwrap_or(0),
        receives: receives.unwrap_or(1),
        sent: sent.unwrap_or_else(clock::now),
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

/// Takes a message attribute, which whoever has sent the message has given it.
fn given(message: &mut SqsMessage, attribute: &str) -> Option<String> {
    message.message_attributes.remove(attribute)?.string_value
}

/// Makes of a detail what SQS takes as the value of an attribute: text that is not empty and has no
/// control characters. A detail may quote what a client sent, so it is bounded too.
fn attribute_value(detail: &str) -> String {
    let text: String = detail
        .chars()
        .take(1024)
        .map(|char| {
            if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') {
                '\u{fffd}'
            } else {
                char
            }
        })
        .collect();
    if text.is_empty() { "none".to_owned() } else { text }
}

/// A message for the dead-letter queue.
pub fn dead_letter(
    body: String,
    group: Option<String>,
    reason: DeadLetterReason,
    detail: &str,
) -> Message {
    let attributes = vec![(REASON, reason.name().to_owned()), (DETAIL, attribute_value(detail))];
    Message { body, group, attributes, delay: Duration::ZERO }
}

/// A record that goes to the dead-letter queue.
struct Dead {
    at: usize,
    reason: DeadLetterReason,
    detail: String,
    event_id: Option<String>,
}

/// A record as a message for the dead-letter queue. It may be sent back, so it keeps what matters
/// then.
fn letter(record: &Record, Dead { reason, detail, event_id, .. }: &Dead) -> Message {
    let mut letter = dead_letter(record.body.clone(), record.group.clone(), *reason, detail);
    letter.attributes.extend(record.hops.clone().map(|hops| (HOPS, hops)));
    letter.attributes.extend(record.traceparent.clone().map(|parent| (trace::HEADER, parent)));
    letter.attributes.extend((record.before > 0).then(|| (BEFORE, record.before.to_string())));
    letter.attributes.extend(event_id.clone().map(|id| (EVENT_ID, id)));
    letter
}

/// The queue that records come from, and its dead-letter queue.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The queue that they come from.
    pub queue: Queue,
    /// The queue for those that can't be handled.
    pub dead_letters: Queue,
}

impl Batch {
    /// Carries out the fates as they come, those that come together with one call, and tells the
    /// poller what to delete. A record that gets no fate comes again.
    pub async fn settle(
        &self,
        records: &[Record],
        fates: impl Stream<Item = (usize, Fate)>,
    ) -> SqsBatchResponse {
        let done: Vec<BTreeSet<usize>> = fates
            .ready_chunks(10)
            .map(|fates| self.carry_out(records, fates))
            .buffer_unordered(records.len().max(1))
            .collect()
            .await;
        response(records, &done.into_iter().flatten().collect())
    }

    /// Carries out fates that are all known and deletes what is done, instead of telling the
    /// poller, because what comes next may kill this function. Returns the places of those that are
    /// done.
    pub(crate) async fn finish(&self, records: &[Record], fates: Vec<Fate>) -> BTreeSet<usize> {
        let done = self.carry_out(records, fates.into_iter().enumerate().collect()).await;
        let ids: Vec<&str> = done.iter().map(|at| records[*at].message_id.as_str()).collect();
        let handles: Vec<&str> =
            done.iter().map(|at| records[*at].receipt_handle.as_str()).collect();
        for (nth, error) in self.queue.delete(&handles).await {
            tracing::warn!(
                message.id = %ids[nth], %error,
                "a message that is done could not be deleted at once"
            );
        }
        done
    }

    /// Returns the records that can be deleted.
    async fn carry_out(&self, records: &[Record], fates: Vec<(usize, Fate)>) -> BTreeSet<usize> {
        let mut done = BTreeSet::new();
        let mut dead = Vec::new();
        let mut waits = Vec::new();
        for (at, fate) in fates {
            match fate {
                Fate::Done => {
                    done.insert(at);
                }
                Fate::RetryIn(after) => waits.push((at, after)),
                Fate::OurFault(after) => {
                    count(Metric::Faults, 1);
                    waits.push((at, after));
                }
                Fate::DeadLetter { reason, detail, event_id } => {
                    dead.push(Dead { at, reason, detail, event_id })
                }
            }
        }
        let (buried, ()) = tokio::join!(self.bury(records, dead), self.let_wait(records, waits));
        done.extend(buried);
        done
    }

    /// Sends dead letters. One that can't be sent stays where it is and comes again.
    async fn bury(&self, records: &[Record], dead: Vec<Dead>) -> BTreeSet<usize> {
        let letters: Vec<Message> =
            dead.iter().map(|dead| letter(&records[dead.at], dead)).collect();
        let failures = self.dead_letters.send(&letters).await;
        count(Metric::Faults, failures.len());
        for (nth, error) in &failures {
            tracing::error!(
                message.id = %records[dead[*nth].at].message_id, %error,
                "a dead letter could not be sent"
            );
        }
        let failed: BTreeSet<usize> = failures.into_iter().map(|(nth, _)| nth).collect();
        let mut buried = BTreeSet::new();
        for (_, Dead { at, reason, .. }) in
            dead.iter().enumerate().filter(|(nth, _)| !failed.contains(nth))
        {
            buried.insert(*at);
            // The detail may quote what a client sent: it goes with the message and into no log.
            let reason = reason.name();
            tracing::warn!(
                message.id = %records[*at].message_id, reason,
                "a message went to the dead-letter queue"
            );
        }
        buried
    }

    async fn let_wait(&self, records: &[Record], waits: Vec<(usize, Duration)>) {
        let mut calls = Vec::new();
        for (at, after) in &waits {
            calls.push(Wait { receipt_handle: &records[*at].receipt_handle, after: *after });
        }
        for (nth, error) in self.queue.come_again(&calls).await {
            let id = &records[waits[nth].0].message_id;
            tracing::warn!(
                message.id = %id, %error,
                "a message comes again only after the queue's visibility timeout"
            );
        }
    }

    /// The same for fates that are all known.
    pub async fn settle_all(&self, records: &[Record], fates: Vec<Fate>) -> SqsBatchResponse {
        self.settle(records, stream::iter(fates.into_iter().enumerate())).await
    }
}

/// Tells the poller to delete what is done, and that all others come again.
pub(crate) fn response(records: &[Record], done: &BTreeSet<usize>) -> SqsBatchResponse {
    let left = records.iter().enumerate().filter(|(at, _)| !done.contains(at));
    let failures = left.map(|(_, record)| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier.clone_from(&record.message_id);
        failure
    });
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures.collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_the_hops_and_the_id_and_the_trace_of_its_event() {
        let message = |given: Option<(&str, &str)>| -> Record {
            let attribute =
                |value| serde_json::json!({ "dataType": "String", "stringValue": value });
            let attributes: serde_json::Map<_, _> = given
                .into_iter()
                .map(|(name, value)| (name.to_owned(), attribute(value)))
                .collect();
            let json = serde_json::json!({
                "attributes": {}, "messageAttributes": attributes, "body": "{}",
            });
            record(serde_json::from_value(json).unwrap())
        };
        let dead = |id: Option<&str>| Dead {
            at: 0,
            reason: DeadLetterReason::InvalidEvent,
            detail: "data is required".to_owned(),
            event_id: id.map(str::to_owned),
        };
        let attributes = |given| letter(&message(given), &dead(None)).attributes;
        let told = [(REASON, "invalid_event".to_owned()), (DETAIL, "data is required".to_owned())];
        assert_eq!(attributes(None), told);
        for (name, value) in [(HOPS, "3"), (trace::HEADER, "00-1-2-01")] {
            let kept = [told.as_slice(), &[(name, value.to_owned())]].concat();
            assert_eq!(attributes(Some((name, value))), kept);
        }
        let with_id = letter(&message(None), &dead(Some("e-1"))).attributes;
        assert_eq!(with_id, [told.as_slice(), &[(EVENT_ID, "e-1".to_owned())]].concat());
    }

    #[test]
    fn what_waits_on_purpose_is_no_fault_of_ours() {
        let received = |times: &str| -> Record {
            let attributes = serde_json::json!({
                "ApproximateReceiveCount": times, "SentTimestamp": "1700000000000",
            });
            record(serde_json::from_value(serde_json::json!({ "attributes": attributes })).unwrap())
        };
        let third = received("3");
        assert_eq!(Fate::after_our_fault(&third), Fate::OurFault(Duration::from_secs(4)));
        assert_eq!(Fate::later(&third), Fate::RetryIn(Duration::from_secs(4)));
        let newer = Fate::of_unreadable(
            &third,
            &Unreadable::Newer(9),
            DeadLetterReason::UnreadableTask,
            third.sent,
        );
        assert_eq!(newer, Fate::RetryIn(UNKNOWN_VERSION_WAIT));
    }

    #[test]
    fn a_detail_is_what_sqs_takes() {
        assert_eq!(attribute_value("data is required"), "data is required");
        assert_eq!(
            attribute_value("\u{1} is not a known field\n"),
            "\u{fffd} is not a known field\u{fffd}"
        );
        assert_eq!(attribute_value(""), "none");
        assert_eq!(attribute_value(&"é".repeat(5000)).chars().count(), 1024);
    }
}
