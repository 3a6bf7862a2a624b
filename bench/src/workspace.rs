//! The API as a service of one workspace calls it.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

/// A workspace with a key of its own.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) name: String,
    pub(crate) api: String,
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

impl Workspace {
    /// Registers a webhook for all events with these further settings, and returns its id.
    pub(crate) async fn register(&self, url: &str, settings: Value) -> anyhow::Result<String> {
        let mut webhook = json!({ "url": url, "events": ["*"] });
        if let (Some(webhook), Value::Object(settings)) = (webhook.as_object_mut(), settings) {
            webhook.extend(settings);
        }
        Ok(self.call(Method::POST, "/webhooks", webhook).await?["id"].to_string())
    }

    /// Lists all deliveries of a webhook, the newest first.
    pub(crate) async fn history(&self, webhook: &str) -> anyhow::Result<Vec<Value>> {
        let mut deliveries = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/webhooks/{webhook}/deliveries?limit=100{cursor}");
            let mut page = self.call(Method::GET, &path, Value::Null).await?;
            deliveries.append(page["items"].as_array_mut().context("a page has no items")?);
            let Some(next) = page["next"].as_str() else { return Ok(deliveries) };
            cursor = format!("&cursor={next}");
        }
    }

    /// Reads the state in a webhook's health, for example `slow`.
    pub(crate) async fn state(&self, webhook: &str) -> anyhow::Result<String> {
        let webhook = self.call(Method::GET, &format!("/webhooks/{webhook}"), Value::Null).await?;
        Ok(webhook["health"]["state"].as_str().context("the webhook has no state")?.to_owned())
    }

    /// Makes a call that can be repeated, and repeats it while it fails, as a good client does.
    pub(crate) async fn insist(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Value> {
        let mut pause = Duration::from_millis(250);
        for _ in 0..5 {
            if let Ok(answer) = self.call(method.clone(), path, body.clone()).await {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.call(method, path, body).await
    }

    /// Calls the API, which has to succeed, and returns its data. A null stands for no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Value> {
        let request =
            self.http.request(method, format!("{}{path}", self.api)).bearer_auth(&self.key);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str::<Value>(&text)?["data"].take())
    }
}
