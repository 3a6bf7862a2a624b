//! The data of simulated events: the sample of its type, with other values where a person would
//! expect others. What a sample has and nothing here knows of stays as it is, so that it fits its
//! schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{cast::Cast, dice::Dice};

/// Dates in data are drawn from the three years before this second, 2026-01-01: those of the same
/// seed are the same, whenever it is simulated.
const LATEST_DATE: i64 = 1_767_225_600;
const SECONDS_OF_DATES: u64 = 3 * 365 * 24 * 60 * 60;

/// Varies the data of a sample of this type.
pub(super) fn vary(event_type: &str, sample: &Value, cast: &Cast, dice: &mut Dice) -> Value {
    let mut data = varied(event_type, sample, cast, dice);
    if let Some(members) = data.as_object_mut() {
        agree(event_type, members, cast, dice);
    }
    sorted(data)
}

fn varied(event_type: &str, sample: &Value, cast: &Cast, dice: &mut Dice) -> Value {
    match sample {
        Value::Object(members) => {
            let mut data = Map::new();
            for (name, old) in by_name(members) {
                let value = match name.as_str() {
                    _ if old.is_null() => Value::Null,
                    "vendorData" => vendor_data(old, dice),
                    name => fact(name, cast)
                        .or_else(|| thrown(event_type, name, dice))
                        .unwrap_or_else(|| varied(event_type, old, cast, dice)),
                };
                data.insert(name.clone(), value);
            }
            Value::Object(data)
        }
        Value::Array(items) => {
            items.iter().map(|item| varied(event_type, item, cast, dice)).collect()
        }
        other => other.clone(),
    }
}

/// The members in the order of their names, which does not depend on how `serde_json` was built.
fn by_name(members: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    members.iter().collect()
}

/// The same data with its members in the order of their names.
pub(super) fn sorted(data: Value) -> Value {
    match data {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> = members.into_iter().collect();
            Value::Object(sorted.into_iter().collect())
        }
        other => other,
    }
}

/// The value of a member that says something about the customer or the run.
fn fact(name: &str, cast: &Cast) -> Option<Value> {
    Some(match name {
        "contextId" => json!(cast.context_id),
        "processId" => json!(cast.process_id),
        "processType" => json!(cast.process_type),
        "processName" => json!(cast.process_name),
        "datasetId" => json!(cast.dataset_id),
        "token" => json!(cast.token),
        "loopUrl" => json!(format!("https://actions.example.com/form?token={}", cast.token)),
        "reference" => json!(cast.reference),
        "alertId" => json!(cast.alert_id),
        "alertType" => json!(cast.alert_type),
        "alertName" => json!(cast.alert_name),
        "spektr_id" | "parentId" => json!(cast.subject),
        "applicant_id" => json!(cast.applicant),
        "customerName" | "company_name" => json!(cast.company),
        "first_name" => json!(cast.first_name),
        "vat_number" => json!(cast.vat_number),
        "oldStatus" | "old_status" => json!(cast.old_status),
        "newStatus" | "new_status" | "customerStatus" | "processOutput" => json!(cast.new_status),
        _ => return None,
    })
}

/// The value of a member that is thrown anew for each event.
fn thrown(event_type: &str, name: &str, dice: &mut Dice) -> Option<Value> {
    Some(match (event_type, name) {
        ("AML_SCREENING", "status") => json!(dice.one_of(["match", "no_match", "no_match"])),
        ("DOCVER_EVENT", "status") => json!(dice.one_of(["verified", "verified", "rejected"])),
        ("alert_escalated", "status") => json!(dice.one_of(["open", "in_progress"])),
        (
            _,
            "stepId" | "userId" | "tagId" | "childId" | "newRecordId" | "parentProcessId"
            | "parentSpektrId",
        ) => json!(dice.object_id()),
        (_, "verification_id" | "transaction_id") => json!(dice.uuid()),
        (_, "risk_score" | "score") => json!(dice.between(0, 100)),
        (_, "tagName") => json!(dice.one_of(["High risk", "VIP", "PEP", "Dormant", "Partner"])),
        (_, "vendor") => json!(dice.one_of(["hubspot", "salesforce", "pipedrive"])),
        (_, "loopMessage") => {
            json!(dice.one_of([
                "Your passport expires soon.",
                "Please confirm your address.",
                "Please confirm who owns your company.",
            ]))
        }
        (_, "lastSyncedAt") => json!(past_second(dice) * 1000),
        (_, "shippedAt") => json!(past_date(dice)),
        (_, "orderId") => json!(dice.between(1_000, 99_999)),
        (_, "itemId") => json!(dice.between(1_000, 9_999)),
        (_, "quantity") => json!(dice.between(1, 5)),
        (_, "price") => json!(amount(dice.between(499, 99_999))),
        (_, "currency") => json!(dice.one_of(["EUR", "GBP", "SEK", "USD"])),
        (_, "sku") => json!(sku(dice)),
        (_, "carrier") => json!(dice.one_of(["DHL", "FedEx", "PostNord", "UPS"])),
        (_, "trackingNumber") => json!(format!("EXAMPLE-{}", dice.between(1_000_000, 9_999_999))),
        _ => return None,
    })
}

/// Lets the members of an event agree with each other.
fn agree(event_type: &str, data: &mut Map<String, Value>, cast: &Cast, dice: &mut Dice) {
    match event_type {
        "AML_SCREENING" => {
            let matches = if data["status"] == "match" { dice.between(1, 4) } else { 0 };
            data.insert("matches".to_owned(), json!(matches));
        }
        "KYT_EVENT" => {
            let is_high = data["risk_score"].as_u64().is_some_and(|score| score > 70);
            data.insert("status".to_owned(), json!(if is_high { "flagged" } else { "cleared" }));
        }
        "client_record_sync" => {
            let object = format!("{} contacts", data["vendor"].as_str().unwrap_or_default());
            data.insert("objectType".to_owned(), json!(object));
        }
        "customer_record_changed" => {
            data.insert("changes".to_owned(), changes(cast, dice));
        }
        "customer_record_update" => {
            data.insert("last_name".to_owned(), json!(cast.last_name));
            data.insert("email".to_owned(), json!(cast.email));
        }
        "process_run_end" => {
            data.insert("email".to_owned(), json!(cast.email));
            data.insert("country".to_owned(), json!(cast.country));
        }
        "order.created" => order(data, dice),
        _ => {}
    }
}

/// The changes of a customer's record: one to three fields.
fn changes(cast: &Cast, dice: &mut Dice) -> Value {
    let fields = [
        json!({ "fieldId": "email", "newValue": cast.email }),
        json!({ "fieldId": "company_name", "newValue": cast.company, "oldValue": "—" }),
        json!({ "fieldId": "country", "newValue": cast.country }),
    ];
    let (first, count) = (dice.place_in(fields.len()), dice.between(1, 3));
    let count = usize::try_from(count).unwrap_or(1);
    fields.iter().cycle().skip(first).take(count).cloned().collect()
}

/// An order has one to three items, and its total is theirs.
fn order(data: &mut Map<String, Value>, dice: &mut Dice) {
    let mut items = Vec::new();
    let mut total = 0;
    for _ in 0..dice.between(1, 3) {
        let (quantity, cents) = (dice.between(1, 5), dice.between(499, 99_999));
        total += quantity * cents;
        items.push(json!({ "price": amount(cents), "quantity": quantity, "sku": sku(dice) }));
    }
    data.insert("items".to_owned(), Value::Array(items));
    data.insert("total".to_owned(), json!(amount(total)));
}

/// The answer of a screening service: whether it has found something, and how often.
fn vendor_data(sample: &Value, dice: &mut Dice) -> Value {
    let mut data = Map::new();
    // A flag comes before its count.
    for (name, old) in sample.as_object().map(by_name).into_iter().flatten() {
        let counted = name.strip_suffix("_hit_count").and_then(|flag| data.get(flag));
        let value = match (counted, old) {
            (Some(flag), _) => {
                json!(if *flag == true { dice.between(1, 15) } else { 0 })
            }
            (None, Value::Bool(_)) => json!(!name.contains("failure") && dice.once_in(3)),
            (None, old) => old.clone(),
        };
        data.insert(name.clone(), value);
    }
    Value::Object(data)
}

fn sku(dice: &mut Dice) -> String {
    let thing = dice.one_of(["PHONE", "LAPTOP", "HEADSET", "TABLET"]);
    format!("{thing}-{}-{}", dice.one_of([64, 128, 256]), dice.one_of(["BLK", "SLV", "BLU"]))
}

/// An amount of money of so many cents.
fn amount(cents: u64) -> f64 {
    cents as f64 / 100.0
}

fn past_second(dice: &mut Dice) -> i64 {
    LATEST_DATE.saturating_sub_unsigned(dice.below(SECONDS_OF_DATES))
}

fn past_date(dice: &mut Dice) -> String {
    jiff::Timestamp::from_second(past_second(dice)).unwrap_or_default().to_string()
}

/// The subject of an event with this data: the order or the thing that it is about, or the
/// customer, as the system that the type comes from names it.
pub(super) fn subject(owner: &str, data: &Value, cast: &Cast) -> Option<String> {
    match owner {
        "spectra" => {
            let thing = if data.get("itemId").is_some() { "itemId" } else { "orderId" };
            data.get(thing).map(ToString::to_string)
        }
        "dataspike" => Some(cast.applicant.clone()),
        _ => Some(cast.subject.clone()),
    }
}
