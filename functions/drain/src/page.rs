//! Reading a page of the backlog, with what its deliveries need.

use posthaste_delivery::{Client, Details, Duties, Sent, Skipped, duties};
use posthaste_domain::{
    delivery::{
        sequence::{Pending, Sequence},
        task::Task,
    },
    endpoint::{
        backlog::{Class, MAX_PAGE_BYTES, Waiting},
        lane::Seen,
    },
};
use posthaste_runtime::clock;

use crate::turn::Working;

impl Working<'_> {
    /// Reads up to `limit` items that are not at hand. Answers how much is ready by them, and
    /// whether the end was reached.
    pub(crate) async fn read(&mut self, limit: usize) -> anyhow::Result<(usize, bool)> {
        let mut items = Vec::new();
        let mut is_end = true;
        let mut bytes = 0;
        for class in self.hand.classes() {
            if items.len() >= limit || bytes >= MAX_PAGE_BYTES {
                is_end = false;
                break;
            }
            let after = self.hand.after(class).map(str::to_owned);
            let page = self
                .drain
                .courier
                .deliveries
                .backlogs
                .page(&self.asked.webhook, class, after.as_deref(), limit - items.len())
                .await?;
            self.unreadable += page.unreadable;
            let (is_last, last) = (page.is_end, page.last);
            let is_cut = self.take_page(class, page.items, &mut items, &mut bytes);
            match (is_cut, is_last) {
                (true, _) => is_end = false,
                // Items that can't be read are passed over, so that they hold up none behind them.
                (false, false) => {
                    is_end = false;
                    self.hand.read_to(class, last);
                }
                (false, true) => self.hand.read_to(class, None),
            }
        }
        let found = self.sort(items).await?;
        if is_end {
            // Where nothing else is left, they would be read again and again without a pause.
            let unreadable = std::mem::take(&mut self.unreadable);
            let has_others = found > 0 || self.hand.has_ready();
            anyhow::ensure!(
                unreadable == 0 || has_others,
                "{unreadable} items of the backlog can't be read or settled"
            );
            // The backlog was read from its beginning to its end: nothing of the turn before is
            // left unread.
            self.is_unclean &= unreadable > 0;
        }
        Ok((found, is_end))
    }

    /// Takes items of a page as far as there is room for their events. True where some were left
    /// out.
    fn take_page(
        &mut self,
        class: Class,
        page: Vec<Waiting>,
        items: &mut Vec<Waiting>,
        bytes: &mut u64,
    ) -> bool {
        for item in page {
            if *bytes > 0 && *bytes + item.bytes > MAX_PAGE_BYTES {
                return true;
            }
            *bytes += item.bytes;
            self.hand.read_to(class, Some(item.key.clone()));
            if !self.hand.has(&item.key) {
                items.push(item);
            }
        }
        false
    }

    /// Makes items ready, and settles at once what needs no request.
    async fn sort(&mut self, items: Vec<Waiting>) -> anyhow::Result<usize> {
        if items.is_empty() {
            return Ok(0);
        }
        let Some(client) = self.client.clone() else {
            // The webhook is gone, and with it what waits.
            for item in items {
                let number = self.hand.take(item);
                self.hand.close(number);
            }
            self.delete_done(0).await?;
            return Ok(0);
        };
        let is_handed_on = self.turn.is_pouring() && self.seen != Some(Seen::Disabled);
        let mut found = 0;
        let mut to_send = Vec::new();
        for item in items {
            if is_handed_on && !self.is_old(&item) {
                let number = self.hand.take(item);
                found += self.hand.make_ready_to_pour(number);
            } else {
                to_send.push(item);
            }
        }
        found += self.sort_to_send(to_send, &client).await?;
        self.delete_done(0).await?;
        Ok(found)
    }

    /// Says whether an item has waited for longer than the deployment lets it.
    fn is_old(&self, item: &Waiting) -> bool {
        clock::now() > item.since + self.drain.max_waiting_time
    }

    /// Says whether something may have been done for an item: by the turn before, if that did not
    /// end, or by another message, or before the item was put.
    pub(crate) fn may_have_records(&self, item: &Waiting) -> bool {
        self.is_unclean
            || item.is_forgotten(self.turn.opened_at())
            || item.task.recorded
            || item.task.redriven
            || item.task.batch.is_some()
    }

    async fn sort_to_send(
        &mut self,
        items: Vec<Waiting>,
        client: &Client,
    ) -> anyhow::Result<usize> {
        let wanted = items.iter().map(|item| (&item.task, self.may_have_records(item)));
        let details = self.drain.courier.details(wanted).await;
        let (mut found, mut left) = (0, 0);
        for item in items {
            let is_old = self.is_old(&item);
            // What is old is only skipped, which changes no record that says more.
            if !is_old && !details.know_records_of(&item.task) {
                // It says nothing about the others.
                left += 1;
                continue;
            }
            let (task, is_fresh) = (item.task.clone(), is_fresh(&item.task, &details));
            let number = self.hand.take(item);
            let named = task.batch;
            let sent = Sent { source: number, redriven: false };
            let duties = duties(task, sent, &client.webhook, &details, clock::now());
            let Some(mut duties) = duties else {
                self.hand.leave(number);
                left += 1;
                continue;
            };
            let batch = duties.common_batch(named);
            if is_old {
                let old = std::mem::take(&mut duties.sends);
                if !self.drain.courier.skip(&client.webhook, &old, Skipped::TooOld).await.is_empty()
                {
                    self.hand.leave(number);
                    left += 1;
                    continue;
                }
            }
            match self
                .take_duties(number, duties, Sequence { batch, left: Vec::new(), is_fresh }, client)
                .await
            {
                Some(ready) => found += ready,
                None => left += 1,
            }
        }
        // What can't be settled holds up nothing behind it.
        self.unreadable += left;
        Ok(found)
    }

    /// Settles what needs no request, and makes the rest ready. Answers how much there is more that
    /// is ready; none where the item has to stay.
    async fn take_duties(
        &mut self,
        number: usize,
        duties: Duties,
        sequence: Sequence,
        client: &Client,
    ) -> Option<usize> {
        let (courier, webhook) = (&self.drain.courier, &client.webhook);
        let Duties { mut sends, later, parks, made, skips, exhausted, gone } = duties;
        // What is only to be recorded is put into no backlog. If it is in one all the same, it is
        // made again.
        sends.extend(made);
        let mut unsettled = courier.skip(webhook, &skips, Skipped::Disabled).await;
        unsettled.extend(courier.give_up(webhook, &exhausted, sequence.batch, None).await);
        unsettled.extend(courier.bury_gone(webhook, &gone, sequence.batch).await);
        unsettled.extend(courier.park_again(webhook, &parks).await);
        if let Some(at) = later.iter().map(|(_, at)| *at).max() {
            let later: Vec<Pending> = later.into_iter().map(|(pending, _)| pending).collect();
            let wait =
                std::time::Duration::try_from(at.duration_since(clock::now())).unwrap_or_default();
            if !self.send_on(&later, sequence.batch, wait).await {
                unsettled.insert(number);
            }
        }
        if !unsettled.is_empty() {
            self.hand.leave(number);
            return None;
        }
        let takes_lists = client.webhook.batches();
        Some(self.hand.make_ready(number, Sequence { left: sends, ..sequence }, takes_lists))
    }
}

/// Says whether a task can share a request with others: it is one delivery, and nothing was ever
/// done for it.
fn is_fresh(task: &Task<'_>, details: &Details) -> bool {
    let is_single = task.batch.is_none() && !task.redriven && task.deliveries.len() == 1;
    is_single && task.deliveries.iter().all(|due| !details.progress.items.contains_key(&due.id))
}
