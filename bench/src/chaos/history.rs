//! The history as the API tells it.

use anyhow::Context;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::workspace::Workspace;

/// A delivery as the history lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) id: Uuid,
    pub(super) webhook_id: u64,
    pub(super) event_id: Uuid,
    pub(super) status: String,
    pub(super) error: Option<Problem>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) attempt_count: usize,
}

/// An attempt as the history lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) at: Timestamp,
    pub(super) http_status: Option<u16>,
    pub(super) error: Option<Problem>,
}

/// A reason with its stable word.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Problem {
    pub(super) code: String,
}

impl Listed {
    /// Reads all deliveries of a list of the API.
    pub(super) async fn all(workspace: &Workspace, path: &str) -> anyhow::Result<Vec<Self>> {
        let mut deliveries = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{path}?limit=100{cursor}");
            let mut page = workspace.insist(Method::GET, &path, Value::Null).await?;
            let items: Vec<Self> = serde_json::from_value(page["items"].take())
                .context("a page has items of another form")?;
            deliveries.extend(items);
            let Some(next) = page["next"].as_str() else { return Ok(deliveries) };
            cursor = format!("&cursor={next}");
        }
    }
}

/// Derives the step in the trace that the request of an attempt names, when this delivery is the
/// first one of the request. It is written here a second time, so that the account takes nothing
/// from the product but what it says to others.
pub(super) fn span(first: Uuid, at: Timestamp) -> u64 {
    let mut hash = Sha256::new_with_prefix(b"span");
    hash.update(first.as_bytes());
    hash.update(at.as_nanosecond().to_be_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(id).max(1)
}
