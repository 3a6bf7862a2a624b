//! `/api/v1/deployment`

use std::time::Duration;

use posthaste_domain::{
    access::api_key::Scope,
    delivery::task::{Due, Task},
    deployment::{
        LetterQueue, StartRedrive, WorkQueue,
        waiting::{Backlogs, Counted, Waiting},
    },
    id::{Cause, DeliveryId},
    message::dead_letter::DeadLetterReason,
};
use serde_json::{Value, json};
use utoipa::openapi::{HttpMethod, RefOr, Required};

use super::{
    call::Call,
    example::{self, NOW, shown},
    refusal::Refusal,
    schema,
};
use crate::{
    DeadLetter, DeadLetters, DeploymentAnswer, Letter, LookAtLetters, OldestDue, QueueAnswer,
    RedriveAnswer, RedriveStatus, Redrives, WaitingFigures,
};

const DEPLOYMENT: &str = "/api/v1/deployment";
const LETTERS: &str = "/api/v1/deployment/dead-letters";
const REDRIVES: &str = "/api/v1/deployment/redrives";
const TAG: &str = "Deployment";
const NO_REDRIVE: &str = "running redrive of this queue";

pub(super) fn calls() -> [Call; 5] {
    [show(), letters(), start(), list(), cancel()]
}

fn show() -> Call {
    call(
        HttpMethod::Get,
        DEPLOYMENT,
        "getDeployment",
        "Read the figures of the deployment",
        SHOWING,
    )
    .answers::<DeploymentAnswer>(200, "The figures.", [("outage", figures())])
}

fn letters() -> Call {
    let mut call =
        call(HttpMethod::Get, LETTERS, "lookAtDeadLetters", "Look at dead letters", LOOKING)
            .asks::<LookAtLetters>()
            .answers::<DeadLetters>(
                200,
                "Some dead letters.",
                [("exhausted", exhausted()), ("unreadable", unreadable())],
            )
            .refuses([
                Refusal::query("limit", "51", "limit has to be a number from 1 to 50"),
                Refusal::repeated_parameter(),
            ]);
    for parameter in call.operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "queue"
        {
            parameter.required = Required::True;
        }
    }
    call
}

fn start() -> Call {
    let slowly = json!({ "queue": "exhausted", "maxPerSecond": 10 });
    call(HttpMethod::Post, REDRIVES, "startRedrive", "Send dead letters back", STARTING)
        .takes::<StartRedrive>([
            ("all", Some(json!({ "queue": "deliveries" }))),
            ("slowly", Some(slowly)),
        ])
        .answers::<RedriveAnswer>(
            202,
            "The redrive, which has begun.",
            [("slowly", shown(redrive(RedriveStatus::Running, 0)))],
        )
        .refuses([
            Refusal::too_large_body(),
            Refusal::new(409, "redrive_running", running()),
            Refusal::body("missing_field", "queue", "{}", "queue is required"),
            Refusal::body(
                "wrong_type",
                "queue",
                r#"{"queue": "dead"}"#,
                "queue has to be events, deliveries, turns, replay or exhausted",
            ),
            Refusal::body(
                "out_of_range",
                "maxPerSecond",
                r#"{"queue": "turns", "maxPerSecond": 501}"#,
                "maxPerSecond is 1 to 500",
            ),
            Refusal::body(
                "unknown_field",
                "to",
                r#"{"queue": "turns", "to": "events"}"#,
                "to is not a known field",
            ),
        ])
}

fn list() -> Call {
    let items = vec![redrive(RedriveStatus::Completed, 812)];
    call(HttpMethod::Get, REDRIVES, "listRedrives", "List redrives", LISTING)
        .answers::<Redrives>(200, "The redrives.", [("done", shown(Redrives { items }))])
        .leads_to(["cancelRedrive"], [("queue", "$response.body#/data/items/0/queue")])
}

fn cancel() -> Call {
    let path = "/api/v1/deployment/redrives/{queue}";
    let names = schema::one_of(LetterQueue::ALL.map(LetterQueue::name));
    call(HttpMethod::Delete, path, "cancelRedrive", "Cancel a redrive", CANCELLING)
        .names("queue", NO_REDRIVE, names)
        .answers::<RedriveAnswer>(
            200,
            "The redrive as it is now.",
            [("cancelling", shown(redrive(RedriveStatus::Cancelling, 120)))],
        )
}

fn call(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    about: &str,
) -> Call {
    Call::new(method, path, id, summary).tag(TAG).needs(Scope::WorkspacesManage, about).refuses([
        Refusal::new(
            403,
            "live_mode_only",
            "the call is about all that is live: make it with a key that begins with spk_live_",
        ),
    ])
}

fn running() -> String {
    "a redrive of the dead letters of exhausted is running: wait until it is over, or cancel it"
        .to_owned()
}

/// The figures while the endpoint of a large receiver is down.
fn figures() -> Option<Value> {
    let exactly = |count| Counted { count, at_least: false };
    let mut waiting = Waiting {
        retries: Counted { count: 800, at_least: true },
        held: exactly(12),
        sick: Backlogs { webhooks: exactly(1), tasks: Counted { count: 200, at_least: true } },
        limited: Backlogs { webhooks: exactly(2), tasks: exactly(31) },
        ..Waiting::default()
    };
    waiting.due(Some(NOW - Duration::from_secs(95)));
    let queue = |name| {
        let is_busy = name == WorkQueue::Deliveries;
        let (waiting, in_flight) = if is_busy { (412, 87) } else { (0, 0) };
        QueueAnswer { name, waiting, in_flight, delayed: 0, dead_letters: 0 }
    };
    shown(DeploymentAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stage: "production".to_owned(),
        queues: WorkQueue::ALL.map(queue).into(),
        exhausted: 3,
        oldest_due: OldestDue::of(&waiting, NOW),
        waiting: WaitingFigures::of(&waiting),
    })
}

fn letter(body: &str, reason: DeadLetterReason) -> Letter<'_> {
    Letter {
        id: "9bd9a8f2-6a7f-4a3f-9c0e-2f4e2d1c5b7a",
        reason: Some(reason.name()),
        detail: None,
        event: None,
        group: None,
        sent_at: NOW,
        was_moved: false,
        body,
    }
}

fn exhausted() -> Option<Value> {
    let webhook = example::webhook(42, &example::spectra())?.key;
    let order = json!({ "type": "order.created", "data": { "id": "ord_1" } });
    let event = example::events(&order).into_iter().next()?;
    let id = DeliveryId::derive(event.id, webhook.id, Cause::Published);
    let body = Task::new(&webhook, vec![Due::of(id, &event)]).message().ok()?;
    let letter = Letter {
        detail: Some("the endpoint answered with the status 500"),
        group: Some("acme"),
        ..letter(&body, DeadLetterReason::Exhausted)
    };
    let queue = LetterQueue::Exhausted;
    shown(DeadLetters { queue, items: vec![DeadLetter::of(queue, letter)] })
}

fn unreadable() -> Option<Value> {
    let letter = Letter {
        detail: Some("the body is not JSON: it breaks off at line 1, column 1"),
        ..letter("{", DeadLetterReason::UnreadableEvent)
    };
    let queue = LetterQueue::Events;
    shown(DeadLetters { queue, items: vec![DeadLetter::of(queue, letter)] })
}

fn redrive(status: RedriveStatus, moved: u64) -> RedriveAnswer {
    let queue = LetterQueue::Exhausted;
    RedriveAnswer {
        queue,
        to: queue.destination(),
        status,
        moved,
        to_move: (status != RedriveStatus::Running).then_some(812),
        max_per_second: Some(10),
        started_at: NOW,
        failure: None,
        handle: (status == RedriveStatus::Running)
            .then(|| "eyJ0YXNrSWQiOiI1ZjhhYjFlMiJ9".to_owned()),
    }
}

const SHOWING: &str = "\
The version, the messages on the queues, and what waits in the table, of all workspaces, live and \
test. SQS knows its figures approximately. Of what waits in the table the call counts a bounded \
number; `atLeast` says where there may be more. Deliveries of a paused webhook do not wait: they \
are skipped. The call takes 52 read units where nothing waits and about 1,700 at its bounds, so it \
counts as 2 to 68 calls more.";

const LOOKING: &str = "\
Some dead letters of a queue, with all that is in them, of all workspaces. SQS has no list of \
messages: the call receives some, in no order, and lets go of them again at once. Until it has \
answered, for a few seconds, another look or a redrive does not see these. An empty queue is \
answered after a second.";

const STARTING: &str = "\
Sends all dead letters of a queue back to the queue that they came from. Exhausted deliveries go \
to the deliveries queue, and each gets one more attempt. SQS moves the messages in its own time: \
the list of redrives says how far it is. A queue has one redrive at a time.";

const LISTING: &str = "\
The latest redrives of each queue of dead letters, those that were started with the AWS CLI too. \
SQS keeps the last ten of a queue; the call shows three.";

const CANCELLING: &str = "\
Stops the redrive of this queue that is running. What was moved stays moved, and the rest stays \
where it is.";
