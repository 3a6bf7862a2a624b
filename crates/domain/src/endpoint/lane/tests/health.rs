use super::*;

fn work(ready: usize) -> Work {
    Work::with_ready(
        Item::held(Reason::Slow).with(Attr::Window, 4_u32),
        Seen::Enabled(terms()),
        ready,
        at(0),
    )
}

/// A lane with an open circuit, and something that waits.
fn sick(until: i64, circuit_openings: u32) -> Item {
    let item = Item::held(Reason::Sick)
        .with(Attr::SickUntil, at(until))
        .with(Attr::CircuitOpenings, circuit_openings);
    item.with(Attr::Timeouts, 5_i64).with(Attr::Window, 1_u32)
}

#[test]
fn five_timeouts_in_a_row_open_the_circuit_for_half_a_minute() {
    let mut work = work(9);
    for _ in 0..4 {
        work.request(Verdict::TimedOut, seconds(5), at(5000));
    }
    assert_eq!(work.turn.circuit_until(), None);
    work.request(Verdict::TimedOut, seconds(5), at(5000));
    assert_eq!(work.turn.circuit_until(), Some(at(35_000)));
    work.write(at(5000));
    assert_eq!(work.turn.next(at(5000)), Step::Over(Over::Done), "release wakes it");
    let lane = work.item.lane();
    assert_eq!(
        (lane.reason, lane.sick_until, lane.circuit_openings),
        (Some(Reason::Sick), Some(at(35_000)), 1)
    );
    assert_eq!(
        (lane.wake_at, lane.due_at, lane.holder),
        (Some(at(35_000)), Some(at(35_000)), None)
    );
    assert_eq!(lane.due_shard.as_deref(), Some("P3"), "release probes it");
}

#[test]
fn an_answer_between_timeouts_keeps_the_circuit_closed() {
    let mut work = work(9);
    for answer in [Verdict::TimedOut; 4]
        .into_iter()
        .chain([Verdict::Overloaded])
        .chain([Verdict::TimedOut; 4])
    {
        work.request(answer, seconds(5), at(0));
    }
    assert_eq!(work.turn.circuit_until(), None);
}

#[test]
fn what_was_under_way_when_the_circuit_opened_opens_it_no_further() {
    let mut work = Work::with_ready(
        Item::held(Reason::Slow).with(Attr::Window, 6_u32),
        Seen::Enabled(terms()),
        9,
        at(0),
    );
    assert_eq!(work.room(at(0)), 6);
    for _ in 0..5 {
        work.turn.answered(Verdict::TimedOut, seconds(5), 0, at(0));
    }
    assert!(matches!(work.turn.next(at(0)), Step::Wait(_)), "the sixth ends first");
    work.turn.answered(Verdict::TimedOut, seconds(5), 0, at(0));
    assert_eq!((work.turn.circuit_until(), work.turn.lane.circuit_openings), (Some(at(30_000)), 1));
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_ten_minutes() {
    for (circuit_openings, wait) in [(1, 60), (2, 120), (3, 240), (4, 480), (5, 600), (40, 600)] {
        let mut work =
            Work::with_ready(sick(-1, circuit_openings), Seen::Enabled(terms()), 9, at(0));
        assert_eq!(work.room(at(0)), 1, "a probe is one request");
        work.turn.answered(Verdict::TimedOut, seconds(5), 0, at(5000));
        assert_eq!(work.turn.circuit_until(), Some(at(5000) + seconds(wait)));
    }
}

#[test]
fn a_turn_sits_out_the_last_moments_of_an_open_circuit() {
    let next = |until| Work::begin(sick(until, 1), Seen::Enabled(terms()), at(0)).next(at(0));
    assert_eq!(next(2000), Step::Wait(at(2000)), "a wake comes up to a second early");
    assert!(matches!(next(2001), Step::Write(_)));
}

#[test]
fn any_answer_to_a_probe_closes_the_circuit() {
    for answer in [Verdict::Answered, Verdict::Overloaded] {
        let mut work = Work::with_ready(sick(-1, 5), Seen::Enabled(terms()), 9, at(0));
        work.request(answer, seconds(3), at(3000));
        let lane = &work.turn.lane;
        assert_eq!(
            (lane.reason, lane.sick_until, lane.circuit_openings),
            (Some(Reason::Slow), None, 0),
            "{answer:?}"
        );
        assert_eq!(work.next(at(3000)), Step::Send);
    }
}

#[test]
fn a_fault_of_ours_says_nothing_about_the_endpoint() {
    let mut work = Work::with_ready(sick(-1, 2), Seen::Enabled(terms()), 9, at(0));
    work.begins(at(0));
    work.turn.answered(Verdict::OurFault, seconds(0), 1, at(0));
    let lane = &work.turn.lane;
    assert_eq!((lane.sick_until, lane.circuit_openings, lane.timeouts), (Some(at(-1)), 2, 5));
    work.write(at(0));
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(5))));
}

#[test]
fn an_endpoint_is_well_after_twenty_quick_answers_in_a_row_and_a_minute() {
    let answered = |quick_ones: usize, now| {
        let mut work = Work::with_ready(Item::held(Reason::Slow), Seen::Enabled(terms()), 99, now);
        work.request(Verdict::Answered, SLOW, now);
        for _ in 0..quick_ones {
            work.request(Verdict::Answered, quick(), now);
        }
        work.next(now)
    };
    assert_eq!(answered(20, at(59_999)), Step::Send, "a minute is not over");
    assert_eq!(answered(19, at(60_000)), Step::Send, "that were too few");
    let Step::Write(write) = answered(20, at(60_000)) else { panic!("not proven") };
    assert!(write.set.contains(&(Attr::Phase, Phase::Pouring.into())));
}

#[test]
fn a_webhook_that_relapsed_has_to_prove_itself_for_longer() {
    let item = |relapses: u32| {
        Item::held(Reason::Slow).with(Attr::Relapses, relapses).with(Attr::Quick, 99_i64)
    };
    for (relapses, proof) in [(0, 60), (1, 120), (4, 960), (5, 1800), (9, 1800)] {
        let step = |now| Work::with_ready(item(relapses), Seen::Enabled(terms()), 9, now).next(now);
        assert_eq!(step(at(proof * 1000 - 1)), Step::Send);
        assert!(matches!(step(at(proof * 1000)), Step::Write(_)), "{relapses} relapses");
    }
}

#[test]
fn a_well_endpoint_gets_its_backlog_poured_at_a_growing_rate() {
    let item = Item::held(Reason::Slow).with(Attr::Quick, 20_i64);
    let mut work = Work::with_ready(item, Seen::Enabled(terms()), 5000, at(60_000));
    work.write(at(60_000));
    assert_eq!(work.item.lane().phase, Some(Phase::Pouring));
    assert_eq!(work.next(at(60_000)), Step::Wait(at(60_500)));
    let poured = (0..10).map(|half| {
        let now = at(60_500 + half * 500);
        let Step::Pour(count) = work.next(now) else { return 0 };
        work.turn.disposed(count, now);
        count
    });
    assert_eq!(poured.collect::<Vec<_>>(), [10, 10, 10, 20, 20, 20, 20, 40, 40, 40]);
}

#[test]
fn an_endpoint_that_is_well_waits_for_what_is_under_way_before_it_is_poured() {
    let item = Item::held(Reason::Slow).with(Attr::Quick, 19_i64).with(Attr::Window, 9_u32);
    let mut work = Work::with_ready(item, Seen::Enabled(terms()), 9, at(60_000));
    work.begins(at(60_000));
    work.request(Verdict::Answered, quick(), at(60_000));
    assert!(matches!(work.next(at(60_000)), Step::Wait(_)));
}

#[test]
fn a_limit_that_no_turn_can_keep_is_left_to_deliver() {
    for (terms, pours) in [
        (limited(50, Period::Second), false),
        (limited(51, Period::Second), true),
        (terms(), true),
        (limited(1000, Period::Minute), false),
    ] {
        let mut work =
            Work::with_ready(Item::held(Reason::Limited), Seen::Enabled(terms.clone()), 9, at(0));
        assert_eq!(matches!(work.next(at(0)), Step::Write(_)), pours, "{terms:?}");
    }
}

#[test]
fn an_endpoint_that_is_well_and_has_a_limit_is_served_at_its_limit() {
    let seen = || Seen::Enabled(limited(1, Period::Minute));
    let well = Item::held(Reason::Slow).with(Attr::Quick, 20_i64);
    let mut work = Work::with_ready(well.clone(), seen(), 2, at(60_000));
    assert_eq!(work.next(at(60_000)), Step::Reserve(1));
    work.turn.reserved(vec![at(60_000)], None);
    work.request(Verdict::Answered, quick(), at(60_000));
    work.turn.disposed(1, at(60_000));
    work.write(at(60_000));
    assert_eq!(work.item.lane().phase, None, "it is empty, and the endpoint well");

    let mut work = Work::with_ready(well.with(Attr::Phase, Phase::Pouring), seen(), 2, at(60_000));
    work.write(at(60_000));
    let lane = work.item.lane();
    assert_eq!(
        (lane.phase, lane.reason),
        (Some(Phase::Held), Some(Reason::Limited)),
        "it got its limit meanwhile"
    );
    assert_eq!(work.next(at(60_000)), Step::Reserve(1));
}

#[test]
fn a_switch_that_is_refused_is_not_tried_again_without_a_look() {
    let well = || Item::held(Reason::Slow).with(Attr::Quick, 20_i64);
    let now = at(60_000);
    let switching = || {
        let mut work = Work::with_ready(well(), Seen::Enabled(terms()), 9, now);
        let Step::Write(write) = work.next(now) else { panic!("not proven") };
        work.item.write(&write);
        (work, write)
    };
    let (mut work, write) = switching();
    let repeated = work.item.write(&write);
    work.turn.wrote(repeated, now);
    assert_eq!(work.next(now), Step::Wait(at(60_500)), "its answer got lost, and it pours");

    let (mut work, write) = switching();
    for _ in 0..3 {
        let strike = work.item.lane().strike(Strike::Counts, now).unwrap();
        work.item.write(&strike);
    }
    let repeated = work.item.write(&write);
    work.turn.wrote(repeated, now);
    assert_eq!(
        (work.item.lane().phase, work.next(now)),
        (Some(Phase::Held), Step::Send),
        "it was sidelined again"
    );

    let (mut work, write) = switching();
    work.item = work.item.with(Attr::Turn, "another");
    let refused = work.item.write(&write);
    work.turn.wrote(refused, now);
    assert_eq!(work.turn.next(now), Step::Over(Over::RetryIn(seconds(10))));
}
