//! A queue has messages, and knows when each can be received.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    attributes::{Attributes, MAX_VISIBILITY_SECONDS},
    draft::Draft,
    error::{ErrorKind, SqsError},
    ids::{self, Receipt},
    message::{Handed, Message},
    ready::Ready,
};

/// A queue has at most this many messages in flight ("Amazon SQS standard queue quotas" in the
/// developer guide).
pub(crate) const MAX_IN_FLIGHT: usize = 120_000;

/// The numbers of messages in a queue, by what can be done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue's name.
    pub name: String,
    /// Messages that can be received now.
    pub visible: usize,
    /// Messages that were received, and are neither deleted nor visible again.
    pub in_flight: usize,
    /// Messages that were sent with a delay that is not over.
    pub delayed: usize,
}

pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) attributes: Attributes,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created_seconds: u64,
    pub(crate) modified_seconds: u64,
    pub(crate) purged: Option<Instant>,
    /// Wakes receivers when a message may have become visible, or may become so earlier than they
    /// knew.
    pub(crate) wake: Arc<Notify>,
    serial: u64,
    next_key: u64,
    receives: u64,
    messages: HashMap<u64, Stored>,
    /// Messages that are to be handed out for a second time, for fault injection, each with the key
    /// of the original.
    copies: HashMap<u64, (u64, Message)>,
    ready: Ready,
    /// The keys of delayed and in-flight messages, in the order in which they become visible.
    hidden: BTreeSet<(Instant, u64)>,
    /// The keys of all messages in the order in which they were sent, for retention.
    by_age: BTreeSet<(Instant, u64)>,
    in_flight: usize,
    delayed: usize,
}

struct Stored {
    message: Message,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Visible,
    Delayed { until: Instant },
    InFlight { until: Instant, received: Instant },
}

impl Queue {
    pub(crate) fn new(
        serial: u64,
        name: String,
        arn: String,
        attributes: Attributes,
        seconds: u64,
    ) -> Self {
        Self {
            name,
            arn,
            attributes,
            tags: BTreeMap::new(),
            created_seconds: seconds,
            modified_seconds: seconds,
            purged: None,
            wake: Arc::default(),
            serial,
            next_key: 0,
            receives: 0,
            messages: HashMap::new(),
            copies: HashMap::new(),
            ready: Ready::default(),
            hidden: BTreeSet::new(),
            by_age: BTreeSet::new(),
            in_flight: 0,
            delayed: 0,
        }
    }

    pub(crate) fn depth(&self) -> QueueDepth {
        QueueDepth {
            name: self.name.clone(),
            visible: self.messages.len() - self.in_flight - self.delayed + self.copies.len(),
            in_flight: self.in_flight,
            delayed: self.delayed,
        }
    }

    /// Lets time pass: messages that are too old go, and those that were hidden long enough become
    /// visible.
    pub(crate) fn advance(&mut self, now: Instant) {
        let retention = Duration::from_secs(self.attributes.retention_seconds.into());
        while let Some(&(_, key)) =
            self.by_age.first().filter(|(enqueued, _)| *enqueued + retention <= now)
        {
            self.remove(key);
        }
        while let Some(&(_, key)) = self.hidden.first().filter(|(until, _)| *until <= now) {
            self.show(key);
        }
    }

    /// Returns the time at which the next hidden message becomes visible by itself.
    pub(crate) fn next_visible(&self) -> Option<Instant> {
        self.hidden.first().map(|(until, _)| *until)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= MAX_IN_FLIGHT
    }

    /// Takes a new message in, and returns its id.
    pub(crate) fn send(
        &mut self,
        draft: &Draft,
        now: Instant,
        wall_ms: u64,
    ) -> Result<String, SqsError> {
        let limit = self.attributes.maximum_message_size;
        if draft.size > limit as usize {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than \
                 {limit} bytes."
            );
            return Err(SqsError::parameter(message));
        }
        let id = ids::uuid().to_string();
        let message = Message {
            id: id.clone(),
            content: draft.content.clone(),
            enqueued: now,
            sent_ms: wall_ms,
            first_received_ms: None,
            receives: 0,
            receives_here: 0,
            source_arn: None,
        };
        let delay = draft.delay_seconds.unwrap_or(self.attributes.delay_seconds);
        self.put(message, now, Duration::from_secs(delay.into()));
        Ok(id)
    }

    /// Puts a message in, and wakes the receivers.
    pub(crate) fn put(&mut self, message: Message, now: Instant, delay: Duration) {
        let key = self.next_key;
        self.next_key += 1;
        self.by_age.insert((message.enqueued, key));
        let place = if delay.is_zero() {
            self.ready.push(key, message.content.group.as_ref());
            Place::Visible
        } else {
            let until = now + delay;
            self.hidden.insert((until, key));
            self.delayed += 1;
            Place::Delayed { until }
        };
        self.messages.insert(key, Stored { message, place });
        self.wake.notify_waiters();
    }

    /// Takes the next visible message out, for moves between queues.
    pub(crate) fn take_out(&mut self) -> Option<Message> {
        loop {
            let key = self.ready.pop(&|_| 0)?;
            self.copies.remove(&key);
            if let Some(message) = self.remove(key) {
                return Some(message);
            }
        }
    }

    /// Hands out the next visible message, which `pick` chooses from those in line, or takes it out if it was received too often.
    pub(crate) fn receive(
        &mut self,
        visibility: Duration,
        max_receives: u32,
        now: Instant,
        wall_ms: u64,
        pick: &dyn Fn(usize) -> usize,
    ) -> Option<Next> {
        loop {
            let key = self.ready.pop(pick)?;
            if let Some((original, message)) = self.copies.remove(&key) {
                return Some(Next::Handed(Handed { again: true, ..self.hand(original, message) }));
            }
            let Some(stored) = self.messages.get_mut(&key) else {
                continue;
            };
            if stored.message.receives_here >= max_receives {
                return self.remove(key).map(Next::Dead);
            }
            stored.message.receives += 1;
            stored.message.receives_here += 1;
            stored.message.first_received_ms.get_or_insert(wall_ms);
            let message = stored.message.clone();
            if visibility.is_zero() {
                return Some(Next::Visible(self.hand(key, message)));
            }
            let until = now + visibility;
            stored.place = Place::InFlight { until, received: now };
            self.hidden.insert((until, key));
            self.in_flight += 1;
            return Some(Next::Handed(self.hand(key, message)));
        }
    }

    /// Puts a message that was handed out without being hidden back in line.
    pub(crate) fn line_up(&mut self, handed: &Handed) {
        self.ready.push(handed.key, handed.message.content.group.as_ref());
        self.wake.notify_waiters();
    }

    fn hand(&mut self, key: u64, message: Message) -> Handed {
        self.receives += 1;
        let receipt_handle = Receipt { queue: self.serial, key, receive: self.receives }.encode();
        Handed { key, receipt_handle, message, again: false }
    }

    /// Puts a message that was handed out in line for a second time, whatever happens to the
    /// message itself meanwhile. SQS does that when "one of the servers that store a copy of the
    /// message is unavailable" (DeleteMessage in the API reference).
    pub(crate) fn duplicate(&mut self, handed: &Handed) {
        let key = self.next_key;
        self.next_key += 1;
        self.copies.insert(key, (handed.key, handed.message.clone()));
        self.ready.push(key, handed.message.content.group.as_ref());
        self.wake.notify_waiters();
    }

    /// Deletes a message by any receipt handle that it ever had. Deleting a message that is gone
    /// succeeds.
    pub(crate) fn delete(&mut self, handle: &str) -> Result<(), SqsError> {
        let receipt = self.receipt(handle)?;
        let was_full = self.is_full();
        self.remove(receipt.key);
        if was_full {
            self.wake.notify_waiters();
        }
        Ok(())
    }

    pub(crate) fn change_visibility(
        &mut self,
        handle: &str,
        seconds: u32,
        now: Instant,
    ) -> Result<(), SqsError> {
        let receipt = self.receipt(handle)?;
        let Some(stored) = self.messages.get_mut(&receipt.key) else {
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            return Err(SqsError::value(handle, "ReceiptHandle", reason));
        };
        let Place::InFlight { until, received } = stored.place else {
            let message =
                format!("The message referred to by the receipt handle {handle} isn't in flight.");
            return Err(SqsError::new(ErrorKind::MessageNotInflight, message));
        };
        let new = now + Duration::from_secs(seconds.into());
        if new > received + Duration::from_secs(MAX_VISIBILITY_SECONDS.into()) {
            let reason = format!(
                "Total VisibilityTimeout for the message is beyond the limit \
                 [{MAX_VISIBILITY_SECONDS} seconds]."
            );
            return Err(SqsError::value(seconds, "VisibilityTimeout", &reason));
        }
        if seconds == 0 {
            self.show(receipt.key);
        } else {
            stored.place = Place::InFlight { until: new, received };
            self.hidden.remove(&(until, receipt.key));
            self.hidden.insert((new, receipt.key));
        }
        self.wake.notify_waiters();
        Ok(())
    }

    /// Makes all in-flight messages visible, in the order in which they would have become so, and
    /// counts them.
    pub(crate) fn expire_in_flight(&mut self) -> usize {
        self.show_hidden(true)
    }

    /// Ends the delay of every message that has one, and counts them.
    pub(crate) fn expire_delays(&mut self) -> usize {
        self.show_hidden(false)
    }

    fn show_hidden(&mut self, in_flight: bool) -> usize {
        let keys = self
            .hidden
            .iter()
            .map(|(_, key)| *key)
            .filter(|key| self.is_in_flight(*key) == in_flight);
        let keys: Vec<u64> = keys.collect();
        keys.iter().for_each(|key| self.show(*key));
        self.wake.notify_waiters();
        keys.len()
    }

    pub(crate) fn purge(&mut self, now: Instant) {
        self.messages.clear();
        self.copies.clear();
        self.ready = Ready::default();
        self.hidden.clear();
        self.by_age.clear();
        (self.in_flight, self.delayed) = (0, 0);
        self.purged = Some(now);
    }

    fn receipt(&self, handle: &str) -> Result<Receipt, SqsError> {
        let message = match Receipt::decode(handle) {
            Some(receipt) if receipt.queue == self.serial && receipt.key < self.next_key => {
                return Ok(receipt);
            }
            Some(_) => format!("The receipt handle \"{handle}\" is not valid for this queue."),
            None => format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        };
        Err(SqsError::new(ErrorKind::ReceiptHandleIsInvalid, message))
    }

    fn is_in_flight(&self, key: u64) -> bool {
        self.messages.get(&key).is_some_and(|stored| matches!(stored.place, Place::InFlight { .. }))
    }

    /// Makes a hidden message visible.
    fn show(&mut self, key: u64) {
        let Some(stored) = self.messages.get_mut(&key) else {
            return;
        };
        let place = std::mem::replace(&mut stored.place, Place::Visible);
        self.ready.push(key, stored.message.content.group.as_ref());
        self.unhide(key, place);
    }

    /// Takes a message out wherever it is. Its place in line is skipped when its turn comes.
    fn remove(&mut self, key: u64) -> Option<Message> {
        let Stored { message, place } = self.messages.remove(&key)?;
        self.by_age.remove(&(message.enqueued, key));
        self.unhide(key, place);
        Some(message)
    }

    fn unhide(&mut self, key: u64, place: Place) {
        match place {
            Place::Visible => {}
            Place::Delayed { until } => {
                self.hidden.remove(&(until, key));
                self.delayed -= 1;
            }
            Place::InFlight { until, .. } => {
                self.hidden.remove(&(until, key));
                self.in_flight -= 1;
            }
        }
    }
}

/// The fate of the next visible message.
pub(crate) enum Next {
    /// The message is handed out and hidden.
    Handed(Handed),
    /// The message is handed out with a visibility timeout of zero. It goes back in line once the
    /// receive is over.
    Visible(Handed),
    /// The message was received too often, and has left the queue.
    Dead(Message),
}
