use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A lane whose turn sleeps until its circuit closes.
fn asleep() -> Attributes {
    Attributes::from_iter([
        (Attr::Phase, Phase::Held.into()),
        (Attr::Reason, Reason::Sick.into()),
        (Attr::Token, "token".into()),
        (Attr::Turn, "turn".into()),
        (Attr::WakeAt, at(600).into()),
        (Attr::DueAt, at(600).into()),
        (Attr::DueShard, "L1".into()),
        (Attr::SickUntil, at(600).into()),
        (Attr::CircuitOpenings, 5_u32.into()),
        (Attr::Timeouts, 9_i64.into()),
    ])
}

fn nudged() -> Lane {
    let write = nudge(at(100));
    assert!(write.applies_to(&asleep()));
    write.apply(&asleep()).lane().unwrap()
}

#[test]
fn a_turn_that_sleeps_wakes_and_its_message_can_take_it() {
    let message =
        Message { id: "m".to_owned(), token: "token".to_owned(), receives: 1, sent: at(100) };
    let claim = Claiming::new(message, "me".to_owned(), at(150), at(160)).write(at(100));
    assert!(!claim.applies_to(&asleep()), "it sleeps");
    assert!(claim.applies_to(&nudge(at(100)).apply(&asleep())));
    assert!(nudged().due_at > Some(at(100)), "should the message get lost, it is woken later");
}

#[test]
fn another_endpoint_does_not_wait_for_what_the_old_one_did() {
    let lane = nudged();
    assert_eq!(lane.waits_until(at(100)), None);
    assert_eq!(lane.phase, Some(Phase::Held), "what waits goes on waiting for the turn");
}

#[test]
fn a_lane_without_a_turn_is_left_alone() {
    let idle = Attributes::from_iter([(Attr::Phase, Phase::Idle.into())]);
    for item in [Attributes::default(), idle] {
        assert!(!nudge(at(100)).applies_to(&item));
    }
}

#[test]
fn an_idle_lane_does_not_wait_for_its_circuit_after_a_change() {
    let idle = Attributes::from_iter([
        (Attr::Phase, Phase::Idle.into()),
        (Attr::Reason, Reason::Sick.into()),
        (Attr::SickUntil, at(600).into()),
    ]);
    let write = forgive(&idle.lane().unwrap()).unwrap();
    assert!(write.applies_to(&idle) && !write.applies_to(&asleep()));
    assert_eq!(write.apply(&idle).lane().unwrap().sick_until, None);
    assert_eq!(forgive(&Lane::default()), None);
}
