use super::*;

fn appending() -> Append {
    let mut append = Append::new(Reason::Limited, "mine".to_owned(), due_shard(19));
    assert_eq!(append.next(), AppendStep::Put);
    append.put();
    assert_eq!(append.next(), AppendStep::Look);
    append
}

/// Looks at the item, and opens it if that is what comes next.
fn look(append: &mut Append, item: &mut Item, now: Timestamp) -> AppendStep {
    append.looked(&item.lane(), now);
    if let AppendStep::Open(write, _) = append.next() {
        append.opened(&item.write(&write), now);
    }
    append.next()
}

fn idle() -> Item {
    let item = Item::new([(Attr::Phase, Phase::Idle.into()), (Attr::Reason, Reason::Slow.into())]);
    item.with(Attr::OpenedAt, at(-9000)).with(Attr::Quick, 7_i64).with(Attr::ExpiresAt, 9_i64)
}

#[test]
fn a_closed_lane_is_opened_and_gathers_for_a_second() {
    let mut item = Item::default()
        .with(Attr::Quick, 7_i64)
        .with(Attr::SickUntil, at(9))
        .with(Attr::Relapses, 2_u32);
    let step = look(&mut appending(), &mut item, at(0));
    assert_eq!(step, AppendStep::Send { token: "mine".to_owned(), delay: seconds(1) });
    let lane = item.lane();
    assert_eq!(
        (lane.phase, lane.reason, lane.opened_at),
        (Some(Phase::Held), Some(Reason::Limited), Some(at(0)))
    );
    assert_eq!((lane.wake_at, lane.due_at), (Some(at(1000)), Some(at(120_000))));
    assert_eq!((lane.quick, lane.sick_until, lane.relapses), (0, None, 2));
    assert_eq!(item.0.get(Attr::DueShard), Some(&"L3".into()));
    assert!(!item.has(Attr::ExpiresAt), "an item with a backlog does not expire");
}

#[test]
fn an_idle_lane_is_opened_at_once_and_keeps_what_it_has_proven() {
    let mut item = idle();
    let step = look(&mut appending(), &mut item, at(0));
    assert_eq!(step, AppendStep::Send { token: "mine".to_owned(), delay: seconds(0) });
    let lane = item.lane();
    assert_eq!(
        (lane.phase, lane.reason, lane.opened_at),
        (Some(Phase::Held), Some(Reason::Slow), Some(at(-9000)))
    );
    assert_eq!((lane.wake_at, lane.quick), (Some(at(0)), 7));
    assert!(!item.has(Attr::ExpiresAt));
}

#[test]
fn a_lane_with_a_turn_is_left_alone() {
    for phase in [Phase::Held, Phase::Pouring] {
        let mut item = Item::held(Reason::Slow).with(Attr::Phase, phase);
        assert_eq!(look(&mut appending(), &mut item, at(0)), AppendStep::Done);
        assert_eq!(item.lane().token.as_deref(), Some("token"));
    }
}

#[test]
fn the_message_is_the_last_thing() {
    let mut append = appending();
    assert!(matches!(look(&mut append, &mut idle(), at(0)), AppendStep::Send { .. }));
    append.sent();
    assert_eq!(append.next(), AppendStep::Done);
}

#[test]
fn an_opening_that_met_another_one_is_decided_anew() {
    for (meanwhile, next) in [
        (Item::held(Reason::Slow), AppendStep::Done),
        (idle(), AppendStep::Open(Write::default(), Duration::ZERO)),
        (Item::default(), AppendStep::Open(Write::default(), seconds(1))),
    ] {
        let mut append = appending();
        append.looked(&Lane::default(), at(0));
        append.opened(&Outcome::Refused(meanwhile.lane()), at(0));
        match (append.next(), next) {
            (AppendStep::Open(write, delay), AppendStep::Open(_, expected)) => {
                assert!(write.applies_to(&meanwhile.0));
                assert_eq!(delay, expected);
            }
            (next, expected) => assert_eq!(next, expected),
        }
    }
}

#[test]
fn an_opening_whose_answer_got_lost_is_known_by_its_token() {
    let mut append = appending();
    let mut item = Item::default();
    append.looked(&item.lane(), at(0));
    let AppendStep::Open(write, _) = append.next() else { panic!("not opened") };
    item.write(&write);
    append.opened(&item.write(&write), at(5));
    assert_eq!(append.next(), AppendStep::Send { token: "mine".to_owned(), delay: seconds(1) });
}
