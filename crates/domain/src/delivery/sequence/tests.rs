use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    id::{Cause, WebhookId},
    testing,
    webhook::rate_limit::Period,
};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn pending(nth: u8, attempts: u32) -> Pending {
    let event = testing::event(nth, "order.created", "{}");
    Pending {
        source: usize::from(nth),
        id: DeliveryId::derive(event.id, WebhookId(1), Cause::Published),
        cause: CauseKind::Published,
        event: Arc::new(event),
        redriven: false,
        attempts,
        halvings: 0,
        companions: Companions::Any,
        recorded_at: None,
        faults: 0,
    }
}

fn sequence(count: u8) -> Sequence {
    Sequence { batch: None, left: (1..=count).map(|nth| pending(nth, 0)).collect(), is_fresh: true }
}

const SITUATION: Situation = Situation {
    is_enabled: true,
    admission: Admission::Go,
    looked_at: Some(Timestamp::UNIX_EPOCH),
    limit: None,
    slot: None,
    timeout: Duration::from_secs(5),
    time_left: Duration::from_secs(40),
};
const LIMIT: RateLimit = RateLimit { requests: 10, per: Period::Second };

#[test]
fn the_next_move_follows_from_the_situation() {
    let next = |situation: Situation, now: i64| sequence(1).next(&situation, at(now));
    let limited = Situation { limit: Some(LIMIT), ..SITUATION };
    let slotted = |slot| Situation { slot: Some(at(slot)), ..limited };
    let cases = [
        (SITUATION, 0, Move::RequestAt(at(0))),
        (Situation { is_enabled: false, admission: Admission::Wait, ..SITUATION }, 0, Move::Skip),
        (Situation { admission: Admission::Wait, ..SITUATION }, 0, Move::Wait),
        (Situation { admission: Admission::Shed, ..SITUATION }, 0, Move::Shed),
        (Situation { time_left: Duration::from_secs(9), ..SITUATION }, 0, Move::NoTime),
        (SITUATION, 2000, Move::RequestAt(at(2000))),
        (SITUATION, 2001, Move::Look),
        (Situation { looked_at: None, ..SITUATION }, 0, Move::Look),
        (limited, 0, Move::Reserve(LIMIT)),
        (slotted(700), 0, Move::RequestAt(at(700))),
        (slotted(700), 1200, Move::RequestAt(at(1200))),
        (slotted(700), 1201, Move::Reserve(LIMIT)),
    ];
    for (situation, now, expected) in cases {
        assert_eq!(next(situation, now), expected, "{situation:?} at {now}");
    }
    assert_eq!(
        Sequence::default().next(&Situation { is_enabled: false, ..SITUATION }, at(0)),
        Move::Over
    );
    let with_wait = Situation { time_left: Duration::from_millis(10_500), ..slotted(700) };
    assert_eq!(next(with_wait, 0), Move::NoTime, "the wait for the slot counts");
}

#[test]
fn only_the_first_request_can_be_one_that_was_made_before() {
    let mut both = sequence(3);
    both.batch = BatchId::derive(&[pending(1, 0).id, pending(2, 0).id]);
    let carried = both.carry(2, both.batch);
    assert_eq!((carried.deliveries.len(), both.left.len(), both.batch), (2, 1, None));
    assert!(carried.batch.is_some() && !both.is_fresh);
}

fn attempt(status: u16) -> Attempt {
    let webhook = testing::webhook(json!({ "profile": "spektr" }));
    Attempt::answered(
        &webhook,
        &testing::url("https://example.com/"),
        at(0),
        Duration::ZERO,
        status,
        b"",
    )
}

#[test]
fn what_shared_a_request_waits_equally_long() {
    let schedule = RetrySchedule::new(vec![1, 60, 600]).unwrap();
    let carried =
        Carried { deliveries: vec![pending(1, 0), pending(2, 1), pending(3, 3)], batch: None };
    let wait = carried.wait(&schedule, None, None, at(0));
    assert!((48..=72).contains(&wait.as_secs()), "that of the second one: {wait:?}");
    let plan = |status| {
        let plan = |pending| carried.plan_for(pending, &attempt(status), wait, &schedule, at(0));
        carried.deliveries.iter().map(plan).collect::<Vec<_>>()
    };
    let retries = plan(500);
    let due: Vec<_> = retries.iter().map(|retry| retry.map(|retry| retry.due_at)).collect();
    assert_eq!(due, [Some(at(0) + wait), Some(at(0) + wait), None], "no try is left for the third");
    assert_eq!(plan(200), [None; 3]);
}

#[test]
fn the_wait_is_the_longest_of_what_is_asked() {
    let schedule = RetrySchedule::SPEKTR;
    let carried = Carried { deliveries: vec![pending(1, 0)], batch: None };
    let seconds = |asked, circuit| carried.wait(&schedule, asked, circuit, at(0)).as_secs();
    assert_eq!(seconds(None, None), 1);
    assert_eq!(seconds(Some(Duration::from_secs(7)), None), 7);
    assert_eq!(
        seconds(Some(Duration::from_secs(7)), Some(at(30_000))),
        30,
        "nothing is sent while the circuit is open"
    );
}

#[test]
fn a_copy_that_knew_of_fewer_attempts_waits_as_the_schedule_says() {
    let schedule = RetrySchedule::new(vec![1, 1, 3600]).unwrap();
    let carried = Carried { deliveries: vec![pending(1, 0)], batch: None };
    let wait = carried.wait(&schedule, None, None, at(0));
    let plan =
        |attempts| carried.plan_for(&pending(1, attempts), &attempt(500), wait, &schedule, at(0));
    assert_eq!(wait, Duration::from_secs(1), "the fresh copy takes it for the first attempt");
    assert!(plan(0).is_some_and(|retry| retry.due_at == at(1000)));
    assert!(plan(2).is_some_and(|retry| retry.due_at >= at(2_880_000)));
    assert_eq!(plan(3), None, "no try is left");
}

#[test]
fn each_delivery_has_its_own_end() {
    let schedule = RetrySchedule::SPEKTR;
    let carried =
        || Carried { deliveries: (1..=4).map(|nth| pending(nth, 2)).collect(), batch: None };
    let recorded =
        [Recorded::Counted(3), Recorded::Counted(4), Recorded::AlreadyOver, Recorded::Overtaken];
    let settled = carried().settle(&attempt(500), &schedule, &recorded);
    let sources = |list: &[Pending]| list.iter().map(|pending| pending.source).collect::<Vec<_>>();
    assert_eq!(sources(&settled.again), [1, 4], "the record tells the last one what is left to do");
    assert_eq!(
        sources(&settled.exhausted),
        [2],
        "another copy has taken an attempt in the meantime"
    );
    assert_eq!(settled.exhausted[0].attempts, 4);
    assert!(settled.unrecorded.is_empty());
    let settled = carried().settle(&attempt(200), &schedule, &recorded);
    assert!(settled.again.is_empty() && settled.exhausted.is_empty());
}

#[test]
fn what_is_tried_again_waits_as_long_as_the_counted_attempts_say() {
    let schedule = RetrySchedule::new(vec![1, 1, 3600]).unwrap();
    let carried =
        Carried { deliveries: vec![pending(1, 0), pending(2, 0), pending(3, 0)], batch: None };
    let told = [Recorded::Counted(1), Recorded::Counted(3), Recorded::Counted(4)];
    let plan =
        carried.plan_for(&pending(2, 2), &attempt(500), Duration::from_secs(1), &schedule, at(0));
    let settled = carried.clone().settle(&attempt(500), &schedule, &told);
    assert_eq!((settled.again.len(), settled.exhausted.len()), (2, 1));
    assert_eq!(
        Some(at(0) + settled.own_wait),
        plan.map(|retry| retry.due_at),
        "as the record of the second one says"
    );
    assert_eq!(carried.settle(&attempt(200), &schedule, &told).own_wait, Duration::ZERO);
}

#[test]
fn a_request_of_which_a_part_is_not_recorded_stays_together() {
    let sources = |list: &[Pending]| list.iter().map(|pending| pending.source).collect::<Vec<_>>();
    let settled = |status| {
        let carried =
            Carried { deliveries: (1..=4).map(|nth| pending(nth, 2)).collect(), batch: None };
        let recorded =
            [Recorded::Counted(3), Recorded::Failed, Recorded::Counted(4), Recorded::Stale(7)];
        carried.settle(&attempt(status), &RetrySchedule::SPEKTR, &recorded)
    };
    let failed = settled(500);
    assert!(failed.again.is_empty(), "it is not tried again in two parts");
    assert_eq!((sources(&failed.unrecorded), sources(&failed.exhausted)), (vec![1, 2, 4], vec![3]));
    let succeeded = settled(200);
    assert_eq!(sources(&succeeded.unrecorded), [2, 4], "what is recorded is done");
    assert!(succeeded.again.is_empty() && succeeded.exhausted.is_empty());
}

#[test]
fn what_comes_again_as_it_is_is_not_sent_on_as_well() {
    let again = vec![pending(1, 0), Pending { source: 7, ..pending(2, 0) }, pending(3, 0)];
    let sent = sent_on(again, &BTreeSet::from([7]));
    assert_eq!(sent.iter().map(|pending| pending.source).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn nothing_waits_long_in_flight() {
    let way = |seconds, is_whole| way(Duration::from_secs(seconds), is_whole);
    assert_eq!(
        [way(1, true), way(5, true), way(6, true)],
        [Way::InFlight, Way::InFlight, Way::Delayed]
    );
    assert_eq!(
        [way(1, false), way(120, true), way(121, true)],
        [Way::Delayed, Way::Delayed, Way::Parked]
    );
}

#[test]
fn a_redriven_delivery_leaves_a_letter_whatever_the_webhook_keeps() {
    for (redriven, webhook_keeps_letters, leaves) in
        [(false, false, false), (false, true, true), (true, false, true), (true, true, true)]
    {
        let pending = Pending { redriven, ..pending(1, 4) };
        assert_eq!(pending.leaves_a_letter(webhook_keeps_letters), leaves, "{redriven}");
    }
}

#[test]
fn receives_count_as_faults_only_where_a_message_is_not_sent_on_any_more() {
    let webhook = testing::webhook(json!({}));
    let task = |passes| Task { faults: 3, passes, ..Task::new(&webhook.key, Vec::new()) };
    assert_eq!(faults_of(&task(MAX_PASSES - 1), 9), 3, "a message is received for other reasons");
    assert_eq!([1, 2, 6].map(|receives| faults_of(&task(MAX_PASSES), receives)), [3, 4, 8]);
}
