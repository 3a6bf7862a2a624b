//! A receiver for webhooks: `/inbox/<name>` keeps what arrives, shows it, verifies its signatures,
//! and answers as it is told.
//!
//! | request | does |
//! |---|---|
//! | any but those below | keeps the request and answers it (200 unless told otherwise) |
//! | `GET /inbox/<name>` | what has arrived, as JSON, or as a page for a browser |
//! | `PUT /inbox/<name>/settings` | takes [`Settings`] in the place of those it had |
//! | `DELETE /inbox/<name>` | forgets all of it |

mod page;
mod settings;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, time::timeout};

pub use settings::{Answer, Settings};
pub use verify::{Signatures, verify};

use crate::serve::{self, HeaderLines, Server};

/// A request that arrived.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    /// The time of arrival in Unix milliseconds.
    pub at_ms: u64,
    /// The time of arrival in Unix microseconds.
    pub at_us: u64,
    /// The HTTP method in upper case.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, with names in lower case. Of a repeated header this has the last value.
    pub headers: BTreeMap<String, String>,
    /// The header lines as they were sent: with repetitions, in their order and spelling.
    pub header_lines: Vec<(String, String)>,
    /// The body as text. Bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The body as it came.
    #[serde(skip)]
    pub bytes: Bytes,
    /// The status of the inbox's answer.
    pub answered: u16,
    /// The validity of the signatures. It is unknown while the inbox has no secret.
    pub signatures: Option<Signatures>,
}

#[derive(Default)]
struct Contents {
    arrived: Vec<Arrived>,
    settings: Settings,
}

/// All inboxes of a system. Clones share one state.
#[derive(Clone)]
pub struct Inbox {
    contents: Arc<Mutex<BTreeMap<String, Contents>>>,
    arrivals: Arc<watch::Sender<u64>>,
    /// The number of all requests and of their bytes, those that were forgotten included.
    taken: Arc<Mutex<(u64, u64)>>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            contents: Arc::default(),
            arrivals: Arc::new(watch::Sender::new(0)),
            taken: Arc::default(),
        }
    }
}

impl Inbox {
    pub(crate) fn serve(&self, listener: TcpListener) -> io::Result<(Server, String)> {
        let inbox = self.clone();
        let server = Server::start(listener, move |request| {
            let inbox = inbox.clone();
            async move { Some(inbox.answer(request).await) }
        })?;
        let url = server.url();
        Ok((server, url))
    }

    /// Tells an inbox how to answer and what to verify with.
    pub fn set(&self, name: &str, settings: Settings) {
        self.lock().entry(name.to_owned()).or_default().settings = settings;
    }

    /// Tells an inbox only its next answers. Its secret and its default answer stay.
    pub fn respond(&self, name: &str, responses: impl IntoIterator<Item = Answer>) {
        self.lock().entry(name.to_owned()).or_default().settings.responses =
            responses.into_iter().collect();
    }

    /// Tells an inbox only its answer for when no response is left. Without one it answers 200 with
    /// an empty body.
    pub fn respond_by_default(&self, name: &str, default: Option<Answer>) {
        self.lock().entry(name.to_owned()).or_default().settings.default = default;
    }

    /// Returns the requests that have arrived so far.
    pub fn arrived(&self, name: &str) -> Vec<Arrived> {
        self.lock().get(name).map(|contents| contents.arrived.clone()).unwrap_or_default()
    }

    /// Waits until the requests that have arrived are as wanted, and returns them. It returns
    /// nothing when that takes longer than `bound`.
    pub async fn wait(
        &self,
        name: &str,
        wanted: impl Fn(&[Arrived]) -> bool,
        bound: Duration,
    ) -> Option<Vec<Arrived>> {
        let mut arrivals = self.arrivals.subscribe();
        let wait = async {
            loop {
                arrivals.mark_unchanged();
                let arrived = self.arrived(name);
                if wanted(&arrived) {
                    return arrived;
                }
                if arrivals.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(bound, wait).await.ok()
    }

    /// Counts the requests that have arrived in all inboxes, and their bytes.
    pub(crate) fn taken(&self) -> (u64, u64) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().to_owned();
        let Some(rest) = path.strip_prefix("/inbox/").filter(|rest| !rest.is_empty()) else {
            return serve::text(
                StatusCode::NOT_FOUND,
                "send webhooks to /inbox/<name>; GET the same shows them",
            );
        };
        match (request.method(), rest.strip_suffix("/settings")) {
            (&Method::PUT, Some(name)) => {
                match serde_json::from_slice::<Settings>(request.body()) {
                    Ok(settings) => {
                        self.set(name, settings);
                        serve::json(StatusCode::OK, &json!({}))
                    }
                    Err(error) => serve::json(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        &json!({ "error": error.to_string() }),
                    ),
                }
            }
            (&Method::GET, _) => {
                let arrived = self.arrived(rest);
                let html = request
                    .headers()
                    .get(header::ACCEPT)
                    .is_some_and(|accept| accept.as_bytes().windows(9).any(|w| w == b"text/html"));
                if html {
                    page::render(rest, &arrived)
                } else {
                    serve::json(StatusCode::OK, &json!({ "requests": arrived }))
                }
            }
            (&Method::DELETE, _) => {
                self.lock().remove(rest);
                serve::json(StatusCode::OK, &json!({}))
            }
            _ => self.take(rest, request).await,
        }
    }

    async fn take(&self, name: &str, request: Request<Bytes>) -> Response<Bytes> {
        let (mut head, bytes) = request.into_parts();
        let HeaderLines(header_lines) = head.extensions.remove().unwrap_or_default();
        self.count(&head, &header_lines, &bytes);
        let headers: BTreeMap<String, String> = head
            .headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let answer = {
            let mut all = self.lock();
            let contents = all.entry(name.to_owned()).or_default();
            let answer = contents.settings.next_answer(bytes.len());
            let signatures = contents
                .settings
                .secret
                .as_deref()
                .map(|secret| verify::verify(secret, &headers, &bytes));
            let at_us = now_us();
            contents.arrived.push(Arrived {
                at_ms: at_us / 1000,
                at_us,
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers,
                header_lines,
                body: String::from_utf8_lossy(&bytes).into_owned(),
                bytes,
                answered: answer.status,
                signatures,
            });
            answer
        };
        self.arrivals.send_modify(|count| *count += 1);
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
        let status =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = serve::text(status, answer.body);
        for (name, value) in answer.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn count(&self, head: &http::request::Parts, header_lines: &[(String, String)], body: &[u8]) {
        // Spaces, the version and the ends of lines.
        let first_line = head.method.as_str().len() + head.uri.to_string().len() + 12;
        let headers: usize =
            header_lines.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.0 += 1;
        taken.1 += (first_line + headers + 2 + body.len()) as u64;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Contents>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_us() -> u64 {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
