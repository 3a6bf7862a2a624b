//! Batches with a message in them that may kill the function that handles it; [`posthaste_domain::suspect`] has the rule.
//!
//! What it guarantees: what is no suspect is handled, and deleted, before a suspect is begun, so a suspect that kills the function
//! takes nothing of that along. A suspect is begun only when that is written down. A batch without suspects costs no call more.

use std::{collections::BTreeSet, time::Duration};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use posthaste_domain::suspect::{self, MAX_DEATHS, Turn};
use posthaste_store::Deliveries;

use crate::{
    batch::{self, Batch, Fate, Record},
    clock,
};

/// After how long a suspect comes again that has to be handled alone, while another one is.
const LATER: Duration = Duration::from_secs(1);

/// What suspects are handled with.
#[derive(Debug, Clone)]
pub struct Suspects {
    /// Where it is written down that a suspect is begun.
    pub deliveries: Deliveries,
    /// The queue that the records come from.
    pub batch: Batch,
    /// The id of the event that a record brings, which its dead letter keeps; none where it brings none.
    pub event_id: fn(&Record) -> Option<String>,
}

/// A suspect, and what is known about it.
struct Suspect<'a> {
    at: usize,
    record: &'a Record,
    deaths: u32,
}

impl Suspects {
    /// Handles a batch, all of it together or, where there are suspects, in turns. Carries out the fates, and tells the poller what
    /// to delete.
    pub async fn handle(&self, records: &[Record], handle: impl AsyncFn(&[Record]) -> Vec<Fate>) -> SqsBatchResponse {
        if !records.iter().any(|record| suspect::is_suspect(record.receives)) {
            return self.batch.settle_all(records, handle(records).await).await;
        }
        let (turns, deaths) = self.turns(records).await;
        let in_turn = |turn: Turn| (0..records.len()).filter(|at| turns[*at] == Some(turn)).collect::<Vec<_>>();
        let mut done = self.put_aside(records, &turns).await;
        let first = in_turn(Turn::First);
        if !first.is_empty() {
            let group = group(records, &first);
            let finished = self.batch.finish(&group, handle(&group).await).await;
            done.extend(finished.into_iter().map(|nth| first[nth]));
        }
        for turn in [Turn::Together, Turn::Alone] {
            let suspects = in_turn(turn).into_iter();
            let suspects: Vec<Suspect<'_>> =
                suspects.map(|at| Suspect { at, record: &records[at], deaths: deaths[at] }).collect();
            done.extend(self.try_suspects(&suspects, &handle).await);
        }
        batch::response(records, &done)
    }

    /// The turn of each record, none of one of which nobody knows whether it is to be handled alone, and how many functions have
    /// died with it.
    async fn turns(&self, records: &[Record]) -> (Vec<Option<Turn>>, Vec<u32>) {
        let is_suspect = |record: &&Record| suspect::is_suspect(record.receives);
        let ids = records.iter().filter(is_suspect).map(|record| record.message_id.clone());
        let begun = self.deliveries.begun(ids).await;
        let deaths: Vec<u32> =
            records.iter().map(|record| begun.items.get(&record.message_id).copied().unwrap_or(0)).collect();
        let known = |at: &usize| !begun.unread.contains(&records[*at].message_id);
        let readable: Vec<usize> = (0..records.len()).filter(known).collect();
        let facts = readable.iter().map(|at| is_suspect(&&records[*at]).then_some(deaths[*at]));
        let mut turns = vec![None; records.len()];
        for (at, turn) in readable.iter().zip(suspect::turns(facts)) {
            turns[*at] = Some(turn);
        }
        (turns, deaths)
    }

    /// Settles what is not handled in this batch, before anything can die. Returns what is done.
    async fn put_aside(&self, records: &[Record], turns: &[Option<Turn>]) -> BTreeSet<usize> {
        let fate = |at: usize| match turns[at] {
            None => Some(Fate::after_our_fault(&records[at])),
            Some(Turn::Later) => Some(Fate::RetryIn(LATER)),
            Some(Turn::GiveUp) => Some(Fate::DeadLetter {
                reason: "function_died",
                detail: format!("{MAX_DEATHS} functions in a row died while they handled the message"),
                event_id: (self.event_id)(&records[at]),
            }),
            Some(Turn::First | Turn::Together | Turn::Alone) => None,
        };
        let (aside, fates): (Vec<usize>, Vec<Fate>) = (0..records.len()).filter_map(|at| Some((at, fate(at)?))).unzip();
        if aside.is_empty() {
            return BTreeSet::new();
        }
        let finished = self.batch.finish(&group(records, &aside), fates).await;
        finished.into_iter().map(|nth| aside[nth]).collect()
    }

    /// Handles suspects between writing down that they are begun and forgetting it. Returns the places of those that are done.
    async fn try_suspects(
        &self,
        suspects: &[Suspect<'_>],
        handle: &impl AsyncFn(&[Record]) -> Vec<Fate>,
    ) -> BTreeSet<usize> {
        if suspects.is_empty() {
            return BTreeSet::new();
        }
        let id = |suspect: &Suspect<'_>| suspect.record.message_id.clone();
        let counts: Vec<(String, u32)> = suspects.iter().map(|suspect| (id(suspect), suspect.deaths + 1)).collect();
        let counts: Vec<(&str, u32)> = counts.iter().map(|(id, begun)| (id.as_str(), *begun)).collect();
        let unwritten: BTreeSet<usize> = match self.deliveries.begin(&counts, clock::now()).await {
            Ok(unwritten) => unwritten.into_iter().collect(),
            Err(error) => {
                tracing::error!(%error, "suspects could not be begun");
                (0..suspects.len()).collect()
            }
        };
        let (begun, unbegun): (Vec<_>, Vec<_>) = (0..suspects.len()).partition(|nth| !unwritten.contains(nth));
        let mut fates: Vec<Fate> = suspects.iter().map(|suspect| Fate::after_our_fault(suspect.record)).collect();
        if !begun.is_empty() {
            let records: Vec<Record> = begun.iter().map(|nth| suspects[*nth].record.clone()).collect();
            for (nth, fate) in begun.iter().zip(handle(&records).await) {
                fates[*nth] = fate;
            }
        }
        tracing::info!(begun = begun.len(), unbegun = unbegun.len(), "handled suspects");
        let records: Vec<Record> = suspects.iter().map(|suspect| suspect.record.clone()).collect();
        let ids: Vec<&str> = begun.iter().map(|nth| counts[*nth].0).collect();
        let (finished, forgotten) =
            tokio::join!(self.batch.finish(&records, fates), self.deliveries.forget_begun(&ids));
        if let Err(error) = forgotten {
            tracing::warn!(%error, "suspects could not be forgotten: if they come again, they count as if a function had died");
        }
        finished.into_iter().map(|nth| suspects[nth].at).collect()
    }
}

fn group(records: &[Record], places: &[usize]) -> Vec<Record> {
    places.iter().map(|at| records[*at].clone()).collect()
}
