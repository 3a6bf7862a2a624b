//! Holding deliveries until the run of their process ends, and ending runs.
//!
//! The end of a run first writes its marker, then collects what is held, sends it with itself as the last, and only then forgets
//! it. A hold is refused once the marker is there. So an event of the run goes out together with the end, or by itself once the
//! end is known: never before that, and never not at all. An end is dealt with when it is some seconds old, so that what was
//! published in the same call is held by then.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use posthaste_domain::id::EventId;
use posthaste_runtime::clock;
use posthaste_store::{Hold, Holding};

use crate::{
    fanout::{Fanout, Ledger},
    plan::{End, Owed, Run, flush},
};

/// How many runs are held for or ended side by side.
const CONCURRENT_RUNS: usize = 16;

impl Fanout {
    /// Holds come before ends, so that an end finds what came with it.
    pub(crate) async fn hold_and_end(
        &self,
        holds: BTreeMap<Run, BTreeSet<Owed>>,
        ends: BTreeMap<Run, End>,
        ledger: &Ledger,
    ) {
        let holds = stream::iter(holds).map(|(run, owed)| self.hold(run, owed, ledger));
        holds.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
        let ends = stream::iter(ends).map(|(run, end)| self.end(run, end, ledger));
        ends.buffer_unordered(CONCURRENT_RUNS).collect::<()>().await;
    }

    async fn hold(&self, run: Run, owed: BTreeSet<Owed>, ledger: &Ledger) {
        let holds = once_each(&owed);
        let held = async {
            let ended = self.deliveries.hold(holding(&run), &holds, self.hold_deadline).await?;
            self.flush(&run, &ended).await
        };
        match held.await {
            Ok(()) => ledger.settle(owed.iter().map(|owed| owed.record)),
            Err(error) => tracing::error!(webhook.id = %run.webhook, %error, "deliveries could not be held"),
        }
    }

    async fn end(&self, run: Run, End { records, wanted }: End, ledger: &Ledger) {
        let ended = async {
            self.deliveries.end(holding(&run), clock::now()).await?;
            let held = self.deliveries.held(holding(&run)).await?;
            let all: Vec<Hold> = held.iter().copied().chain(once_each(&wanted)).collect();
            self.flush(&run, &all).await?;
            self.deliveries.forget(holding(&run), &held).await?;
            Ok::<_, anyhow::Error>(())
        };
        match ended.await {
            Ok(()) => ledger.settle(records),
            Err(error) => {
                tracing::error!(webhook.id = %run.webhook, error = %format!("{error:#}"), "a run could not be ended")
            }
        }
    }

    async fn flush(&self, run: &Run, holds: &[Hold]) -> anyhow::Result<()> {
        let messages = flush(run, holds)?;
        match self.tasks.send(&messages).await.pop() {
            None => Ok(()),
            Some((_, error)) => Err(error.into()),
        }
    }
}

fn holding(run: &Run) -> Holding<'_> {
    Holding { workspace: &run.workspace, webhook: run.webhook, context: &run.context }
}

/// Two messages can bring the same event, even with data of different lengths.
fn once_each(owed: &BTreeSet<Owed>) -> Vec<Hold> {
    let by_event: BTreeMap<EventId, Hold> = owed.iter().map(|owed| (owed.hold.event, owed.hold)).collect();
    by_event.into_values().collect()
}
