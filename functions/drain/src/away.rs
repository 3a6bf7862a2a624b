//! Putting away what a turn has at hand before its lane is written: the next turn must not find
//! what this one has done.

use std::time::Duration;

use posthaste_delivery::{SendOn, task};
use posthaste_domain::delivery::task::Due;

use crate::turn::Working;

impl Working<'_> {
    /// Deletes what is done, if it is more than `least`.
    pub(crate) async fn delete_done(&mut self, least: usize) -> anyhow::Result<()> {
        if self.hand.done() <= least {
            return Ok(());
        }
        let keys = self.hand.take_done();
        let deleted =
            self.drain.courier.deliveries.backlogs.delete(&self.asked.webhook, &keys).await;
        if !matches!(deleted, Ok(true)) {
            // Deleting one again changes nothing.
            self.hand.put_back_done(keys);
        }
        anyhow::ensure!(deleted?, "some items could not be deleted");
        Ok(())
    }

    /// Writes down what is half done, and deletes what is done. False where that failed: then the
    /// lease has to end by itself, so that the next turn reads the records first.
    pub(crate) async fn put_away(&mut self) -> bool {
        if self.is_given_up {
            let _ = self.delete_done(0).await;
            return false;
        }
        let Some(client) = self.client.clone() else { return self.delete_done(0).await.is_ok() };
        for (waiting, sequence) in self.hand.half_done() {
            let how = SendOn {
                batch: None,
                recorded: true,
                passes: waiting.task.passes,
                faults: 0,
                delay: Duration::ZERO,
            };
            let rest = task(&client.webhook, &sequence.left, how);
            let rest = rest.with(rest.deliveries.iter().map(Due::by_reference).collect());
            let key = &waiting.key;
            if let Err(error) = self
                .drain
                .courier
                .deliveries
                .backlogs
                .rewrite(&self.asked.webhook, key, &rest)
                .await
            {
                tracing::error!(%error, "what is left of a run could not be written down");
                return false;
            }
        }
        match self.delete_done(0).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "what is done could not be deleted");
                false
            }
        }
    }
}
