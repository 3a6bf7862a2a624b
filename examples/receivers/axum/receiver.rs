//! This is a receiver of webhooks in axum. Each profile has a path; keep the lines of the profile
//! that your webhook has. The profile `slack` needs no receiver: its messages go to Slack.
//!
//! `STANDARD_SECRETS="whsec_…" PORT=3000 cargo run` takes webhooks of the profile `standard` at
//! /standard.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    env,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;
use standardwebhooks::Webhook;

const PROFILES: [&str; 6] =
    ["standard", "spektr", "spektr-v1", "spectra", "dataspike", "cloudevents"];
const REMEMBERED: usize = 100_000;

#[derive(Serialize)]
struct Event {
    id: String,
    r#type: String,
    /// The text as it was published: a number keeps all its digits.
    data: Box<RawValue>,
}

/// `standard`, `spektr-v1`, `cloudevents` and `spectra` have this body, but `spectra` calls the
/// type `event`.
#[derive(Deserialize)]
struct One {
    id: Option<String>,
    #[serde(alias = "event")]
    r#type: String,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Spektr {
    results: Vec<SpektrEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpektrEvent {
    id: String,
    event_type: String,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct Dataspike {
    id: String,
    event_type: String,
    payload: Box<RawValue>,
}

/// Reads the events of a request. `standard` and `spectra` have the event's id only in the header
/// `webhook-id`, and `spektr` has a list.
fn events_of(profile: &str, webhook_id: &str, raw_body: &[u8]) -> serde_json::Result<Vec<Event>> {
    Ok(match profile {
        "spektr" => {
            let body: Spektr = serde_json::from_slice(raw_body)?;
            body.results
                .into_iter()
                .map(|one| Event { id: one.id, r#type: one.event_type, data: one.data })
                .collect()
        }
        "dataspike" => {
            let body: Dataspike = serde_json::from_slice(raw_body)?;
            vec![Event { id: body.id, r#type: body.event_type, data: body.payload }]
        }
        _ => {
            let body: One = serde_json::from_slice(raw_body)?;
            vec![Event {
                id: body.id.unwrap_or_else(|| webhook_id.to_owned()),
                r#type: body.r#type,
                data: body.data,
            }]
        }
    })
}

/// Reads the secrets of a webhook, which are separated by spaces. During a rotation give the new
/// one and the old one: a request is good if it was signed with any of them. Without a secret every
/// request is refused.
fn secrets_of(profile: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let name = format!("{}_SECRETS", profile.to_uppercase().replace('-', "_"));
    let secrets: Vec<String> =
        env::var(&name).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    for secret in &secrets {
        Webhook::new(secret).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(secrets)
}

/// The signature of Standard Webhooks covers the id, the time and the body. The library refuses a
/// time 5 minutes off.
fn has_standard_signature(secret: &str, headers: &HeaderMap, raw_body: &[u8]) -> bool {
    Webhook::new(secret).is_ok_and(|webhook| webhook.verify(raw_body, headers).is_ok())
}

/// Spectra's signature covers the body alone, so it can't tell an old request that someone sends
/// again.
fn has_spectra_signature(secret: &str, headers: &HeaderMap, raw_body: &[u8]) -> bool {
    let given = headers
        .get("x-webhook-signature")
        .and_then(|value| value.to_str().ok()?.strip_prefix("sha256="));
    let Some(given) = given.and_then(|digits| hex::decode(digits).ok()) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(raw_body);
    mac.verify_slice(&given).is_ok() // in constant time
}

/// This memory is lost with the process. A table whose key is the event's id is better: store the
/// event there before you answer, and work from the table.
#[derive(Default)]
struct Memory {
    seen: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl Memory {
    fn is_new(&mut self, key: String) -> bool {
        if !self.seen.insert(key.clone()) {
            return false;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

struct Receiver {
    secrets: HashMap<&'static str, Vec<String>>,
    memory: Mutex<Memory>,
}

/// The signature is over the bytes that were sent, so this takes `Bytes`. `Json` would parse them
/// first, and writing the result as JSON again does not give the same bytes.
async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path(profile): Path<String>,
    headers: HeaderMap,
    raw_body: Bytes,
) -> StatusCode {
    let Some(secrets) = receiver.secrets.get(profile.as_str()) else {
        return StatusCode::NOT_FOUND;
    };
    // Whoever may choose takes the standard signature for `spectra` too, as every request has it:
    // an old secret then holds until the overlap of a rotation ends, and nobody can send an old
    // request again.
    let has_signature =
        if profile == "spectra" { has_spectra_signature } else { has_standard_signature };
    if !secrets.iter().any(|secret| has_signature(secret, &headers, &raw_body)) {
        return StatusCode::UNAUTHORIZED;
    }

    let webhook_id =
        headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(mut events) = events_of(&profile, webhook_id, &raw_body) else {
        return StatusCode::BAD_REQUEST;
    };
    {
        let mut memory = receiver.memory.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|event| memory.is_new(format!("{profile} {}", event.id)));
    }
    // Several profiles count nothing but 200 as a success. The work comes after the answer, which
    // has to come within 5 seconds.
    tokio::spawn(work(profile, events));
    StatusCode::OK
}

async fn work(profile: String, events: Vec<Event>) {
    for event in events {
        tokio::time::sleep(Duration::from_millis(50)).await; // Your work goes here.
        match serde_json::to_string(&event) {
            Ok(line) => println!("{profile} {line}"),
            Err(error) => eprintln!("{error}"),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut secrets = HashMap::new();
    for profile in PROFILES {
        secrets.insert(profile, secrets_of(profile)?);
    }
    let receiver = Arc::new(Receiver { secrets, memory: Mutex::default() });
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, Router::new().route("/{profile}", post(receive)).with_state(receiver))
        .await?;
    Ok(())
}
