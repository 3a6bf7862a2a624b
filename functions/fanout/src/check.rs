//! Checking what came straight to the queue. What came through the API has been checked there.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use posthaste_domain::{
    event::{self, Event, UNUSABLE_SCHEMA, catalogue, own_type::OwnEventType},
    fanout::share::Share,
    message::dead_letter::DeadLetterReason,
};
use posthaste_runtime::{
    batch::{Fate, Record},
    checks::Checks,
};

use crate::{
    arrival::refused,
    fanout::{Fanout, may_have_come},
    plan::Arrived,
};

/// A check that does not end in time is tried so often. Until then it may have been a fault of
/// ours.
const TRIES: u32 = 3;
/// So many checks of a batch go on at once: one may take some 60 MB, and ten would leave too little
/// for all else.
const AT_ONCE: usize = 3;

impl Fanout {
    /// The events that can go out: those that are checked, and those whose data fits its type's
    /// schema. A few are checked side by side, so that one check that does not end holds up no
    /// other.
    pub(crate) async fn checked(
        &self,
        records: &[Record],
        arrived: Vec<(usize, event::Arrived)>,
        fates: &mut [Fate],
    ) -> Vec<Arrived> {
        let mut wanted = HashSet::new();
        for (_, read) in arrived.iter().filter(|(_, read)| read.unchecked) {
            if catalogue::find(read.event.event_type.as_str()).is_none() {
                wanted.insert((read.event.workspace.clone(), read.event.event_type.clone()));
            }
        }
        let own = self.registry.types_by_name(wanted).await;
        let checks =
            arrived.into_iter().map(async |(record, event::Arrived { event, unchecked })| {
                let key = (event.workspace.clone(), event.event_type.clone());
                let checked = if !unchecked {
                    Ok(event)
                } else if own.unread.contains(&key) {
                    Err(Fate::after_our_fault(&records[record]))
                } else {
                    check(&self.checks, event, own.items.get(&key).cloned(), &records[record]).await
                };
                (record, checked)
            });
        let mut good = Vec::new();
        for (record, checked) in few_at_once(checks).await {
            match checked {
                Ok(event) => {
                    let again = may_have_come(&records[record]);
                    let share = Share { before: records[record].before, ..Share::ALL };
                    good.push(Arrived { record, event, share, again });
                }
                Err(fate) => fates[record] = fate,
            }
        }
        good
    }
}

/// Carries out checks, a few at once. Their results are in the order of their records.
async fn few_at_once<T>(
    checks: impl Iterator<Item = impl Future<Output = (usize, T)>>,
) -> Vec<(usize, T)> {
    let mut checked: Vec<(usize, T)> =
        stream::iter(checks).buffer_unordered(AT_ONCE).collect().await;
    checked.sort_by_key(|(record, _)| *record);
    checked
}

/// The event, if its data fits its type's schema, or else what becomes of its record.
async fn check(
    checks: &Checks,
    event: Event,
    own: Option<OwnEventType>,
    record: &Record,
) -> Result<Event, Fate> {
    let id = event.id;
    let checking = checks.run(move || {
        let checked = event.check(own.as_ref());
        (event, checked)
    });
    match checking.await {
        Ok((event, Ok(()))) => Ok(event),
        Ok((_, Err(invalid))) if invalid.code == UNUSABLE_SCHEMA => {
            Err(refused(DeadLetterReason::UnusableSchema, &invalid, Some(id)))
        }
        Ok((_, Err(invalid))) => Err(refused(DeadLetterReason::InvalidEvent, &invalid, Some(id))),
        Err(_) if record.receives < TRIES => Err(Fate::after_our_fault(record)),
        Err(unchecked) => Err(Fate::DeadLetter {
            reason: DeadLetterReason::UncheckedEvent,
            detail: unchecked.to_string(),
            event_id: Some(id.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn few_checks_go_on_at_once_and_a_long_one_holds_up_no_other() {
        let (running, most, others) = (Cell::new(0), Cell::new(0), Semaphore::new(0));
        let checks = (0..10).map(async |record| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            if record == 0 {
                // The first one ends when all others have ended.
                others.acquire_many(9).await.unwrap().forget();
            } else {
                tokio::task::yield_now().await;
                others.add_permits(1);
            }
            running.set(running.get() - 1);
            (record, ())
        });
        let records: Vec<usize> =
            few_at_once(checks).await.into_iter().map(|(record, ())| record).collect();
        assert_eq!((records, most.get()), ((0..10).collect(), AT_ONCE));
    }
}
