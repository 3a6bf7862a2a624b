//! A plan says which of the things that are due share a task. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use posthaste_domain::{
    Timestamp,
    delivery::{
        parked::ParkedKey,
        task::{Due, Task, parts},
    },
    id::BatchId,
    webhook::key::WebhookKey,
};
use posthaste_queue::Message;
use posthaste_store::{DueDelivery, ParkedItem, Released};

/// A task message, and what has to be forgotten when it is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) released: Vec<Released>,
}

/// A page of due items without those at its end whose companions may be on the next one, and the
/// key after which that begins.
pub(crate) fn whole(
    mut items: Vec<ParkedItem>,
    next: Option<String>,
) -> (Vec<ParkedItem>, Option<String>) {
    if next.is_none() {
        return (items, None);
    }
    let last = items.last().and_then(together);
    let first = items.iter().position(|item| last.is_some() && together(item) == last);
    match first {
        // What is a page by itself would never come.
        Some(first) if first > 0 => {
            items.truncate(first);
            let next = items.last().map(|item| item.key.1.clone());
            (items, next)
        }
        _ => (items, next),
    }
}

/// The part of its key that an item shares with its companions; none where the key can't be read.
fn together(item: &ParkedItem) -> Option<&str> {
    ParkedKey::parse(&item.key.1).map(|key| key.together)
}

/// The time at which the first of these items was due.
pub(crate) fn parked_since(items: &[ParkedItem]) -> Option<Timestamp> {
    items.iter().find_map(|item| Some(ParkedKey::parse(&item.key.1)?.due_at))
}

/// The messages of due items, each at its time. A task that is an item of its own goes out as it
/// is. An item whose key can't be read is left.
pub(crate) fn parked(items: Vec<ParkedItem>, now: Timestamp) -> Vec<Outgoing> {
    let mut tasks: Vec<(String, Outgoing)> = Vec::new();
    for item in items {
        let Some(key) = ParkedKey::parse(&item.key.1) else {
            tracing::error!(key = item.key.1, "a due item has a key that can't be read");
            continue;
        };
        let together = key.together.to_owned();
        if let Some((_, outgoing)) = tasks.last_mut().filter(|(last, _)| *last == together)
            && let Some(body) = united(&outgoing.message.body, &item.task)
        {
            outgoing.message.body = body;
            outgoing.released.push(Released::Item(item.key));
            continue;
        }
        let delay = Duration::try_from(key.due_at.duration_since(now)).unwrap_or_default();
        let message = Message { delay, ..Message::new(item.task, key.workspace) };
        tasks.push((together, Outgoing { message, released: vec![Released::Item(item.key)] }));
    }
    tasks.into_iter().map(|(_, outgoing)| outgoing).collect()
}

/// One task with the deliveries of both, each once and in the order of their events; none if one
/// can't be read.
fn united(one: &str, other: &str) -> Option<String> {
    let (one, other) = (Task::parse(one).ok()?, Task::parse(other).ok()?);
    let mut known = BTreeSet::new();
    let mut deliveries: Vec<Due<'static>> =
        one.deliveries.iter().chain(&other.deliveries).cloned().collect();
    deliveries.retain(|due| known.insert(due.id));
    deliveries.sort_by_key(|due| due.content.event_id());
    one.with(deliveries).message().ok()
}

/// The things that go out together: what shared a request, and what was held for the same run.
/// Anything else goes alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Together {
    Batch(BatchId),
    Run(String),
    Alone(usize),
}

/// The tasks that bring what the index has found, each at its time, in the order of the events.
pub(crate) fn held(due: Vec<DueDelivery>, now: Timestamp) -> serde_json::Result<Vec<Outgoing>> {
    let mut groups: BTreeMap<(WebhookKey, Together), Vec<DueDelivery>> = BTreeMap::new();
    for (nth, due) in due.into_iter().enumerate() {
        let together = match (&due.batch, &due.held_for) {
            (_, Some(run)) => Together::Run(run.clone()),
            (Some(batch), None) => Together::Batch(*batch),
            (None, None) => Together::Alone(nth),
        };
        groups.entry((due.webhook.clone(), together)).or_default().push(due);
    }
    let mut tasks = Vec::new();
    for ((webhook, _), mut due) in groups {
        due.sort_unstable_by_key(|due| due.event);
        for due in parts(&due, |due| due.bytes) {
            tasks.push(outgoing(&webhook, due, now)?);
        }
    }
    Ok(tasks)
}

fn outgoing(
    webhook: &WebhookKey,
    due: &[DueDelivery],
    now: Timestamp,
) -> serde_json::Result<Outgoing> {
    let deliveries = due
        .iter()
        .map(|due| Due::of_stored(due.delivery, due.event, due.bytes).because(due.cause))
        .collect();
    let batch = due.first().and_then(|due| due.batch);
    let task = Task { batch, recorded: true, ..Task::new(webhook, deliveries) };
    let last = due.iter().map(|due| due.due_at).max().unwrap_or(now);
    let delay = Duration::try_from(last.duration_since(now)).unwrap_or_default();
    let message = Message { delay, ..Message::new(task.message()?, webhook.workspace.to_string()) };
    Ok(Outgoing { message, released: due.iter().map(DueDelivery::released).collect() })
}

#[cfg(test)]
mod tests {
    use posthaste_domain::{
        access::workspace::Workspace,
        delivery::parked::Parked,
        id::{Cause, CauseKind, DeliveryId, EventId, WebhookId},
    };

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn webhook(id: u64) -> WebhookKey {
        WebhookKey { workspace: Workspace::parse("acme").unwrap(), id: WebhookId(id) }
    }

    fn due(id: u64, nth: u8, seconds: i64) -> DueDelivery {
        let event: EventId =
            format!("01896b5d-3648-7000-8000-0000000000{nth:02x}").parse().unwrap();
        DueDelivery {
            webhook: webhook(id),
            delivery: DeliveryId::derive(event, WebhookId(id), Cause::Published),
            event,
            cause: CauseKind::Published,
            batch: None,
            due_at: Timestamp::from_second(1_700_000_000 + seconds).unwrap(),
            held_for: None,
            bytes: 0,
            key: (String::new(), String::new()),
        }
    }

    /// The last digits of the events of each task, and its delay.
    fn tasks(due: Vec<DueDelivery>) -> Vec<(String, u64)> {
        let tasks = held(due, now()).unwrap();
        let describe = |outgoing: &Outgoing| {
            let task = Task::parse(&outgoing.message.body).unwrap();
            assert!(task.recorded && outgoing.released.len() == task.deliveries.len());
            let events = task
                .deliveries
                .iter()
                .map(|due| due.content.event_id().to_string()[34..].to_owned());
            (events.collect::<Vec<_>>().join(" "), outgoing.message.delay.as_secs())
        };
        let mut tasks: Vec<_> = tasks.iter().map(describe).collect();
        tasks.sort();
        tasks
    }

    #[test]
    fn what_the_version_before_has_parked_goes_alone_at_its_time() {
        let described = tasks(vec![due(1, 1, -5), due(1, 2, 30), due(2, 3, 0)]);
        assert_eq!(described, [("01".into(), 0), ("02".into(), 30), ("03".into(), 0)]);
    }

    #[test]
    fn what_shared_a_request_shares_it_again() {
        let batch = BatchId::derive(&[due(1, 1, 0).delivery, due(1, 2, 0).delivery]);
        let with = |due| DueDelivery { batch, ..due };
        let out = held(vec![with(due(1, 2, 7)), due(1, 3, 7), with(due(1, 1, 7))], now()).unwrap();
        let shared = out.iter().find(|outgoing| outgoing.released.len() == 2).unwrap();
        assert_eq!(Task::parse(&shared.message.body).unwrap().batch, batch);
        assert_eq!(shared.message.delay, Duration::from_secs(7));
    }

    #[test]
    fn what_was_held_for_a_run_goes_together_in_order() {
        let of = |webhook, nth, run: &str| DueDelivery {
            held_for: Some(run.to_owned()),
            ..due(webhook, nth, 0)
        };
        let described = tasks(vec![of(1, 3, "a"), of(1, 1, "a"), of(1, 2, "b"), of(2, 1, "a")]);
        assert_eq!(described, [("01".into(), 0), ("01 03".into(), 0), ("02".into(), 0)]);
    }

    /// The due item of deliveries that shared a request, or of one delivery.
    fn item(events: &[u8], second: i64) -> ParkedItem {
        let deliveries: Vec<_> = events
            .iter()
            .map(|nth| due(1, *nth, 0))
            .map(|due| Due::of_stored(due.delivery, due.event, 0))
            .collect();
        let batch = BatchId::derive(&deliveries.iter().map(|due| due.id).collect::<Vec<_>>());
        stored(Parked::of(&webhook(1), batch, &deliveries, at(second)).remove(0))
    }

    /// The due item of one delivery that shared a request with these.
    fn part(nth: u8, of: &[u8], second: i64) -> ParkedItem {
        let batch =
            BatchId::derive(&of.iter().map(|nth| due(1, *nth, 0).delivery).collect::<Vec<_>>());
        let one = due(1, nth, 0);
        let due = Due::of_stored(one.delivery, one.event, 0);
        stored(Parked::again(&one.webhook, batch, &due, at(second)))
    }

    fn stored(parked: Parked) -> ParkedItem {
        let key = (format!("#due#{}", parked.shard), parked.key);
        ParkedItem { key, task: serde_json::to_string(&parked.task).unwrap() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// The number of deliveries of each message, that of the items it releases, and its delay.
    fn described(items: Vec<ParkedItem>) -> Vec<(usize, usize, u64)> {
        let describe = |outgoing: &Outgoing| {
            let deliveries =
                Task::parse(&outgoing.message.body).map_or(0, |task| task.deliveries.len());
            (deliveries, outgoing.released.len(), outgoing.message.delay.as_secs())
        };
        parked(items, now()).iter().map(describe).collect()
    }

    #[test]
    fn a_due_item_goes_out_as_it_is_at_its_time() {
        let items = vec![item(&[1], -5), item(&[2], 30), item(&[3, 4], 40)];
        assert_eq!(described(items.clone()), [(1, 1, 0), (1, 1, 30), (2, 1, 40)]);
        let out = parked(items.clone(), now());
        assert_eq!(out[1].message.body, items[1].task);
        assert_eq!(out[1].message.group.as_deref(), Some("acme"));
        let unknown = ParkedItem { task: r#"{"v":2}"#.to_owned(), ..items[0].clone() };
        assert_eq!(
            parked(vec![unknown], now())[0].message.body,
            r#"{"v":2}"#,
            "whoever receives it knows what to do"
        );
    }

    #[test]
    fn what_shared_a_request_goes_out_together_whoever_parked_it() {
        let of = [1, 2, 3];
        let all = vec![item(&of, 7), part(1, &of, 7), part(3, &of, 7)];
        assert_eq!(described(all), [(3, 3, 7)], "each once");
        assert_eq!(
            described(vec![part(1, &of, 7), part(2, &of, 7), item(&[4], 7)]),
            [(2, 2, 7), (1, 1, 7)]
        );
        let broken = ParkedItem { task: "?".to_owned(), ..part(2, &of, 7) };
        assert_eq!(
            described(vec![part(1, &of, 7), broken]),
            [(1, 1, 7), (0, 1, 7)],
            "it takes nothing with it"
        );
    }

    #[test]
    fn what_belongs_together_is_not_parted_by_a_page() {
        let of = [1, 2, 3];
        let page = vec![item(&[9], 1), part(1, &of, 7), part(2, &of, 7)];
        let next = page.last().map(|item| item.key.1.clone());
        let (kept, after) = whole(page.clone(), next.clone());
        assert_eq!((kept.as_slice(), after.as_ref()), (&page[..1], Some(&page[0].key.1)));
        assert_eq!(whole(page.clone(), None), (page.clone(), None), "nothing follows");
        let alone = page[1..].to_vec();
        assert_eq!(whole(alone.clone(), next.clone()), (alone, next), "or it would never leave");
    }
}
