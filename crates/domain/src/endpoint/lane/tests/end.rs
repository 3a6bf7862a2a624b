use super::*;

fn work() -> Work {
    Work::with_ready(Item::held(Reason::Slow), Seen::Enabled(terms()), 9, at(0))
}

/// A turn that has a wait of 10 s for its slot.
fn waiting(message: Message, now: Timestamp) -> Work {
    let mut item = Item::held(Reason::Limited).with(Attr::DueAt, now + seconds(9999));
    let claiming = claiming(message, now);
    let outcome = item.write(&claiming.write(now));
    let Claim::Mine(turn) = claiming.outcome(outcome, now) else { panic!("refused") };
    let mut work = Work { item, turn: *turn, seen: Seen::Enabled(limited(1, Period::Minute)) };
    work.look(now);
    work.read(9, now);
    assert_eq!(work.next(now), Step::Reserve(1));
    work.turn.reserved(Vec::new(), Some(now + seconds(10)));
    work
}

#[test]
fn a_turn_goes_to_the_back_of_the_queue_after_fifty_seconds() {
    let mut work = work();
    assert_eq!(work.next(at(44_000)), Step::Send);
    work.request(Verdict::Answered, quick(), at(44_000));
    work.write(at(50_000));
    assert_eq!(work.turn.next(at(50_000)), Step::Over(Over::RetryIn(seconds(0))));
    let lane = work.item.lane();
    assert_eq!((lane.lease_until, lane.wake_at, lane.window), (None, Some(at(50_000)), Some(2)));
    assert_eq!((lane.holder.as_deref(), lane.quick), (Some("m"), 1));
}

#[test]
fn the_watchdog_is_moved_when_little_is_left_of_it() {
    for (due, moved) in [(129_999, 910_000), (130_000, 130_000)] {
        let mut work = waiting(message("m"), at(0));
        work.item = work.item.with(Attr::DueAt, at(due));
        work.look(at(0));
        work.write(at(0));
        assert_eq!(work.item.lane().due_at, Some(at(moved)), "{due}");
    }
}

#[test]
fn a_worn_out_message_is_replaced() {
    for (receives, now, over) in [
        (199, at(0), Over::RetryIn(seconds(10))),
        (200, at(0), Over::Done),
        (1, at(21_599_999), Over::RetryIn(seconds(10))),
        (1, at(21_600_000), Over::Done),
    ] {
        let mut work = waiting(Message { receives, ..message("m") }, now);
        work.write(now);
        assert_eq!(work.turn.next(now), Step::Over(over));
        let lane = work.item.lane();
        assert_eq!(lane.wake_at, Some(now + seconds(10)));
        assert_eq!(lane.due_shard.as_deref(), Some("L3"), "it waits for no probe");
        assert_eq!(
            lane.due_at == lane.wake_at && lane.holder.is_none(),
            over == Over::Done,
            "release sends another"
        );
    }
}

#[test]
fn an_end_whose_answer_got_lost_is_an_end() {
    let mut work = waiting(message("m"), at(0));
    let Step::Write(write) = work.next(at(0)) else { panic!("no write") };
    work.item.write(&write);
    let repeated = work.item.write(&write);
    assert!(matches!(repeated, Outcome::Refused(_)));
    work.turn.wrote(repeated, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(10))));
}

#[test]
fn a_turn_that_was_nudged_while_it_ended_begins_again_at_once() {
    let mut work = waiting(message("m"), at(0));
    work.item.write(&nudge(at(-5)));
    assert!(matches!(work.write(at(0)), Outcome::Refused(_)));
    assert!(matches!(work.write(at(0)), Outcome::Done(_)));
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(0))));
    assert_eq!(work.item.lane().wake_at, Some(at(0)));
}

#[test]
fn a_turn_that_sees_a_nudge_reads_the_webhook_again() {
    let mut work = work();
    work.item.write(&nudge(at(100)));
    work.look(at(100));
    assert_eq!(
        work.turn.next(at(100)),
        Step::Look,
        "the webhook may have been read before it was changed"
    );
    work.look(at(101));
    assert_eq!(work.turn.next(at(101)), Step::Send);
}

#[test]
fn a_nudge_lets_one_request_through_an_open_circuit() {
    let sick = || {
        let item = Item::held(Reason::Sick).with(Attr::Window, 1_u32).with(Attr::Timeouts, 5_i64);
        item.with(Attr::CircuitOpenings, 3_u32).with(Attr::SickUntil, at(300_000))
    };
    let mut nudged = sick();
    nudged.write(&nudge(at(0)));
    let mut work = Work::with_ready(nudged.clone(), Seen::Enabled(terms()), 9, at(0));
    assert_eq!(work.room(at(0)), 1);
    work.turn.answered(Verdict::TimedOut, seconds(5), 0, at(5000));
    assert_eq!(work.turn.circuit_until(), Some(at(245_000)), "it is as sick as before");
    let mut work = Work::with_ready(nudged, Seen::Enabled(terms()), 9, at(0));
    work.request(Verdict::Overloaded, quick(), at(50));
    assert_eq!((work.turn.lane.reason, work.turn.lane.circuit_openings), (Some(Reason::Slow), 0));

    let mut work = Work::begin(sick(), Seen::Enabled(terms()), at(0));
    work.item.write(&nudge(at(1)));
    work.write(at(1));
    work.write(at(1));
    assert_eq!(
        work.item.lane().sick_until,
        None,
        "the turn that ended meanwhile has not written it back"
    );
}

#[test]
fn a_turn_that_was_taken_over_writes_nothing() {
    for is_seen in [true, false] {
        let mut work = waiting(message("m"), at(0));
        work.item = work.item.with(Attr::Turn, "another");
        let before = work.item.0.clone();
        if is_seen {
            work.look(at(0));
        } else {
            assert!(matches!(work.write(at(0)), Outcome::Refused(_)));
        }
        assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(10))));
        assert_eq!(work.item.0, before);
    }
}

#[test]
fn a_turn_whose_call_failed_ends_when_nothing_is_under_way() {
    let mut work = work();
    work.begins(at(0));
    work.turn.failed();
    assert!(matches!(work.next(at(0)), Step::Wait(_)));
    work.turn.answered(Verdict::Answered, quick(), 0, at(50));
    work.write(at(50));
    assert_eq!(work.turn.next(at(50)), Step::Over(Over::RetryIn(seconds(5))));
}

#[test]
fn a_turn_that_can_not_write_its_end_leaves_its_lease() {
    let mut work = waiting(message("m"), at(0));
    assert!(matches!(work.next(at(0)), Step::Write(_)));
    work.turn.failed();
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(10))));
    assert!(work.item.has(Attr::LeaseUntil));
}

/// Three strikes at once.
fn sideline(item: &mut Item, now: Timestamp) {
    for _ in 0..3 {
        let write = item.lane().strike(Strike::Counts, now).unwrap();
        item.write(&write);
    }
}

#[test]
fn what_was_proven_before_a_relapse_counts_no_more() {
    let proven = Item::held(Reason::Slow).with(Attr::Quick, 40_i64).with(Attr::Window, 64_u32);
    for ready in [0, 9] {
        let now = at(60_000);
        let pouring = proven.clone().with(Attr::Phase, Phase::Pouring);
        let mut work = Work::with_ready(pouring, Seen::Enabled(terms()), ready, now);
        sideline(&mut work.item, now);
        if ready > 0 {
            work.turn.failed();
        }
        assert!(
            matches!(work.write(now), Outcome::Refused(_)),
            "it ends, or closes, and meets the relapse"
        );
        work.write(now);
        let lane = work.item.lane();
        assert_eq!(
            (lane.quick, lane.window, lane.opened_at, lane.relapses),
            (0, Some(1), Some(now), 0)
        );
        assert!(matches!(lane.phase, Some(Phase::Held | Phase::Idle)));
    }
}
