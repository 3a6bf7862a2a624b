//! The start of a run tells what the other events of the run leave out.
//!
//! Of the events that the Spektr documents print for a run, only some say of which type their
//! process is, and some do not name their run. `process_run_start` says both. Fan-out stores what a
//! start tells under several clues, and looks them up for an event that leaves something out, if a
//! webhook's filters or timing depend on it.
//!
//! | an event names | its type comes from | its run is |
//! |---|---|---|
//! | its run (`contextId`) | the start of that run, else of any run of its process | the one that it names |
//! | its process (`processId`) | the last start of that process about the same subject, else any | the last one that the process started about the same subject, unless that has ended |
//! | neither | nowhere | unknown |
//!
//! An event that comes before its start, or whose start never came or is forgotten, stays as it is.
//! Then no row of a matrix applies to it, and it is delivered as its webhook's `timing` says: what
//! is not known takes nothing away.

use std::{collections::HashMap, hash::BuildHasher};

use serde::{Deserialize, Serialize};

use crate::{
    event::{
        Event,
        process::{self, Process},
    },
    webhook::filter::MAX_PROCESS_TYPE_BYTES,
};

/// The type of the event that starts a process run.
const START: &str = "process_run_start";
/// The longest id of a run that is remembered, in bytes.
const MAX_CONTEXT_BYTES: usize = 1024;

/// Something that an event says, under which the start of its run may be known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clue {
    /// The run itself, by its context id.
    Run(String),
    /// The process and the subject: the last run that the process started about it.
    Subject {
        /// The id of the process.
        process: String,
        /// The subject of the event.
        subject: String,
    },
    /// The process alone: all its runs have the same type.
    Process(String),
}

/// The facts that a start tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The type of the process.
    pub process_type: String,
    /// The id of the run; none where it says nothing about the event that has the clue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
}

/// A clue, and what the start of a run tells about the events that have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lesson {
    /// The clue.
    pub clue: Clue,
    /// The facts.
    pub started: Started,
}

/// The facts that are known, by their clues.
pub type Known<S> = HashMap<Clue, Started, S>;

impl Lesson {
    /// The lessons of an event: none if it neither starts nor ends a run, or does not say what a
    /// start says. An end teaches that its run is no more the last one about its subject: what
    /// comes later must not wait for another end.
    pub fn of(event: &Event, process: &Process) -> Vec<Self> {
        let Process { process_type: Some(process_type), context_id: Some(context), .. } = process
        else {
            return Vec::new();
        };
        let is_short =
            process_type.len() <= MAX_PROCESS_TYPE_BYTES && context.len() <= MAX_CONTEXT_BYTES;
        if !is_short {
            return Vec::new();
        }
        let about_subject = process.process_id.clone().zip(event.subject.clone());
        let about_subject =
            about_subject.map(|(process, subject)| Clue::Subject { process, subject });
        let lesson = |clue, context_id| Self {
            clue,
            started: Started { process_type: process_type.clone(), context_id },
        };
        if process::ends(&event.event_type) {
            return Vec::from_iter(about_subject.map(|clue| lesson(clue, None)));
        }
        if event.event_type.as_str() != START {
            return Vec::new();
        }
        let mut lessons = vec![lesson(Clue::Run(context.clone()), None)];
        lessons.extend(about_subject.map(|clue| lesson(clue, Some(context.clone()))));
        lessons.extend(process.process_id.clone().map(|id| lesson(Clue::Process(id), None)));
        lessons
    }

    /// Tells whether the lesson names the run of the events that have its clue.
    pub fn names_run(&self) -> bool {
        self.started.context_id.is_some()
    }
}

impl Process {
    /// The clues to what the event leaves out, the closest first; none if it leaves out nothing, or
    /// has no clue.
    pub fn clues(&self, subject: Option<&str>) -> Vec<Clue> {
        if self.process_type.is_some() && self.context_id.is_some() {
            return Vec::new();
        }
        let run = self.context_id.clone().map(Clue::Run);
        let Some(process) = self.process_id.clone() else { return Vec::from_iter(run) };
        // An event that names its run has that of its subject only by chance.
        let of_subject = subject
            .filter(|_| run.is_none())
            .map(|subject| Clue::Subject { process: process.clone(), subject: subject.to_owned() });
        run.into_iter().chain(of_subject).chain([Clue::Process(process)]).collect()
    }

    /// The process with what is known of it.
    #[must_use]
    pub fn completed<S: BuildHasher>(mut self, subject: Option<&str>, known: &Known<S>) -> Self {
        for clue in self.clues(subject) {
            let Some(started) = known.get(&clue) else { continue };
            self.process_type = self.process_type.or_else(|| Some(started.process_type.clone()));
            self.context_id = self.context_id.or_else(|| started.context_id.clone());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const START_DATA: &str =
        r#"{"processType":"risk","processName":"n","processId":"12345","contextId":"67890"}"#;

    fn learned(events: &[Event]) -> HashMap<Clue, Started> {
        let mut known = HashMap::new();
        for event in events {
            let lessons = Lesson::of(event, &Process::of(event));
            known.extend(lessons.into_iter().map(|lesson| (lesson.clue, lesson.started)));
        }
        known
    }

    /// The type and the run of an event about the subject `c-1`.
    fn completed(data: &str, known: &HashMap<Clue, Started>) -> (Option<String>, Option<String>) {
        let event = testing::event(1, "alert_resolved", data);
        let process = Process::of(&event).completed(event.subject.as_deref(), known);
        (process.process_type, process.context_id)
    }

    fn risk(context: &str) -> (Option<String>, Option<String>) {
        (Some("risk".to_owned()), Some(context.to_owned()))
    }

    #[test]
    fn the_events_that_the_document_prints_without_a_type_get_that_of_their_start() {
        let known = learned(&[testing::event(1, "process_run_start", START_DATA)]);
        let alert = r#"{"contextId":"67890","processId":"12345","alertId":"a"}"#;
        assert_eq!(completed(alert, &known), risk("67890"));
        let tag = r#"{"tagId":"t","action":"add","processId":"12345"}"#;
        assert_eq!(completed(tag, &known), risk("67890"), "the run about the same customer");
        let status = r#"{"method":{"type":"process","processId":"12345"}}"#;
        assert_eq!(completed(status, &known), risk("67890"));
        assert_eq!(completed(r#"{"method":{"type":"api"}}"#, &known), (None, None));
        assert_eq!(completed(r#"{"contextId":"other"}"#, &known).0, None, "its start is missing");
    }

    #[test]
    fn a_process_has_one_type_and_its_last_run_about_a_subject_counts() {
        let second = START_DATA.replace("67890", "67891");
        let known = learned(&[
            testing::event(1, "process_run_start", START_DATA),
            Event {
                subject: Some("c-1".to_owned()),
                ..testing::event(2, "process_run_start", &second)
            },
            testing::event(3, "process_run_start", &START_DATA.replace("67890", "67892")),
        ]);
        assert_eq!(completed(r#"{"processId":"12345"}"#, &known), risk("67891"));
        let event = testing::event(4, "customer_tag_add", r#"{"processId":"12345"}"#);
        let other = Process::of(&event).completed(event.subject.as_deref(), &known);
        assert_eq!((other.process_type.as_deref(), other.context_id), (Some("risk"), None));
        let unstarted = r#"{"processId":"12345","contextId":"99"}"#;
        assert_eq!(completed(unstarted, &known), risk("99"), "its own start is missing");
    }

    #[test]
    fn nothing_waits_for_the_end_of_a_run_that_has_ended() {
        let known = learned(&[
            testing::event(1, "process_run_start", START_DATA),
            testing::event(1, "process_run_end", START_DATA),
        ]);
        let later = completed(r#"{"processId":"12345"}"#, &known);
        assert_eq!(later, (Some("risk".to_owned()), None), "the type is known, and no run goes on");
    }

    #[test]
    fn what_an_event_says_itself_counts_and_is_not_looked_up() {
        let known = learned(&[testing::event(1, "process_run_start", START_DATA)]);
        let own = r#"{"processType":"onboarding","contextId":"67890"}"#;
        assert_eq!(completed(own, &known).0.as_deref(), Some("onboarding"));
        assert!(Process::of(&testing::event(1, "service_run", own)).clues(Some("c-1")).is_empty());
        assert!(Process::default().clues(Some("c-1")).is_empty(), "it belongs to no process");
        let named = Process { context_id: Some("1".into()), ..Process::default() };
        assert_eq!(named.clues(None), [Clue::Run("1".to_owned())]);
    }

    #[test]
    fn only_a_start_that_says_all_of_it_teaches() {
        let long = START_DATA.replace("67890", &"x".repeat(MAX_CONTEXT_BYTES + 1));
        for (name, data) in [
            ("service_run", START_DATA),
            ("process_run_start", r#"{"contextId":"67890"}"#),
            ("process_run_start", long.as_str()),
        ] {
            assert!(learned(&[testing::event(1, name, data)]).is_empty(), "{name} {data}");
        }
        assert_eq!(learned(&[testing::event(1, "process_run_start", START_DATA)]).len(), 3);
    }
}
