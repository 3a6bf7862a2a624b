use posthaste_domain::{delivery::task::Content, webhook::Webhook};
use serde_json::json;

use posthaste_store::CallEvent;

use posthaste_domain::testing;

use super::*;
use crate::routes::Routed;

fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn webhook(id: u64, settings: serde_json::Value) -> Webhook {
    Webhook { key: testing::webhook_key(id), ..testing::webhook(settings) }
}

pub(crate) fn arrived(record: usize, name: &str, data: &str) -> Arrived {
    let event = testing::event(u8::try_from(record).unwrap(), name, data);
    Arrived {
        record,
        process: Process::of(&event),
        event: event.into(),
        is_stored: false,
        share: Share::ALL,
        only: Vec::new(),
        again: false,
    }
}

fn plan(arrived: &[Arrived], webhooks: Vec<Webhook>, unreadable: Vec<WebhookId>) -> Plan {
    let readable = webhooks.iter().map(|webhook| (webhook.key.id, Some(Subscription::of(webhook))));
    let mut routed: Vec<Routed> =
        readable.chain(unreadable.into_iter().map(|id| (id, None))).collect();
    routed.sort_unstable_by_key(|(id, _)| *id);
    Plan::new(arrived, &[(workspace(), Routes::of(routed))].into(), &Earlier::default()).unwrap()
}

const RUN: &str = r#"{"contextId":"run-1"}"#;

#[test]
fn a_format_with_a_list_gets_one_task_and_the_others_one_an_event() {
    let arrived = [arrived(0, "order.created", "{}"), arrived(1, "order.created", "{}")];
    let webhooks = vec![webhook(1, json!({})), webhook(2, json!({ "profile": "spektr" }))];
    let plan = plan(&arrived, webhooks, Vec::new());
    let records: Vec<&[usize]> = plan.tasks.iter().map(|task| task.records.as_slice()).collect();
    assert_eq!(records, [&[0, 1][..], &[0], &[1]]);
    assert_eq!(plan.open(2), [2, 2]);
    assert_eq!(plan.tasks[0].message.group.as_deref(), Some("acme"));
}

#[test]
fn holds_and_ends_are_kept_by_run() {
    let arrived = [
        arrived(0, "service_run", RUN),
        Arrived { share: Share { ends: true, ..Share::ALL }, ..arrived(1, "process_run_end", RUN) },
        arrived(2, "service_run", r#"{"contextId":"run-2"}"#),
        arrived(3, "order.created", "{}"),
    ];
    let webhooks =
        vec![webhook(1, json!({ "timing": "process_end", "events": ["service_run", "order.*"] }))];
    let plan = plan(&arrived, webhooks, Vec::new());
    let holds: Vec<(&str, Vec<usize>)> = plan
        .holds
        .iter()
        .map(|(run, owed)| (run.context.as_str(), owed.iter().map(|owed| owed.record).collect()))
        .collect();
    assert_eq!(holds, [("run-1", vec![0]), ("run-2", vec![2])]);
    let end = plan.ends.values().next().unwrap();
    assert_eq!((end.run.context.as_str(), end.records.len()), ("run-1", 1));
    assert_eq!(end.wanted, None, "it is no subscription");
    assert_eq!(plan.tasks.len(), 1);
    assert_eq!(plan.open(4), [1, 1, 1, 1]);
}

/// The event that a message brings, as fan-out reads it.
fn brought(outgoing: &Outgoing) -> Arrived {
    let Shared { share, only, event } = Shared::parse(&outgoing.message.body).unwrap().unwrap();
    Arrived {
        process: Process::of(&event),
        event: Arc::new(event.into_owned()),
        is_stored: true,
        share,
        only: only.into_owned(),
        again: share.again,
        ..arrived(0, "order.created", "{}")
    }
}

#[test]
fn webhooks_that_can_not_be_read_are_looked_at_again_by_themselves() {
    let unreadable = || vec![WebhookId(2), WebhookId(4)];
    let readable = || vec![webhook(1, json!({})), webhook(3, json!({}))];
    let first = plan(&[arrived(0, "process_run_end", RUN)], readable(), unreadable());
    assert_eq!((first.tasks.len(), first.shares.len(), first.open(1)), (2, 1, vec![3]));
    let again = brought(&first.shares[0]);
    let Share { from, to, unread, .. } = again.share;
    assert_eq!((from, to, unread), (WebhookId(2), WebhookId(4), 1));
    assert_eq!((again.only.as_slice(), again.again), (unreadable().as_slice(), true));
    assert_eq!(first.shares[0].message.delay, Duration::from_secs(60));

    // One of them can be read by then. The third webhook, which is between them, is done.
    let webhooks = [readable(), vec![webhook(4, json!({}))]].concat();
    let then = plan(&[again], webhooks, vec![WebhookId(2)]);
    assert_eq!((then.tasks.len(), then.shares.len()), (1, 1));
    let task = Task::parse(&then.tasks[0].message.body).unwrap();
    assert_eq!((task.webhook.id, task.recorded), (WebhookId(4), true));
    let left = brought(&then.shares[0]);
    assert_eq!((left.only.as_slice(), left.share.unread), (&[WebhookId(2)][..], 2));

    let after_an_hour = Arrived { share: Share { unread: 60, ..left.share }, ..left };
    let given_up = plan(&[after_an_hour], readable(), vec![WebhookId(2)]);
    assert_eq!(
        (given_up.tasks.len(), given_up.shares.len(), given_up.unreadable),
        (0, 0, [0].into())
    );
}

fn at_process_end(id: u64) -> Webhook {
    webhook(id, json!({ "timing": "process_end" }))
}

#[test]
fn an_end_waits_for_a_webhook_that_can_not_be_read_in_one_chain_of_messages() {
    let readable = || vec![at_process_end(1), at_process_end(5)];
    let share = Share { before: 2, ..Share::ALL };
    let end = Arrived { share, ..arrived(0, "process_run_end", RUN) };
    let first = plan(&[end], readable(), vec![WebhookId(3)]);
    let [early, unread] = &first.shares[..] else { panic!("{} shares", first.shares.len()) };

    let early = brought(early);
    assert_eq!((early.share.from, early.share.to), (WebhookId(1), WebhookId(5)));
    assert_eq!(early.only, [WebhookId(1), WebhookId(5)]);
    let ended = plan(&[early], readable(), vec![WebhookId(3)]);
    assert_eq!((ended.ends.len(), ended.shares.len()), (2, 0), "the third has its own message");

    // It can be read half an hour later. Then its end is looked at as often as any other.
    let unread = brought(unread);
    assert_eq!((unread.share.ends, unread.only.as_slice()), (false, &[WebhookId(3)][..]));
    let later = Arrived { share: Share { unread: 30, ..unread.share }, ..unread };
    let read = plan(&[later], vec![at_process_end(3)], Vec::new());
    let share = brought(&read.shares[0]).share;
    assert_eq!((read.shares.len(), share.ends, share.before), (1, true, 2));
    assert_eq!((share.tries, share.unread), (0, 0));
}

#[test]
fn an_end_whose_webhook_can_not_be_read_any_more_loses_no_look_at_what_goes_before_it() {
    let share = Share { ends: true, before: 2, tries: 1, ..Share::ALL };
    let end = Arrived { share, ..arrived(0, "process_run_end", RUN) };
    let put_off = plan(&[end], vec![at_process_end(1)], vec![WebhookId(3)]);
    assert_eq!((put_off.ends.len(), put_off.shares.len()), (1, 1));
    let again = brought(&put_off.shares[0]);
    assert_eq!((again.share.ends, again.share.tries, again.share.unread), (true, 1, 1));

    let hour = Arrived { share: Share { unread: 59, ..again.share }, ..again };
    let read = plan(&[hour], vec![at_process_end(3)], Vec::new());
    let tries: Vec<u32> = read.ends.values().map(|end| end.share.tries).collect();
    assert_eq!(tries, [1]);
}

#[test]
fn an_event_is_one_message_for_all_webhooks_that_can_not_be_read() {
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(250 * 1024));
    let events = [0, 1].map(|record| arrived(record, "order.created", &large));
    let unreadable: Vec<WebhookId> = (1..=1_000).map(|nth| WebhookId(nth * 2)).collect();
    let plan = plan(&events, vec![webhook(1, json!({}))], unreadable[1..].to_vec());
    assert_eq!(plan.shares.len(), 2);
    for share in &plan.shares {
        assert!(share.message.body.len() < 264 * 1024, "{}", share.message.body.len());
        assert_eq!(brought(share).only, unreadable[1..]);
    }
}

#[test]
fn an_event_of_many_webhooks_goes_on_in_shares() {
    let webhooks = || (1..=2_500).map(|nth| webhook(nth * 2, json!({}))).collect::<Vec<_>>();
    let second = Arrived { again: true, ..arrived(1, "order.created", "{}") };
    let divided = plan(&[arrived(0, "order.created", "{}"), second], webhooks(), Vec::new());
    let shares: Vec<(u64, u64, bool, usize)> = divided
        .shares
        .iter()
        .map(|outgoing| {
            let share = Shared::parse(&outgoing.message.body).unwrap().unwrap().share;
            (share.from.0, share.to.0, share.again, outgoing.records[0])
        })
        .collect();
    let ranges = [(2, 2_000), (2_002, 4_000), (4_002, 5_000)];
    let expected =
        [(false, 0), (true, 1)].map(|(again, at)| ranges.map(|(from, to)| (from, to, again, at)));
    assert_eq!((divided.tasks.len(), shares, divided.open(2)), (0, expected.concat(), vec![3, 3]));

    let share = Share::ALL.part(WebhookId(2_002), WebhookId(4_000));
    let plan =
        plan(&[Arrived { share, ..arrived(0, "order.created", "{}") }], webhooks(), Vec::new());
    assert_eq!(
        (plan.tasks.len(), plan.shares.len()),
        (1_000, 0),
        "a share of a thousand is not divided again"
    );
}

#[test]
fn what_several_records_wait_for_goes_first_and_then_one_record_after_the_other() {
    let arrived = [arrived(0, "order.created", "{}"), arrived(1, "order.created", "{}")];
    let webhooks = vec![
        webhook(1, json!({})),
        webhook(2, json!({})),
        webhook(3, json!({ "profile": "spektr" })),
    ];
    let plan = plan(&arrived, webhooks, Vec::new());
    let records: Vec<&[usize]> = plan.tasks.iter().map(|task| task.records.as_slice()).collect();
    assert_eq!(records, [&[0, 1][..], &[0], &[0], &[1], &[1]]);
}

fn routes(webhooks: &[Webhook]) -> BTreeMap<Workspace, Routes> {
    let routed =
        webhooks.iter().map(|webhook| (webhook.key.id, Some(Subscription::of(webhook)))).collect();
    BTreeMap::from([(workspace(), Routes::of(routed))])
}

#[test]
fn the_end_of_a_run_is_put_off_and_its_event_goes_to_others_at_once() {
    let routes = routes(&[at_process_end(1), webhook(2, json!({}))]);
    let whole =
        Arrived { share: Share { before: 3, ..Share::ALL }, ..arrived(0, "process_run_end", RUN) };
    let first = Plan::new(&[whole], &routes, &Earlier::default()).unwrap();
    assert_eq!((first.tasks.len(), first.ends.len(), first.shares.len()), (1, 0, 1));
    assert_eq!(first.shares[0].message.delay, Duration::from_secs(5));
    let Shared { share, event, .. } =
        Shared::parse(&first.shares[0].message.body).unwrap().unwrap();
    assert!(share.ends && share.before == 3);

    let put_off = Arrived {
        share,
        event: Arc::new(event.into_owned()),
        ..arrived(0, "process_run_end", RUN)
    };
    let then = Plan::new(&[put_off], &routes, &Earlier::default()).unwrap();
    assert_eq!((then.tasks.len(), then.ends.len(), then.shares.len()), (0, 1, 0));
}

#[test]
fn an_end_expects_what_its_call_has_before_it_and_the_webhook_holds() {
    let of_call = |nth: usize, name: &str, data: &str| {
        let event = arrived(0, name, data).event;
        Event { id: event.id.of([7; 4], nth), ..(*event).clone() }
    };
    let before = vec![
        of_call(0, "service_run", RUN),
        of_call(1, "order.created", "{}"),
        of_call(2, "service_run", r#"{"contextId":"run-2"}"#),
        of_call(3, "service_run", RUN),
    ];
    let end = of_call(4, "process_run_end", RUN);
    let after = of_call(5, "service_run", RUN);
    let of_another_call = Event { id: before[3].id.of([8; 4], 3), ..before[3].clone() };
    let expected = |events: Vec<Event>| {
        let members = events.iter().filter_map(|event| {
            let place = event.id.place_in_call_of(&end.id)?;
            let (event_type, process) = (event.event_type.clone(), Process::of(event));
            Some((place, CallEvent { place, id: event.id, event_type, process }))
        });
        let call = (workspace(), end.id.call());
        let earlier = Earlier(BTreeMap::from([(call, Arc::new(members.collect()))]));
        let routes = routes(&[at_process_end(1)]);
        let share = Share { ends: true, before: 4, ..Share::ALL };
        let event = Arc::new(end.clone());
        let arrived = Arrived { share, event, ..arrived(0, "process_run_end", RUN) };
        let plan = Plan::new(&[arrived], &routes, &earlier).unwrap();
        let (_, end) = plan.ends.first_key_value().unwrap();
        let again = Shared::parse(&end_again(end).unwrap().body).unwrap().unwrap().share;
        assert_eq!(
            (again.from, again.to, again.ends, again.before, again.tries),
            (WebhookId(1), WebhookId(1), true, 4, 1)
        );
        end.expected.clone()
    };
    let all = [before.clone(), vec![end.clone(), after]].concat();
    assert_eq!(expected(all), Some([before[0].id, before[3].id].into()));
    let fourth_is_missing = [before[..3].to_vec(), vec![of_another_call]].concat();
    assert_eq!(expected(fourth_is_missing), None, "the fourth is not stored yet");
}

#[test]
fn two_ends_of_one_run_are_two_and_two_copies_of_one_are_one() {
    let share = Share { ends: true, before: 1, ..Share::ALL };
    let first = || Arrived { share, ..arrived(0, "process_run_end", RUN) };
    let copy = Arrived { record: 1, ..first() };
    let second = Arrived { share, ..arrived(2, "process_run_end", RUN) };
    let routes = routes(&[at_process_end(1)]);
    let plan = Plan::new(&[first(), copy, second], &routes, &Earlier::default()).unwrap();
    let records: Vec<Vec<usize>> =
        plan.ends.values().map(|end| end.records.iter().copied().collect()).collect();
    assert_eq!(records, [vec![0, 1], vec![2]]);
    assert!(plan.ends.values().all(|end| end.expected.is_none() && end.wanted.is_some()));
    assert_eq!(plan.open(3), [1, 1, 1]);
}

#[test]
fn a_large_event_for_many_webhooks_travels_by_reference() {
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(50_000));
    let inline = |webhooks: u64| {
        let webhooks = (1..=webhooks).map(|id| webhook(id, json!({}))).collect();
        let plan = plan(&[arrived(0, "order.created", &large)], webhooks, Vec::new());
        matches!(
            Task::parse(&plan.tasks[0].message.body).unwrap().deliveries[0].content,
            Content::Event(_)
        )
    };
    assert!(inline(80));
    assert!(!inline(90));
}

#[test]
fn the_rest_of_a_long_run_is_asked_for_with_its_end() {
    let end = arrived(0, "process_run_end", RUN);
    let run = Run { webhook: testing::webhook_key(7), context: "run-1".to_owned() };
    let rest =
        Rest { after: end.event.id, is_end: false, last: owed(&end, WebhookId(7)).hold.delivery };
    let waits: Vec<u64> = [0, 1, 5, 6, 60]
        .map(|tries| rest_of_run(&run, rest, &end.event, tries).unwrap().delay.as_secs())
        .into();
    assert_eq!(waits, [1, 1, 4, 8, 60]);
    let message = rest_of_run(&run, rest, &end.event, 3).unwrap();
    insta::assert_snapshot!(message.body);

    let Shared { share, event, .. } = Shared::parse(&message.body).unwrap().unwrap();
    let plan = plan(
        &[Arrived { share, event: Arc::new(event.into_owned()), ..end }],
        Vec::new(),
        Vec::new(),
    );
    assert_eq!((plan.rests.len(), plan.open(1)), (1, vec![1]));
    assert_eq!((&plan.rests[0].run, plan.rests[0].tries), (&run, 3));
}

#[test]
fn an_event_that_two_messages_bring_is_delivered_once() {
    let twice = || {
        let second = Arrived { record: 1, again: true, ..arrived(0, "order.created", "{}") };
        [arrived(0, "order.created", "{}"), second]
    };
    for profile in ["spektr", "standard"] {
        let plan = plan(&twice(), vec![webhook(2, json!({ "profile": profile }))], Vec::new());
        let task = Task::parse(&plan.tasks[0].message.body).unwrap();
        assert_eq!(
            (plan.tasks.len(), task.deliveries.len(), task.recorded),
            (1, 1, true),
            "{profile}"
        );
        assert_eq!((plan.tasks[0].records.as_slice(), plan.open(2)), (&[0, 1][..], vec![1, 1]));
    }
}
