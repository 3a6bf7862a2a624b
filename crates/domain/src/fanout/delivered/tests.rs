use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing;

fn event(nth: u8) -> Event {
    testing::event(nth, if nth.is_multiple_of(3) { "order.shipped" } else { "order.created" }, "{}")
}

/// A webhook of before the events, or of after them, that wants everything, or only what was
/// shipped.
fn subscriber(id: u64, is_late: bool, is_choosy: bool) -> Subscriber {
    let events = if is_choosy { json!(["order.shipped"]) } else { json!(["*"]) };
    let settings = testing::webhook(json!({ "events": events })).settings;
    let created_at = if is_late { Timestamp::MAX } else { Timestamp::UNIX_EPOCH };
    Subscriber { id: WebhookId(id), created_at, settings }
}

fn delivery(event: &Event, webhook: u64) -> DeliveryId {
    DeliveryId::derive(event.id, WebhookId(webhook), Cause::Published)
}

fn told(statuses: &[Option<Status>]) -> Option<bool> {
    statuses
        .iter()
        .map(|status| Delivered::of(*status))
        .fold(Delivered::Unwanted, Delivered::max)
        .answer()
}

#[test]
fn an_event_is_delivered_when_everybody_has_it() {
    let (done, open) = (Some(Status::Succeeded), Some(Status::Pending));
    assert_eq!(told(&[done, done]), Some(true));
    assert_eq!(told(&[done, open]), Some(false));
    assert_eq!(told(&[None, Some(Status::Exhausted)]), Some(false));
    assert_eq!(told(&[done, Some(Status::Skipped)]), Some(false));
    assert_eq!(told(&[done, None]), None, "one is not known yet");
    assert_eq!(told(&[]), None, "nobody wants it");
}

#[test]
fn a_cursor_is_read_as_it_was_written() {
    let id = event(1).id;
    for so_far in Delivered::ALL {
        for cursor in
            [Cursor::After(id), Cursor::Within(Partly { event: id, webhook: WebhookId(7), so_far })]
        {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }
    let within =
        Cursor::Within(Partly { event: id, webhook: WebhookId(7), so_far: Delivered::Yes });
    assert_eq!(within.to_string(), "01896b5d-3648-7000-8000-000000000001.7.yes");
    for text in
        ["", "x", "1.2.yes", &format!("{id}.7"), &format!("{id}.7.maybe"), &format!("{id}.x.yes")]
    {
        assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
    }
}

#[test]
fn one_that_failed_needs_no_other_look_up() {
    let mut reckoning = Reckoning::new(vec![event(1).into(), event(2).into()]);
    let subscribers: Vec<_> = (1..=5).map(|id| subscriber(id, false, false)).collect();
    reckoning.add(&subscribers, 100);
    assert_eq!(
        reckoning.next(2),
        [(WebhookId(1), delivery(&event(1), 1)), (WebhookId(2), delivery(&event(1), 2))]
    );
    reckoning.take(2, &HashMap::from([(delivery(&event(1), 2), Status::Exhausted)]));
    assert_eq!(reckoning.next(1), [(WebhookId(1), delivery(&event(2), 1))]);
    let (reckoned, next) = reckoning.finish(None);
    assert_eq!(
        reckoned.iter().map(|(event, delivered)| (event.id, *delivered)).collect::<Vec<_>>(),
        [(event(1).id, Some(false))]
    );
    assert_eq!(next, Some(Cursor::After(event(1).id)));
}

#[test]
fn events_that_owe_more_than_may_be_looked_up_are_left_out_but_never_the_first() {
    let kept = |most| {
        let mut reckoning = Reckoning::new(vec![event(1).into(), event(2).into()]);
        reckoning.add(&[subscriber(1, false, false), subscriber(2, false, false)], most);
        (reckoning.owed(), reckoning.is_cut)
    };
    assert_eq!(kept(4), (4, false), "as many as may be looked up are kept");
    assert_eq!(kept(3), (2, true));
    assert_eq!(kept(1), (2, true));
}

#[test]
fn a_list_that_stops_at_a_webhook_is_cut_only_if_it_leaves_events_out() {
    let stopped = |events: Vec<Event>| {
        let mut reckoning = Reckoning::new(events.into_iter().map(Into::into).collect());
        reckoning.stop_at(WebhookId(7));
        reckoning.is_cut
    };
    assert!(!stopped(vec![event(1)]));
    assert!(stopped(vec![event(1), event(2)]));
}

#[test]
fn a_look_up_goes_on_where_the_one_before_ended() {
    let mut reckoning = Reckoning::new(vec![event(1).into()]);
    let subscribers: Vec<_> = (1..=3).map(|id| subscriber(id, false, false)).collect();
    reckoning.add(&subscribers, 100);
    reckoning.take(2, &HashMap::new());
    assert_eq!(reckoning.next(9), [(WebhookId(3), delivery(&event(1), 3))]);
    reckoning.take(9, &HashMap::new());
    assert_eq!(reckoning.next(9), []);
}

#[test]
fn a_list_without_events_is_empty() {
    assert!(Reckoning::new(Vec::new()).is_empty());
    assert!(!Reckoning::new(vec![event(1).into()]).is_empty());
}

#[test]
fn a_webhook_that_can_not_be_read_lets_nobody_say_that_all_have_it() {
    let mut reckoning = Reckoning::new(vec![event(1).into()]);
    reckoning.add(&[subscriber(1, false, false)], 100);
    reckoning.add_unreadable();
    reckoning.take(1, &HashMap::from([(delivery(&event(1), 1), Status::Succeeded)]));
    assert_eq!(reckoning.finish(None).0[0].1, None);
}

#[test]
fn what_an_event_says_of_its_process_is_read_once_for_all_webhooks() {
    let owed = |data: &str, replaced: &str| {
        let mut reckoning = Reckoning::new(vec![testing::event(1, "order.created", data).into()]);
        // A webhook that read the event itself would read this.
        reckoning.rows[0].event.data = serde_json::from_str(replaced).unwrap();
        let choosy = json!({ "filters": { "risk": { "order.created": "never" } } });
        let settings = testing::webhook(choosy).settings;
        let subscribers: Vec<_> = (1..=3)
            .map(|id| Subscriber { settings: settings.clone(), ..subscriber(id, false, false) })
            .collect();
        subscribers.chunks(1).for_each(|page| reckoning.add(page, 100));
        reckoning.owed()
    };
    assert_eq!(owed(r#"{"processType":"risk"}"#, "{}"), 0);
    assert_eq!(owed("{}", r#"{"processType":"risk"}"#), 3);
}

/// The bounds of one call.
#[derive(Debug, Clone, Copy)]
struct Means {
    events: usize,
    pages: usize,
    page: usize,
    owed: usize,
    look_ups: usize,
}

/// One call of the list, as a function makes it.
fn call(
    means: Means,
    events: &[Event],
    subscribers: &[Subscriber],
    found: &HashMap<DeliveryId, Status>,
    cursor: Option<Cursor>,
) -> (Vec<Reckoned>, Option<Cursor>) {
    let (mut reckoning, mut from, next) = match cursor {
        Some(Cursor::Within(partly)) => {
            let event = events.iter().find(|event| event.id == partly.event).unwrap();
            (Reckoning::resumed(event.clone().into(), partly), partly.webhook, Some(partly.event))
        }
        _ => {
            let after =
                |event: &&Event| !matches!(cursor, Some(Cursor::After(id)) if event.id <= id);
            let page: Vec<Event> =
                events.iter().filter(after).take(means.events).cloned().collect();
            let next = page
                .last()
                .map(|event| event.id)
                .filter(|last| *last != events[events.len() - 1].id);
            (Reckoning::new(page.into_iter().map(Into::into).collect()), WebhookId(0), next)
        }
    };
    for page in 1.. {
        let rest = subscribers.iter().filter(|subscriber| subscriber.id > from);
        let taken: Vec<_> = rest.take(means.page).cloned().collect();
        let Some(last) = taken.last() else { break };
        from = last.id;
        reckoning.add(&taken, means.owed);
        if page == means.pages {
            reckoning.stop_at(from);
            break;
        }
    }
    let wanted = reckoning.next(means.look_ups);
    assert!(wanted.len() <= means.look_ups);
    let of_these = wanted.iter().filter_map(|(_, id)| Some((*id, *found.get(id)?)));
    reckoning.take(means.look_ups, &of_these.collect());
    reckoning.finish(next)
}

proptest! {
    /// However little a call may look at, the calls of a list together tell of each event once what
    /// one look at everything tells.
    #[test]
    fn many_small_calls_tell_what_one_large_call_tells(
        count in 1_u8..12,
        webhooks in proptest::collection::vec((any::<bool>(), any::<bool>(), 0_usize..9), 0..20),
        seed in any::<usize>(),
        means in (1_usize..6, 1_usize..4, 1_usize..6, 1_usize..30, 1_usize..30)
            .prop_map(|(events, pages, page, owed, look_ups)| Means {
                events, pages, page, owed, look_ups
            }),
    ) {
        let events: Vec<Event> = (1..=count).map(event).collect();
        let subscribers: Vec<Subscriber> = webhooks.iter().zip(1..)
            .map(|((is_late, is_choosy, _), id)| subscriber(id, *is_late, *is_choosy)).collect();
        let mut found = HashMap::new();
        let mut expected = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let mut so_far = Delivered::Unwanted;
            for (subscriber, (is_late, _, kind)) in subscribers.iter().zip(&webhooks) {
                let status = match (kind + (seed >> (at % 8))) % 9 {
                    0 => Some(Status::Exhausted),
                    1 => None,
                    _ => Some(Status::Succeeded),
                };
                found.extend(status.map(|status| (delivery(event, subscriber.id.0), status)));
                if subscriber.settings.want(
                    &event.event_type, &Process::of(event)
                ) && !(*is_late && status.is_none()) {
                    so_far = so_far.max(Delivered::of(status));
                }
            }
            expected.push((event.id, so_far.answer()));
        }
        let (mut told, mut cursor, mut calls) = (Vec::new(), None, 0);
        loop {
            let (reckoned, next) = call(means, &events, &subscribers, &found, cursor);
            told.extend(reckoned.into_iter().map(|(event, delivered)| (event.id, delivered)));
            calls += 1;
            prop_assert!(
                calls <= events.len() * (subscribers.len() + 1) + 1,
                "each call goes on by a webhook at least"
            );
            let Some(next) = next else { break };
            cursor = Some(next);
        }
        prop_assert_eq!(told, expected);
    }
}
