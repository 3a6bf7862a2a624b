//! A client of the API, which compares each answer with the OpenAPI document.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

/// A client of the API with one key.
#[derive(Clone)]
pub struct Api {
    pub(crate) base: String,
    pub(crate) key: String,
    pub(crate) headers: HeaderMap,
    pub(crate) http: reqwest::Client,
}

impl Api {
    /// Returns a client of the same API with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Returns the key that the client sends.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns a client that sends a further header with every call.
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut api = self.clone();
        api.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        api
    }

    /// Calls the API with any body, and returns the status and the answer, which has to be as the
    /// OpenAPI document says.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        let (status, text) = self.exchange(method.clone(), path, body).await;
        let path = format!("/api/v1{path}");
        let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text:?} is not JSON"));
        let documented = posthaste_api::check::answer(method.as_str(), &path, status, &json);
        documented.unwrap_or_else(|complaint| panic!("{method} {path}: {complaint}"));
        (status, json)
    }

    /// Calls the API with any body, and returns the status and the text of the answer.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        let answer = self.answer(method, path, body).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Calls the API with any body, and returns the whole answer.
    pub async fn answer(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        let request =
            self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(&self.key);
        request.headers(self.headers.clone()).body(body).send().await.unwrap()
    }

    /// Gets a page of the API, and returns the text of the answer.
    pub async fn text(&self, method: Method, path: &str) -> String {
        self.exchange(method, path, "").await.1
    }

    /// Calls the API with a JSON body, and returns the status and the answer. A null sends no body.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, path, body).await
    }

    /// Calls the API, which has to succeed, and returns the answer's data.
    pub async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, body).await;
        assert!(status < 300 && answer["success"] == true, "{method} {path}: {status} {answer}");
        answer["data"].clone()
    }

    /// Publishes an event, and returns its id.
    pub async fn publish(&self, event_type: &str, data: Value) -> String {
        let event =
            self.ok(Method::POST, "/events", json!({ "type": event_type, "data": data })).await;
        event["id"].as_str().unwrap().to_owned()
    }

    /// Makes a key for another workspace with all scopes that a customer needs, and returns its
    /// client.
    pub async fn workspace(&self, name: &str) -> Self {
        let scopes =
            ["webhooks:manage", "events:publish", "events:read", "events:manage", "keys:manage"];
        self.with_new_key(json!({ "workspace": name, "scopes": scopes })).await
    }

    /// Makes a key, and returns the API as that key sees it.
    pub async fn with_new_key(&self, key: Value) -> Self {
        let made = self.ok(Method::POST, "/keys", key).await;
        self.with_key(made["key"].as_str().unwrap())
    }
}
