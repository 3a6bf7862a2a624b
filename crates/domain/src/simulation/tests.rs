use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

use proptest::prelude::*;

use super::*;
use crate::event::{catalogue, own_type::OwnEventType, process::Process, schema::Budget};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_768_469_400 + second).unwrap()
}

fn started(body: &str, second: i64) -> Simulation {
    let asked = StartSimulation::parse(body.as_bytes()).unwrap();
    let id = SimulationId::new(at(second), &[7; 10]);
    let workspace = Workspace::parse("acme~test").unwrap();
    Simulation::new(id, workspace, asked, BTreeMap::new(), 41, at(second))
}

#[test]
fn kinds_and_statuses_have_the_names_of_the_api() {
    let kinds = [Kind::Event, Kind::ProcessRun, Kind::Trickle];
    assert_eq!(kinds.map(Kind::name), ["event", "process_run", "trickle"]);
    for name in ["running", "finished", "cancelled"] {
        assert_eq!(Status::by_name(name).map(Status::name), Some(name));
    }
    assert_eq!(Status::by_name("paused"), None);
}

fn events(simulation: &Simulation) -> Vec<Event> {
    let all = simulation.events(0..simulation.total());
    all.into_iter().map(|(_, event)| event).collect()
}

/// All that the seed decides: types, subjects, references, data and times after the start.
fn told(simulation: &Simulation) -> String {
    let mut text = String::new();
    for event in events(simulation) {
        let wait = event.timestamp.duration_since(simulation.started_at).as_millis();
        let about = (event.subject, event.reference);
        writeln!(text, "{wait} {} {about:?} {}", event.event_type, event.data).unwrap();
    }
    text
}

fn complaint(body: &str) -> (String, &'static str) {
    let own = |name: &str, body: &str| {
        let own = OwnEventType::parse(name, body.as_bytes()).unwrap();
        (own.name.clone(), own)
    };
    let long = format!(r#"{{"sample":{{"a":"{}"}}}}"#, "x".repeat(40_000));
    let own = HashMap::from([
        own("invoice.paid", r#"{"sample":{"total":1.0}}"#),
        own("invoice.bare", "{}"),
        own("long.a", &long),
        own("long.b", &long),
    ]);
    let refused = StartSimulation::parse(body.as_bytes()).and_then(|asked| asked.samples(&own));
    let invalid = refused.unwrap_err();
    (invalid.field.unwrap_or_default(), invalid.code)
}

fn playable() -> Vec<&'static catalogue::BuiltIn> {
    catalogue::all().iter().filter(|built_in| !built_in.is_operational()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_event_fits_its_schema_and_another_seed_gives_another_event(
        seed in 0_u32..2_147_483_647, count in 1_u32..4,
    ) {
        for built_in in playable() {
            let body = |seed| format!(
                r#"{{"kind":"event","type":"{}","count":{count},"seed":{seed}}}"#, built_in.name
            );
            let simulation = started(&body(seed), 0);
            for event in events(&simulation) {
                let fits = built_in.schema().unwrap().check(
                    &event.data, "data", &mut Budget::default()
                );
                prop_assert_eq!(fits, Ok(()), "{} {}", built_in.name, event.data);
            }
            prop_assert_eq!(told(&simulation), told(&started(&body(seed), 86_400)));
            prop_assert_ne!(told(&simulation), told(&started(&body(seed + 1), 0)));
        }
    }

    #[test]
    fn every_run_is_one_of_one_customer_and_fits_its_schemas(
        seed in 0_u32..2_147_483_647, speed in 1_u32..=1000,
    ) {
        let body = format!(r#"{{"kind":"process_run","speed":{speed},"seed":{seed}}}"#);
        let simulation = started(&body, 0);
        let events = events(&simulation);
        let runs: BTreeSet<_> = events.iter().map(|event| {
            let Process { process_type, context_id, process_id, .. } = Process::of(event);
            (process_type.unwrap(), context_id.unwrap(), process_id.unwrap(), event.subject.clone())
        }).collect();
        prop_assert_eq!((events.len(), runs.len()), (14, 1));
        for event in &events {
            let built_in = catalogue::find(event.event_type.as_str()).unwrap();
            let fits = built_in.schema().unwrap().check(
                &event.data, "data", &mut Budget::default()
            );
            prop_assert_eq!(fits, Ok(()), "{} {}", built_in.name, event.data);
        }
        for pair in events.windows(2) {
            let pause = pair[1].timestamp.duration_since(pair[0].timestamp);
            prop_assert!(pause.as_millis() >= 1000 && pair[0].id < pair[1].id);
        }
        let last = events.last().unwrap();
        prop_assert!(crate::event::process::ends(&last.event_type));
        prop_assert_eq!(last.timestamp, simulation.ends_at());
    }

    #[test]
    fn a_trickle_lasts_as_long_as_it_should_and_never_goes_back(
        seed in 0_u32..2_147_483_647, per_minute in 1_u32..=60, minutes in 1_u32..=3,
    ) {
        let body = format!(
            r#"{{"kind":"trickle","perMinute":{per_minute},"minutes":{minutes},"seed":{seed}}}"#
        );
        let simulation = started(&body, 0);
        let events = events(&simulation);
        prop_assert_eq!(events.len() as u32, per_minute * minutes);
        prop_assert!(events.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp));
        prop_assert!(simulation.ends_at() < at(i64::from(minutes) * 60));
        prop_assert!(events.iter().all(|event| !catalogue::is_operational(&event.event_type)));
    }

    /// Whenever the schedule comes, and however late, each event is sent once and in its order.
    #[test]
    fn calls_of_the_schedule_send_everything_once(
        pauses in prop::collection::vec(1_i64..400, 1..80), seed in 0_u32..1000,
    ) {
        let body = format!(r#"{{"kind":"trickle","perMinute":7,"minutes":5,"seed":{seed}}}"#);
        let mut simulation = started(&body, 0);
        let mut now = 0;
        let mut sent = Vec::new();
        for pause in pauses.into_iter().chain([400, 1]) {
            loop {
                let due = simulation.due(at(now));
                if due.is_empty() { break; }
                for (nth, event) in simulation.events(due.clone()) {
                    prop_assert!(event.timestamp <= at(now) + AHEAD);
                    sent.push(nth);
                }
                simulation.sent = due.end;
            }
            let played = simulation.played(at(now));
            prop_assert!(played <= simulation.sent);
            now += pause;
        }
        prop_assert_eq!(sent, (0..35).collect::<Vec<u32>>());
        prop_assert_eq!(simulation.played(at(now)), 35);
    }
}

#[test]
fn a_script_of_each_kind_is_told() {
    let mut text = String::new();
    for body in [
        r#"{"kind":"process_run","seed":1}"#,
        r#"{"kind":"event","type":"ORDER","seed":1}"#,
        r#"{"kind":"trickle","perMinute":12,"minutes":1,"seed":1}"#,
    ] {
        let body = body.replace("ORDER", "order.created");
        writeln!(text, "{body}\n{}", told(&started(&body, 0))).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_type_is_told() {
    let all = playable().into_iter().map(|built_in| {
        let body = format!(r#"{{"kind":"event","type":"{}","seed":2}}"#, built_in.name);
        told(&started(&body, 0))
    });
    insta::assert_snapshot!(all.collect::<String>());
}

#[test]
fn an_event_has_one_id_however_often_it_is_sent_and_no_other_has_it() {
    let trickle = r#"{"kind":"trickle","perMinute":60,"minutes":5,"seed":3}"#;
    let ids = |simulation: &Simulation| {
        events(simulation).iter().map(|event| event.id).collect::<BTreeSet<_>>()
    };
    let simulation = started(trickle, 0);
    assert_eq!(ids(&simulation), ids(&simulation.clone()));
    assert_eq!(ids(&simulation).len(), 300);
    assert!(ids(&simulation).is_disjoint(&ids(&started(trickle, 1))), "that is another one");
    let event = &events(&simulation)[7];
    assert_eq!(event.id.time(), event.timestamp);
    assert!(event.id.is_ours());
}

#[test]
fn what_is_sent_is_what_is_due_soon() {
    let mut simulation = started(r#"{"kind":"trickle","perMinute":60,"minutes":60,"seed":1}"#, 0);
    assert!(simulation.is_starting(at(0)) && !simulation.is_starting(at(10)));
    assert_eq!(simulation.due(at(0)), 0..75);
    simulation.sent = 75;
    assert!(!simulation.is_starting(at(0)));
    assert_eq!(simulation.due(at(0)), 75..75);
    assert_eq!((simulation.played(at(0)), simulation.played(at(30))), (1, 30));
    assert_eq!(simulation.due(at(7000)), 75..275, "what is late goes out in parts");
    simulation.sent = 3600;
    assert_eq!(simulation.due(at(7000)), 3600..3600);
    simulation = Simulation { status: Status::Cancelled, sent: 0, ..simulation };
    assert!(simulation.due(at(7000)).is_empty());
}

#[test]
fn a_type_of_ones_own_is_played_as_it_is_and_one_that_is_forgotten_is_passed_over() {
    let own = OwnEventType::parse("invoice.paid", br#"{"sample":{"total": 1.0}}"#).unwrap();
    let body = br#"{"kind":"trickle","types":["invoice.paid"],"perMinute":2,"minutes":1}"#;
    let asked = StartSimulation::parse(body).unwrap();
    assert_eq!(asked.own_types(), BTreeSet::from([own.name.clone()]));
    let samples = asked.samples(&HashMap::from([(own.name.clone(), own)])).unwrap();
    let simulation = started(r#"{"kind":"event","type":"order.created"}"#, 0);
    let simulation = Simulation { asked, samples, ..simulation };
    let played = events(&simulation);
    assert_eq!((played.len(), played[0].data.get()), (2, r#"{"total": 1.0}"#));
    let forgotten = Simulation { samples: BTreeMap::new(), ..simulation };
    assert!(forgotten.events(0..2).is_empty());
}

#[test]
fn a_seed_that_was_drawn_is_told_and_the_defaults_are() {
    let simulation = started(r#"{"kind":"trickle"}"#, 0);
    let asked = serde_json::to_string(&simulation.asked).unwrap();
    assert_eq!(asked, r#"{"kind":"trickle","perMinute":10,"minutes":60,"seed":41}"#);
    assert_eq!(simulation.total(), 600);
    let again = started(&asked, 99);
    assert_eq!(told(&again), told(&simulation), "the answer is a body that repeats it");
    assert_eq!(started(r#"{"kind":"process_run"}"#, 0).asked.speed, Some(1));
    let one = started(r#"{"kind":"event","type":"SERVICE_RUN"}"#, 0).asked;
    assert_eq!((one.count, one.r#type.unwrap().to_string()), (Some(1), "service_run".to_owned()));
    let drawn = StartSimulation { seed: None, ..simulation.asked };
    let id = simulation.id;
    let simulation =
        Simulation::new(id, simulation.workspace, drawn, BTreeMap::new(), u32::MAX, at(0));
    assert_eq!(simulation.asked.seed, Some(0x7fff_ffff), "a call takes it again");
}

#[test]
fn what_is_wrong_is_named() {
    for (body, field, code) in [
        ("{}", "kind", "missing_field"),
        (r#"{"kind":"run"}"#, "kind", "wrong_type"),
        (r#"{"kind":"event"}"#, "type", "missing_field"),
        (r#"{"kind":"event","type":"a b"}"#, "type", "invalid_event_type"),
        (r#"{"kind":"event","type":"order.create"}"#, "type", "unknown_event_type"),
        (r#"{"kind":"event","type":"webhook.failing"}"#, "type", "reserved_event_type"),
        (r#"{"kind":"event","type":"invoice.bare"}"#, "type", "no_sample"),
        (r#"{"kind":"event","type":"order.created","count":101}"#, "count", "out_of_range"),
        (r#"{"kind":"event","type":"order.created","speed":2}"#, "speed", "wrong_kind"),
        (r#"{"kind":"process_run","type":"order.created"}"#, "type", "wrong_kind"),
        (r#"{"kind":"process_run","processType":""}"#, "processType", "too_short"),
        (r#"{"kind":"process_run","minutes":1}"#, "minutes", "wrong_kind"),
        (r#"{"kind":"trickle","types":[]}"#, "types", "wrong_count"),
        (r#"{"kind":"trickle","types":["order.created","x y"]}"#, "types[1]", "invalid_event_type"),
        (r#"{"kind":"trickle","types":["nothing.known"]}"#, "types[0]", "unknown_event_type"),
        (r#"{"kind":"trickle","types":["long.a","long.b"]}"#, "types[1]", "too_long"),
        (r#"{"kind":"trickle","perMinute":61}"#, "perMinute", "out_of_range"),
        (r#"{"kind":"trickle","seed":-1}"#, "seed", "out_of_range"),
        (r#"{"kind":"trickle","sed":1}"#, "sed", "unknown_field"),
    ] {
        assert_eq!(complaint(body), (field.to_owned(), code), "{body}");
    }
}

#[test]
fn a_run_is_of_the_process_that_was_asked_for() {
    let body = r#"{"kind":"process_run","processType":"kyb","processName":"Our KYB","seed":5}"#;
    for event in events(&started(body, 0)) {
        let data: serde_json::Value = serde_json::from_str(event.data.get()).unwrap();
        assert_eq!(
            (&data["processType"], &data["processName"]),
            (&"kyb".into(), &"Our KYB".into())
        );
    }
}
