//! Finds out whether an event has been delivered, step by step, so that no call has to look at all
//! webhooks of a workspace.

use std::{collections::HashMap, fmt, str::FromStr};

use jiff::Timestamp;

use crate::{
    delivery::attempt::Status,
    event::{
        Event,
        process::{OfProcess, Process},
    },
    id::{Cause, DeliveryId, EventId, WebhookId},
    webhook::Settings,
};

#[cfg(test)]
mod tests;

/// The knowledge about an event after some webhooks were looked at. Of two findings the greater one
/// holds. It becomes the `delivered` of `spektr-events-v1.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivered {
    /// No webhook wants it.
    Unwanted,
    /// Every webhook that wants it has it.
    Yes,
    /// Nobody knows yet how one of its deliveries ends.
    Unknown,
    /// One webhook does not have it, whatever other webhooks have.
    No,
}

impl Delivered {
    const ALL: [Self; 4] = [Self::Unwanted, Self::Yes, Self::Unknown, Self::No];

    fn of(status: Option<Status>) -> Self {
        match status {
            Some(Status::Succeeded) => Self::Yes,
            Some(Status::Pending | Status::Exhausted | Status::Skipped) => Self::No,
            Some(Status::Waiting) | None => Self::Unknown,
        }
    }

    /// The value that the API answers: `null` where nobody wants the event, or nobody knows yet.
    pub fn answer(self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Unwanted | Self::Unknown => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::Yes => "yes",
            Self::Unknown => "unknown",
            Self::No => "no",
        }
    }
}

/// The place where a list of events goes on. Its text is the id of an event, or that, the id of a
/// webhook and the knowledge so far, separated by dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// After this event.
    After(EventId),
    /// With this event, of which only some webhooks were looked at.
    Within(Partly),
}

/// An event of which only some webhooks were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partly {
    /// The id of the event.
    pub event: EventId,
    /// The last webhook that was looked at, in the order of their ids.
    pub webhook: WebhookId,
    /// The knowledge so far.
    pub so_far: Delivered,
}

/// The error about a text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of a list of events")]
pub struct NoCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(event) => event.fmt(f),
            Self::Within(Partly { event, webhook, so_far }) => {
                write!(f, "{event}.{webhook}.{}", so_far.name())
            }
        }
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let Some((event, rest)) = text.split_once('.') else {
            return text.parse().map(Self::After).map_err(|_| NoCursor);
        };
        let (webhook, so_far) = rest.split_once('.').ok_or(NoCursor)?;
        Ok(Self::Within(Partly {
            event: event.parse().map_err(|_| NoCursor)?,
            webhook: webhook.parse().map_err(|_| NoCursor)?,
            so_far: Delivered::ALL
                .into_iter()
                .find(|known| known.name() == so_far)
                .ok_or(NoCursor)?,
        }))
    }
}

/// The part of a webhook that tells which events it wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// The webhook's id.
    pub id: WebhookId,
    /// The time at which the webhook was registered.
    pub created_at: Timestamp,
    /// The webhook's settings, which include its subscriptions.
    pub settings: Settings,
}

/// Events, and the deliveries that each may be owed. Webhooks are added in the order of their ids;
/// then deliveries are looked up, event by event, as many as the caller can afford.
#[derive(Debug)]
pub struct Reckoning {
    rows: Vec<Row>,
    /// True if events were left out at the end.
    is_cut: bool,
    /// The last webhook that an earlier call looked at.
    from: WebhookId,
    /// The last webhook that was added, if others were not.
    stopped_at: Option<WebhookId>,
}

#[derive(Debug)]
struct Row {
    event: Event,
    /// The process that the event belongs to, as fan-out knew it.
    process: Process,
    so_far: Delivered,
    owed: Vec<Owed>,
    looked_up: usize,
}

/// A delivery that exists if its webhook was registered before the event was accepted, or if it has
/// a record.
#[derive(Debug, Clone, Copy)]
struct Owed {
    webhook: WebhookId,
    delivery: DeliveryId,
    was_there: bool,
}

/// An event whose deliveries are all known, and whether it is delivered.
pub type Reckoned = (Event, Option<bool>);

impl Reckoning {
    /// Begins with these events, in the order of their list.
    pub fn new(events: Vec<OfProcess>) -> Self {
        let rows = events.into_iter().map(|event| Row::new(event, Delivered::Unwanted)).collect();
        Self { rows, is_cut: false, from: WebhookId(0), stopped_at: None }
    }

    /// Begins with an event of which some webhooks were looked at before.
    pub fn resumed(event: OfProcess, partly: Partly) -> Self {
        let Partly { webhook, so_far, .. } = partly;
        Self { rows: vec![Row::new(event, so_far)], is_cut: false, from: webhook, stopped_at: None }
    }

    /// Adds webhooks. If the events are owed more than `most` deliveries then, the last events are
    /// left out, but never the first one.
    pub fn add(&mut self, subscribers: &[Subscriber], most: usize) {
        for row in &mut self.rows {
            let wanting = subscribers
                .iter()
                .filter(|subscriber| subscriber.settings.want(&row.event.event_type, &row.process));
            row.owed.extend(wanting.map(|subscriber| Owed {
                webhook: subscriber.id,
                delivery: DeliveryId::derive(row.event.id, subscriber.id, Cause::Published),
                was_there: subscriber.created_at <= row.event.id.time(),
            }));
        }
        while self.rows.len() > 1 && self.owed() > most {
            self.rows.pop();
            self.is_cut = true;
        }
    }

    /// Notes that a webhook can't be read, so that nobody knows whether it is owed an event.
    pub fn add_unreadable(&mut self) {
        for row in &mut self.rows {
            row.so_far = row.so_far.max(Delivered::Unknown);
        }
    }

    /// Tells whether there is no event at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of deliveries that the events may be owed, so far.
    pub fn owed(&self) -> usize {
        self.rows.iter().map(|row| row.owed.len()).sum()
    }

    /// Notes that webhooks after this one were not added. Only the first event is kept.
    pub fn stop_at(&mut self, webhook: WebhookId) {
        self.is_cut |= self.rows.len() > 1;
        self.rows.truncate(1);
        self.stopped_at = Some(webhook);
    }

    /// The deliveries to look up next, at most so many; none when everything is known.
    pub fn next(&self, most: usize) -> Vec<(WebhookId, DeliveryId)> {
        let open = self.rows.iter().filter(|row| row.so_far != Delivered::No);
        let owed = open.flat_map(|row| &row.owed[row.looked_up..]);
        owed.take(most).map(|owed| (owed.webhook, owed.delivery)).collect()
    }

    /// Notes the records of the deliveries that [`next`](Self::next) named for the same `most`. A
    /// delivery that was not found has no record.
    pub fn take(&mut self, most: usize, found: &HashMap<DeliveryId, Status>) {
        let mut left = most;
        for row in self.rows.iter_mut().filter(|row| row.so_far != Delivered::No) {
            let looked_up = (row.owed.len() - row.looked_up).min(left);
            for owed in &row.owed[row.looked_up..row.looked_up + looked_up] {
                let status = found.get(&owed.delivery).copied();
                if owed.was_there || status.is_some() {
                    row.so_far = row.so_far.max(Delivered::of(status));
                }
            }
            row.looked_up += looked_up;
            left -= looked_up;
        }
    }

    /// Returns the events of which everything is known, up to the first other one, and the place
    /// where the list goes on. `next` is that place if all events of the page are answered.
    pub fn finish(self, next: Option<EventId>) -> (Vec<Reckoned>, Option<Cursor>) {
        let Self { rows, is_cut, from, stopped_at } = self;
        let mut reckoned = Vec::new();
        let mut last = None;
        for row in rows {
            if let Some(webhook) = row.open_at(from, stopped_at) {
                let partly = Partly { event: row.event.id, webhook, so_far: row.so_far };
                return (reckoned, Some(last.map_or(Cursor::Within(partly), Cursor::After)));
            }
            last = Some(row.event.id);
            reckoned.push((row.event, row.so_far.answer()));
        }
        (reckoned, if is_cut { last } else { next }.map(Cursor::After))
    }
}

impl Row {
    fn new(of_process: OfProcess, so_far: Delivered) -> Self {
        let OfProcess { event, process } = of_process;
        Self { event, process, so_far, owed: Vec::new(), looked_up: 0 }
    }

    /// The last webhook that was looked at, if others are left; none when everything is known.
    fn open_at(&self, from: WebhookId, stopped_at: Option<WebhookId>) -> Option<WebhookId> {
        if self.so_far == Delivered::No {
            return None;
        }
        if self.looked_up == self.owed.len() {
            return stopped_at;
        }
        Some(self.looked_up.checked_sub(1).map_or(from, |last| self.owed[last].webhook))
    }
}
