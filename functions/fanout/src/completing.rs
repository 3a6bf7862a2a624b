//! The start of a run completes what the run's other events leave out of their process.
//!
//! Each start is stored when it is fanned out, and its record is done only then. It is read again
//! only for an event that leaves something out, and only where the way of the event to a webhook
//! depends on that. One call reads for all events of an invocation. An event whose read fails comes
//! again, as nobody knows its way.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_domain::event::run::{Clue, Lesson, Started};
use posthaste_runtime::clock;
use posthaste_store::{RunClue, RunLesson};

use crate::{fanout::Fanout, plan::Arrived, routes::RoutesOf};

/// An environment remembers so many lessons that it has stored.
const MAX_REMEMBERED: usize = 10_000;

/// The lessons about processes that this environment has stored. They are the same for each run of
/// a process, so they are stored once. An environment is gone long before they expire.
#[derive(Debug, Default)]
pub(crate) struct Taught(Mutex<HashSet<RunLesson>>);

impl Taught {
    fn has(&self, lesson: &RunLesson) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(lesson)
    }

    fn remember(&self, lesson: RunLesson) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        all.insert(lesson);
    }
}

/// A lesson, and the record whose event teaches it.
struct Teaching {
    record: usize,
    lesson: RunLesson,
}

impl Fanout {
    /// Completes what the events say of their processes, as far as that is known and matters.
    /// Leaves out the events of which it could not be read.
    pub(crate) async fn completed(
        &self,
        mut arrived: Vec<Arrived>,
        routes: impl Future<Output = Arc<RoutesOf>>,
    ) -> Vec<Arrived> {
        if arrived.iter().all(|arrived| clues(arrived).is_empty()) {
            return arrived;
        }
        let routes = routes.await;
        let mut wanted: BTreeSet<RunClue> = BTreeSet::new();
        for arrived in arrived.iter().filter(|arrived| matters(arrived, &routes)) {
            wanted.extend(clues(arrived));
        }
        if wanted.is_empty() {
            return arrived;
        }
        let found = self.deliveries.runs.known(wanted).await;
        let mut known = found.items;
        // Those that have come with a start may not find it in the table yet.
        for Teaching { lesson: RunLesson { workspace, lesson }, .. } in teachings(&arrived) {
            // An end that came with other events of its run is behind them.
            if lesson.names_run() || !matches!(lesson.clue, Clue::Subject { .. }) {
                known.insert(RunClue { workspace, clue: lesson.clue }, lesson.started);
            }
        }
        arrived.retain(|arrived| {
            let is_unread = clues(arrived).iter().any(|clue| found.unread.contains(clue));
            !(is_unread && matters(arrived, &routes))
        });
        for arrived in &mut arrived {
            complete(arrived, &known);
        }
        arrived
    }

    /// Stores what the starts among these events tell. Answers the records of those of which that
    /// may not be stored.
    pub(crate) async fn learn(&self, arrived: &[Arrived]) -> BTreeSet<usize> {
        let mut new = teachings(arrived);
        new.retain(|teaching| !self.taught.has(&teaching.lesson));
        if new.is_empty() {
            return BTreeSet::new();
        }
        let lessons: Vec<RunLesson> = new.iter().map(|teaching| teaching.lesson.clone()).collect();
        let undone = match self.deliveries.runs.learn(&lessons, self.retention, clock::now()).await
        {
            Ok(undone) => undone,
            Err(error) => {
                tracing::error!(%error, "the start of a run can't be stored");
                return new.into_iter().map(|teaching| teaching.record).collect();
            }
        };
        let mut unlearned = BTreeSet::new();
        for (place, Teaching { record, lesson }) in new.into_iter().enumerate() {
            if undone.contains(&place) {
                unlearned.insert(record);
            } else if matches!(lesson.lesson.clue, Clue::Process(_)) {
                self.taught.remember(lesson);
            }
        }
        unlearned
    }
}

/// Says whether the way of an event to one of its webhooks depends on what it leaves out.
fn matters(arrived: &Arrived, routes: &RoutesOf) -> bool {
    let Some(routes) = routes.get(&arrived.event.workspace) else { return false };
    let mut subscriptions = routes.for_which(arrived).filter_map(|(_, known)| known.as_ref());
    subscriptions.any(|subscription| {
        subscription.depends_on_more_than(&arrived.event.event_type, &arrived.process)
    })
}

/// The clues to what an event leaves out.
fn clues(arrived: &Arrived) -> Vec<RunClue> {
    let clues = arrived.process.clues(arrived.event.subject.as_deref());
    let workspace = &arrived.event.workspace;
    clues.into_iter().map(|clue| RunClue { workspace: workspace.clone(), clue }).collect()
}

/// The lessons of the starts among these events, in the order of the events.
fn teachings(arrived: &[Arrived]) -> Vec<Teaching> {
    let mut starts: Vec<&Arrived> = arrived.iter().filter(|arrived| !arrived.is_stored).collect();
    starts.sort_by_key(|arrived| arrived.event.id);
    let mut teachings = Vec::new();
    for Arrived { record, event, process, .. } in starts {
        for lesson in Lesson::of(event, process) {
            let lesson = RunLesson { workspace: event.workspace.clone(), lesson };
            teachings.push(Teaching { record: *record, lesson });
        }
    }
    teachings
}

fn complete(arrived: &mut Arrived, known: &HashMap<RunClue, Started>) {
    let mut about_it = HashMap::new();
    for of in clues(arrived) {
        if let Some(started) = known.get(&of) {
            about_it.insert(of.clue, started.clone());
        }
    }
    let process = std::mem::take(&mut arrived.process);
    arrived.process = process.completed(arrived.event.subject.as_deref(), &about_it);
}
