//! Checking what came straight to the queue. What came through the API has been checked there.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
};

use futures::{StreamExt, stream};
use posthaste_domain::{
    access::workspace::Workspace,
    event::{
        Event, OwnSchema, UNUSABLE_SCHEMA, catalogue,
        event_type::{EventPattern, EventType},
        own_type::OwnEventType,
    },
    message::dead_letter::DeadLetterReason,
    webhook::defaults::{Catalogue, WorkspaceSettings},
};
use posthaste_runtime::{
    batch::{Fate, Record},
    checks::{Checks, Unchecked},
};
use posthaste_store::Found;
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

use crate::{arrival::refused, fanout::Fanout};

/// A check that does not end in time is tried so often. Until then it may have been a fault of
/// ours.
const TRIES: u32 = 3;
/// So many checks of a batch go on at once. They share the part of a processor that the function
/// has, and one may take some 60 MB.
const AT_ONCE: usize = 2;

/// A type of a workspace.
type TypeKey = (Workspace, EventType);

/// A workspace's own type. Its schema is compiled when the first event of a batch needs it.
struct Own {
    own: OwnEventType,
    schema: OnceCell<Result<Arc<OwnSchema>, Unchecked>>,
}

impl Fanout {
    /// Checks events that came straight to the queue. Returns each with its record, or what becomes
    /// of that; one whose check has not ended by then is missing. A few are checked side by side,
    /// so that one check that does not end holds up no other.
    pub(crate) async fn checked(
        &self,
        records: &[Record],
        unchecked: Vec<(usize, Event)>,
        by: Instant,
    ) -> Vec<(usize, Result<Event, Fate>)> {
        let mut wanted = HashSet::new();
        for (_, event) in &unchecked {
            if catalogue::find(event.event_type.as_str()).is_none() {
                wanted.insert((event.workspace.clone(), event.event_type.clone()));
            }
        }
        let Ok(found) = timeout_at(by, self.registry.types.by_name(wanted)).await else {
            tracing::error!("the types of events could not be read in time");
            return Vec::new();
        };
        let own: HashMap<TypeKey, Own> =
            found.items.into_iter().map(|(key, own)| (key, Own::of(own))).collect();
        let unknown = unchecked.iter().filter(|(_, event)| is_unknown(event, &own));
        let unknown: HashSet<Workspace> =
            unknown.map(|(_, event)| event.workspace.clone()).collect();
        let reading = self.registry.workspaces.settings_of(unknown.iter().cloned());
        let rules = timeout_at(by, reading).await.unwrap_or_else(|_| {
            tracing::error!("the settings of workspaces could not be read in time");
            Found { unread: unknown, ..Found::default() }
        });
        let mut checked = Vec::new();
        let mut checks = Vec::new();
        for (record, event) in unchecked {
            let key = (event.workspace.clone(), event.event_type.clone());
            if found.unread.contains(&key)
                || (is_unknown(&event, &own) && rules.unread.contains(&event.workspace))
            {
                checked.push((record, Err(Fate::after_our_fault(&records[record]))));
            } else if is_unknown(&event, &own) && is_closed(&rules, &event.workspace) {
                checked.push((record, Err(refused_type(&event))));
            } else if is_unknown(&event, &own) {
                // It has no schema, so nothing is to be checked.
                checked.push((record, Ok(event)));
            } else {
                checks.push((record, check(&self.checks, event, own.get(&key), &records[record])));
            }
        }
        for (record, ended) in few_at_once(&self.checks, checks, by).await {
            let result = match ended {
                Some(result) => result,
                None => Err(Fate::later(&records[record])),
            };
            checked.push((record, result));
        }
        checked.sort_by_key(|(record, _)| *record);
        checked
    }
}

/// Says whether the type of an event is neither built in nor the workspace's own.
fn is_unknown(event: &Event, own: &HashMap<TypeKey, Own>) -> bool {
    catalogue::find(event.event_type.as_str()).is_none()
        && !own.contains_key(&(event.workspace.clone(), event.event_type.clone()))
}

fn is_closed(rules: &Found<Workspace, WorkspaceSettings>, workspace: &Workspace) -> bool {
    rules.items.get(workspace).is_some_and(|rules| rules.catalogue == Catalogue::Closed)
}

/// The fate of an event that a closed catalogue does not have.
fn refused_type(event: &Event) -> Fate {
    let pattern = EventPattern::Exactly(event.event_type.clone());
    let unknown = catalogue::unknown("type", &pattern, &[]);
    refused(DeadLetterReason::InvalidEvent, &unknown, Some(event.id))
}

impl Own {
    fn of(own: OwnEventType) -> Self {
        Self { own, schema: OnceCell::new() }
    }

    async fn schema(&self, checks: &Checks) -> Result<Arc<OwnSchema>, Unchecked> {
        let own = self.own.clone();
        let compiling = checks.run(move || Arc::new(own.compile()));
        self.schema.get_or_init(|| compiling).await.clone()
    }
}

/// Carries out checks, a few at once, and returns those that have ended by then. None stands for
/// one that was not begun, because another one is stuck: that one takes the processor from all that
/// begin after it.
async fn few_at_once<T>(
    checks: &Checks,
    wanted: Vec<(usize, impl Future<Output = T>)>,
    by: Instant,
) -> Vec<(usize, Option<T>)> {
    let count = wanted.len();
    let carried_out = wanted.into_iter().map(async |(record, check)| {
        let ended = if checks.are_stuck() { None } else { Some(check.await) };
        (record, ended)
    });
    let mut running = pin!(stream::iter(carried_out).buffer_unordered(AT_ONCE));
    let mut ended = Vec::new();
    while let Ok(Some(check)) = timeout_at(by, running.next()).await {
        ended.push(check);
    }
    if ended.len() < count {
        tracing::error!(count = count - ended.len(), "events could not be checked in time");
    }
    ended
}

/// The event, if its data fits its type's schema, or else what becomes of its record.
async fn check(
    checks: &Checks,
    event: Event,
    own: Option<&Own>,
    record: &Record,
) -> Result<Event, Fate> {
    let id = event.id;
    let checking = async {
        let schema = match own {
            Some(own) => Some(own.schema(checks).await?),
            None => None,
        };
        checks
            .run(move || {
                let checked = event.check(schema.as_deref());
                (event, checked)
            })
            .await
    };
    match checking.await {
        Ok((event, Ok(()))) => Ok(event),
        Ok((_, Err(invalid))) if invalid.code == UNUSABLE_SCHEMA => {
            Err(refused(DeadLetterReason::UnusableSchema, &invalid, Some(id)))
        }
        Ok((_, Err(invalid))) => Err(refused(DeadLetterReason::InvalidEvent, &invalid, Some(id))),
        Err(Unchecked) if record.receives < TRIES => Err(Fate::after_our_fault(record)),
        Err(unchecked) => Err(Fate::DeadLetter {
            reason: DeadLetterReason::UncheckedEvent,
            detail: unchecked.to_string(),
            event_id: Some(id.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        sync::{Mutex, mpsc},
        time::Duration,
    };

    use posthaste_runtime::checks::{CHECKING, COMPILING, MB_OF_A_PROCESSOR, TIME};
    use tokio::sync::Semaphore;

    use super::*;

    /// By then, every check of these tests has ended.
    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn few_checks_go_on_at_once_and_a_long_one_holds_up_no_other() {
        let (running, most, others) = (Cell::new(0), Cell::new(0), Semaphore::new(0));
        let check = async |record| {
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
        };
        let wanted = (0..10).map(|record| (record, check(record))).collect();
        let ended = few_at_once(&Checks::default(), wanted, in_a_minute()).await;
        let mut records: Vec<usize> = ended.into_iter().map(|(record, _)| record).collect();
        assert_eq!((records.pop(), most.get()), (Some(0), AT_ONCE));
        records.sort_unstable();
        assert_eq!(records, (1..10).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn no_check_is_begun_after_the_first_stuck_ones_of_ten() {
        let checks = Checks::of(Duration::from_millis(10));
        let begun = Cell::new(0);
        let (ends, end) = mpsc::channel::<()>();
        let end = Arc::new(Mutex::new(end));
        let check = async |end: Arc<Mutex<mpsc::Receiver<()>>>| {
            begun.set(begun.get() + 1);
            checks.run(move || end.lock().unwrap().recv().is_ok()).await
        };
        let wanted = (0..10).map(|record| (record, check(Arc::clone(&end)))).collect();
        let ended = few_at_once(&checks, wanted, in_a_minute()).await;
        drop(ends);
        let stuck = ended.iter().filter(|(_, ended)| *ended == Some(Err(Unchecked))).count();
        let not_begun = ended.iter().filter(|(_, ended)| ended.is_none()).count();
        assert_eq!((stuck, not_begun, begun.get()), (AT_ONCE, 10 - AT_ONCE, AT_ONCE));
    }

    #[tokio::test]
    async fn what_has_ended_by_the_deadline_is_kept() {
        let ends = Semaphore::new(0);
        let check = async |ended: bool| {
            if !ended {
                ends.acquire().await.unwrap().forget();
            }
        };
        let wanted = vec![(0, check(false)), (1, check(true)), (2, check(false)), (3, check(true))];
        let ended = few_at_once(&Checks::default(), wanted, Instant::now()).await;
        assert_eq!(ended, [(1, Some(()))]);
    }

    #[tokio::test]
    async fn an_event_whose_check_is_stuck_is_given_up_after_three_receives() {
        let body = br#"{"schema":{"required":["n"]}}"#;
        let own = OwnEventType::parse("invoice.paid", body).unwrap();
        let own = Own { own, schema: OnceCell::new_with(Some(Err(Unchecked))) };
        let mut fates = Vec::new();
        for receives in [2, 3] {
            let record = Record { receives, ..Record::default() };
            fates.push(check(&Checks::default(), event("{}"), Some(&own), &record).await);
        }
        let [Err(Fate::OurFault(_)), Err(Fate::DeadLetter { reason, .. })] = &fates[..] else {
            panic!("{fates:?}");
        };
        assert_eq!(*reason, DeadLetterReason::UncheckedEvent);
    }

    fn event(data: &str) -> Event {
        let json = format!(
            r#"{{"id":"01896b5d-3648-7000-8000-000000000001","type":"invoice.paid","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{data}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[tokio::test]
    async fn a_schema_is_compiled_once_for_all_events_of_its_type() {
        let body = br#"{"schema":{"required":["n"]}}"#;
        let own = Own::of(OwnEventType::parse("invoice.paid", body).unwrap());
        let checks = Checks::default();
        let (first, second) = (own.schema(&checks).await, own.schema(&checks).await);
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
        let record = Record::default();
        assert!(check(&checks, event(r#"{"n":1}"#), Some(&own), &record).await.is_ok());
        let misfit = check(&checks, event("{}"), Some(&own), &record).await.unwrap_err();
        let Fate::DeadLetter { reason, .. } = misfit else { panic!("{misfit:?}") };
        assert_eq!(reason, DeadLetterReason::InvalidEvent);
    }

    /// The checks that go on at once share the processor, and other work of the function takes a
    /// part of it too.
    #[test]
    fn the_most_costly_legal_schema_is_checked_in_half_the_time_of_a_check() {
        let template = include_str!("../../../template.yaml");
        let function = template.split("Binary: fanout\n").nth(1).unwrap();
        let memory = function.split("MemorySize: ").nth(1).unwrap().lines().next().unwrap();
        let slower = MB_OF_A_PROCESSOR.div_ceil(memory.parse().unwrap());
        let longest: Duration = COMPILING.max(CHECKING) * slower * u32::try_from(AT_ONCE).unwrap();
        assert!(2 * longest < TIME, "{longest:?}");
    }
}
