//! A small client of the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>), as far as the
//! tests need it.
//!
//! The clients on crates.io turn on features of `serde_json` for the whole workspace, so the
//! functions would write other JSON in tests than where they are deployed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name under which an element stands in JSON: <https://www.w3.org/TR/webdriver2/#elements>.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser that a driver has started. Clones are the same browser.
#[derive(Debug, Clone)]
pub(crate) struct WebDriver {
    http: reqwest::Client,
    /// The address of the session.
    session: String,
}

/// The complaint of a driver.
#[derive(Debug)]
pub(crate) struct DriverError(String);

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<reqwest::Error> for DriverError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.to_string())
    }
}

/// A key of the keyboard that types no letter: <https://www.w3.org/TR/webdriver2/#keyboard-actions>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Tab,
    Enter,
    Control,
    Shift,
    Down,
}

impl Key {
    /// The letter that stands for the key.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Tab => '\u{E004}',
            Self::Enter => '\u{E007}',
            Self::Control => '\u{E009}',
            Self::Shift => '\u{E008}',
            Self::Down => '\u{E015}',
        }
    }
}

/// A cookie that a browser keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) http_only: bool,
    #[serde(default)]
    pub(crate) secure: bool,
    pub(crate) same_site: Option<String>,
}

/// A line of one of the driver's logs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) source: Option<String>,
}

impl WebDriver {
    /// Starts a browser with these capabilities.
    pub(crate) async fn start(driver: &str, wanted: Value) -> Result<Self, DriverError> {
        let http = reqwest::Client::new();
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let begun = call(&http, Method::POST, &format!("{driver}/session"), Some(body)).await?;
        let id = begun["sessionId"].as_str().ok_or_else(|| DriverError(begun.to_string()))?;
        Ok(Self { session: format!("{driver}/session/{id}"), http })
    }

    /// Ends the browser.
    pub(crate) async fn quit(self) -> Result<(), DriverError> {
        call(&self.http, Method::DELETE, &self.session, None).await.map(drop)
    }

    /// Opens an address, and waits until it is loaded.
    pub(crate) async fn goto(&self, url: &str) -> Result<(), DriverError> {
        self.post("url", json!({ "url": url })).await.map(drop)
    }

    /// Loads the page again.
    pub(crate) async fn refresh(&self) -> Result<(), DriverError> {
        self.post("refresh", json!({})).await.map(drop)
    }

    /// The address of the page.
    pub(crate) async fn current_url(&self) -> Result<String, DriverError> {
        let url = self.get("url").await?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// Runs the body of a JavaScript function.
    pub(crate) async fn execute(
        &self,
        body: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, DriverError> {
        self.post("execute/sync", json!({ "script": body, "args": arguments })).await
    }

    /// Runs the body of a JavaScript function that calls its last argument with its result.
    pub(crate) async fn execute_async(
        &self,
        body: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, DriverError> {
        self.post("execute/async", json!({ "script": body, "args": arguments })).await
    }

    /// Calls a command of Chromium's protocol for developer tools.
    pub(crate) async fn devtools(
        &self,
        command: &str,
        parameters: Value,
    ) -> Result<Value, DriverError> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Presses the keys of these letters one after the other, where the focus is. A modifier stays
    /// down until the last one is pressed.
    pub(crate) async fn press(&self, letters: &str) -> Result<(), DriverError> {
        let is_modifier =
            |letter: &char| [Key::Control, Key::Shift].map(Key::letter).contains(letter);
        let mut actions = Vec::new();
        for letter in letters.chars() {
            actions.push(json!({ "type": "keyDown", "value": letter.to_string() }));
            if !is_modifier(&letter) {
                actions.push(json!({ "type": "keyUp", "value": letter.to_string() }));
            }
        }
        for letter in letters.chars().filter(is_modifier) {
            actions.push(json!({ "type": "keyUp", "value": letter.to_string() }));
        }
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    /// Goes into the page's frame with this number, from 0 on.
    pub(crate) async fn enter_frame(&self, number: u16) -> Result<(), DriverError> {
        self.post("frame", json!({ "id": number })).await.map(drop)
    }

    /// Goes back to the page that the frame is in.
    pub(crate) async fn enter_parent_frame(&self) -> Result<(), DriverError> {
        self.post("frame/parent", json!({})).await.map(drop)
    }

    /// The cookies of the page.
    pub(crate) async fn cookies(&self) -> Result<Vec<Cookie>, DriverError> {
        let cookies = self.get("cookie").await?;
        serde_json::from_value(cookies).map_err(|error| DriverError(error.to_string()))
    }

    /// Gives the browser a cookie for the page's site.
    pub(crate) async fn add_cookie(&self, cookie: &Cookie) -> Result<(), DriverError> {
        self.post("cookie", json!({ "cookie": cookie })).await.map(drop)
    }

    /// The lines that a log got since it was last read: `browser` or `performance`.
    pub(crate) async fn log(&self, kind: &str) -> Result<Vec<LogEntry>, DriverError> {
        let lines = self.post("se/log", json!({ "type": kind })).await?;
        serde_json::from_value(lines).map_err(|error| DriverError(error.to_string()))
    }

    /// A picture of the window, as PNG.
    pub(crate) async fn picture(&self) -> Result<Vec<u8>, DriverError> {
        let picture = self.get("screenshot").await?;
        let decoded = STANDARD.decode(picture.as_str().unwrap_or_default());
        decoded.map_err(|error| DriverError(error.to_string()))
    }

    /// The element that a script has returned.
    pub(crate) fn element(&self, json: &Value) -> Result<Element, DriverError> {
        let id =
            json[ELEMENT].as_str().ok_or_else(|| DriverError(format!("no element: {json}")))?;
        Ok(Element { driver: self.clone(), path: format!("element/{id}") })
    }

    async fn get(&self, path: &str) -> Result<Value, DriverError> {
        call(&self.http, Method::GET, &format!("{}/{path}", self.session), None).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, DriverError> {
        call(&self.http, Method::POST, &format!("{}/{path}", self.session), Some(body)).await
    }
}

/// An element of a page.
#[derive(Debug)]
pub(crate) struct Element {
    driver: WebDriver,
    path: String,
}

impl Element {
    /// The element as an argument of a script.
    pub(crate) fn reference(&self) -> Value {
        json!({ ELEMENT: self.path.trim_start_matches("element/") })
    }

    /// Clicks in the middle of it.
    pub(crate) async fn click(&self) -> Result<(), DriverError> {
        self.driver.post(&format!("{}/click", self.path), json!({})).await.map(drop)
    }

    /// Empties a field.
    pub(crate) async fn clear(&self) -> Result<(), DriverError> {
        self.driver.post(&format!("{}/clear", self.path), json!({})).await.map(drop)
    }

    /// Types into a field.
    pub(crate) async fn send_keys(&self, text: &str) -> Result<(), DriverError> {
        self.driver.post(&format!("{}/value", self.path), json!({ "text": text })).await.map(drop)
    }

    /// A property, as a script would read it.
    pub(crate) async fn property(&self, name: &str) -> Result<Value, DriverError> {
        self.driver.get(&format!("{}/property/{name}", self.path)).await
    }

    /// The first element inside that this XPath finds.
    pub(crate) async fn find(&self, xpath: &str) -> Result<Self, DriverError> {
        let asked = json!({ "using": "xpath", "value": xpath });
        let found = self.driver.post(&format!("{}/element", self.path), asked).await?;
        self.driver.element(&found)
    }
}

async fn call(
    http: &reqwest::Client,
    method: Method,
    url: &str,
    body: Option<Value>,
) -> Result<Value, DriverError> {
    let request = http.request(method, url);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    let answer = request.send().await?;
    let is_success = answer.status().is_success();
    let text = answer.text().await?;
    let mut answer: Value =
        serde_json::from_str(&text).map_err(|_| DriverError(text.chars().take(300).collect()))?;
    let value = answer["value"].take();
    if is_success { Ok(value) } else { Err(DriverError(complaint(&value))) }
}

fn complaint(value: &Value) -> String {
    let part = |name: &str| value[name].as_str().unwrap_or_default();
    format!("{}: {}", part("error"), part("message"))
}
