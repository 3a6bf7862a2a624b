use super::*;

fn claim(item: &mut Item, message: Message, now: Timestamp) -> Claim {
    let claiming = claiming(message, now);
    let outcome = item.write(&claiming.write(now));
    claiming.outcome(outcome, now)
}

fn retries_in(claim: &Claim) -> Option<Duration> {
    if let Claim::RetryIn(wait) = claim { Some(*wait) } else { None }
}

#[test]
fn a_message_takes_the_turn_until_after_its_invocation() {
    let mut item = Item::held(Reason::Slow);
    let Claim::Mine(turn) = claim(&mut item, message("m"), at(0)) else { panic!("refused") };
    assert!(!turn.is_unclean());
    let lane = item.lane();
    assert_eq!((lane.holder.as_deref(), lane.turn.as_deref()), (Some("m"), Some("me")));
    assert_eq!(lane.lease_until, Some(at(70_000)));
}

#[test]
fn a_message_may_come_a_second_early() {
    for (early, is_mine) in [(1000, true), (1001, false)] {
        let mut item = Item::held(Reason::Slow).with(Attr::WakeAt, at(early));
        assert_eq!(
            matches!(claim(&mut item, message("m"), at(0)), Claim::Mine(_)),
            is_mine,
            "{early} ms"
        );
    }
}

#[test]
fn the_message_that_held_the_turn_takes_it_again() {
    let mut item = Item::held(Reason::Slow).with(Attr::Holder, "m").with(Attr::Turn, "before");
    assert!(matches!(claim(&mut item, message("m"), at(0)), Claim::Mine(_)));
}

#[test]
fn a_message_that_has_nothing_to_say_is_done() {
    let asleep =
        Item::held(Reason::Sick).with(Attr::WakeAt, at(90_000)).with(Attr::DueAt, at(90_000));
    for (why, mut item) in [
        ("the lane was closed", Item::default()),
        (
            "the lane is idle",
            Item::held(Reason::Slow).with(Attr::Phase, Phase::Idle).without(Attr::Token),
        ),
        ("it was opened again", Item::held(Reason::Slow).with(Attr::Token, "another")),
        ("another message has the turn", Item::held(Reason::Slow).with(Attr::Holder, "another")),
        ("release will send another one", asleep),
    ] {
        assert!(matches!(claim(&mut item, message("m"), at(0)), Claim::Done), "{why}");
    }
}

#[test]
fn a_message_waits_for_a_lease_to_end() {
    for (left, wait) in [(60_000, 2000), (3000, 2000), (0, 1000)] {
        let mut item =
            Item::held(Reason::Slow).with(Attr::LeaseUntil, at(left)).with(Attr::Turn, "another");
        let wait = Some(Duration::from_millis(wait));
        assert_eq!(retries_in(&claim(&mut item, message("m"), at(0))), wait, "{left} ms are left");
    }
}

#[test]
fn a_lease_that_has_run_out_is_taken_over_with_care() {
    let mut item = Item::held(Reason::Slow).with(Attr::LeaseUntil, at(-1)).with(Attr::Turn, "dead");
    let Claim::Mine(mut turn) = claim(&mut item, message("m"), at(0)) else { panic!("refused") };
    assert!(turn.is_unclean());
    turn.looked(Seen::Enabled(terms()), item.lane(), at(0));
    turn.read(1, true, at(0));
    assert!(!turn.is_unclean(), "only the first page may hold what the dead one had begun");
}

#[test]
fn a_turn_knows_whether_its_backlog_is_handed_back() {
    for (phase, is_pouring) in [(Phase::Pouring, true), (Phase::Held, false)] {
        let mut item = Item::held(Reason::Slow).with(Attr::Phase, phase);
        let Claim::Mine(turn) = claim(&mut item, message("m"), at(0)) else { panic!("refused") };
        assert_eq!(turn.is_pouring(), is_pouring);
    }
}

#[test]
fn a_message_that_comes_too_early_waits() {
    let mut item = Item::held(Reason::Slow).with(Attr::WakeAt, at(7000));
    assert_eq!(retries_in(&claim(&mut item, message("m"), at(0))), Some(seconds(7)));
}

#[test]
fn a_claim_whose_answer_got_lost_is_known_by_its_name() {
    let mut item = Item::held(Reason::Slow);
    let claiming = claiming(message("m"), at(0));
    let write = claiming.write(at(0));
    item.write(&write);
    let repeated = item.write(&write);
    assert!(matches!(repeated, Outcome::Refused(_)));
    assert!(matches!(claiming.outcome(repeated, at(5)), Claim::Mine(_)));
}
