//! The starts of runs tell about their other events. That is stored here, with the process types
//! that a workspace has seen.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::run::{Clue, Lesson, Started},
};
use sha2::{Digest, Sha256};

use super::holds::MARKER_LIFE;
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{EXPIRES_AT, Item, SK, json, key, number},
    table::{Answer, Range, Table},
};

const PREFIX: &str = "#run#";
/// The sort key of what a start tells.
const STARTED: &str = "started";
/// The beginning of the sort keys of process types.
const TYPE: &str = "type#";

/// The facts that are known of all runs.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(super) table: Table,
}

/// A clue of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunClue {
    /// The workspace that the run belongs to.
    pub workspace: Workspace,
    /// The clue to the run.
    pub clue: Clue,
}

/// A lesson of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunLesson {
    /// The workspace that the run belongs to.
    pub workspace: Workspace,
    /// The facts that the start of the run tells.
    pub lesson: Lesson,
}

impl Runs {
    /// Stores what starts tell, each for this long from `now` on; but the run of a subject for no
    /// longer than it is known of a run that it has ended. Of two lessons with the same clue
    /// the later one counts. Returns the places of those that may not be stored.
    pub async fn learn(
        &self,
        lessons: &[RunLesson],
        life: Duration,
        now: Timestamp,
    ) -> Result<HashSet<usize>, StoreError> {
        let expires = number((now + life).as_second());
        let run_expires = number((now + life.min(MARKER_LIFE)).as_second());
        let mut by_key: BTreeMap<(String, String), (Item, Vec<usize>)> = BTreeMap::new();
        for (place, RunLesson { workspace, lesson }) in lessons.iter().enumerate() {
            let started = clue_key(workspace, &lesson.clue)
                .with(STARTED, json(&lesson.started)?)
                .with(EXPIRES_AT, if lesson.names_run() { &run_expires } else { &expires }.clone());
            // A process is started again and again, and its type is known by the process as well.
            let seen = matches!(lesson.clue, Clue::Process(_)).then(|| {
                type_key(workspace, &lesson.started.process_type).with(EXPIRES_AT, expires.clone())
            });
            for item in [started].into_iter().chain(seen) {
                let known = by_key.entry(item.key_texts()?).or_default();
                known.0 = item;
                known.1.push(place);
            }
        }
        let (items, places): (Vec<Item>, Vec<Vec<usize>>) = by_key.into_values().unzip();
        let undone = batch::put(&self.table, items).await?;
        Ok(undone.into_iter().flat_map(|item| places[item].clone()).collect())
    }

    /// Reads what is known under these clues, strongly consistently, with one call for up to 100.
    pub async fn known(&self, clues: impl IntoIterator<Item = RunClue>) -> Found<RunClue, Started> {
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[STARTED], read };
        let keys = clues.into_iter().map(|of| {
            let key = clue_key(&of.workspace, &of.clue);
            (of, key)
        });
        batch::get(reading, keys).await
    }

    /// The process types that a workspace has seen lately, by name: up to `limit` of them.
    pub async fn types(
        &self,
        workspace: &Workspace,
        limit: i32,
    ) -> Result<Vec<String>, StoreError> {
        let query = self.table.query(&types_of(workspace), Range::Beginning(TYPE)).limit(limit);
        let answer = Answer::to(query.projection_expression(SK)).await?;
        let mut types = Vec::new();
        for item in &answer.items {
            types.extend(item.text(SK)?.strip_prefix(TYPE).map(str::to_owned));
        }
        Ok(types)
    }
}

fn read(item: &Item) -> Result<Started, StoreError> {
    item.json(STARTED)
}

/// The key of a clue. Ids may be longer than a key, so it has their hash.
fn clue_key(workspace: &Workspace, clue: &Clue) -> Item {
    let parts: [&str; 3] = match clue {
        Clue::Run(context) => ["run", context, ""],
        Clue::Subject { process, subject } => ["subject", process, subject],
        Clue::Process(process) => ["process", process, ""],
    };
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    key(format!("{PREFIX}{workspace}#{}", hex::encode(hash.finalize())), STARTED)
}

fn types_of(workspace: &Workspace) -> String {
    format!("{PREFIX}{workspace}")
}

fn type_key(workspace: &Workspace, process_type: &str) -> Item {
    key(types_of(workspace), format!("{TYPE}{process_type}"))
}
