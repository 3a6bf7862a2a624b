use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Serialize;

use super::{HttpRequest, REQUEST_LIMIT, RequestTooLarge, percent_decode};
use crate::ACCOUNT_ID;

/// The only stage, whose name isn't in the path.
const STAGE: &str = "$default";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'a BTreeMap<String, String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    /// The time in the Common Log Format.
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: &'a str,
}

pub(super) fn to_event(request: &HttpRequest) -> Result<Bytes, RequestTooLarge> {
    if request.body.len() > REQUEST_LIMIT {
        return Err(RequestTooLarge(request.body.len()));
    }
    let host = text(&request.headers, header::HOST);
    let (domain_name, port) = split_port(host);
    let time = Timestamp::try_from(request.time).unwrap_or_default();
    let path = decoded_path(&request.path);
    let (body, is_base64_encoded) = body(&request.headers, &request.body);
    let event = Event {
        version: "2.0",
        route_key: &request.route_key,
        raw_path: &path,
        raw_query_string: &request.query,
        cookies: cookies(&request.headers),
        headers: headers(request, port),
        query_string_parameters: query_parameters(&request.query),
        request_context: RequestContext {
            account_id: ACCOUNT_ID,
            api_id: "local",
            domain_name,
            domain_prefix: domain_name.split_once('.').map_or(domain_name, |(prefix, _)| prefix),
            http: Http {
                method: request.method.as_str(),
                path: &path,
                protocol: "HTTP/1.1",
                source_ip: request.source_ip,
                user_agent: text(&request.headers, header::USER_AGENT),
            },
            request_id: &request.request_id,
            route_key: &request.route_key,
            stage: STAGE,
            time: time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            time_epoch: time.as_millisecond(),
        },
        body,
        path_parameters: &request.path_parameters,
        is_base64_encoded,
    };
    // All keys are strings, so that serialising can't fail.
    Ok(serde_json::to_vec(&event).unwrap_or_default().into())
}

/// Decodes the path, as an HTTP API does for `rawPath`, unlike a REST API or a function URL. The
/// text after a decoded `?` is lost.
fn decoded_path(path: &str) -> String {
    let mut decoded = percent_decode(path);
    if let Some(end) = decoded.find('?') {
        decoded.truncate(end);
    }
    decoded
}

/// Splits the host from its port, which is 80 unless given. The colons of an IPv6 address are
/// inside brackets.
fn split_port(host: &str) -> (&str, &str) {
    host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((host, "80"))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    values
        .flat_map(|value| {
            value.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// Joins the values of each name, in lower case. Cookies and the headers of the connection are left
/// out; the gateway's headers about the client are added.
fn headers<'a>(request: &'a HttpRequest, port: &str) -> BTreeMap<&'a str, String> {
    let mut joined = BTreeMap::<_, String>::new();
    for (name, value) in &request.headers {
        if matches!(
            name.as_str(),
            "connection" | "cookie" | "keep-alive" | "te" | "transfer-encoding" | "upgrade"
        ) {
            continue;
        }
        append(&mut joined, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    append(&mut joined, "x-forwarded-for", &request.source_ip.to_string());
    joined.insert("x-forwarded-port", port.to_owned());
    joined.insert("x-forwarded-proto", "http".to_owned());
    joined
}

/// Decodes and joins the parameters. A `+` is a space here, as in a form.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let [name, value] = [name, value].map(|text| percent_decode(&text.replace('+', " ")));
        append(&mut parameters, name, &value);
    }
    parameters
}

fn append<K: Ord>(joined: &mut BTreeMap<K, String>, name: K, value: &str) {
    joined
        .entry(name)
        .and_modify(|values| {
            values.push(',');
            values.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

fn body(headers: &HeaderMap, body: &Bytes) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(headers) => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

/// Tells if a body goes as text. All others go in base64, even a form or one without a content
/// type.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type =
        text(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let content_type = content_type.to_ascii_lowercase();
    !headers.contains_key(header::CONTENT_ENCODING)
        && (content_type.starts_with("text/")
            || ["application/json", "application/javascript", "application/xml"]
                .contains(&content_type.as_str()))
}
