use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::{
    delivery::{
        attempt::{Duty, Status, duty},
        request::WebhookRequest,
        sequence::{Recorded, Retry},
    },
    id::{Cause, CauseKind, WebhookId},
    testing,
    webhook::{Webhook, retry::RetrySchedule},
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// An event is divided from others at most so often, as a request has at most 100.
const MOST_HALVINGS: u32 = 7;

fn pending(nth: u8) -> Pending {
    let event = testing::event(nth, "order.created", "{}");
    Pending {
        source: 0,
        id: DeliveryId::derive(event.id, WebhookId(42), Cause::Published),
        cause: CauseKind::Published,
        event: Arc::new(event),
        redriven: false,
        attempts: 0,
        halvings: 0,
        companions: Companions::Any,
        recorded_at: None,
        faults: 0,
    }
}

fn sequence(count: u8) -> Sequence {
    Sequence { batch: None, left: (0..count).map(pending).collect(), is_fresh: true }
}

fn webhook() -> Webhook {
    testing::webhook(json!({ "profile": "spektr" }))
}

fn answered(status: u16, events: usize) -> Attempt {
    let url = testing::url("https://example.com/");
    Attempt::answered(&webhook(), &url, NOW, Duration::ZERO, status, b"").with_events(events)
}

/// The records of deliveries, as far as halvings change them.
#[derive(Default)]
struct Records(BTreeMap<DeliveryId, Progress>);

impl Records {
    fn note(&mut self, pending: &Pending, retry: Retry) {
        let progress = Progress {
            status: Status::Pending,
            attempts: 0,
            halvings: pending.halvings + 1,
            due_at: None,
            not_before: Some(retry.due_at),
            recorded_at: Some(NOW),
            batch: retry.batch,
        };
        self.0.insert(pending.id, progress);
    }

    /// The deliveries as a function finds them that receives their message again.
    fn read(&self, left: &[Pending]) -> Vec<Pending> {
        let read = left.iter().map(|pending| {
            let progress = self.0.get(&pending.id);
            let halvings = progress.map_or(0, |progress| progress.halvings);
            let companions = progress.map(Progress::companions).unwrap_or_default();
            Pending { halvings, companions, ..pending.clone() }
        });
        read.collect()
    }
}

/// An endpoint that takes bodies of a certain size, and what it was sent.
struct Endpoint {
    sizes: Vec<usize>,
    limit: usize,
    /// The ids of the requests that it has refused or taken.
    requests: BTreeSet<String>,
    taken: Vec<Vec<DeliveryId>>,
}

impl Endpoint {
    /// Returns whether the request is small enough.
    fn takes(&self, deliveries: &[Pending]) -> bool {
        let size = |pending: &Pending| {
            self.sizes[usize::from(pending.event.id.as_number().to_be_bytes()[15])]
        };
        deliveries.iter().map(size).sum::<usize>() <= self.limit
    }
}

/// Makes the requests of a sequence to their end. `dies` says after which requests the function
/// dies, when it has recorded only a part of a halving or all of it.
fn go_through(mut endpoint: Endpoint, dies: &[Option<usize>]) -> Endpoint {
    let mut sequence = sequence(u8::try_from(endpoint.sizes.len()).unwrap());
    let mut records = Records::default();
    let mut deaths = dies.iter();
    while !sequence.left.is_empty() {
        let Upcoming { deliveries, batch } = sequence.upcoming();
        let ids: Vec<DeliveryId> = deliveries.iter().map(|pending| pending.id).collect();
        let shared = batch.or_else(|| BatchId::derive(&ids).filter(|_| ids.len() > 1));
        let id = shared.map_or_else(|| ids[0].to_string(), |shared| shared.to_string());
        endpoint.requests.insert(id);
        let attempt =
            answered(if endpoint.takes(deliveries) { 200 } else { 413 }, deliveries.len());
        let mut carried = sequence.carry(ids.len(), shared);
        if !attempt.is_halving() {
            endpoint.taken.push(ids);
            continue;
        }
        carried.halve();
        let recorded = deaths.next().copied().flatten().unwrap_or(usize::MAX);
        for pending in carried.deliveries.iter().take(recorded) {
            let schedule = RetrySchedule::NONE;
            let retry = carried
                .plan_for(pending, &attempt, Duration::from_secs(9), &schedule, NOW)
                .unwrap();
            assert_eq!(retry.due_at, NOW, "a half is due at once");
            records.note(pending, retry);
        }
        if recorded != usize::MAX {
            let mut left = carried.deliveries;
            left.append(&mut sequence.left);
            sequence = Sequence { batch: None, left: records.read(&left), is_fresh: false };
            continue;
        }
        let count = carried.deliveries.len();
        let counted: Vec<Recorded> = carried
            .deliveries
            .iter()
            .map(|pending| Recorded::Counted(pending.halvings + 1))
            .collect();
        let settled = carried.settle(&attempt, &RetrySchedule::NONE, &counted);
        assert_eq!(settled.halves.len(), count, "each goes on, though there is no retry");
        sequence.put_back(settled.halves);
    }
    endpoint
}

proptest! {
    #[test]
    fn each_event_arrives_once_and_in_order_in_requests_that_the_endpoint_takes(
        sizes in vec(1..50_usize, 1..=100),
        limit in 1..3000_usize,
    ) {
        let count = sizes.len();
        let endpoint = Endpoint { sizes, limit, requests: BTreeSet::new(), taken: Vec::new() };
        let endpoint = go_through(endpoint, &[]);
        let order: Vec<DeliveryId> = endpoint.taken.concat();
        let all = sequence(u8::try_from(count).unwrap());
        prop_assert!(order.iter().eq(all.left.iter().map(|pending| &pending.id)));
        for request in &endpoint.taken {
            let deliveries: Vec<Pending> =
                all.left.iter().filter(|one| request.contains(&one.id)).cloned().collect();
            prop_assert!(request.len() == 1 || endpoint.takes(&deliveries));
        }
        // A tree of halves with so many leaves has one inner node less, and each node has an id.
        prop_assert_eq!(endpoint.requests.len(), 2 * endpoint.taken.len() - 1);
    }

    #[test]
    fn a_function_that_dies_at_any_line_of_a_halving_loses_none_and_changes_no_order(
        sizes in vec(1..50_usize, 1..=100),
        limit in 1..3000_usize,
        dies in vec(proptest::option::of(0..110_usize), 0..10),
    ) {
        let count = sizes.len();
        let endpoint = Endpoint { sizes, limit, requests: BTreeSet::new(), taken: Vec::new() };
        let endpoint = go_through(endpoint, &dies);
        let all = sequence(u8::try_from(count).unwrap());
        let order = endpoint.taken.concat();
        prop_assert!(order.iter().eq(all.left.iter().map(|pending| &pending.id)));
    }

    #[test]
    fn a_hundred_events_are_divided_seven_times_at_most(count in 1..=100_u8) {
        let mut left = vec![usize::from(count)];
        let mut halvings = 0;
        while left.iter().any(|size| *size > 1) {
            let mut halves = Vec::new();
            for size in left {
                let mut carried = Carried { deliveries: sequence(100).left, batch: None };
                carried.deliveries.truncate(size);
                carried.halve();
                let first = carried.deliveries[0].companions;
                let larger = carried.deliveries.iter().filter(|one| one.companions == first).count();
                let larger = if first == Companions::Alone { 1 } else { larger };
                halves.extend([larger, size - larger].into_iter().filter(|size| *size > 0));
            }
            left = halves;
            halvings += 1;
        }
        prop_assert!(halvings <= MOST_HALVINGS, "{count} events take {halvings}");
        prop_assert_eq!(left.len(), usize::from(count));
    }
}

#[test]
fn each_half_is_a_request_with_an_id_of_its_own() {
    let webhook = webhook();
    let mut sequence = sequence(3);
    let ids: Vec<DeliveryId> = sequence.left.iter().map(|pending| pending.id).collect();
    let whole = BatchId::derive(&ids);
    let mut carried = sequence.carry(3, whole);
    carried.halve();
    // The message of a retry names the request that was divided.
    let mut sequence = Sequence { batch: whole, left: carried.deliveries, is_fresh: false };
    let mut sent = Vec::new();
    while !sequence.left.is_empty() {
        let Upcoming { deliveries, batch } = sequence.upcoming();
        let due: Vec<_> =
            deliveries.iter().map(|pending| (pending.id, pending.event.as_ref())).collect();
        let request = WebhookRequest::unsigned(&webhook, &due, batch, NOW).unwrap();
        let id = request.headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone();
        sent.push((request.delivery_count, id));
        let count = request.delivery_count;
        sequence.carry(count, request.batch);
    }
    let half = BatchId::derive(&ids[..2]).unwrap().to_string();
    let alone = testing::event(2, "order.created", "{}").id.to_string();
    assert_eq!(sent, [(2, half), (1, alone)]);
}

#[test]
fn a_half_that_is_tried_again_keeps_its_id_and_loses_it_with_its_next_division() {
    let mut carried = Carried { deliveries: sequence(4).left, batch: None };
    carried.halve();
    let half: Vec<Pending> = carried.deliveries[..2].to_vec();
    let batch = half[0].companions.batch();
    assert!(batch.is_some());
    let tried = |left: Vec<Pending>, named| {
        Sequence { batch: named, left, is_fresh: false }.upcoming().batch
    };
    assert_eq!(tried(half.clone(), batch), batch);
    assert_eq!(tried(half[..1].to_vec(), batch), batch, "the other one has ended");
    assert_eq!(tried(carried.deliveries, batch), None, "the other half must not have the same id");
    let mut again = Carried { deliveries: half, batch };
    again.halve();
    assert_eq!(tried(again.deliveries[..1].to_vec(), batch), None, "each is alone from now on");
}

#[test]
fn only_a_request_with_several_events_that_is_too_large_is_divided() {
    let halved = answered(413, 100);
    assert!(halved.is_halving() && !halved.succeeded());
    let error = halved.error.unwrap();
    assert_eq!(error.code, "batch_halved");
    assert_eq!(
        error.message,
        "the endpoint answered with status 413, so the batch of 100 events was halved"
    );
    assert_eq!(answered(413, 1).error.unwrap().code, "http_status", "a failure like any other");
    assert!(!answered(500, 100).is_halving() && !answered(200, 100).is_halving());
    let takes_413 = testing::webhook(json!({ "profile": "spektr", "successStatuses": [413] }));
    let url = testing::url("https://example.com/");
    let taken = Attempt::answered(&takes_413, &url, NOW, Duration::ZERO, 413, b"").with_events(9);
    assert!(taken.succeeded());
}

#[test]
fn a_halving_costs_no_attempt_even_where_there_is_only_one() {
    let webhook = testing::webhook(json!({ "profile": "spektr", "retrySchedule": [] }));
    let mut carried = Carried { deliveries: sequence(2).left, batch: None };
    carried.halve();
    let mut records = Records::default();
    let attempt = answered(413, 2);
    for pending in &carried.deliveries {
        let retry = carried.plan_for(pending, &attempt, Duration::ZERO, &RetrySchedule::NONE, NOW);
        records.note(pending, retry.unwrap());
    }
    for progress in records.0.values() {
        assert_eq!(duty(&webhook, Some(*progress), false, NOW), Duty::Send);
        assert!(!progress.has_had_its_turn(), "what comes after it in its run waits");
    }
    let failed = Carried { deliveries: records.read(&carried.deliveries[..1]), batch: None };
    let settled =
        failed.settle(&answered(413, 1), &webhook.retry_schedule(), &[Recorded::Counted(1)]);
    assert_eq!(settled.exhausted.len(), 1, "a single event has used up its only attempt");
}

#[test]
fn a_halving_that_is_not_recorded_everywhere_is_recorded_before_it_is_carried_out() {
    let mut carried = Carried { deliveries: sequence(3).left, batch: None };
    carried.halve();
    let recorded = [Recorded::Counted(1), Recorded::Failed, Recorded::AlreadyOver];
    let settled = carried.settle(&answered(413, 3), &RetrySchedule::NONE, &recorded);
    assert!(settled.halves.is_empty() && settled.exhausted.is_empty());
    assert_eq!(settled.unrecorded.len(), 2, "the third one has arrived by another copy");
}

#[test]
fn a_delivery_that_is_a_half_by_itself_has_no_companions() {
    let ids = [pending(0).id, pending(1).id];
    let half = BatchId::derive(&ids).unwrap();
    assert_eq!(Companions::of_half(&ids), Companions::Half(half));
    assert_eq!(Companions::of_half(&ids[..1]), Companions::Alone);
}

#[test]
fn a_record_says_with_what_its_delivery_shares_its_next_request() {
    let half = BatchId::derive(&[pending(0).id, pending(1).id]);
    let recorded =
        |halvings, batch| Progress { halvings, batch, ..Progress::UNRECORDED }.companions();
    assert_eq!(recorded(0, half), Companions::Any, "its request was not divided");
    assert_eq!(recorded(1, half), Companions::Half(half.unwrap()));
    assert_eq!(recorded(1, None), Companions::Alone);
}

#[test]
fn a_sequence_knows_whether_it_has_halves() {
    let mut sequence = sequence(3);
    assert!(!sequence.has_halves());
    let mut carried = sequence.carry(2, None);
    carried.halve();
    sequence.put_back(carried.deliveries);
    assert!(sequence.has_halves());
}

#[test]
fn a_half_counts_the_halvings_that_its_record_counts() {
    let mut carried = Carried { deliveries: sequence(2).left, batch: None };
    carried.halve();
    let recorded = [Recorded::Counted(3), Recorded::Counted(1)];
    let settled = carried.settle(&answered(413, 2), &RetrySchedule::NONE, &recorded);
    let counted: Vec<u32> = settled.halves.iter().map(|half| half.halvings).collect();
    assert_eq!(counted, [3, 1], "another copy may have divided it too");
}
