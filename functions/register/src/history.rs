//! Reading what waits in a webhook's backlog, beside its records. What is shown of it is decided in
//! [`posthaste_domain::delivery::history`].
//!
//! A page costs one call a class of the backlog, or two where more than that call reads waits in
//! one millisecond; then one call for the records, and, if something waits, one for the types of
//! its events and one for the lane. A delivery whose event is no longer stored can't be made any
//! more, and is not shown.

use posthaste_api::{DeliveryAnswer, List};
use posthaste_domain::{
    Timestamp,
    delivery::{
        attempt::Status,
        history::{self, Asked, Records, Row, Stretch, Waits},
    },
    endpoint::backlog::Class,
    event::event_type::EventType,
    id::DeliveryId,
    webhook::Webhook,
};
use posthaste_runtime::{api::ApiError, clock};
use posthaste_store::{Deliveries, DeliveryRecord, Events, History};

use crate::deliveries::answer;

/// The number of items that the first call for a class reads: enough for most pages, and far less
/// than 1 MB.
const FIRST_CALL: usize = 200;

/// The tables, and the webhook whose history is read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) deliveries: &'a Deliveries,
    pub(crate) events: &'a Events,
    pub(crate) webhook: &'a Webhook,
}

impl Reader<'_> {
    /// A page of the history.
    pub(crate) async fn page(self, asked_for: &History) -> Result<List<DeliveryAnswer>, ApiError> {
        let History { limit, before, since, until, .. } = *asked_for;
        let asked = Asked { limit: usize::from(limit), before, since, until };
        // In this order: what goes out in between is deleted from the backlog after it was
        // recorded.
        let stretches = match asked_for.status {
            None | Some(Status::Waiting) => self.stretches(&asked).await?,
            Some(_) => Vec::new(),
        };
        let records = match asked_for.status {
            Some(Status::Waiting) => Records::default(),
            _ => self.records(asked_for).await?,
        };
        let are_records_read = asked_for.status.is_none();
        let listed = history::merge(&asked, records, &stretches);
        let rows = self.without_recorded(listed.rows, are_records_read).await?;
        let items = self.answers(rows, asked_for.event_type.as_ref()).await?;
        Ok(List { items, next: listed.next.map(|id| id.to_string()) })
    }

    /// Returns the answer for a delivery that waits. None if its event is no longer stored.
    pub(crate) async fn waiting(self, waits: Waits) -> Result<Option<DeliveryAnswer>, ApiError> {
        Ok(self.answers(vec![Row::Waits(waits)], None).await?.pop())
    }

    async fn stretches(self, asked: &Asked) -> Result<Vec<Stretch>, ApiError> {
        let Some(times) = asked.times() else { return Ok(Vec::new()) };
        let [live, replay] = Class::ALL.map(|class| self.stretch(class, times));
        let (live, replay) = tokio::try_join!(live, replay)?;
        Ok(vec![live, replay])
    }

    async fn stretch(
        self,
        class: Class,
        times: (Timestamp, Option<Timestamp>),
    ) -> Result<Stretch, ApiError> {
        let webhook = &self.webhook.key;
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
        Ok(stretch)
    }

    async fn records(self, asked_for: &History) -> Result<Records<DeliveryRecord>, ApiError> {
        let page = self.deliveries.records.history(&self.webhook.key, asked_for).await?;
        Ok(Records {
            items: page.items.into_iter().map(|record| (record.id, record)).collect(),
            next: page.next,
        })
    }

    /// Leaves out what waits and has a record that was not read with this page.
    async fn without_recorded(
        self,
        rows: Vec<Row<DeliveryRecord>>,
        are_records_read: bool,
    ) -> Result<Vec<Row<DeliveryRecord>>, ApiError> {
        let mut wanted = Vec::new();
        for row in &rows {
            if let Some(delivery) = unknown(row, are_records_read) {
                wanted.push((self.webhook.key.clone(), delivery));
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
            let known = unknown(&row, are_records_read);
            if known.is_none_or(|delivery| !progress.items.contains_key(&delivery)) {
                left.push(row);
            }
        }
        Ok(left)
    }

    async fn answers(
        self,
        rows: Vec<Row<DeliveryRecord>>,
        wanted: Option<&EventType>,
    ) -> Result<Vec<DeliveryAnswer>, ApiError> {
        let workspace = &self.webhook.key.workspace;
        let mut keys = Vec::new();
        for row in &rows {
            if let Row::Waits(waits) = row {
                keys.push((workspace.clone(), waits.event_id));
            }
        }
        if keys.is_empty() {
            return Ok(rows.into_iter().filter_map(record).map(answer).collect());
        }
        let (types, lane) =
            tokio::join!(self.events.types(keys), self.deliveries.lanes.get(&self.webhook.key));
        if !types.unread.is_empty() {
            return Err(ApiError::Internal);
        }
        let (lane, now) = (lane?, clock::now());
        let mut answers = Vec::new();
        for row in rows {
            match row {
                Row::Recorded(record) => answers.push(answer(record)),
                Row::Waits(waits) => {
                    let event_type = types.items.get(&(workspace.clone(), waits.event_id));
                    // An event without a type is no longer stored.
                    let Some(event_type) = event_type else { continue };
                    if wanted.is_none_or(|wanted| wanted == event_type) {
                        let event_type = event_type.clone();
                        answers.push(DeliveryAnswer::waiting(waits, event_type, &lane, now));
                    }
                }
            }
        }
        Ok(answers)
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

/// The delivery of a row, if it waits and its record was not read with this page.
fn unknown(row: &Row<DeliveryRecord>, are_records_read: bool) -> Option<DeliveryId> {
    match row {
        Row::Waits(waits) if !are_records_read || waits.is_apart() => Some(waits.id),
        Row::Waits(_) | Row::Recorded(_) => None,
    }
}

fn record(row: Row<DeliveryRecord>) -> Option<DeliveryRecord> {
    match row {
        Row::Recorded(record) => Some(record),
        Row::Waits(_) => None,
    }
}
