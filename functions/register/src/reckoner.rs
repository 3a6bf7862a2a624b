//! Finding out of events whether they are delivered, within what one call may read. What is found
//! is put together in [`posthaste_domain::fanout::delivered`].
//!
//! First the webhooks are read, a call at a time, and each leaves behind only the ids of the
//! deliveries that it may be owed. Then these are looked up. Where either would take too much the
//! answer ends early, and its cursor goes on from there, in the middle of an event if need be. Each
//! call of the API looks at one webhook at least.

use posthaste_domain::{
    access::workspace::Workspace,
    fanout::delivered::{Cursor, Reckoned, Reckoning},
    id::{EventId, WebhookId},
};
use posthaste_runtime::api::ApiError;
use posthaste_store::{Deliveries, Registry};

/// After so many read units (4 KB, read strongly) no other webhooks are read.
const MAX_WEBHOOK_UNITS: f64 = 1000.0;
/// The most deliveries of one page that may be looked up, beside those of its first event.
const MAX_OWED: usize = 2000;
/// After so many read units (8 KB, read eventually) no other deliveries are looked up.
const MAX_LOOK_UP_UNITS: f64 = 1000.0;
/// The number of deliveries that are looked up before what that took is counted: four calls at
/// once.
const LOOK_UPS: usize = 400;

/// The tables, and the workspace whose events are asked about.
#[derive(Clone, Copy)]
pub(crate) struct Reckoner<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) deliveries: &'a Deliveries,
    pub(crate) workspace: &'a Workspace,
}

impl Reckoner<'_> {
    /// Goes on with the webhooks after `from`. `next` is where the list goes on after these events.
    pub(crate) async fn reckon(
        self,
        mut reckoning: Reckoning,
        from: Option<WebhookId>,
        next: Option<EventId>,
    ) -> Result<(Vec<Reckoned>, Option<Cursor>), ApiError> {
        if !reckoning.is_empty() {
            self.add_webhooks(&mut reckoning, from).await?;
            self.look_up(&mut reckoning).await?;
        }
        Ok(reckoning.finish(next))
    }

    async fn add_webhooks(
        self,
        reckoning: &mut Reckoning,
        from: Option<WebhookId>,
    ) -> Result<(), ApiError> {
        let (mut from, mut units) = (from, 0.0);
        loop {
            let read = self.registry.webhooks.subscribers(self.workspace, from).await?;
            reckoning.add(&read.subscribers, MAX_OWED);
            if read.is_one_unreadable {
                reckoning.add_unreadable();
            }
            let Some(last) = read.next else { return Ok(()) };
            units += read.read_units;
            if units >= MAX_WEBHOOK_UNITS || reckoning.owed() >= MAX_OWED {
                reckoning.stop_at(last);
                return Ok(());
            }
            from = Some(last);
        }
    }

    async fn look_up(self, reckoning: &mut Reckoning) -> Result<(), ApiError> {
        let mut units = 0.0;
        while units < MAX_LOOK_UP_UNITS {
            let wanted = reckoning.next(LOOK_UPS);
            if wanted.is_empty() {
                break;
            }
            let found = self.deliveries.records.statuses(self.workspace, wanted).await;
            if !found.unread.is_empty() {
                return Err(ApiError::Internal);
            }
            units += found.read_units;
            reckoning.take(LOOK_UPS, &found.items);
        }
        Ok(())
    }
}
