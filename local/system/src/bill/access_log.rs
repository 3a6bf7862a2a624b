//! The HTTP API's calls are counted here, and so are the lines that its access log would get.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use posthaste_local_template as template;
use serde_json::Value;

use super::Meter;

/// The access log that a template declares. It is not written, only counted.
pub(crate) struct AccessLog {
    /// The format of a line. It is empty if the template declares no access log.
    format: String,
    meter: Arc<Meter>,
}

/// The facts about a request that are known before it is answered.
pub(crate) struct Seen {
    route: String,
    path: String,
    bytes: usize,
}

impl AccessLog {
    /// Finds the access log of the HTTP API in the text of a template.
    ///
    /// # Errors
    /// The template can't be read.
    pub(crate) fn of(text: &str, meter: Arc<Meter>) -> anyhow::Result<Self> {
        let document = template::document(text)?;
        let resources =
            document["Resources"].as_object().into_iter().flat_map(|resources| resources.values());
        let mut apis = resources.filter(|resource| resource["Type"] == "AWS::Serverless::HttpApi");
        let format = apis.find_map(|api| api.pointer("/Properties/AccessLogSettings/Format"));
        Ok(Self { format: format.and_then(Value::as_str).unwrap_or_default().to_owned(), meter })
    }

    pub(crate) fn request(&self, request: &Request<Bytes>) -> Seen {
        let path = request.uri().path().to_owned();
        let bytes = request.body().len() + header_bytes(request.headers());
        Seen { route: format!("{} {path}", request.method()), path, bytes }
    }

    pub(crate) fn answered(&self, request: &Seen, answer: &Response<Bytes>) {
        let (status, length) = (answer.status(), answer.body().len().to_string());
        let values = [
            ("requestId", "JKJaXmPLvHcESHA="),
            ("requestTime", "21/Nov/2026:20:30:55 +0000"),
            ("identity.sourceIp", "203.0.113.195"),
            ("routeKey", &request.route),
            ("path", &request.path),
            ("status", status.as_str()),
            ("responseLength", &length),
            ("responseLatency", "42"),
            ("integrationLatency", "40"),
            ("integrationErrorMessage", "-"),
        ];
        let line = line(&self.format, &values);
        self.meter.api(request.bytes, answer.body().len() + header_bytes(answer.headers()), &line);
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Fills these values into the format. A variable without a value counts as 12 characters.
fn line(format: &str, values: &[(&str, &str)]) -> String {
    let mut parts = format.split("$context.");
    let mut line = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let value = values
            .iter()
            .find(|(other, _)| *other == name)
            .map_or("............", |(_, value)| value);
        line.push_str(value);
        line.push_str(rest);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_values_of_its_variables() {
        let values = [("status", "202")];
        let format = r#"{"status":"$context.status","ip":"$context.identity.sourceIp"}"#;
        assert_eq!(line(format, &values), r#"{"status":"202","ip":"............"}"#);
        assert_eq!(line("no variable", &values), "no variable");
    }

    #[test]
    fn a_call_counts_by_its_longer_half_and_has_a_line() {
        let meter = Arc::<Meter>::default();
        let text = crate::binaries::template().unwrap();
        let log = AccessLog::of(&text, meter.clone()).unwrap();
        let request =
            Request::post("/api/v1/events").body(Bytes::from(vec![b' '; 600 * 1024])).unwrap();
        log.answered(&log.request(&request), &Response::new(Bytes::from_static(b"{}")));
        let usage = meter.snapshot();
        assert_eq!((usage.api_requests, usage.sent_out, usage.bytes_out), (2, 1, 2));
        assert!((200..450).contains(&usage.access_log_bytes), "{} bytes", usage.access_log_bytes);
    }
}
