//! The starts of runs are remembered, and the process types that were seen.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::run::{Clue, Lesson, Started},
};
use posthaste_store::{Deliveries, RunClue, RunLesson};

use crate::table;

const LIFE: Duration = Duration::from_secs(21 * 24 * 60 * 60);

fn lesson(workspace: &str, clue: Clue, process_type: &str) -> RunLesson {
    let started = Started { process_type: process_type.to_owned(), context_id: None };
    let workspace = Workspace::parse(workspace).unwrap();
    RunLesson { workspace, lesson: Lesson { clue, started } }
}

fn clue(workspace: &str, clue: Clue) -> RunClue {
    RunClue { workspace: Workspace::parse(workspace).unwrap(), clue }
}

#[tokio::test]
async fn what_a_start_tells_is_found_by_its_clue_and_in_its_workspace_only() {
    let client = table::create().await;
    let runs = Deliveries::new(client.clone(), table::NAME).runs.clone();
    let process = || Clue::Process("1".to_owned());
    let run = || Clue::Run("1".to_owned());
    let lessons = [
        lesson("acme", process(), "risk"),
        lesson("acme", run(), "onboarding"),
        lesson("acme", run(), "monitoring"),
    ];
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    assert!(runs.learn(&lessons, LIFE, now).await.unwrap().is_empty());
    let wanted = [clue("acme", process()), clue("acme", run()), clue("other", run())];
    let found = runs.known(wanted.clone()).await;
    let types =
        wanted.map(|clue| found.items.get(&clue).map(|started| started.process_type.as_str()));
    assert_eq!(types, [Some("risk"), Some("monitoring"), None], "the later one counts");
    let acme = Workspace::parse("acme").unwrap();
    assert_eq!(runs.types(&acme, 10).await.unwrap(), ["risk"], "that of the process");
    assert!(runs.types(&Workspace::parse("other").unwrap(), 10).await.unwrap().is_empty());
    let items = client.scan().table_name(table::NAME).send().await.unwrap().items.unwrap();
    let expires = (now + LIFE).as_second().to_string();
    assert!(items.iter().all(|item| item["expiresAt"].as_n().unwrap() == &expires));
}
