//! The deliveries that events were owed to webhooks, event by event and in the order of the
//! webhooks' ids: what is tried, what waits and what is on its way.
//!
//! An event's item names the webhooks that it went to. One of a workspace with very many webhooks,
//! or of an earlier version, does not. Then those count that want it by their present settings.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};

use posthaste_api::DeliveryAnswer;
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{
        history::{Waits, Why},
        log::{self, Part},
    },
    endpoint::lane::Lane,
    event::event_type::EventType,
    id::{Cause, DeliveryId, EventId, WebhookId},
    webhook::{Webhook, key::WebhookKey},
};
use posthaste_runtime::{api::ApiError, clock};
use posthaste_store::{DeliveryRecord, EventQuery, FannedOut, HeldDelivery, History, Subscribers};

use crate::{Shared, deliveries::answer, room::Room};

/// So many deliveries are looked up at once, which is one call.
const LOOK_UPS: usize = 100;
/// A page is put together of so many steps at most, each of which looks up so many deliveries.
const MAX_STEPS: usize = 5;

/// A place in the list: an event, and the last of its webhooks that was looked at.
type Place = (EventId, WebhookId);

/// Behind the last webhook of an event.
const LAST: WebhookId = WebhookId(u64::MAX);

/// The deliveries that a list shows of those that have a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of them.
    All,
    /// Those that were not active late, which another list has.
    Prompt,
}

/// The tables, and what is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Owing<'a> {
    pub(crate) tables: &'a Shared,
    pub(crate) workspace: &'a Workspace,
    pub(crate) asked: &'a History,
    pub(crate) shown: Shown,
}

/// A delivery that may have been owed.
struct Candidate {
    webhook: WebhookKey,
    delivery: DeliveryId,
    event: EventId,
    event_type: EventType,
    /// The run that the delivery was held for; none if it was not held.
    held_for: Option<String>,
}

/// The candidates of one step.
#[derive(Default)]
struct Step {
    candidates: Vec<Candidate>,
    /// The webhooks of the workspace, as far as they were read, by the webhook that they come behind.
    /// They are the same for each event.
    subscribers: HashMap<WebhookId, Subscribers>,
    /// The place up to which the list was looked through; none if to its end.
    up_to: Option<Place>,
}

/// The knowledge of candidates without a record.
#[derive(Default)]
struct Unrecorded {
    webhooks: HashMap<WebhookKey, Webhook>,
    lanes: HashMap<WebhookKey, Lane>,
    holds: HashMap<DeliveryId, HeldDelivery>,
}

impl Owing<'_> {
    /// Reads the part of the list behind a place.
    pub(crate) async fn part(
        self,
        after: Option<Place>,
    ) -> Result<Part<Place, DeliveryAnswer>, ApiError> {
        let mut rows: Vec<(Place, Timestamp, DeliveryAnswer)> = Vec::new();
        let mut room = Room::default();
        let mut at = after;
        for _ in 0..MAX_STEPS {
            let step = self.step(at).await?;
            for row in self.rows(step.candidates).await? {
                if !room.has(&row.2) {
                    let up_to = rows.last().map(|(place, time, _)| (*place, *time));
                    return Ok(Part { rows, up_to });
                }
                rows.push(row);
            }
            let Some(up_to) = step.up_to else { return Ok(Part { rows, up_to: None }) };
            at = Some(up_to);
            if rows.len() >= usize::from(self.asked.limit) {
                break;
            }
        }
        Ok(Part { rows, up_to: at.map(|place| (place, place.0.time())) })
    }

    /// The next candidates behind a place.
    async fn step(self, after: Option<Place>) -> Result<Step, ApiError> {
        let mut step = Step::default();
        if let Some((event, webhook)) = after.filter(|(_, webhook)| *webhook != LAST) {
            let found = self.tables.events.fanned_out(self.workspace, event).await?;
            if let Some(event) = found.filter(|found| self.wants(found)) {
                let is_whole = self.add(&mut step, &event, webhook).await?;
                if !is_whole {
                    return Ok(step);
                }
            }
        }
        if self.asked.event.is_some() {
            return self.only_event(step, after).await;
        }
        let query = EventQuery {
            limit: self.asked.limit,
            after: after.map(|(event, _)| event),
            since: self.asked.since,
            until: self.asked.until,
            event_type: self.asked.event_type.clone(),
            subject: None,
            descending: true,
        };
        let page = self.tables.events.list_fanned_out(self.workspace, &query).await?;
        for event in &page.items {
            let is_whole = self.add(&mut step, event, WebhookId(0)).await?;
            if !is_whole {
                return Ok(step);
            }
        }
        step.up_to = page.next.map(|event| (event, LAST));
        Ok(step)
    }

    /// The list is about one event. It is looked at once.
    async fn only_event(self, mut step: Step, after: Option<Place>) -> Result<Step, ApiError> {
        let (None, Some(event)) = (after, self.asked.event) else { return Ok(step) };
        if let Some(event) = self.tables.events.fanned_out(self.workspace, event).await?
            && self.wants(&event)
        {
            self.add(&mut step, &event, WebhookId(0)).await?;
        }
        Ok(step)
    }

    fn wants(self, event: &FannedOut) -> bool {
        let History { event: wanted, event_type, since, until, .. } = self.asked;
        let event = &event.known.event;
        wanted.is_none_or(|wanted| wanted == event.id)
            && event_type.as_ref().is_none_or(|wanted| *wanted == event.event_type)
            && since.is_none_or(|since| event.id.time() >= since)
            && until.is_none_or(|until| event.id.time() < until)
    }

    /// Adds the webhooks of an event behind this one. Says whether these are all; where they are
    /// not, the step ends within the event.
    async fn add(
        self,
        step: &mut Step,
        event: &FannedOut,
        after: WebhookId,
    ) -> Result<bool, ApiError> {
        let id = event.known.event.id;
        let (mut webhooks, mut end) = match &event.recipients {
            Some(all) => {
                (all.after(after).iter().map(|to| (to.webhook, to.is_held)).collect(), None)
            }
            None => self.by_settings(step, event, after).await?,
        };
        let room = LOOK_UPS.saturating_sub(step.candidates.len());
        if webhooks.len() > room {
            webhooks.truncate(room);
            end = Some(webhooks.last().map_or(after, |(webhook, _)| *webhook));
        }
        for (webhook, is_held) in webhooks {
            let webhook = WebhookKey { workspace: self.workspace.clone(), id: webhook };
            step.candidates.push(Candidate {
                delivery: DeliveryId::derive(id, webhook.id, Cause::Published),
                webhook,
                event: id,
                event_type: event.known.event.event_type.clone(),
                held_for: event.known.process.context_id.clone().filter(|_| is_held),
            });
        }
        step.up_to = end.map(|webhook| (id, webhook));
        Ok(end.is_none())
    }

    /// The webhooks behind this one that want an event by their present settings and were there
    /// before it, and the place where the next call goes on.
    async fn by_settings(
        self,
        step: &mut Step,
        event: &FannedOut,
        after: WebhookId,
    ) -> Result<(Vec<(WebhookId, bool)>, Option<WebhookId>), ApiError> {
        let known = &event.known;
        let read = match step.subscribers.entry(after) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(entry) => {
                let behind = (after.0 > 0).then_some(after);
                let webhooks = &self.tables.registry.webhooks;
                entry.insert(webhooks.subscribers(self.workspace, behind).await?)
            }
        };
        let mut webhooks = Vec::new();
        for subscriber in &read.subscribers {
            if subscriber.created_at <= known.event.id.time()
                && subscriber.settings.want(&known.event.event_type, &known.process)
            {
                webhooks.push((subscriber.id, true));
            }
        }
        Ok((webhooks, read.next))
    }

    async fn rows(
        self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(Place, Timestamp, DeliveryAnswer)>, ApiError> {
        let mut wanted = Vec::new();
        for owed in &candidates {
            wanted.push((owed.webhook.clone(), owed.delivery));
        }
        let mut records = self.tables.deliveries.records.get_all(wanted).await;
        if !records.unread.is_empty() {
            return Err(ApiError::Internal);
        }
        let without: Vec<&Candidate> =
            candidates.iter().filter(|owed| !records.items.contains_key(&owed.delivery)).collect();
        let unrecorded = self.unrecorded(&without).await?;
        let now = clock::now();
        let mut rows = Vec::new();
        for owed in candidates {
            let answer = match records.items.remove(&owed.delivery) {
                Some(record) => self.recorded(record),
                None => self.waiting(&owed, &unrecorded, now),
            };
            let place = (owed.event, owed.webhook.id);
            rows.extend(answer.map(|answer| (place, owed.event.time(), answer)));
        }
        Ok(rows)
    }

    fn recorded(self, record: DeliveryRecord) -> Option<DeliveryAnswer> {
        let is_shown = self.shown == Shown::All || record.own_place.is_none();
        (is_shown && self.asked.wants(&record)).then(|| answer(record))
    }

    /// None if the webhook was removed before it got the delivery, or if there may have been a record
    /// that is no longer kept.
    fn waiting(
        self,
        owed: &Candidate,
        known: &Unrecorded,
        now: Timestamp,
    ) -> Option<DeliveryAnswer> {
        let Candidate { webhook, delivery, event, event_type, .. } = owed;
        if !known.webhooks.contains_key(webhook) || !self.asked.wants_waiting(*event, event_type) {
            return None;
        }
        let lane = known.lanes.get(webhook).cloned().unwrap_or_default();
        let hold = known.holds.get(delivery);
        let retention = self.tables.rules.retention;
        if hold.is_none() && !log::may_be_owed(*event, retention, now) {
            return None;
        }
        let waits = match hold {
            Some(held) => Waits::held(*delivery, *event, held.due_at),
            None => {
                let why = if lane.phase.is_some() { Why::Webhook } else { Why::Queued };
                Waits { why, ..Waits::queued(webhook.id, *event) }
            }
        };
        Some(DeliveryAnswer::waiting(webhook.id, waits, event_type.clone(), &lane, now))
    }

    async fn unrecorded(self, without: &[&Candidate]) -> Result<Unrecorded, ApiError> {
        if without.is_empty() {
            return Ok(Unrecorded::default());
        }
        let distinct: BTreeSet<&WebhookKey> = without.iter().map(|owed| &owed.webhook).collect();
        let webhooks: Vec<WebhookKey> = distinct.into_iter().cloned().collect();
        let mut held = Vec::new();
        for owed in without {
            if let Some(run) = owed.held_for.clone() {
                held.push((owed.delivery, owed.webhook.clone(), run, owed.event));
            }
        }
        let ((webhooks, lanes), holds) = tokio::join!(
            self.tables.deliveries.lanes.with_webhooks(&self.tables.registry, &webhooks),
            self.tables.deliveries.holds.of_events(held)
        );
        if !(webhooks.unread.is_empty() && lanes.unread.is_empty() && holds.unread.is_empty()) {
            return Err(ApiError::Internal);
        }
        Ok(Unrecorded { webhooks: webhooks.items, lanes: lanes.items, holds: holds.items })
    }
}
