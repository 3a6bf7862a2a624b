//! Reading the history of one webhook: its records, what waits in its backlog and for the end of
//! runs, and what is on its way. What is shown of it is decided in
//! [`posthaste_domain::delivery::history`].
//!
//! A page costs a query of each partition of the records and of the index; a call for each class of
//! the backlog, or two where more than that call reads waits in one millisecond; within a quarter of
//! an hour of now a page of the workspace's events; and, if something waits, one call for its
//! records, one for the types of its events and one for the lane. A delivery whose event is no
//! longer stored can't be made any more, and is not shown.

use std::{collections::HashMap, time::Duration};

use posthaste_api::{DeliveryAnswer, List};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::Status,
        history::{self, Asked, Records, Row, Stretch, Waits},
    },
    endpoint::{backlog::Class, lane::Lane},
    event::event_type::EventType,
    id::{DeliveryId, EventId, WebhookId},
    webhook::Webhook,
};
use posthaste_runtime::{api::ApiError, clock};
use posthaste_store::{Deliveries, DeliveryRecord, EventQuery, Events, FannedOut, History, Listed};

use crate::{deliveries::answer, room::Room};

/// The number of items that the first call for a class reads: enough for most pages, and far less
/// than 1 MB.
const FIRST_CALL: usize = 200;
/// A delivery is looked for on its way to its first attempt for so long after its event, and among
/// so many events of its workspace.
const ON_THE_WAY: Duration = Duration::from_secs(15 * 60);
const EVENTS_ON_THE_WAY: u16 = 100;
/// One delivery that waits is looked for on so many pages of its millisecond.
const MAX_PAGES: usize = 5;

/// The tables, and the webhook whose history is read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) deliveries: &'a Deliveries,
    pub(crate) events: &'a Events,
    pub(crate) webhook: &'a Webhook,
    /// A removed webhook gets nothing any more, so nothing waits for it.
    pub(crate) is_removed: bool,
}

impl Reader<'_> {
    /// A page of the history.
    pub(crate) async fn page(self, asked_for: &History) -> Result<List<DeliveryAnswer>, ApiError> {
        let History { limit, before, since, until, .. } = *asked_for;
        let asked = Asked { limit: usize::from(limit), before, since, until };
        // In this order: what goes out in between is deleted from the backlog after it was
        // recorded.
        let mut others = Vec::new();
        let mut stretches = Vec::new();
        if asked_for.may_want_waiting() && !self.is_removed {
            let (live, replayed, queued) = tokio::try_join!(
                self.stretch(&asked),
                self.replayed(),
                self.queued(asked_for, clock::now())
            )?;
            stretches.extend(live);
            others.extend(replayed.into_iter().chain(queued));
        }
        let page = self.deliveries.records.by_activity(&self.webhook.key, asked_for).await?;
        let mut records = Records { items: Vec::new(), next: page.next };
        for listed in page.items {
            match listed {
                Listed::Recorded(record) => records.items.push((record.place(), *record)),
                Listed::Held(_) if self.is_removed => {}
                // It is one of those that may be on their way too, and of two the first is shown.
                Listed::Held(held) => {
                    others.insert(0, Waits::held(held.delivery, held.event, held.due_at));
                }
            }
        }
        let listed = history::merge(&asked, records, &stretches, others);
        let rows = self.without_recorded(listed.rows).await?;
        let (items, cut) = self.answers(rows, asked_for).await?;
        Ok(List { items, next: cut.or(listed.next).map(|id| id.to_string()) })
    }

    /// Returns the answer for a delivery that is on its way, or waits for the end of its run. None if
    /// the list has no such delivery.
    pub(crate) async fn on_the_way(
        self,
        id: DeliveryId,
    ) -> Result<Option<DeliveryAnswer>, ApiError> {
        let (since, until) = history::millisecond(id.time());
        let status = Some(Status::Waiting);
        let mut asked =
            History { limit: 100, status, since: Some(since), until, ..History::default() };
        for _ in 0..MAX_PAGES {
            let List { items, next } = self.page(&asked).await?;
            if let Some(found) = items.into_iter().find(|delivery| delivery.id == id) {
                return Ok(Some(found));
            }
            let Some(next) = next else { return Ok(None) };
            asked.before = next.parse().ok();
        }
        Ok(None)
    }

    /// Returns the answer for a delivery that waits. None if its event is no longer stored.
    pub(crate) async fn waiting(self, waits: Waits) -> Result<Option<DeliveryAnswer>, ApiError> {
        Ok(self.answers(vec![Row::Waits(waits)], &History::default()).await?.0.pop())
    }

    /// What waits in the backlog of published events, as far as a call or two read. None if the list
    /// can have nothing of it.
    async fn stretch(self, asked: &Asked) -> Result<Option<Stretch>, ApiError> {
        let Some(times) = asked.times() else { return Ok(None) };
        let (webhook, class) = (&self.webhook.key, Class::Live);
        let page =
            self.deliveries.backlogs.newest(webhook, class, times, None, Some(FIRST_CALL)).await?;
        let mut stretch = Stretch::new(page.items, page.is_end);
        let unfinished = stretch.unfinished().map(|(time, last)| (time, last.key.clone()));
        if let Some((time, last)) = unfinished {
            let times = history::millisecond(time);
            let rest =
                self.deliveries.backlogs.newest(webhook, class, times, Some(&last), None).await?;
            if !rest.is_end {
                tracing::warn!("more waits in a millisecond than the history can show");
            }
            stretch.finish(rest.items);
        }
        Ok(Some(stretch))
    }

    /// What was asked for again and waits in the backlog: as many as a call reads.
    async fn replayed(self) -> Result<Vec<Waits>, ApiError> {
        let all = (Timestamp::UNIX_EPOCH, None);
        let webhook = &self.webhook.key;
        let page = self.deliveries.backlogs.newest(webhook, Class::Replay, all, None, None).await?;
        Ok(page.items.iter().flat_map(history::replayed).collect())
    }

    /// What may be on its way to its first attempt: deliveries of the newest events behind the
    /// cursor. Whether they have a record is not known yet.
    async fn queued(self, asked: &History, now: Timestamp) -> Result<Vec<Waits>, ApiError> {
        let Webhook { key: webhook, created_at, settings, .. } = self.webhook;
        let since = asked.since.max(Some(now - ON_THE_WAY)).max(Some(*created_at));
        let before = asked.before.and_then(|place| history::millisecond(place.time()).1);
        let until = [asked.until, before].into_iter().flatten().min();
        if until.is_some_and(|until| Some(until) <= since) {
            return Ok(Vec::new());
        }
        let query = EventQuery {
            limit: EVENTS_ON_THE_WAY,
            after: None,
            since,
            until,
            event_type: asked.event_type.clone(),
            subject: None,
            descending: true,
        };
        let mut queued = Vec::new();
        for FannedOut { known, recipients } in
            self.events.list_fanned_out(&webhook.workspace, &query).await?.items
        {
            let event = &known.event;
            let is_owed = match recipients {
                Some(all) => all.find(webhook.id).is_some(),
                None => settings.want(&event.event_type, &known.process),
            };
            if is_owed {
                queued.push(Waits::queued(webhook.id, event.id));
            }
        }
        Ok(queued)
    }

    /// Leaves out what waits and has a record, which is listed elsewhere.
    async fn without_recorded(
        self,
        rows: Vec<Row<DeliveryRecord>>,
    ) -> Result<Vec<Row<DeliveryRecord>>, ApiError> {
        let mut wanted = Vec::new();
        for row in &rows {
            if let Row::Waits(waits) = row {
                wanted.push((self.webhook.key.clone(), waits.id));
            }
        }
        if wanted.is_empty() {
            return Ok(rows);
        }
        let progress = self.deliveries.records.progress(wanted).await;
        if !progress.unread.is_empty() {
            return Err(ApiError::Internal);
        }
        let mut left = Vec::new();
        for row in rows {
            match &row {
                Row::Waits(waits) if progress.items.contains_key(&waits.id) => {}
                Row::Waits(_) | Row::Recorded(_) => left.push(row),
            }
        }
        Ok(left)
    }

    /// The answers of a page, as many as it has room for, and the place where it was cut.
    async fn answers(
        self,
        rows: Vec<Row<DeliveryRecord>>,
        asked_for: &History,
    ) -> Result<(Vec<DeliveryAnswer>, Option<DeliveryId>), ApiError> {
        let waiting = self.waiting_facts(&rows).await?;
        let (mut room, mut answers, mut last) = (Room::default(), Vec::new(), None);
        for row in rows {
            let (place, answer) = match row {
                Row::Recorded(record) => (record.place(), Some(answer(record))),
                Row::Waits(waits) => (waits.place, waiting.answer(waits, asked_for)),
            };
            if let Some(answer) = answer {
                if !room.has(&answer) {
                    return Ok((answers, last));
                }
                answers.push(answer);
            }
            last = Some(place);
        }
        Ok((answers, None))
    }

    /// Reads what answers say of those rows that wait, if there are any.
    async fn waiting_facts(self, rows: &[Row<DeliveryRecord>]) -> Result<Facts, ApiError> {
        let webhook = &self.webhook.key;
        let mut keys = Vec::new();
        for row in rows {
            if let Row::Waits(waits) = row {
                keys.push((webhook.workspace.clone(), waits.event_id));
            }
        }
        let (types, lane, now) = (HashMap::new(), Lane::default(), clock::now());
        let mut facts = Facts { webhook: webhook.id, types, lane, now };
        if keys.is_empty() {
            return Ok(facts);
        }
        let (types, lane) =
            tokio::join!(self.events.types(keys), self.deliveries.lanes.get(webhook));
        if !types.unread.is_empty() {
            return Err(ApiError::Internal);
        }
        for ((_, event), event_type) in types.items {
            facts.types.insert(event, event_type);
        }
        facts.lane = lane?;
        Ok(facts)
    }
}

/// The facts about deliveries that wait for one webhook.
struct Facts {
    webhook: WebhookId,
    types: HashMap<EventId, EventType>,
    lane: Lane,
    now: Timestamp,
}

impl Facts {
    /// None if the delivery is not asked for, or its event is no longer stored.
    fn answer(&self, waits: Waits, asked_for: &History) -> Option<DeliveryAnswer> {
        let event_type = self.types.get(&waits.event_id)?;
        let is_wanted = asked_for.wants_waiting(waits.event_id, event_type);
        is_wanted.then(|| {
            let (webhook, event_type) = (self.webhook, event_type.clone());
            DeliveryAnswer::waiting(webhook, waits, event_type, &self.lane, self.now)
        })
    }
}

/// The delivery with this id, if it waits. One that waits together with an earlier one is not found
/// by its own id.
pub(crate) async fn find_waiting(
    deliveries: &Deliveries,
    webhook: &Webhook,
    id: DeliveryId,
) -> Result<Option<Waits>, ApiError> {
    let times = history::millisecond(id.time());
    for class in Class::ALL {
        let page = deliveries.backlogs.newest(&webhook.key, class, times, None, None).await?;
        if let Some(waits) =
            page.items.iter().flat_map(history::deliveries).find(|waits| waits.id == id)
        {
            return Ok(Some(waits));
        }
    }
    Ok(None)
}
