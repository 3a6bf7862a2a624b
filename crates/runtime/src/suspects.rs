//! Batches with a message in them that may kill the function that handles it;
//! [`posthaste_domain::message::suspect`] has the rule.
//!
//! It guarantees this: what is no suspect is handled, and deleted, before a suspect is begun, so a
//! suspect that kills the function takes nothing of that along. A suspect is begun only when that
//! is written down, and only with time left to forget it. A batch without suspects costs no call
//! more.

use std::{collections::BTreeSet, time::Duration};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use posthaste_domain::message::{
    dead_letter::DeadLetterReason,
    suspect::{self, FORGETTING, Handling, MAX_DEATHS},
};
use tokio::time::Instant;

use crate::{
    batch::{self, Batch, Fate, Record},
    clock,
    deadline::{Deadline, RESERVE},
};

/// After how long a suspect comes again that has to be handled alone, while another one is.
const LATER: Duration = Duration::from_secs(1);
/// Forgetting leaves so much of the reserve of an invocation for its answer.
const ANSWERING: Duration = Duration::from_secs(1);
/// Forgetting waits so long before it is tried again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// All that suspects are handled with.
#[derive(Debug, Clone)]
pub struct Suspects {
    /// The items in which it is written down that a suspect is begun.
    pub store: posthaste_store::Suspects,
    /// The queue that the records come from.
    pub batch: Batch,
    /// The id of the event that a record brings, which its dead letter keeps; none where it brings
    /// none.
    pub event_id: fn(&Record) -> Option<String>,
}

/// A suspect, and what is known about it.
struct Suspect<'a> {
    at: usize,
    record: &'a Record,
    deaths: u32,
}

impl Suspects {
    /// Handles a batch, all of it together or, where there are suspects, in turns. Carries out the
    /// fates, and tells the poller what to delete. `handle` is told by when it has to be over.
    pub async fn handle(
        &self,
        records: &[Record],
        deadline: Deadline,
        handle: impl AsyncFn(&[Record], Deadline) -> Vec<Fate>,
    ) -> SqsBatchResponse {
        if !records.iter().any(|record| suspect::is_suspect(record.receives)) {
            return self.batch.settle_all(records, handle(records, deadline).await).await;
        }
        let (turns, deaths) = self.turns(records).await;
        let mut done = self.put_aside(records, &turns).await;
        let first = places_in(&turns, Handling::First);
        if !first.is_empty() {
            let group = group(records, &first);
            let finished = self.batch.finish(&group, handle(&group, deadline).await).await;
            done.extend(finished.into_iter().map(|nth| first[nth]));
        }
        for turn in [Handling::Together, Handling::Alone] {
            let mut suspects = Vec::new();
            for at in places_in(&turns, turn) {
                suspects.push(Suspect { at, record: &records[at], deaths: deaths[at] });
            }
            done.extend(self.try_suspects(&suspects, deadline, &handle).await);
        }
        batch::response(records, &done)
    }

    /// The turn of each record, none of one of which nobody knows whether it is to be handled
    /// alone, and how many functions have died with it.
    async fn turns(&self, records: &[Record]) -> (Vec<Option<Handling>>, Vec<u32>) {
        let suspects = records.iter().filter(|record| suspect::is_suspect(record.receives));
        let begun = self.store.begun(suspects.map(|record| record.message_id.clone())).await;
        let mut deaths = Vec::new();
        let mut readable = Vec::new();
        let mut facts = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let count = begun.items.get(&record.message_id).copied().unwrap_or(0);
            deaths.push(count);
            if !begun.unread.contains(&record.message_id) {
                readable.push(at);
                facts.push(suspect::is_suspect(record.receives).then_some(count));
            }
        }
        let mut turns = vec![None; records.len()];
        for (at, turn) in readable.into_iter().zip(suspect::handling(facts)) {
            turns[at] = Some(turn);
        }
        (turns, deaths)
    }

    /// Settles what is not handled in this batch, before anything can die. Returns what is done.
    async fn put_aside(&self, records: &[Record], turns: &[Option<Handling>]) -> BTreeSet<usize> {
        let mut aside = Vec::new();
        let mut fates = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let fate = match turns[at] {
                None => Fate::after_our_fault(record),
                Some(Handling::Later) => Fate::RetryIn(LATER),
                Some(Handling::GiveUp) => Fate::DeadLetter {
                    reason: DeadLetterReason::FunctionDied,
                    detail: format!(
                        "{MAX_DEATHS} functions in a row died while they handled the message"
                    ),
                    event_id: (self.event_id)(record),
                },
                Some(Handling::First | Handling::Together | Handling::Alone) => continue,
            };
            aside.push(at);
            fates.push(fate);
        }
        if aside.is_empty() {
            return BTreeSet::new();
        }
        let finished = self.batch.finish(&group(records, &aside), fates).await;
        finished.into_iter().map(|nth| aside[nth]).collect()
    }

    /// Handles suspects between writing down that they are begun and forgetting it. Returns the
    /// places of those that are done.
    async fn try_suspects(
        &self,
        suspects: &[Suspect<'_>],
        deadline: Deadline,
        handle: &impl AsyncFn(&[Record], Deadline) -> Vec<Fate>,
    ) -> BTreeSet<usize> {
        if suspects.is_empty() {
            return BTreeSet::new();
        }
        let records: Vec<Record> = suspects.iter().map(|suspect| suspect.record.clone()).collect();
        let mut fates: Vec<Fate> = records.iter().map(Fate::later).collect();
        let mut remembered = Vec::new();
        if suspect::can_begin(deadline.left()) {
            let handled_by = deadline.earlier(FORGETTING);
            let unwritten = self.begin(suspects, handled_by).await;
            let (begun, unbegun): (Vec<_>, Vec<_>) =
                (0..suspects.len()).partition(|nth| !unwritten.contains(nth));
            for nth in &unbegun {
                fates[*nth] = Fate::after_our_fault(&records[*nth]);
            }
            if !begun.is_empty() {
                for (nth, fate) in
                    begun.iter().zip(handle(&group(&records, &begun), handled_by).await)
                {
                    fates[*nth] = fate;
                }
            }
            tracing::info!(begun = begun.len(), unbegun = unbegun.len(), "handled suspects");
            remembered = begun;
            // What could not be written may have been. Where no death was counted before, there is
            // none to keep.
            remembered.extend(unbegun.into_iter().filter(|nth| suspects[*nth].deaths == 0));
        } else {
            tracing::warn!(suspects = suspects.len(), "too little time was left to begin suspects");
        }
        let until = deadline.instant() + RESERVE.saturating_sub(ANSWERING);
        let (finished, mut remembered) = tokio::join!(
            self.batch.finish(&records, fates),
            self.forget(suspects, remembered, until)
        );
        // What is done does not come again, so nobody will ask what is remembered of it.
        remembered.retain(|nth| !finished.contains(nth));
        self.go_on_forgetting(suspects, remembered, until).await;
        finished.into_iter().map(|nth| suspects[nth].at).collect()
    }

    /// Writes down that suspects are begun. Returns the places of those of which that may not be
    /// written.
    async fn begin(&self, suspects: &[Suspect<'_>], deadline: Deadline) -> BTreeSet<usize> {
        let counts: Vec<(&str, u32)> = suspects
            .iter()
            .map(|suspect| (suspect.record.message_id.as_str(), suspect.deaths + 1))
            .collect();
        let all = (0..suspects.len()).collect();
        match tokio::time::timeout_at(deadline.instant(), self.store.begin(&counts, clock::now()))
            .await
        {
            Ok(Ok(unwritten)) => unwritten.into_iter().collect(),
            Ok(Err(error)) => {
                tracing::error!(%error, "suspects could not be begun");
                all
            }
            Err(_) => {
                tracing::error!("suspects could not be begun in time");
                all
            }
        }
    }

    /// Forgets the suspects at these places. Returns the places of those that may not be forgotten.
    async fn forget(
        &self,
        suspects: &[Suspect<'_>],
        places: Vec<usize>,
        until: Instant,
    ) -> Vec<usize> {
        let ids: Vec<&str> =
            places.iter().map(|nth| suspects[*nth].record.message_id.as_str()).collect();
        match tokio::time::timeout_at(until, self.store.forget(&ids)).await {
            Ok(Ok(kept)) => kept.into_iter().map(|at| places[at]).collect(),
            Ok(Err(error)) => {
                tracing::error!(%error, "suspects could not be forgotten yet");
                places
            }
            Err(_) => places,
        }
    }

    /// Tries to forget for as long as there is time: each that comes again counts as if a function
    /// had died.
    async fn go_on_forgetting(
        &self,
        suspects: &[Suspect<'_>],
        mut places: Vec<usize>,
        until: Instant,
    ) {
        let mut pause = FIRST_WAIT;
        while !places.is_empty() && Instant::now() < until {
            tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
            pause = LONGEST_WAIT.min(pause * 2);
            places = self.forget(suspects, places, until).await;
        }
        if !places.is_empty() {
            tracing::warn!(
                suspects = places.len(),
                "suspects could not be forgotten: when they come again, they count as if a \
                 function had died"
            );
        }
    }
}

/// The places of the records that have this turn.
fn places_in(turns: &[Option<Handling>], turn: Handling) -> Vec<usize> {
    (0..turns.len()).filter(|at| turns[*at] == Some(turn)).collect()
}

fn group(records: &[Record], places: &[usize]) -> Vec<Record> {
    places.iter().map(|at| records[*at].clone()).collect()
}
