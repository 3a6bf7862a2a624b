//! Noting the event types of which events were published, for the API to list. Built-in types are
//! known anyway. A type is noted again an hour later, because what is noted expires one day, and
//! can be removed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use posthaste_domain::{Timestamp, access::workspace::Workspace, event::catalogue};
use posthaste_runtime::clock;
use posthaste_store::{OwnType, Registry};
use tokio::time::timeout;

use crate::plan::Arrived;

/// The events of an invocation are fanned out while their types are noted, and wait no longer.
const NOTING: Duration = Duration::from_millis(500);
const NOTED_FOR: Duration = Duration::from_secs(60 * 60);
/// The most types of a workspace that a function notes in an hour: a producer that puts an id into
/// the type of each event must not fill the table.
const MAX_AN_HOUR: usize = 100;
/// The most types that a function remembers to have noted.
const MAX_REMEMBERED: usize = 10_000;

/// The types that this function has noted, and when.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashMap<OwnType, Timestamp>>);

impl Noted {
    /// Notes the types of these events. Nothing depends on it but a list, so a failure is logged,
    /// and the next event of the type makes up for it.
    pub(crate) async fn note(&self, registry: &Registry, arrived: &[Arrived]) {
        let mut types = BTreeSet::new();
        for Arrived { event, is_stored, .. } in arrived {
            if !is_stored && catalogue::find(event.event_type.as_str()).is_none() {
                types.insert((event.workspace.clone(), event.event_type.clone()));
            }
        }
        let now = clock::now();
        let due = self.due(types, now);
        if due.is_empty() {
            return;
        }
        match timeout(NOTING, registry.published.note(&due, now)).await {
            Ok(Ok(failed)) => {
                if !failed.is_empty() {
                    tracing::warn!(count = failed.len(), "types of events could not be noted");
                }
                let noted = due.into_iter().enumerate().filter(|(at, _)| !failed.contains(at));
                self.remember(noted.map(|(_, name)| name), now);
            }
            Ok(Err(error)) => tracing::warn!(%error, "types of events could not be noted"),
            Err(_) => tracing::warn!("types of events could not be noted in time"),
        }
    }

    fn due(&self, types: BTreeSet<OwnType>, now: Timestamp) -> Vec<OwnType> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<OwnType> = types
            .into_iter()
            .filter(|of| noted.get(of).is_none_or(|at| *at + NOTED_FOR <= now))
            .collect();
        // Most invocations bring no new type, and count nothing.
        if due.is_empty() {
            return due;
        }
        let mut counts: HashMap<Workspace, usize> = HashMap::new();
        for ((workspace, _), at) in noted.iter() {
            if now < *at + NOTED_FOR {
                *counts.entry(workspace.clone()).or_default() += 1;
            }
        }
        due.retain(|(workspace, _)| {
            let count = counts.entry(workspace.clone()).or_default();
            *count += 1;
            *count <= MAX_AN_HOUR
        });
        due
    }

    fn remember(&self, types: impl Iterator<Item = OwnType>, now: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= MAX_REMEMBERED {
            noted.clear();
        }
        noted.extend(types.map(|name| (name, now)));
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::event::event_type::EventType;

    use super::*;

    fn own(name: &str) -> OwnType {
        (Workspace::parse("acme").unwrap(), EventType::parse(name).unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_type_is_noted_once_an_hour() {
        let noted = Noted::default();
        let both = || BTreeSet::from([own("a"), own("b")]);
        assert_eq!(noted.due(both(), at(0)), [own("a"), own("b")]);
        noted.remember([own("a")].into_iter(), at(0));
        assert_eq!(noted.due(both(), at(3599)), [own("b")]);
        assert_eq!(noted.due(both(), at(3600)), [own("a"), own("b")]);
    }

    #[test]
    fn a_workspace_has_a_hundred_new_types_an_hour() {
        let noted = Noted::default();
        noted.remember((1..MAX_AN_HOUR).map(|nth| own(&format!("t{nth}"))), at(0));
        let other = (Workspace::parse("other").unwrap(), EventType::parse("a").unwrap());
        let more = || BTreeSet::from([own("a"), own("b"), other.clone()]);
        assert_eq!(noted.due(more(), at(3599)), [own("a"), other.clone()]);
        assert_eq!(noted.due(more(), at(3600)), [own("a"), own("b"), other]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let noted = Noted::default();
        noted.remember((0..MAX_REMEMBERED).map(|nth| own(&format!("t{nth}"))), at(0));
        noted.remember([own("a")].into_iter(), at(0));
        assert_eq!(noted.due(BTreeSet::from([own("a"), own("t1")]), at(1)), [own("t1")]);
    }
}
