use posthaste_domain::{
    Timestamp,
    headers::Headers,
    input::Fields,
    rotation::Secrets,
    secret::Sealed,
    task::Content,
    url::UrlPolicy,
    webhook::{Settings, Webhook},
};
use serde_json::json;

use super::*;

fn workspace() -> Workspace {
    Workspace::parse("acme").unwrap()
}

fn webhook(id: u64, settings: serde_json::Value) -> Webhook {
    let mut body = json!({ "url": "https://example.com/", "events": ["*"] });
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let body = body.to_string();
    let settings = Settings::register(Fields::of_body(body.as_bytes()).unwrap(), &UrlPolicy::default()).unwrap();
    let at = Timestamp::UNIX_EPOCH;
    Webhook {
        id: WebhookId(id),
        workspace: workspace(),
        settings,
        secrets: Secrets::new(Sealed(String::new())),
        headers: Headers::default(),
        created_at: at,
        updated_at: at,
        health: Default::default(),
    }
}

fn arrived(record: usize, name: &str, data: &str) -> Arrived {
    let json = format!(
        r#"{{"id":"01896b5d-3648-7000-8000-0000000000{record:02x}","type":"{name}","timestamp":"2023-07-18T15:32:13Z","workspace":"acme","data":{data}}}"#
    );
    Arrived { record, event: serde_json::from_str(&json).unwrap(), again: false }
}

fn plan(arrived: &[Arrived], webhooks: Vec<Webhook>, unreadable: Vec<WebhookId>) -> Plan {
    Plan::new(arrived, &[(workspace(), Webhooks { webhooks, unreadable })].into()).unwrap()
}

const RUN: &str = r#"{"contextId":"run-1"}"#;

#[test]
fn a_format_with_a_list_gets_one_task_and_the_others_one_an_event() {
    let arrived = [arrived(0, "order.created", "{}"), arrived(1, "order.created", "{}")];
    let webhooks = vec![webhook(1, json!({})), webhook(2, json!({ "profile": "spektr" }))];
    let plan = plan(&arrived, webhooks, Vec::new());
    let records: Vec<&[usize]> = plan.tasks.iter().map(|task| task.records.as_slice()).collect();
    assert_eq!(records, [&[0][..], &[1], &[0, 1]]);
    assert_eq!(plan.open(2), [2, 2]);
    assert_eq!(plan.tasks[2].message.group.as_deref(), Some("acme"));
}

#[test]
fn holds_and_ends_are_kept_by_run() {
    let arrived = [
        arrived(0, "service_run", RUN),
        arrived(1, "process_run_end", RUN),
        arrived(2, "service_run", r#"{"contextId":"run-2"}"#),
        arrived(3, "order.created", "{}"),
    ];
    let webhooks = vec![webhook(1, json!({ "timing": "process_end", "events": ["service_run", "order.*"] }))];
    let plan = plan(&arrived, webhooks, Vec::new());
    let holds: Vec<(&str, Vec<usize>)> = plan
        .holds
        .iter()
        .map(|(run, owed)| (run.context.as_str(), owed.iter().map(|owed| owed.record).collect()))
        .collect();
    assert_eq!(holds, [("run-1", vec![0]), ("run-2", vec![2])]);
    let (run, end) = plan.ends.first_key_value().unwrap();
    assert_eq!((run.context.as_str(), end.records.len(), end.wanted.len()), ("run-1", 1, 0), "it is no subscription");
    assert_eq!(plan.tasks.len(), 1);
    assert_eq!(plan.open(4), [1, 1, 1, 1]);
}

#[test]
fn a_webhook_that_can_not_be_read_gets_its_tasks_all_the_same() {
    let plan = plan(&[arrived(0, "order.created", "{}")], vec![webhook(1, json!({}))], vec![WebhookId(2)]);
    assert_eq!(plan.tasks.len(), 2);
    assert_eq!(plan.open(1), [2]);
    let task = Task::parse(&plan.tasks[1].message.body).unwrap();
    assert!(task.webhook == WebhookId(2) && task.unrouted && matches!(task.deliveries[0].content, Content::EventId(_)));
}

#[test]
fn a_large_event_for_many_webhooks_travels_by_reference() {
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(50_000));
    let inline = |webhooks: u64| {
        let webhooks = (1..=webhooks).map(|id| webhook(id, json!({}))).collect();
        let plan = plan(&[arrived(0, "order.created", &large)], webhooks, Vec::new());
        matches!(Task::parse(&plan.tasks[0].message.body).unwrap().deliveries[0].content, Content::Event(_))
    };
    assert!(inline(80));
    assert!(!inline(90));
}

#[test]
fn a_run_of_many_goes_out_in_few_tasks() {
    let run = Run { workspace: workspace(), webhook: WebhookId(1), context: "run-1".to_owned() };
    let holds: Vec<Hold> = (0..=255).map(|nth| owed(&arrived(nth, "service_run", RUN), WebhookId(1)).hold).collect();
    let thrice = [holds.clone(), holds.clone(), holds].concat();
    let tasks: Vec<usize> = flush(&run, &thrice)
        .unwrap()
        .iter()
        .map(|message| Task::parse(&message.body).unwrap().deliveries.len())
        .collect();
    assert_eq!(tasks, [400, 368]);
}

#[test]
fn an_event_that_two_messages_bring_is_delivered_once() {
    let twice = || {
        let second = Arrived { record: 1, again: true, ..arrived(0, "order.created", "{}") };
        [arrived(0, "order.created", "{}"), second]
    };
    let plan = plan(&twice(), vec![webhook(2, json!({ "profile": "spektr" }))], Vec::new());
    let task = Task::parse(&plan.tasks[0].message.body).unwrap();
    assert_eq!((task.deliveries.len(), task.recorded), (1, true));
    assert_eq!((plan.tasks[0].records.as_slice(), plan.open(2)), (&[0, 1][..], vec![1, 1]));
}
