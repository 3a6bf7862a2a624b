//! The document's answers to calls that fail: the envelope, and an example for each reason. Some
//! answers are API Gateway's own and have no envelope.

use posthaste_domain::{
    event::loops::{self, SIGNATURE_HEADERS},
    input::{Failure, MAX_BODY_BYTES},
};
use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{
        Content, HeaderBuilder, ObjectBuilder, RefOr, Response, ResponseBuilder, Type,
        example::ExampleBuilder, schema::AnyOfBuilder,
    },
};

use super::schema;

/// The body of an answer that API Gateway itself gives.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) struct GatewayMessage {
    /// A few words for people, such as `Too Many Requests`.
    message: String,
}

/// The part of a request that the failure is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The failure is about nothing that was sent.
    Anything,
    /// The request has this body.
    Body(&'static str),
    /// The request has a query of this one parameter.
    Query(&'static str, &'static str),
    /// The request has this header.
    Header(&'static str, &'static str),
    /// The request has a body of more bytes than this.
    MoreThan(usize),
}

/// One way to fail, with its example.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: Option<&'static str>,
    pub(crate) sent: Sent,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, sent: Sent::Anything }
    }

    /// The complaint about a field of a body.
    pub(crate) fn body(
        code: &'static str,
        field: &'static str,
        body: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { field: Some(field), sent: Sent::Body(body), ..Self::new(422, code, message) }
    }

    /// The complaint about a parameter of a query.
    pub(crate) fn query(
        name: &'static str,
        value: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: Some(name),
            sent: Sent::Query(name, value),
            ..Self::new(422, "invalid_parameter", message)
        }
    }

    /// The complaint about a header.
    pub(crate) fn header(
        status: u16,
        code: &'static str,
        name: &'static str,
        value: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: Some(name),
            sent: Sent::Header(name, value),
            ..Self::new(status, code, message)
        }
    }

    /// The call of a webhook, which no path takes.
    pub(crate) fn loop_detected() -> Self {
        let header = SIGNATURE_HEADERS[0];
        let message = format!(
            "the call carries {header}, so a webhook makes it, and a webhook can't call this API"
        );
        Self::header(422, loops::CODE, header, "v1,…", message)
    }

    /// A parameter that does not exist.
    pub(crate) fn unknown_parameter() -> Self {
        let message = "page is not a known parameter";
        Self { code: "unknown_parameter", ..Self::query("page", "2", message) }
    }

    /// A parameter that is given twice.
    pub(crate) fn repeated_parameter() -> Self {
        Self {
            code: "repeated_parameter",
            ..Self::query("limit", "5&limit=6", "limit is given twice")
        }
    }

    /// A body in a content coding.
    pub(crate) fn encoded() -> Self {
        let message = "a body with Content-Encoding: gzip is not taken: send it as plain JSON, \
            without this header";
        Self::header(415, "unsupported_content_encoding", "Content-Encoding", "gzip", message)
    }

    /// A body, or an event in it, of more bytes than are taken.
    pub(crate) fn too_large(bytes: usize, message: impl Into<String>) -> Self {
        Self { sent: Sent::MoreThan(bytes), ..Self::new(413, "too_large", message) }
    }

    /// A body that the function `register` does not take.
    pub(crate) fn too_large_body() -> Self {
        Self::too_large(MAX_BODY_BYTES, format!("the body may have at most {MAX_BODY_BYTES} bytes"))
    }

    pub(crate) fn example(&self) -> Value {
        let mut error =
            json!({ "code": self.code, "message": self.message, "requestId": REQUEST_ID });
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        json!({ "success": false, "error": error })
    }

    fn answers(&self) -> String {
        match self.sent {
            Sent::Anything => String::new(),
            Sent::Body(body) => format!("The answer to the body `{body}`."),
            Sent::Query(name, value) => format!("The answer to the query `{name}={value}`."),
            Sent::Header(name, value) => format!("The answer to the header `{name}: {value}`."),
            Sent::MoreThan(bytes) => format!("The answer to more than {bytes} bytes."),
        }
    }
}

const REQUEST_ID: &str = "5f8ab1e2-8c55-4c4e-9c0b-3a7f0e4b6d21";

fn description(status: u16, first: Option<&Refusal>) -> &'static str {
    match status {
        409 if first.is_some_and(|refusal| matches!(refusal.sent, Sent::Header(..))) => {
            "The header contradicts an earlier call."
        }
        400 => {
            "The request can't be read: its body is not the JSON of an object, or its path is \
             not UTF-8."
        }
        401 => "There is no API key, or it does not exist.",
        403 => "The API key lacks a scope.",
        404 => "There is no such thing, or it is another workspace's.",
        409 => "The state of things does not allow it, or other calls changed it at the same time.",
        413 => {
            "The body, or an event in it, is too large. What is larger than AWS takes is refused \
             by API Gateway itself."
        }
        415 => "The body is compressed, or in another content coding.",
        429 => {
            "There are too many calls, or a workspace publishes too many events: `Retry-After` \
             says when to repeat the call. Or all callers together make too many calls: that \
             answer is API Gateway's own and has no `Retry-After`."
        }
        422 => "The request is well-formed, but what it says can't be accepted.",
        503 => {
            "API Gateway's own answer: the call has taken more than 30 seconds, or there is no \
             room for it now. Whether it was carried out is not known."
        }
        504 => {
            "API Gateway's own answer: the call has taken too long. Whether it was carried out is \
             not known."
        }
        _ => {
            "Something went wrong on our side. Where it kept us from answering at all, the answer \
             is API Gateway's own."
        }
    }
}

/// The failures that every call has which takes a key. They are described once.
pub(super) fn shared() -> [(&'static str, Refusal); 3] {
    let unauthorized =
        "the call needs an Authorization header with a valid API key: Bearer spk_live_…";
    let calls = "the workspace makes more than 100 calls a second: repeat the call in 1 s";
    let internal = "something went wrong on our side; the request id finds it in the log";
    [
        ("Unauthorized", Refusal::new(401, "unauthorized", unauthorized)),
        ("InternalError", Refusal::new(500, "internal_error", internal)),
        ("TooManyCalls", Refusal::new(429, "too_many_calls", calls)),
    ]
}

/// The answers that API Gateway gives instead of every call. They are described once.
pub(super) const GATEWAY: [(&str, u16); 2] = [("Unavailable", 503), ("GatewayTimeout", 504)];

/// Returns the message that API Gateway itself sends with a status.
fn gateway_message(status: u16) -> Option<&'static str> {
    match status {
        413 => Some("Request Entity Too Large"),
        429 => Some("Too Many Requests"),
        500 => Some("Internal Server Error"),
        503 => Some("Service Unavailable"),
        504 => Some("Gateway Timeout"),
        _ => None,
    }
}

/// The answer with this status, which gives one of these.
pub(super) fn response(status: u16, refusals: &[&Refusal]) -> Response {
    let message = gateway_message(status);
    let schema = match (refusals, message) {
        ([], _) => schema::reference::<GatewayMessage>(),
        (_, None) => schema::reference::<Failure>(),
        (_, Some(_)) => {
            let either = [schema::reference::<Failure>(), schema::reference::<GatewayMessage>()];
            RefOr::T(
                either.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item).build().into(),
            )
        }
    };
    let mut content = Content::new(Some(schema));
    for refusal in refusals {
        let example =
            ExampleBuilder::new().description(refusal.answers()).value(Some(refusal.example()));
        content.examples.insert(refusal.code.to_owned(), RefOr::T(example.build()));
    }
    if let Some(message) = message {
        let example = ExampleBuilder::new().description("API Gateway's own answer.");
        let example = example.value(Some(json!({ "message": message }))).build();
        content.examples.insert("api_gateway".to_owned(), RefOr::T(example));
    }
    let mut response = ResponseBuilder::new()
        .description(description(status, refusals.first().copied()))
        .content("application/json", content);
    if status == 401 {
        let scheme = schema::one_of(["Bearer"]);
        response =
            response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(scheme)).build());
    }
    if status == 415 {
        let identity = HeaderBuilder::new().schema(Some(schema::one_of(["identity"]))).build();
        response = response.header("Accept-Encoding", identity);
    }
    if status == 429 {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new()
            .description(Some("The wait in seconds. API Gateway's own answer has no such header."))
            .schema(Some(seconds))
            .build();
        response = response.header("Retry-After", header);
    }
    response.build()
}
