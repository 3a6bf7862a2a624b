use super::*;

fn held() -> Item {
    Item::held(Reason::Slow)
}

#[test]
fn what_is_known_is_no_older_than_two_seconds_when_something_begins() {
    let mut work = Work::begin(held(), Seen::Enabled(terms()), at(0));
    assert_eq!(work.turn.next(at(2000)), Step::Read(100));
    assert_eq!(work.turn.next(at(2001)), Step::Look);
    work.look(at(2001));
    work.read(1, at(2001));
    assert_eq!(work.turn.next(at(4001)), Step::Send);
    assert_eq!(work.turn.next(at(4002)), Step::Look);
}

#[test]
fn no_more_requests_than_the_window_has_room_for_are_under_way() {
    let ready = |item, seen| Work::with_ready(item, seen, 500, at(0)).room(at(0));
    let enabled = || Seen::Enabled(terms());
    assert_eq!(ready(held(), enabled()), 1, "it begins with one");
    assert_eq!(
        ready(held().with(Attr::Window, 7_u32), enabled()),
        7,
        "and goes on with what the turn before has learned"
    );
    assert_eq!(ready(held().with(Attr::Window, 900_u32), enabled()), MAX_WINDOW);
}

#[test]
fn the_window_follows_outcomes_and_not_latency() {
    let mut work =
        Work::with_ready(held().with(Attr::Window, 2_u32), Seen::Enabled(terms()), 99, at(0));
    for (answer, took, room) in [
        (Verdict::Answered, seconds(4), 3),
        (Verdict::Answered, seconds(4), 4),
        (Verdict::Overloaded, quick(), 2),
        (Verdict::TimedOut, seconds(5), 1),
        (Verdict::Answered, quick(), 2),
        (Verdict::Answered, quick(), 2),
        (Verdict::Answered, quick(), 3),
    ] {
        work.request(answer, took, at(0));
        let mut probe =
            Work { turn: work.turn.clone(), item: work.item.clone(), seen: work.seen.clone() };
        assert_eq!(probe.room(at(0)), room, "after {answer:?}");
    }
}

#[test]
fn a_request_that_might_not_end_in_time_is_not_begun() {
    let seen = || Seen::Enabled(Terms { timeout: seconds(30), ..terms() });
    let mut work = Work::with_ready(held(), seen(), 2, at(0));
    assert_eq!(work.next(at(20_000)), Step::Send);
    assert!(matches!(work.next(at(20_001)), Step::Write(_)), "30 s and 8 s are not left of 58");
    let mut work = Work::with_ready(held().with(Attr::Window, 2_u32), seen(), 2, at(0));
    work.begins(at(0));
    assert!(matches!(work.next(at(20_001)), Step::Wait(_)), "what is under way ends first");
}

#[test]
fn a_turn_that_was_taken_late_ends_with_its_invocation() {
    for seen in [Seen::Gone, Seen::Enabled(terms())] {
        let mut item = held();
        let claiming = Claiming::new(message("m"), "me".to_owned(), at(20_000), at(22_000));
        let outcome = item.write(&claiming.write(at(0)));
        let Claim::Mine(turn) = claiming.outcome(outcome, at(0)) else { panic!("refused") };
        let mut work = Work { item, turn: *turn, seen };
        work.look(at(0));
        work.read(1, at(0));
        assert!(!matches!(work.next(at(6900)), Step::Write(_)));
        assert!(matches!(work.next(at(12_000)), Step::Write(_)));
    }
}

#[test]
fn no_wait_for_an_answer_is_over_already() {
    let mut work = Work::with_ready(held(), Seen::Enabled(terms()), 1, at(0));
    work.begins(at(0));
    assert_eq!(work.turn.next(at(58_000)), Step::Wait(at(58_500)));
}

#[test]
fn a_part_that_needs_no_request_is_not_sent() {
    let mut work = Work::with_ready(held(), Seen::Enabled(terms()), 2, at(0));
    work.turn.dropped(2);
    assert!(matches!(work.next(at(0)), Step::Write(_)), "nothing is left");
}

#[test]
fn what_is_ready_again_goes_again() {
    let mut work = Work::with_ready(held(), Seen::Enabled(terms()), 1, at(0));
    work.begins(at(0));
    assert!(matches!(work.turn.next(at(0)), Step::Wait(_)));
    work.turn.answered(Verdict::Answered, quick(), 1, at(50));
    assert_eq!(work.next(at(50)), Step::Send);
}

#[test]
fn a_list_waits_until_its_request_is_full_or_its_backlog_is_read() {
    let list = Terms { full_request: 100, ..terms() };
    let mut work = Work::begin(held().with(Attr::CountedAt, at(0)), Seen::Enabled(list), at(0));
    work.turn.read(70, false, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Read(100), "there is more");
    work.turn.read(40, false, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Send);
    work.turn.began(100);
    work.turn.answered(Verdict::Answered, quick(), 0, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Read(100));
    work.turn.read(0, true, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Send, "ten are all that wait");
}

#[test]
fn a_backlog_with_more_than_a_page_is_counted_every_ten_minutes() {
    let mut work =
        Work::begin(held(), Seen::Enabled(Terms { full_request: 100, ..terms() }), at(0));
    work.turn.read(110, false, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Count);
    work.turn.counted(true, at(0));
    assert_eq!(work.turn.next(at(0)), Step::Send);
    work.turn.began(110);
    assert_eq!(work.turn.next(at(49_999)), Step::Wait(at(58_000)));
    work.turn.answered(Verdict::Answered, quick(), 0, at(50_000));
    work.write(at(50_000));
    assert_eq!((work.item.lane().full, work.item.lane().counted_at), (true, Some(at(0))));
    assert_eq!(work.item.lane().admission(), Admission::Shed);
    let mut work =
        Work::with_ready(held().with(Attr::Full, 1_i64), Seen::Enabled(terms()), 9, at(0));
    work.turn.failed();
    work.write(at(0));
    assert!(!work.item.lane().full, "the turn has all that waits at hand");
}

#[test]
fn a_limited_lane_sends_in_its_slots() {
    let mut work = Work::with_ready(
        Item::held(Reason::Limited),
        Seen::Enabled(limited(10, Period::Second)),
        50,
        at(0),
    );
    assert_eq!(work.next(at(0)), Step::Reserve(10), "a second of slots");
    work.turn.reserved(vec![at(0), at(100), at(200)], None);
    for slot in [0, 100] {
        assert_eq!(work.turn.next(at(slot)), Step::Send);
        work.turn.began(1);
        assert_eq!(work.turn.next(at(slot)), Step::Wait(at(slot + 100)));
    }
    assert_eq!(work.next(at(701)), Step::Reserve(10), "the last slot is late, so it is lost");
}

#[test]
fn a_turn_sits_out_a_short_wait_for_a_slot() {
    let mut work = Work::with_ready(
        Item::held(Reason::Limited),
        Seen::Enabled(limited(10, Period::Second)),
        5,
        at(0),
    );
    assert_eq!(work.next(at(0)), Step::Reserve(5));
    work.turn.reserved(Vec::new(), Some(at(1500)));
    assert_eq!(work.next(at(0)), Step::Wait(at(1500)));
    assert_eq!(work.next(at(1500)), Step::Reserve(5));
}

#[test]
fn a_turn_ends_for_a_long_wait_for_a_slot() {
    let mut work = Work::with_ready(
        Item::held(Reason::Limited),
        Seen::Enabled(limited(1, Period::Minute)),
        5,
        at(0),
    );
    assert_eq!(work.next(at(0)), Step::Reserve(1));
    work.turn.reserved(Vec::new(), Some(at(59_500)));
    work.write(at(0));
    assert_eq!(
        work.turn.next(at(0)),
        Step::Over(Over::RetryIn(seconds(59))),
        "rounded down: the rest is sat out"
    );
    assert_eq!(work.item.lane().wake_at, Some(at(59_500)));
}

#[test]
fn a_new_limit_needs_new_slots() {
    let mut work = Work::with_ready(
        Item::held(Reason::Limited),
        Seen::Enabled(limited(10, Period::Second)),
        5,
        at(0),
    );
    work.next(at(0));
    work.turn.reserved(vec![at(900)], None);
    work.seen = Seen::Enabled(limited(20, Period::Second));
    work.look(at(100));
    assert_eq!(work.next(at(100)), Step::Reserve(5));
}

#[test]
fn a_paused_webhook_is_skipped_and_a_deleted_one_is_purged() {
    for (seen, step) in [(Seen::Disabled, Step::Skip), (Seen::Gone, Step::Purge)] {
        let mut work =
            Work::with_ready(held().with(Attr::Window, 9_u32), Seen::Enabled(terms()), 3, at(0));
        work.begins(at(0));
        work.seen = seen.clone();
        work.look(at(1));
        assert!(matches!(work.next(at(1)), Step::Wait(_)), "what is under way ends first");
        work.turn.answered(Verdict::Answered, quick(), 0, at(50));
        assert_eq!(work.next(at(50)), step);
        work.turn.disposed(2, at(60));
        work.write(at(60));
        assert_eq!(work.item.lane().phase, None, "{seen:?}");
    }
}
