mod model;

use proptest::prelude::*;

use super::*;
use model::{Given, Store};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_690_000_000_000 + ms).unwrap()
}

const ALL: Asked = Asked { limit: 3, before: None, since: None, until: None };

#[test]
fn records_and_what_waits_are_one_list() {
    let store =
        Store::of([Given::Record(3), Given::Waiting(2), Given::Record(1), Given::Replay(0)]);
    let pages = store.pages(ALL);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(pages.concat(), store.expected(ALL));
}

#[test]
fn a_record_wins() {
    let store = Store::of([Given::Recorded(2), Given::Waiting(1)]);
    let rows = store.pages(ALL).concat();
    assert!(matches!(rows[..], [Row::Recorded(_), Row::Waits(_)]), "{rows:?}");
}

#[test]
fn what_was_active_late_is_listed_at_that_time() {
    let store = Store::of([Given::Late(1, 60), Given::Record(3), Given::Waiting(2)]);
    let rows = store.pages(ALL).concat();
    assert!(matches!(rows[0], Row::Recorded(id) if id.time() == at(1)), "{rows:?}");
    assert_eq!(rows, store.expected(ALL));
}

#[test]
fn an_activity_is_late_a_minute_after_the_event() {
    let id = DeliveryId::derive(EventId::first_at(at(7)), WebhookId(1), Cause::Published);
    let place = |cause, now| own_place(id, cause, now);
    assert_eq!([at(7), at(60_007)].map(|now| place(CauseKind::Published, now)), [None, None]);
    for cause in [CauseKind::Replay, CauseKind::Test] {
        assert_eq!(place(cause, at(8)), Some(id.placed_at(at(8))), "no event leads to it");
    }
    let late = place(CauseKind::Published, at(60_008)).unwrap();
    assert_eq!((late.time(), late.spread()), (at(60_008), id.spread()));
    assert_eq!(late, id.placed_at(at(60_008)));
}

#[test]
fn two_copies_of_a_delivery_are_one_row() {
    let store = Store::of([Given::Copies(1)]);
    assert_eq!(store.pages(ALL).concat().len(), 1);
}

#[test]
fn what_waits_together_is_listed_where_its_item_is_found() {
    let store = Store::of([Given::Run(vec![1, 5, 12]), Given::Record(9)]);
    let rows = store.pages(Asked { limit: 2, ..ALL }).concat();
    let times = rows.iter().map(|row| match row {
        Row::Recorded(id) => id.time(),
        Row::Waits(waits) => waits.place.time(),
    });
    assert_eq!(
        times.collect::<Vec<_>>(),
        [at(12), at(9), at(1), at(1)],
        "the last of the run has a record"
    );
}

#[test]
fn what_waits_is_not_listed_again_after_a_cursor_that_names_it() {
    let store = Store::of([Given::Waiting(5)]);
    let Row::Waits(waits) = &store.pages(ALL).concat()[0] else { panic!("it waits") };
    let after = Asked { before: Some(waits.place), ..ALL };
    assert_eq!(store.pages(after).concat().len(), 0);
}

#[test]
fn bounds_in_time_are_those_of_the_place_in_the_list() {
    let store = Store::of([Given::Run(vec![1, 5, 12]), Given::Waiting(5), Given::Record(5)]);
    let shown = |since, until| {
        store.pages(Asked { since: Some(at(since)), until: Some(at(until)), ..ALL }).concat().len()
    };
    assert_eq!((shown(0, 13), shown(1, 6), shown(5, 6), shown(2, 5), shown(6, 5)), (5, 4, 2, 0, 0));
}

#[test]
fn a_cursor_names_a_time_range() {
    let range = |before| Asked { before: Some(before), ..ALL }.times().unwrap().1;
    let first = DeliveryId::first_at(at(7));
    assert_eq!(range(first), Some(at(7)), "nothing of that millisecond comes before it");
    assert_eq!(
        range(DeliveryId::derive(
            EventId::first_at(at(7)),
            crate::id::WebhookId(1),
            crate::id::Cause::Published
        )),
        Some(at(8))
    );
    assert_eq!(range(DeliveryId::LAST), None, "the end of time has no end");
}

#[test]
fn a_burst_within_a_call_and_another_is_shown_whole() {
    let burst = (0..model::FIRST_CALL + model::SECOND_CALL).map(|_| Given::Waiting(5));
    let store = Store::of(burst.chain([Given::Waiting(9), Given::Record(5), Given::Waiting(1)]));
    assert_eq!(store.pages(ALL).concat(), store.expected(ALL));
}

#[test]
fn a_burst_beyond_that_is_cut_and_the_list_goes_on() {
    let burst = (0..3 * (model::FIRST_CALL + model::SECOND_CALL)).map(|_| Given::Waiting(5));
    let store = Store::of(burst.chain([Given::Waiting(9), Given::Record(5), Given::Waiting(1)]));
    let rows = store.pages(ALL).concat();
    assert_eq!(rows.len(), 3 + model::FIRST_CALL + model::SECOND_CALL);
    assert_eq!(rows.first(), store.expected(ALL).first());
    assert_eq!(rows.last(), store.expected(ALL).last());
}

fn given() -> impl Strategy<Value = Given> {
    let ms = 0..6_i64;
    prop_oneof![
        3 => ms.clone().prop_map(Given::Record),
        4 => ms.clone().prop_map(Given::Waiting),
        1 => ms.clone().prop_map(Given::Replay),
        1 => (ms.clone(), 1..9_i64).prop_map(|(ms, later)| Given::Late(ms, later)),
        1 => ms.clone().prop_map(Given::Recorded),
        1 => ms.clone().prop_map(Given::Copies),
        1 => (ms, prop::collection::vec(0..9_i64, 1..4)).prop_map(|(first, more)| {
            let mut times: Vec<i64> = more.into_iter().map(|more| first + more).collect();
            times[0] = first;
            Given::Run(times)
        }),
    ]
}

proptest! {
    #[test]
    fn each_delivery_comes_once_and_in_its_place_over_all_pages(
        given in prop::collection::vec(given(), 0..40),
        limit in 1..9_usize,
        since in prop::option::of(0..8_i64),
        until in prop::option::of(0..8_i64),
        examined in 1..12_usize,
    ) {
        let store = Store::of(given).examining(examined);
        prop_assume!(store.bursts() <= model::FIRST_CALL + model::SECOND_CALL);
        let asked = Asked { limit, before: None, since: since.map(at), until: until.map(at) };
        let pages = store.pages(asked);
        prop_assert!(pages.iter().all(|page| page.len() <= limit));
        prop_assert_eq!(pages.concat(), store.expected(asked));
    }

    #[test]
    fn the_list_ends_whatever_waits(
        given in prop::collection::vec(given(), 0..120), limit in 1..9_usize
    ) {
        let store = Store::of(given);
        let rows = store.pages(Asked { limit, ..ALL }).concat();
        let expected = store.expected(ALL);
        let mut after = expected.iter();
        prop_assert!(
            rows.iter().all(|row| after.any(|other| other == row)), "in order, and nothing twice"
        );
    }
}
