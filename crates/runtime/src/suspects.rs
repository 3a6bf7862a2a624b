//! Batches with a message in them that may kill the function that handles it;
//! [`posthaste_domain::message::suspect`] has the rule.
//!
//! It guarantees this: what is no suspect is handled, and deleted, before a suspect is begun, so a
//! suspect that kills the function takes nothing of that along. A suspect is begun only when that
//! is written down, and only with time left to forget it. A batch without suspects costs no call
//! more.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use posthaste_domain::message::{
    dead_letter::DeadLetterReason,
    suspect::{self, FORGETTING, Handling, MAX_DEATHS},
};
use posthaste_store::Found;
use tokio::time::Instant;

use crate::{
    batch::{self, Batch, Fate, Record},
    clock,
    deadline::{Deadline, RESERVE},
};

/// After how long a suspect comes again that has to be handled alone, while another one is.
const LATER: Duration = Duration::from_secs(1);
/// Reading what is written about suspects may take so long. The messages that are no suspects wait
/// for it.
const READING: Duration = Duration::from_secs(5);
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

/// The facts that are known about a record.
struct Known {
    /// The way in which it is handled; none where that can't be read.
    handling: Option<Handling>,
    /// The number of functions that have died with it.
    deaths: u32,
}

impl Suspects {
    /// Handles a batch, all of it together or, where there are suspects, one group after the other.
    /// Carries out the fates, and tells the poller what to delete. `handle` is told by when it has
    /// to be over.
    pub async fn handle(
        &self,
        records: &[Record],
        deadline: Deadline,
        handle: impl AsyncFn(&[Record], Deadline) -> Vec<Fate>,
    ) -> SqsBatchResponse {
        if !records.iter().any(|record| suspect::is_suspect(record.receives)) {
            return self.batch.settle_all(records, handle(records, deadline).await).await;
        }
        let known = known(&self.store, records).await;
        let mut done = self.put_aside(records, &known).await;
        let first = places_of(&known, Handling::First);
        if !first.is_empty() {
            let group = group(records, &first);
            let finished = self.batch.finish(&group, handle(&group, deadline).await).await;
            done.extend(finished.into_iter().map(|nth| first[nth]));
        }
        for handling in [Handling::Together, Handling::Alone] {
            let mut suspects = Vec::new();
            for at in places_of(&known, handling) {
                suspects.push(Suspect { at, record: &records[at], deaths: known[at].deaths });
            }
            done.extend(self.try_suspects(&suspects, deadline, &handle).await);
        }
        batch::response(records, &done)
    }

    /// Settles what is not handled in this batch, before anything can die. Returns what is done.
    async fn put_aside(&self, records: &[Record], known: &[Known]) -> BTreeSet<usize> {
        let mut aside = Vec::new();
        let mut fates = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let fate = match known[at].handling {
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

/// Reads what is known about each record.
async fn known(store: &posthaste_store::Suspects, records: &[Record]) -> Vec<Known> {
    let suspects = records.iter().filter(|record| suspect::is_suspect(record.receives));
    let ids: HashSet<String> = suspects.map(|record| record.message_id.clone()).collect();
    let reading = tokio::time::timeout(READING, store.begun(ids.clone()));
    let begun = reading.await.unwrap_or_else(|_| {
        tracing::error!("suspects could not be read in time");
        Found { unread: ids, ..Found::default() }
    });
    let mut known = Vec::new();
    let mut readable = Vec::new();
    let mut facts = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let deaths = begun.items.get(&record.message_id).copied().unwrap_or(0);
        known.push(Known { handling: None, deaths });
        if !begun.unread.contains(&record.message_id) {
            readable.push(at);
            facts.push(suspect::is_suspect(record.receives).then_some(deaths));
        }
    }
    for (at, handling) in readable.into_iter().zip(suspect::handling(facts)) {
        known[at].handling = Some(handling);
    }
    known
}

/// The places of the records that are handled in this way.
fn places_of(known: &[Known], handling: Handling) -> Vec<usize> {
    (0..known.len()).filter(|at| known[*at].handling == Some(handling)).collect()
}

fn group(records: &[Record], places: &[usize]) -> Vec<Record> {
    places.iter().map(|at| records[*at].clone()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, timeout::TimeoutConfig};
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::HttpRequest,
    };
    use posthaste_store::Deliveries;

    use super::*;

    /// A network on which nothing is ever answered.
    #[derive(Debug)]
    struct Silence;

    impl HttpConnector for Silence {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::new(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_suspect_waits_only_for_seconds_until_suspects_are_read() {
        let silence = http_client_fn(|_, _| SharedHttpConnector::new(Silence));
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .timeout_config(TimeoutConfig::disabled())
            .http_client(silence)
            .build();
        let store =
            Deliveries::new(aws_sdk_dynamodb::Client::from_conf(config), "t").suspects.clone();
        let records = [1, 3].map(|receives: u32| Record {
            message_id: receives.to_string(),
            receives,
            ..Record::default()
        });
        let reading = known(&store, &records);
        let known = tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap();
        let handling: Vec<_> = known.iter().map(|known| known.handling).collect();
        assert_eq!(handling, [Some(Handling::First), None]);
    }
}
