use std::sync::Arc;

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    delivery::{companions::Companions, task::Task},
    event::Event,
    id::{Cause, CauseKind, DeliveryId, WebhookId},
    webhook::key::WebhookKey,
};

use super::*;

fn waiting(key: &str) -> Waiting {
    let workspace = Workspace::parse("acme").unwrap();
    let webhook = WebhookKey { workspace, id: WebhookId(1) };
    let task = Task::new(&webhook, Vec::new()).with(Vec::new());
    Waiting { key: key.to_owned(), task, bytes: 0, since: Timestamp::UNIX_EPOCH }
}

fn pending(source: usize, nth: u8) -> Pending {
    let json = format!(
        r#"{{"id":"01896b5d-3648-7000-8000-0000000000{nth:02x}","type":"order.created","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{{}}}}"#
    );
    let event: Event = serde_json::from_str(&json).unwrap();
    Pending {
        source,
        id: DeliveryId::derive(event.id, WebhookId(1), Cause::Published),
        cause: CauseKind::Published,
        event: Arc::new(event),
        redriven: false,
        attempts: 0,
        halvings: 0,
        companions: Companions::Any,
        recorded_at: None,
        faults: 0,
    }
}

fn fresh(source: usize, events: &[u8]) -> Sequence {
    let left = events.iter().map(|nth| pending(source, *nth)).collect();
    Sequence { batch: None, left, is_fresh: true }
}

/// A hand with an item of these events, ready as one sequence or to be joined.
fn hand(events: &[u8], takes_lists: bool) -> (Hand, usize, usize) {
    let mut hand = Hand::default();
    let number = hand.take(waiting("a"));
    let ready = hand.make_ready(number, fresh(number, events), takes_lists);
    (hand, number, ready)
}

fn carrying(source: usize, events: &[u8]) -> Vec<Carrying> {
    events.iter().map(|nth| Carrying { source, id: pending(source, *nth).id }).collect()
}

#[test]
fn an_item_is_deleted_when_all_its_deliveries_are_settled() {
    let (mut hand, number, ready) = hand(&[1, 2], false);
    assert_eq!(ready, 1);
    hand.settle(&carrying(number, &[1]), &BTreeSet::new());
    assert_eq!(hand.take_done(), Vec::<String>::new());
    hand.settle(&carrying(number, &[2]), &BTreeSet::new());
    assert_eq!(hand.take_done(), ["a"]);
    assert!(!hand.has("a"));
}

#[test]
fn an_item_of_which_something_failed_stays() {
    let (mut hand, number, _) = hand(&[1, 2], false);
    hand.settle(&carrying(number, &[1]), &BTreeSet::from([number]));
    hand.settle(&carrying(number, &[2]), &BTreeSet::new());
    assert_eq!(hand.take_done(), Vec::<String>::new());
}

#[test]
fn what_can_share_requests_is_taken_together_in_the_order_of_the_events() {
    let (mut hand, _, ready) = hand(&[2], true);
    let other = hand.take(waiting("b"));
    assert_eq!(ready + hand.make_ready(other, fresh(other, &[1]), true), 2);
    let mut next = hand.next().unwrap();
    let digits: Vec<u8> = next
        .sequence
        .left
        .iter()
        .map(|pending| pending.event.id.to_string().as_bytes()[35] - b'0')
        .collect();
    assert_eq!((next.item, digits), (None, vec![1, 2]));
    next.sequence.left.remove(0);
    assert_eq!(hand.put_back(next), 1);
    assert_eq!(hand.next().map(|ready| ready.sequence.left.len()), Some(1));
}

#[test]
fn what_has_an_order_goes_on_where_it_was() {
    let (mut hand, number, _) = hand(&[1, 2, 3], false);
    let mut run = hand.next().unwrap();
    let carried = run.sequence.carry(1, None);
    hand.begin(&carried.deliveries);
    hand.settle(&carrying(number, &[1]), &BTreeSet::new());
    assert_eq!(hand.put_back(run), 1);
    let half_done = hand.half_done();
    assert_eq!(
        half_done
            .iter()
            .map(|(item, rest)| (item.key.as_str(), rest.left.len()))
            .collect::<Vec<_>>(),
        [("a", 2)]
    );
}

#[test]
fn what_is_laid_down_is_read_again() {
    let (mut hand, _, _) = hand(&[1], true);
    let other = hand.take(waiting("b"));
    hand.make_ready_to_pour(other);
    hand.read_to(Class::Live, Some("b".to_owned()));
    assert_eq!(hand.lay_down(), 2);
    assert!(
        !hand.has("a")
            && !hand.has("b")
            && hand.after(Class::Live).is_none()
            && hand.next().is_none()
    );
    assert_eq!(hand.take_done(), Vec::<String>::new());
}

#[test]
fn one_page_in_four_is_of_replays_first() {
    let mut hand = Hand::default();
    let first: Vec<Class> = (0..8).map(|_| hand.classes()[0]).collect();
    use Class::{Live, Replay};
    assert_eq!(first, [Live, Live, Live, Replay, Live, Live, Live, Replay]);
}

#[test]
fn what_could_share_a_request_can_be_handed_on_item_by_item() {
    let (mut hand, first, _) = hand(&[1], true);
    let second = hand.take(waiting("b"));
    hand.make_ready(second, fresh(second, &[2]), true);
    assert_eq!(
        [hand.next_item(), hand.next_item(), hand.next_item()],
        [Some(first), Some(second), None]
    );
    let back = hand.take(waiting("c"));
    assert_eq!(hand.make_ready(back, fresh(back, &[1]), true), 1, "it came back");
}

#[test]
fn a_delivery_that_two_items_bring_is_made_once() {
    let (mut hand, first, _) = hand(&[1], false);
    let double = hand.take(waiting("b"));
    assert_eq!(hand.make_ready(double, fresh(double, &[1]), false), 0);
    assert_eq!(hand.take_done(), ["b"]);
    hand.settle(&carrying(first, &[1]), &BTreeSet::new());
    let late = hand.take(waiting("c"));
    assert_eq!(hand.make_ready(late, fresh(late, &[1]), false), 0, "it was made a moment ago");
    let next_try = hand.take(waiting("d"));
    let recorded = Sequence { is_fresh: false, ..fresh(next_try, &[1]) };
    assert_eq!(
        hand.make_ready(next_try, recorded, false),
        1,
        "its records say that it is to be made again"
    );
}

#[test]
fn what_could_not_be_made_may_come_again() {
    let (mut hand, number, _) = hand(&[1], false);
    hand.next();
    hand.leave_all(&carrying(number, &[1]));
    let again = hand.take(waiting("a"));
    assert_eq!(hand.make_ready(again, fresh(again, &[1]), false), 1);
}

#[test]
fn the_next_try_of_a_delivery_waits_until_the_one_before_is_settled() {
    let (mut hand, first, _) = hand(&[1], false);
    let next_try = hand.take(waiting("b"));
    let recorded = |number| Sequence { is_fresh: false, ..fresh(number, &[1]) };
    assert_eq!(hand.make_ready(next_try, recorded(next_try), false), 0);
    assert!(
        !hand.has("b") && hand.take_done().is_empty(),
        "it stays in the backlog, and is read again"
    );
    hand.settle(&carrying(first, &[1]), &BTreeSet::new());
    let next_try = hand.take(waiting("b"));
    assert_eq!(hand.make_ready(next_try, recorded(next_try), false), 1);
}
