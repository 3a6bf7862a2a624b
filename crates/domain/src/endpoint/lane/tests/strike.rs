use super::*;

fn strike(item: &mut Item, now: Timestamp) -> bool {
    item.lane()
        .strike(Strike::Counts, now)
        .is_some_and(|write| matches!(item.write(&write), Outcome::Done(_)))
}

/// Three strikes, a second apart.
fn sideline(item: &mut Item, now: Timestamp) {
    for nth in 0..3 {
        assert!(strike(item, now + seconds(nth)));
    }
}

#[test]
fn three_strikes_within_a_minute_sideline_a_webhook() {
    let mut item = Item::default();
    assert!(strike(&mut item, at(0)) && strike(&mut item, at(1)));
    assert_eq!(item.lane().admission(), Admission::Go);
    assert!(strike(&mut item, at(59_999)));
    let lane = item.lane();
    assert_eq!(
        (lane.phase, lane.reason, lane.admission()),
        (Some(Phase::Idle), Some(Reason::Slow), Admission::Wait)
    );
    assert_eq!(
        (lane.opened_at, lane.relapses, lane.strikes, lane.strikes_since),
        (Some(at(59_999)), 0, 0, None)
    );
    assert_eq!((lane.token, lane.due_at), (None, None), "nothing waits, so it has no turn");
}

#[test]
fn strikes_of_more_than_a_minute_ago_count_no_more() {
    let mut item = Item::default();
    assert!(strike(&mut item, at(0)) && strike(&mut item, at(1)) && strike(&mut item, at(60_000)));
    assert_eq!(
        (item.lane().phase, item.lane().strikes, item.lane().strikes_since),
        (None, 1, Some(at(60_000)))
    );
}

#[test]
fn a_lane_that_is_poured_is_held_again() {
    let held = Item::held(Reason::Slow).with(Attr::Quick, 40_i64).with(Attr::Window, 64_u32);
    let mut item = held.with(Attr::Phase, Phase::Pouring).with(Attr::SidelinedAt, at(0));
    sideline(&mut item, at(100_000));
    let lane = item.lane();
    assert_eq!(
        (lane.phase, lane.relapses, lane.quick, lane.window),
        (Some(Phase::Held), 1, 0, None)
    );
    assert!(lane.token.is_some() && lane.due_at.is_some(), "its turn goes on");
}

#[test]
fn a_lane_that_is_held_or_idle_needs_no_strike() {
    for phase in [Phase::Held, Phase::Idle] {
        assert_eq!(
            Item::held(Reason::Slow).with(Attr::Phase, phase).lane().strike(Strike::Counts, at(0)),
            None
        );
    }
}

#[test]
fn a_strike_that_another_one_overtook_is_refused() {
    let mut item = Item::default();
    let seen = item.lane();
    assert!(strike(&mut item, at(0)));
    assert!(matches!(
        item.write(&seen.strike(Strike::Counts, at(0)).unwrap()),
        Outcome::Refused(lane) if lane.strikes == 1
    ));
}

#[test]
fn each_relapse_doubles_the_time_that_a_webhook_has_to_prove_itself() {
    let mut item = Item::default();
    let mut now = at(0);
    for (relapses, proof) in [(0, 60), (1, 120), (2, 240), (3, 480), (4, 960), (5, 1800), (6, 1800)]
    {
        sideline(&mut item, now);
        let lane = item.lane();
        assert_eq!((lane.relapses, lane.proof()), (relapses, seconds(proof)));
        item = item.without(Attr::Phase);
        now = lane.opened_at.unwrap() + lane.proof() + seconds(3597);
    }
    sideline(&mut item, now + seconds(1));
    assert_eq!(item.lane().relapses, 0, "an hour after its proof it is no relapse");
}

#[test]
fn an_item_without_a_turn_expires_and_one_with_a_turn_does_not() {
    let mut item = Item::default().with(Attr::SickUntil, at(9)).with(Attr::CircuitOpenings, 4_u32);
    sideline(&mut item, at(0));
    assert!(item.lane().circuit_openings == 0 && item.lane().sick_until.is_none());
    let thirty_days_after_the_last_strike = at(2000).as_second() + 30 * 24 * 60 * 60;
    assert_eq!(item.0.get(Attr::ExpiresAt), Some(&thirty_days_after_the_last_strike.into()));
    let mut item = Item::held(Reason::Slow).with(Attr::Phase, Phase::Pouring);
    let seen = item.lane();
    sideline(&mut item, at(1000));
    assert!(!item.has(Attr::ExpiresAt));
    item = Item::held(Reason::Slow).with(Attr::Phase, Phase::Pouring).without(Attr::DueAt);
    assert!(matches!(
        item.write(&seen.strike(Strike::Counts, at(0)).unwrap()),
        Outcome::Refused(_)
    ));
}

#[test]
fn what_arrives_goes_waits_or_is_shed() {
    let admission =
        |phase: Option<Phase>, full| Lane { phase, full, ..Lane::default() }.admission();
    for (phase, full, expected) in [
        (None, false, Admission::Go),
        (None, true, Admission::Go),
        (Some(Phase::Pouring), true, Admission::Go),
        (Some(Phase::Held), false, Admission::Wait),
        (Some(Phase::Idle), false, Admission::Wait),
        (Some(Phase::Held), true, Admission::Shed),
        (Some(Phase::Idle), true, Admission::Shed),
    ] {
        assert_eq!(admission(phase, full), expected, "{phase:?} {full}");
    }
}

#[test]
fn the_owner_sees_a_state_and_a_reason() {
    let lane = |phase, reason| Lane { phase, reason, ..Lane::default() };
    for (phase, reason, state, waiting) in [
        (None, Some(Reason::Slow), State::Healthy, None),
        (Some(Phase::Held), Some(Reason::Limited), State::Limited, Some(Reason::Limited)),
        (Some(Phase::Held), Some(Reason::Sick), State::Sick, Some(Reason::Sick)),
        (Some(Phase::Idle), Some(Reason::Slow), State::Slow, Some(Reason::Slow)),
        (Some(Phase::Held), None, State::Slow, Some(Reason::Slow)),
        (Some(Phase::Pouring), Some(Reason::Sick), State::Recovering, Some(Reason::Sick)),
    ] {
        assert_eq!(
            (lane(phase, reason).state(), lane(phase, reason).waiting_reason()),
            (state, waiting)
        );
        assert_eq!(state.explanation().is_none(), state == State::Healthy);
        assert!(State::NAMES.contains(&(state.name(), state)));
    }
    let sick = Lane { sick_until: Some(at(5)), ..lane(Some(Phase::Held), Some(Reason::Sick)) };
    assert_eq!((sick.waits_until(at(4)), sick.waits_until(at(5))), (Some(at(5)), None));
    assert_eq!(Lane { phase: None, ..sick }.waits_until(at(4)), None);
}

fn doubt(item: &mut Item) -> bool {
    let write = item.lane().strike(Strike::Doubt, at(0));
    write.is_some_and(|write| matches!(item.write(&write), Outcome::Done(_)))
}

#[test]
fn three_doubts_with_no_quick_answer_between_sideline_a_webhook() {
    let mut item = Item::default();
    assert!(doubt(&mut item) && doubt(&mut item));
    assert_eq!((item.lane().phase, item.lane().doubts), (None, 2));
    assert!(doubt(&mut item));
    assert_eq!((item.lane().phase, item.lane().doubts), (Some(Phase::Idle), 0));
    assert!(!doubt(&mut item), "it is sidelined already");
}

#[test]
fn a_quick_answer_ends_all_doubts_and_no_strikes() {
    let mut item = Item::default();
    assert_eq!(item.lane().trust(), None);
    item.write(&item.lane().strike(Strike::Counts, at(0)).unwrap());
    assert!(doubt(&mut item) && doubt(&mut item));
    item.write(&item.lane().trust().unwrap());
    assert_eq!((item.lane().doubts, item.lane().strikes), (0, 1));
    assert!(doubt(&mut item));
    assert_eq!(item.lane().phase, None);
}
