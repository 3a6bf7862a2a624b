use super::*;

#[test]
fn a_lane_that_was_told_to_wake_is_woken_a_little_before() {
    let item =
        Item::held(Reason::Sick).with(Attr::WakeAt, at(100_000)).with(Attr::DueAt, at(100_000));
    assert_eq!(wake(&item.lane(), at(24_999)), None);
    let mut item = item.with(Attr::Holder, "m");
    let (write, when) = wake(&item.lane(), at(25_000)).unwrap();
    assert_eq!(when, at(100_000));
    assert!(matches!(item.write(&write), Outcome::Done(_)));
    let lane = item.lane();
    assert_eq!(
        (lane.due_at, lane.holder, lane.token.as_deref()),
        (Some(at(400_000)), None, Some("token"))
    );
    assert!(matches!(item.write(&write), Outcome::Refused(_)), "another release has woken it");
}

#[test]
fn a_lane_whose_turn_is_silent_is_looked_after_when_its_time_is_past() {
    let mut item = Item::held(Reason::Slow).with(Attr::Holder, "dead");
    assert_eq!(wake(&item.lane(), at(119_999)), None);
    let (write, when) = wake(&item.lane(), at(120_000)).unwrap();
    assert_eq!(when, at(0));
    item.write(&write);
    assert_eq!((item.lane().due_at, item.lane().holder), (Some(at(420_000)), None));
}

#[test]
fn a_lane_that_is_not_due_any_more_is_left_alone() {
    assert_eq!(wake(&Lane::default(), at(0)), None);
}

#[test]
fn a_nudge_wakes_a_lane_with_a_turn() {
    let mut item =
        Item::held(Reason::Sick).with(Attr::WakeAt, at(600_000)).with(Attr::DueAt, at(600_000));
    item.write(&nudge(at(5)));
    let lane = item.lane();
    assert_eq!((lane.wake_at, lane.due_at, lane.holder), (Some(at(5)), Some(at(120_005)), None));
}

#[test]
fn a_lane_without_a_turn_needs_no_nudge() {
    assert!(matches!(Item::default().write(&nudge(at(5))), Outcome::Refused(_)));
    let idle = Item::new([(Attr::Phase, Phase::Idle.into())]);
    assert!(matches!(idle.clone().write(&nudge(at(5))), Outcome::Refused(_)));
}

#[test]
fn lanes_are_spread_over_the_index() {
    assert_eq!(
        (due_shard(0), due_shard(15), due_shard(16)),
        ("L0".to_owned(), "L15".to_owned(), "L0".to_owned())
    );
}

#[test]
fn the_parts_of_release_work_off_each_partition_of_lanes_once() {
    let (lanes, probes): (Vec<_>, Vec<_>) = Part::all().map(due_shards).unzip();
    let all = |parts: Vec<Vec<String>>| {
        let mut shards = parts.concat();
        shards.sort_by_key(|shard| shard[1..].parse::<u8>().unwrap());
        shards
    };
    let expected = |prefix| (0..16).map(|nth| format!("{prefix}{nth}")).collect::<Vec<_>>();
    assert_eq!((all(lanes), all(probes)), (expected("L"), expected("P")));
}

#[test]
fn all_partitions_together_probe_at_least_as_many_lanes_as_they_may() {
    assert_eq!([0, 1, 16, 17, 160].map(probes_a_shard), [0, 1, 1, 2, 10]);
}

#[test]
fn an_item_is_read_as_it_was_written() {
    let item = Item::held(Reason::Slow).with(Attr::Full, 1_i64).with(Attr::Relapses, 3_u32);
    let lane = item.lane();
    assert_eq!(
        (lane.phase, lane.opened_at, lane.full, lane.relapses),
        (Some(Phase::Held), Some(at(0)), true, 3)
    );
    for (attribute, value) in [
        (Attr::Phase, Value::from("new")),
        (Attr::Token, Value::Number(1)),
        (Attr::DueAt, "soon".into()),
        (Attr::Window, Value::Number(-1)),
        (Attr::WakeAt, Value::Number(i64::MAX)),
    ] {
        let unreadable = item.clone().with(attribute, value).0.lane().unwrap_err();
        assert_eq!(unreadable, Unreadable(attribute));
        assert_eq!(
            unreadable.to_string(),
            format!("the lane's {} can't be read", attribute.name())
        );
    }
    let names: std::collections::BTreeSet<_> =
        Attr::ALL.iter().map(|attribute| attribute.name()).collect();
    assert_eq!(names.len(), Attr::ALL.len());
}

#[test]
fn the_last_order_about_an_attribute_counts() {
    let write =
        Write::default().set(Attr::Quick, 1_i64).remove(Attr::Quick).set(Attr::Quick, 2_i64);
    assert_eq!((write.set.len(), write.remove.len()), (1, 0));
    assert!(write.sets(Attr::Quick) && !write.sets(Attr::Window));
    let write = write.set_or_remove(Attr::Quick, None::<i64>);
    assert_eq!((write.set.len(), write.remove.as_slice()), (0, [Attr::Quick].as_slice()));
}
