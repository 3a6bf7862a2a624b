//! Buttons do this to a webhook: they pause, resume and remove it, and change its secret.

use axum::{http::Method, response::Response};
use serde_json::{Value, json};

use super::InPath;
use crate::{
    form::Posted,
    trouble::Trouble,
    visitor::{Note, Visitor},
};

pub(crate) async fn pause(InPath(id): InPath, posted: Posted) -> Result<Response, Trouble> {
    let text = "The webhook is paused. What would go to it is recorded as skipped.";
    enable(&posted.visitor, id, false, text).await
}

pub(crate) async fn resume(InPath(id): InPath, posted: Posted) -> Result<Response, Trouble> {
    enable(&posted.visitor, id, true, "The webhook gets events again.").await
}

async fn enable(
    visitor: &Visitor,
    id: u64,
    enabled: bool,
    text: &str,
) -> Result<Response, Trouble> {
    let body = json!({ "enabled": enabled });
    let path = format!("/webhooks/{id}");
    let changed = visitor.send::<Value>(Method::PATCH, &path, Some(&body)).await?;
    changed.map_err(Trouble::Refused)?;
    visitor.go(&format!("/console/webhooks/{id}"), text).await
}

pub(crate) async fn rotate(
    InPath(id): InPath,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let hours = fields.text("hours");
    let seconds = hours.parse::<i64>().ok().and_then(|hours| hours.checked_mul(3600));
    let body = json!({ "overlapSeconds": seconds.map_or_else(|| json!(hours), Value::from) });
    let path = format!("/webhooks/{id}/secret/rotate");
    let rotated = visitor.send::<Value>(Method::POST, &path, Some(&body)).await?;
    let rotated = rotated.map_err(Trouble::Refused)?;
    let note = Note {
        text: "There is a new secret. Requests are signed with it:".to_owned(),
        secret: rotated["secret"].as_str().map(str::to_owned),
    };
    visitor.go_with(&format!("/console/webhooks/{id}"), note).await
}

pub(crate) async fn remove(InPath(id): InPath, posted: Posted) -> Result<Response, Trouble> {
    let visitor = posted.visitor;
    let removed = visitor.send::<Value>(Method::DELETE, &format!("/webhooks/{id}"), None).await?;
    removed.map_err(Trouble::Refused)?;
    let text =
        format!("Webhook {id} is removed. Its history can be read until it is past its time.");
    visitor.go("/console/webhooks", text).await
}
