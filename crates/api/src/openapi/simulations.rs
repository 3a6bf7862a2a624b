//! `/api/v1/simulations`

use std::{collections::BTreeMap, time::Duration};

use posthaste_domain::{
    access::{
        api_key::Scope,
        workspace::{Environment, Workspace},
    },
    id::SimulationId,
    input::Page,
    simulation::{MAX_RUNNING, Simulation, StartSimulation, Status},
};
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;

use super::{
    call::Call,
    example::{self, NOW, shown},
    refusal::Refusal,
    webhooks,
};
use crate::SimulationAnswer;

const ALL: &str = "/api/v1/simulations";
const ONE: &str = "/api/v1/simulations/{id}";
const TAG: &str = "Simulations";
const SCOPE: Scope = Scope::EventsPublish;
const NO_SIMULATION: &str = "simulation with this id";

pub(super) fn calls() -> [Call; 4] {
    [start(), list(), show(), cancel()]
}

fn start() -> Call {
    let orders = json!({ "kind": "event", "type": "order.created", "count": 5, "seed": 7 });
    let trickle = json!({ "kind": "trickle", "types": ["order.created", "order.shipped"] });
    call(HttpMethod::Post, ALL, "startSimulation", "Start a simulation", STARTING)
        .takes::<StartSimulation>([
            ("event", Some(orders.clone())),
            ("processRun", Some(run())),
            ("trickle", Some(trickle)),
        ])
        .answers::<SimulationAnswer>(
            202,
            "The simulation, which has begun.",
            [
                ("event", answered(&orders, 0, 5, Status::Finished)),
                ("processRun", answered(&run(), 0, 3, Status::Running)),
            ],
        )
        .leads_to(["getSimulation", "cancelSimulation"], [("id", "$response.body#/data/id")])
        .refuses([
            Refusal::too_large_body(),
            Refusal::new(409, "too_many_simulations", too_many()),
            webhooks::conflict(),
        ])
        .refuses([
            Refusal::body("missing_field", "kind", "{}", "kind is required"),
            Refusal::body(
                "wrong_type",
                "kind",
                r#"{"kind": "run"}"#,
                "kind has to be event, process_run or trickle",
            ),
            Refusal::body(
                "unknown_event_type",
                "type",
                r#"{"kind": "event", "type": "order.create"}"#,
                r#""order.create" is not a known event type; did you mean order.created?"#,
            ),
            Refusal::body(
                "wrong_kind",
                "speed",
                r#"{"kind": "trickle", "speed": 10}"#,
                "speed belongs to the kind process_run, not trickle",
            ),
            Refusal::body(
                "out_of_range",
                "minutes",
                r#"{"kind": "trickle", "minutes": 120}"#,
                "minutes is 1 to 60",
            ),
            Refusal::body(
                "unknown_field",
                "rate",
                r#"{"kind": "trickle", "rate": 5}"#,
                "rate is not a known field",
            ),
        ])
}

fn list() -> Call {
    let about = "The simulations of the workspace, the newest first. One is listed as long as the \
        history is kept.";
    call(HttpMethod::Get, ALL, "listSimulations", "List simulations", about)
        .pages::<Page<SimulationId>>()
        .answers_page::<SimulationAnswer>(
            "The simulations.",
            example::list(answered(&run(), 700, 14, Status::Finished)),
        )
}

fn show() -> Call {
    call(HttpMethod::Get, ONE, "getSimulation", "Read a simulation", "It says how far it is.")
        .names("id", NO_SIMULATION, webhooks::id())
        .answers::<SimulationAnswer>(
            200,
            "The simulation.",
            [("running", answered(&run(), 100, 5, Status::Running))],
        )
        .leads_to(["cancelSimulation"], [("id", "$response.body#/data/id")])
}

fn cancel() -> Call {
    let path = "/api/v1/simulations/{id}/cancel";
    call(HttpMethod::Post, path, "cancelSimulation", "Cancel a simulation", CANCELLING)
        .names("id", NO_SIMULATION, webhooks::id())
        .answers::<SimulationAnswer>(
            200,
            "The simulation as it is now.",
            [("cancelled", answered(&run(), 20, 14, Status::Cancelled))],
        )
        .refuses([webhooks::conflict()])
}

fn call(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    about: &str,
) -> Call {
    Call::new(method, path, id, summary).tag(TAG).needs(SCOPE, about).refuses([Refusal::new(
        403,
        "test_mode_only",
        "the call is for test mode: make it with a key that begins with spk_test_",
    )])
}

fn run() -> Value {
    json!({ "kind": "process_run", "processType": "onboarding", "speed": 10, "seed": 7 })
}

/// The answer about a simulation that was started so many seconds ago and has sent so many events.
fn answered(body: &Value, seconds: u64, sent: u32, status: Status) -> Option<Value> {
    let asked = StartSimulation::parse(body.to_string().as_bytes()).ok()?;
    let workspace = Workspace::parse("acme").ok()?.in_environment(Environment::Test);
    let id = SimulationId::new(NOW, &[0x1d, 0x80, 0x3a, 0xc6, 0x55, 0x9b, 0x07, 0xe2, 0x4f, 0x6c]);
    let simulation = Simulation::new(id, workspace, asked, BTreeMap::new(), 7, NOW);
    shown(SimulationAnswer::of(
        Simulation { sent, status, ..simulation },
        NOW + Duration::from_secs(seconds),
    ))
}

fn too_many() -> String {
    format!(
        "{MAX_RUNNING} simulations are running, as many as a workspace can have: cancel one, or \
         wait until one is over"
    )
}

const STARTING: &str = "\
Plays realistic events, which reach the webhooks of test mode as published ones do. A live key is \
refused. `event` is some events of one type, at once. `process_run` is a whole run of a process: \
its start, forms, services, an alert, a change of status and the end, all about one customer. \
`trickle` is random events for up to an hour. The data is drawn: the same `seed` draws the same. \
A workspace can have 5 simulations under way.";

const CANCELLING: &str = "\
No further event is sent. Events are sent up to 75 seconds before their time, and those still \
arrive. A simulation that is over stays as it is.";
