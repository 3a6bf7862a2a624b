use super::*;

/// A turn that has found its backlog empty.
fn empty(item: Item) -> Work {
    Work::with_ready(item, Seen::Enabled(limited(10, Period::Second)), 0, at(0))
}

fn look_again(work: &mut Work, is_empty: bool) {
    assert_eq!(work.turn.next(at(0)), Step::LookAgain);
    work.turn.looked_again(is_empty);
}

#[test]
fn a_lane_is_closed_then_looked_at_again_then_forgotten() {
    let mut work = empty(Item::held(Reason::Limited).with(Attr::Full, 1_i64));
    work.write(at(0));
    let lane = work.item.lane();
    assert_eq!((lane.phase, lane.due_at), (None, Some(at(120_000))));
    assert!(lane.token.is_some() && lane.lease_until.is_some(), "until the second look they stay");
    look_again(&mut work, true);
    work.write(at(0));
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::Done));
    for attribute in [
        Attr::Phase,
        Attr::Token,
        Attr::DueAt,
        Attr::DueShard,
        Attr::LeaseUntil,
        Attr::Holder,
        Attr::Full,
    ] {
        assert!(!work.item.has(attribute), "{}", attribute.name());
    }
    let in_thirty_days = at(0).as_second() + 30 * 24 * 60 * 60;
    assert_eq!(work.item.0.get(Attr::ExpiresAt), Some(&in_thirty_days.into()));
}

#[test]
fn what_is_left_of_an_empty_lane_depends_on_the_endpoint() {
    let proven =
        |reason| Item::held(reason).with(Attr::Quick, 20_i64).with(Attr::OpenedAt, at(-60_000));
    for (item, phase) in [
        (Item::held(Reason::Limited), None),
        (Item::held(Reason::Slow), Some(Phase::Idle)),
        (Item::held(Reason::Sick), Some(Phase::Idle)),
        (proven(Reason::Slow), None),
        (proven(Reason::Slow).with(Attr::SickUntil, at(-1)), Some(Phase::Idle)),
        (Item::held(Reason::Slow).with(Attr::Phase, Phase::Pouring), None),
        (Item::held(Reason::Slow).without(Attr::Phase), None),
        (Item::held(Reason::Slow).with(Attr::Phase, Phase::Idle), Some(Phase::Idle)),
    ] {
        let mut work = empty(item.clone());
        work.write(at(0));
        assert_eq!(work.item.lane().phase, phase, "{item:?}");
    }
}

#[test]
fn something_that_came_while_a_lane_was_closed_opens_it_again() {
    let mut work = empty(Item::held(Reason::Limited));
    work.write(at(0));
    look_again(&mut work, false);
    work.write(at(0));
    assert_eq!(work.item.lane().phase, Some(Phase::Held));
    work.read(1, at(0));
    assert_eq!(work.next(at(0)), Step::Reserve(1));
}

#[test]
fn an_endpoint_that_is_well_stays_so_when_its_lane_is_opened_again() {
    let well = Item::held(Reason::Slow).with(Attr::Quick, 20_i64).with(Attr::OpenedAt, at(-60_000));
    let mut work = Work::with_ready(well, Seen::Enabled(limited(51, Period::Second)), 1, at(0));
    work.write(at(0));
    work.turn.disposed(1, at(0));
    work.write(at(0));
    assert_eq!(work.item.lane().phase, None);
    look_again(&mut work, false);
    work.write(at(0));
    work.read(1, at(0));
    work.write(at(0));
    assert_eq!(work.item.lane().phase, Some(Phase::Pouring));
}

#[test]
fn a_lane_that_another_one_opened_is_left_to_it() {
    for is_empty in [true, false] {
        let mut work = empty(Item::held(Reason::Limited));
        work.write(at(0));
        let mut append = Append::new(Reason::Limited, "another".to_owned(), "L3".to_owned());
        append.put();
        append.looked(&work.item.lane(), at(0));
        let AppendStep::Open(write, _) = append.next() else { panic!("not opened") };
        work.item.write(&write);
        look_again(&mut work, is_empty);
        assert!(matches!(work.write(at(0)), Outcome::Refused(_)));
        work.write(at(0));
        assert_eq!(work.turn.next(at(0)), Step::Over(Over::Done));
        let lane = work.item.lane();
        assert_eq!(
            (lane.phase, lane.token.as_deref(), lane.lease_until),
            (Some(Phase::Held), Some("another"), None)
        );
    }
}

#[test]
fn strikes_while_a_lane_is_closed_do_not_leave_its_backlog_alone() {
    for (is_empty, phase) in [(true, Phase::Idle), (false, Phase::Held)] {
        let mut work = empty(Item::held(Reason::Limited));
        work.write(at(0));
        for _ in 0..3 {
            let write = work.item.lane().strike(Strike::Counts, at(0)).unwrap();
            work.item.write(&write);
        }
        look_again(&mut work, is_empty);
        assert!(matches!(work.write(at(0)), Outcome::Refused(_)));
        assert!(matches!(work.write(at(0)), Outcome::Done(_)));
        assert_eq!((work.item.lane().phase, work.item.has(Attr::Token)), (Some(phase), !is_empty));
    }
}

#[test]
fn lost_answers_while_closing_do_no_harm() {
    let mut work = empty(Item::held(Reason::Limited));
    let twice = |work: &mut Work| {
        let Step::Write(write) = work.next(at(0)) else { panic!("no write") };
        work.item.write(&write);
        let repeated = work.item.write(&write);
        work.turn.wrote(repeated, at(0));
    };
    twice(&mut work);
    assert_eq!(
        work.turn.next(at(0)),
        Step::Read(100),
        "it can't tell who has closed it, and closes it again"
    );
    work.turn.read(0, true, at(0));
    twice(&mut work);
    look_again(&mut work, false);
    twice(&mut work);
    assert_eq!(work.item.lane().phase, Some(Phase::Held));
    work.turn.read(0, true, at(0));
    work.write(at(0));
    look_again(&mut work, true);
    twice(&mut work);
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::Done));
    assert!(!work.item.has(Attr::Token));
}

#[test]
fn a_turn_that_takes_over_a_lane_whose_close_was_cut_off_ends_it() {
    for phase in [None, Some(Phase::Idle)] {
        let mut cut = Item::held(Reason::Slow).without(Attr::Phase).with(Attr::LeaseUntil, at(-1));
        if let Some(phase) = phase {
            cut = cut.with(Attr::Phase, phase);
        }
        let mut work = empty(cut.clone());
        work.write(at(0));
        look_again(&mut work, true);
        work.write(at(0));
        assert_eq!((work.item.lane().phase, work.item.has(Attr::Token)), (phase, false));

        let mut work = Work::with_ready(cut, Seen::Enabled(terms()), 1, at(0));
        work.write(at(0));
        assert_eq!(work.item.lane().phase, Some(Phase::Held), "something came");
        assert_eq!(work.next(at(0)), Step::Send);
    }
}

#[test]
fn a_call_that_fails_while_closing_leaves_the_watchdog() {
    let mut work = empty(Item::held(Reason::Limited));
    work.write(at(0));
    work.turn.failed();
    assert_eq!(work.turn.next(at(0)), Step::Over(Over::RetryIn(seconds(10))));
    assert!(work.item.has(Attr::DueAt) && work.item.has(Attr::Token));
}
