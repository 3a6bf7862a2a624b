//! The timeline of a simulated process run, and what is said of the run in each of its events.

use serde_json::{Value, json};

use super::{
    StartSimulation,
    cast::Cast,
    data,
    dice::{About, Dice},
};

/// The events of a run, and the second at which each begins if nothing is hurried: two forms, two
/// services, an alert that a person settles, and the decision, within ten minutes.
const TIMELINE: [(u64, &str); 14] = [
    (0, "process_run_start"),
    (8, "step_init"),
    (95, "step_submit"),
    (101, "service_run"),
    (112, "step_init"),
    (236, "step_submit"),
    (243, "service_run"),
    (250, "alert_created"),
    (263, "alert_escalated"),
    (470, "alert_resolved"),
    (492, "customer_tag_add"),
    (520, "customer_record_changed"),
    (560, "customer_status_changed"),
    (600, "process_run_end"),
];
/// The number of events of a run.
pub(super) const EVENTS: u32 = TIMELINE.len() as u32;
/// The shortest time between two events of a run. However fast it is played, each event has a
/// second of its own, so that they arrive in their order.
const LEAST_PAUSE_MS: u64 = 1000;

/// The type of the nth event.
pub(super) fn event_type(nth: u32) -> Option<&'static str> {
    TIMELINE.get(nth as usize).map(|(_, event_type)| *event_type)
}

/// The times of the events, in milliseconds from the start of the run.
pub(super) fn offsets_ms(seed: u32, speed: u32) -> Vec<u64> {
    let mut dice = Dice::of(seed, About::Pauses);
    let mut offsets = vec![0];
    let (mut before, mut offset) = (0, 0);
    for (second, _) in &TIMELINE[1..] {
        // No two runs are alike: each pause is up to a quarter longer or shorter.
        let pause = (second - before) * dice.between(750, 1250) / u64::from(speed.max(1));
        offset += pause.max(LEAST_PAUSE_MS);
        offsets.push(offset);
        before = *second;
    }
    offsets
}

/// The customer of the run, in the process that was asked for.
pub(super) fn cast(asked: &StartSimulation, seed: u32) -> Cast {
    let mut cast = Cast::of(seed, 0);
    if let Some(process_type) = &asked.process_type {
        cast.process_type.clone_from(process_type);
    }
    if let Some(process_name) = &asked.process_name {
        cast.process_name.clone_from(process_name);
    }
    cast
}

/// The data of the nth event, from the sample of its type.
pub(super) fn vary(nth: u32, sample: &Value, cast: &Cast, seed: u32) -> Value {
    let event_type = event_type(nth).unwrap_or_default();
    let mut data = data::vary(event_type, sample, cast, &mut Dice::of(seed, About::Event(nth)));
    // Schemas welcome further fields, and with these everything is known as a part of the run.
    for (name, value) in [
        ("contextId", &cast.context_id),
        ("processId", &cast.process_id),
        ("processType", &cast.process_type),
        ("processName", &cast.process_name),
    ] {
        data[name] = json!(value);
    }
    match event_type {
        // A form is opened and sent in as one step, and the second one asks for the owners.
        "step_init" | "step_submit" => {
            let step = u32::from(nth > 2);
            data["stepId"] = json!(Dice::of(seed, About::Step(step)).object_id());
            data["stepType"] = json!(["form", "ownershipTreeForm"][step as usize]);
        }
        "service_run" if nth == 3 => {
            data["vendorType"] = json!("companyRegistry");
            data["stepType"] = json!("companyRegistry");
            data["vendorData"] = json!({
                "companyRegistry_country": cast.country,
                "companyRegistry_is_active": true,
                "companyRegistry_name": cast.company,
            });
        }
        "customer_record_changed" | "customer_status_changed" => {
            data["method"] = json!({ "processId": cast.process_id, "type": "process" });
        }
        _ => {}
    }
    data::sorted(data)
}
