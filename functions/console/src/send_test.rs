//! Sending a test to a webhook, and what its endpoint answered.

use axum::{
    Router,
    extract::{Path, Query},
    http::Method,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};
use posthaste_domain::{
    access::api_key::Scope,
    event::{
        event_type::{self, EventPattern},
        sample,
    },
    webhook::profile::Profile,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Console,
    control::Entered,
    curl,
    event_types::EventType,
    form::{Fields, Posted},
    json::compact,
    layout::{Section, token},
    parts::{Tone, badge, code_block, command, complaint, indented, visible},
    trouble::Trouble,
    visitor::Visitor,
    webhooks::{Tab, Webhook, frame},
};

/// The fields of the form.
const NAMES: [&str; 2] = ["type", "data"];

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/console/webhooks/{id}/test", get(page).post(send))
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    r#type: String,
}

/// The answer of the endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    delivery: String,
    event_type: String,
    http_status: Option<u16>,
    response_body: Option<String>,
    error: Option<Failure>,
    duration_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Failure {
    code: String,
    message: String,
}

/// A test as the page shows it.
struct Test {
    webhook: Webhook,
    /// The types that can be chosen.
    offered: Vec<EventType>,
    entered: Entered,
    /// The call that sends what stands in the form.
    call: String,
    answer: Option<Answer>,
}

async fn page(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let (webhook, offered) = read(&visitor, &id).await?;
    let name = match asked.r#type.trim() {
        "" => default_type(&webhook.profile, &webhook.events, &offered),
        name => name.to_owned(),
    };
    let data = match offered.iter().find(|offered| offered.name == name) {
        Some(known) => known.sample_data(),
        None if visitor.may(Scope::EventsRead) => {
            EventType::find(&visitor, &name).await?.and_then(|found| found.sample_data())
        }
        None => None,
    };
    let data = data.map(|data| indented(&data)).unwrap_or_default();
    let fields = Fields::of([("type", name), ("data", data)]);
    let call = curl::post(&visitor.origin, &path(&webhook), &body(&fields).unwrap_or_default());
    let entered = Entered::fresh(fields);
    Ok(show(&visitor, &Test { webhook, offered, entered, call, answer: None }))
}

async fn send(
    Path(id): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let (webhook, offered) = read(&visitor, &id).await?;
    let body = match body(&fields) {
        Ok(body) => body,
        Err(complaint) => {
            let entered = Entered::fresh(fields).complaining("data", complaint);
            let test = Test { webhook, offered, entered, call: String::new(), answer: None };
            return Ok(show(&visitor, &test));
        }
    };
    let call = curl::post(&visitor.origin, &path(&webhook), &body);
    let sent = visitor.send_text(Method::POST, &path(&webhook), body).await?;
    let (entered, answer) = match sent {
        Ok(answer) => (Entered::fresh(fields), Some(answer)),
        Err(refusal) => (Entered::refused(fields, refusal, &NAMES), None),
    };
    Ok(show(&visitor, &Test { webhook, offered, entered, call, answer }))
}

async fn read(visitor: &Visitor, id: &str) -> Result<(Webhook, Vec<EventType>), Trouble> {
    let id: u64 = id.parse().map_err(|_| Trouble::NotFound)?;
    let webhook = visitor.get(&format!("/webhooks/{id}")).await?;
    let reads = visitor.may(Scope::EventsRead);
    let offered = if reads { EventType::offered(visitor).await? } else { Vec::new() };
    Ok((webhook, offered))
}

fn path(webhook: &Webhook) -> String {
    format!("/webhooks/{}/test", webhook.id)
}

/// The body of the call, with the data as it was entered; or what is wrong with the data. Where
/// there is none, the sample is sent.
fn body(fields: &Fields) -> Result<String, String> {
    let mut members = Vec::new();
    let (name, data) = (fields.text("type"), fields.text("data"));
    if !name.is_empty() {
        members.push(format!("\"type\":{}", Value::from(name)));
    }
    if !data.is_empty() {
        members.push(format!("\"data\":{}", compact(data)?));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// The type that a test has if none is chosen, as the API chooses it.
fn default_type(profile: &str, events: &[String], offered: &[EventType]) -> String {
    let known = Profile::NAMES.into_iter().find(|(name, _)| *name == profile);
    let profile = known.map_or(Profile::default(), |(_, profile)| profile);
    let events: Vec<EventPattern> =
        events.iter().filter_map(|pattern| EventPattern::parse(pattern).ok()).collect();
    let own = offered.iter().filter(|offered| offered.owner == "workspace");
    let own: Vec<event_type::EventType> =
        own.filter_map(|own| event_type::EventType::parse(own.name.as_str()).ok()).collect();
    sample::default_type(profile, &events, &own).map_or_else(String::new, |name| name.to_string())
}

fn show(visitor: &Visitor, test: &Test) -> Response {
    let Test { webhook, entered, answer, call, .. } = test;
    let content = html! {
        p { "A test goes out at once, with one attempt, and is signed as every request." }
        @if !webhook.enabled { p.quiet { "The webhook is paused. A test goes to it none the \
            less." } }
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        @if let Some(answer) = answer { (result(webhook.id, answer)) }
        (forms(visitor, test))
        @if !call.is_empty() {
            section.card aria-labelledby="call" {
                h2 id="call" { "The same call" }
                @if answer.is_none() {
                    p.quiet { "It sends the sample. What you edit is in it when you have sent it \
                        here." }
                }
                (command("curl", "The call as a command", call))
            }
        }
    };
    let page = visitor.show(Section::Webhooks, "Send a test", frame(webhook, Tab::Test, content));
    (entered.status(), page).into_response()
}

/// The choice of a type, which shows its sample, and the data that is sent.
fn forms(visitor: &Visitor, Test { webhook, offered, entered, .. }: &Test) -> Markup {
    let address = format!("/console/webhooks/{}/test", webhook.id);
    let choice = entered.control("type", "Event type", "");
    html! {
        section.card aria-label="The event" {
            form.filters action=(address) {
                (choice.line_of(offered.iter().map(|offered| offered.name.as_str())))
                button type="submit" { "Show its sample" }
            }
            form method="post" action=(address) data-wait="Sending…" {
                (token(visitor))
                input type="hidden" name="type" value=(entered.fields.text("type"));
                (entered.control(
                    "data",
                    "Data of the event",
                    "Any JSON object up to 64 KiB: it need not fit the type's schema. Without it, \
                        the sample is sent.",
                ).json(14))
                button.primary type="submit" { "Send " (visible(entered.fields.text("type"))) }
            }
        }
    }
}

fn result(webhook: u64, answer: &Answer) -> Markup {
    let Answer { delivery, event_type, http_status, response_body, error, duration_ms } = answer;
    let record = format!("/console/webhooks/{webhook}/deliveries/{delivery}");
    let (class, tone) = if error.is_some() { ("bad", Tone::Bad) } else { ("good", Tone::Good) };
    let status = http_status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    html! {
        section.note.(class) role="status" aria-labelledby="answer" {
            h2 id="answer" {
                "The endpoint’s answer " (badge(tone, &status)) " "
                span.quiet { "after " (duration_ms) " ms" }
            }
            @match error {
                Some(Failure { code, message }) => p {
                    "The test of " code { (event_type) } " failed: " (message)
                    " (" code { (code) } ")."
                },
                None => p { "The endpoint took " code { (event_type) } "." },
            }
            @match response_body.as_deref() {
                Some("") => p.quiet { "Its body is empty." },
                Some(body) => (code_block("Body of the answer", &indented(body))),
                None => {}
            }
            p { a href=(record) { "See the delivery, with its request" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_becomes_the_body() {
        let of = |form: &str| body(&Fields::parse(form.as_bytes()));
        assert_eq!(
            of("type=a.b&data=%7B%22n%22:+1.50%7D").unwrap(),
            r#"{"type":"a.b","data":{"n":1.50}}"#
        );
        assert_eq!(of("type=&data=+").unwrap(), "{}");
        assert_eq!(of("type=a%22,%22b&data=").unwrap(), r#"{"type":"a\",\"b"}"#);
        assert!(of("data={").is_err());
    }

    #[test]
    fn the_first_type_is_the_one_that_the_api_would_choose() {
        let chosen = |profile: &str, event: &str| default_type(profile, &[event.to_owned()], &[]);
        assert_eq!(chosen("dataspike", "*"), "AML_SCREENING");
        assert_eq!(chosen("standard", "ledger.closed"), "ledger.closed");
    }

    #[test]
    fn a_hostile_answer_is_harmless() {
        let answer = Answer {
            delivery: "d".to_owned(),
            event_type: "a".to_owned(),
            http_status: Some(500),
            response_body: Some("<script>\0\u{202e}".to_owned()),
            error: Some(Failure { code: "http_status".to_owned(), message: "<b>".to_owned() }),
            duration_ms: 84,
        };
        insta::assert_snapshot!(result(7, &answer).into_string());
    }
}
