//! Publishing an event by hand, and the dry run, which only says what publishing would do.

use axum::{
    extract::RawQuery,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::{access::api_key::Scope, event::event_type::EventType, id::EventId};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    Event,
    dry_run::{self, DryRun},
};
use crate::{
    api::Refusal,
    deliveries::{
        body::formatted,
        filter::{Entry, TYPES, is_about, offered_types},
    },
    form::{Fields, Posted},
    layout::{Section, token},
    parts::{complaint, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/events/publish";
/// The fields of the form that the API can complain about.
const FIELDS: [&str; 5] = ["type", "subject", "reference", "timestamp", "data"];
/// The most webhooks of a page of a dry run.
const ON_A_PAGE: usize = 20;
/// The requests of a page of a dry run have about so many bytes together at most, because an answer
/// of Lambda has 6 MB at most.
const MOST_BYTES: usize = 256 * 1024;

/// What stands in the form.
#[derive(Debug, Default, PartialEq)]
struct Draft {
    r#type: String,
    subject: String,
    reference: String,
    timestamp: String,
    data: String,
}

/// An event as a sample or as somebody has published it.
#[derive(Debug, Deserialize)]
struct Sample {
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// What the page shows beside the form.
#[derive(Debug, Default)]
struct Outcome {
    refusal: Option<Refusal>,
    dry_run: Option<DryRun>,
}

/// The form, with the sample of `?type=` or with what the event of `?event=` has.
pub(crate) async fn form(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Trouble> {
    if !visitor.may(Scope::EventsPublish) {
        return Err(lacks_the_scope());
    }
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let draft = match asked.text("event").parse::<EventId>() {
        Ok(event) => Draft::like(&visitor.get::<Event>(&format!("/events/{event}")).await?),
        Err(_) => of_type(&visitor, asked.text("type")).await,
    };
    Ok(page(&visitor, &draft, &Outcome::default()).await)
}

/// Publishes the event, or says what publishing would do.
pub(crate) async fn send(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let draft = Draft::of(&fields);
    let again = async |refusal: Refusal| {
        let outcome = Outcome { refusal: Some(refusal), dry_run: None };
        let status = outcome.refusal.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
        Ok((status, page(&visitor, &draft, &outcome).await).into_response())
    };
    let body = match draft.body() {
        Ok(body) => body,
        Err(refusal) => return again(refusal).await,
    };
    if fields.has("publish") {
        return match visitor.send_text::<Published>(Method::POST, "/events", body).await? {
            Ok(Published { id }) => {
                let to = if visitor.may(Scope::EventsRead) { "/console/events" } else { PATH };
                visitor.go(to, format!("The event {id} was published.")).await
            }
            Err(refusal) => again(refusal).await,
        };
    }
    let (limit, cursor) = (on_a_page(&body).to_string(), fields.text("further"));
    let page_of = [("dry_run", "true"), ("limit", &limit), ("cursor", cursor)];
    let path = with_query("/events", &page_of, &[]);
    match visitor.send_text::<DryRun>(Method::POST, &path, body).await? {
        Ok(answer) => {
            let outcome = Outcome { refusal: None, dry_run: Some(answer) };
            Ok(page(&visitor, &draft, &outcome).await)
        }
        Err(refusal) => again(refusal).await,
    }
}

/// Nothing on the page works without the scope, so there is none.
fn lacks_the_scope() -> Trouble {
    Trouble::Refused(Refusal {
        status: StatusCode::FORBIDDEN,
        code: "forbidden".to_owned(),
        message: format!("The key lacks the scope {}.", Scope::EventsPublish.name()),
        field: None,
        request_id: String::new(),
    })
}

/// So many webhooks are on a page of the dry run of this call. Each has a request as long as it.
fn on_a_page(body: &str) -> usize {
    (MOST_BYTES / body.len().max(1)).clamp(1, ON_A_PAGE)
}

#[derive(Deserialize)]
struct Published {
    id: String,
}

/// A draft of an event of this type: its sample, if it has one that the visitor may see.
async fn of_type(visitor: &Visitor, name: &str) -> Draft {
    #[derive(Deserialize)]
    struct Described {
        name: String,
        sample: Option<Sample>,
    }
    let mut draft = Draft { r#type: name.to_owned(), data: "{}".to_owned(), ..Draft::default() };
    if EventType::parse(name).is_err() {
        return draft;
    }
    // Without it the form is empty, and works all the same.
    if let Ok(described) = visitor.get::<Described>(&format!("/event-types/{name}")).await {
        draft.r#type = described.name;
        let sample = described.sample.unwrap_or(Sample { subject: None, data: None });
        draft.subject = sample.subject.unwrap_or_default();
        draft.data = sample.data.map_or(draft.data, |data| formatted(data.get()));
    }
    draft
}

impl Draft {
    fn of(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            r#type: text("type"),
            subject: text("subject"),
            reference: text("reference"),
            timestamp: text("timestamp"),
            data: text("data"),
        }
    }

    /// An event like this one, which happens when it is published.
    fn like(event: &Event) -> Self {
        Self {
            r#type: event.r#type.clone(),
            subject: event.subject.clone().unwrap_or_default(),
            reference: event.reference.clone().unwrap_or_default(),
            timestamp: String::new(),
            data: formatted(event.data.get()),
        }
    }

    /// The body of the call. The data stays as it is written.
    fn body(&self) -> Result<String, Refusal> {
        let data: Box<RawValue> = serde_json::from_str(&self.data).map_err(|error| Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid".to_owned(),
            message: format!("The data is not JSON: {error}."),
            field: Some("data".to_owned()),
            request_id: String::new(),
        })?;
        let mut members = vec![("type", json!(self.r#type))];
        let texts = [("subject", &self.subject), ("reference", &self.reference)];
        let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
        members.extend(given.map(|(name, text)| (name, json!(text))));
        if !self.timestamp.is_empty() {
            // Unix milliseconds are a number, and every other time is a text.
            let number: Option<i64> = self.timestamp.parse().ok();
            members
                .push(("timestamp", number.map_or_else(|| json!(self.timestamp), |ms| json!(ms))));
        }
        let members: Vec<String> =
            members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        Ok(format!("{{{},\"data\":{data}}}", members.join(",")))
    }
}

async fn page(visitor: &Visitor, draft: &Draft, outcome: &Outcome) -> Response {
    let refusal = outcome.refusal.as_ref();
    let at_no_field = |refusal: &&Refusal| {
        let path = refusal.field.as_deref().unwrap_or_default();
        !FIELDS.iter().any(|field| is_about(path, field))
    };
    let may_read = visitor.may(Scope::EventsRead);
    let types = if may_read {
        offered_types(visitor).await
    } else {
        html! {}
    };
    let content = html! {
        @if may_read {
            nav.crumbs aria-label="Where you are" { a href="/console/events" { "Events" } }
        }
        h1 { "Publish an event" }
        @if let Some(refusal) = refusal.filter(at_no_field) { (complaint(refusal)) }
        section.card aria-label="The event" {
            @if may_read { (sample_form(&draft.r#type)) }
            (event_form(visitor, draft, refusal))
            (types)
        }
        @if let Some(answer) = &outcome.dry_run { (dry_run::result(visitor, answer)) }
    };
    visitor.show(Section::Events, "Publish an event", content)
}

fn sample_form(name: &str) -> Markup {
    html! {
        form.filters action=(PATH) aria-label="Begin with a sample" {
            div.field {
                label for="sample" { "Begin with the sample of a type" }
                input id="sample" name="type" type="text" value=(name) list=(TYPES)
                    spellcheck="false" autocomplete="off";
            }
            button type="submit" { "Fill in the sample" }
        }
    }
}

fn event_form(visitor: &Visitor, draft: &Draft, refusal: Option<&Refusal>) -> Markup {
    let entry = |name, label, value| Entry { name, label, value, refusal };
    let Draft { r#type, subject, reference, timestamp, data } = draft;
    html! {
        form method="post" action=(PATH) id=(dry_run::FORM) data-wait="Sending…" {
            (token(visitor))
            (entry("type", "Type", r#type).text(visitor.may(Scope::EventsRead).then_some(TYPES)))
            div.grid2 {
                (entry("subject", "Subject: whom it is about (optional)", subject).text(None))
                (entry("reference", "Your own reference (optional)", reference).text(None))
            }
            (entry(
                "timestamp",
                "When it happened: RFC 3339 or Unix milliseconds (now, unless given)",
                timestamp,
            ).text(None))
            (entry("data", "Data, a JSON object", data).lines())
            p.quiet {
                "A process is named by " code { "processType" } ", " code { "processId" } " and "
                code { "contextId" } " of the data."
            }
            div.actions {
                // The first button is the one that the Enter key presses, and does no harm.
                button type="submit" name="dry-run" value="1" { "Dry run" }
                button.primary type="submit" name="publish" value="1" { "Publish" }
            }
            p.quiet {
                "A dry run publishes nothing: it says which webhooks would get the event, when \
                 and why. "
                @if visitor.is_in_test_mode() {
                    "Publishing sends it to the test webhooks."
                } @else {
                    "Publishing sends it to the live webhooks."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_out_as_it_is_written() {
        let draft = Draft {
            r#type: "order.created".to_owned(),
            subject: "c\"7".to_owned(),
            timestamp: "1752127706390".to_owned(),
            data: "{\"b\": 1.50, \"a\": 12345678901234567890123}".to_owned(),
            ..Draft::default()
        };
        assert_eq!(
            draft.body().unwrap(),
            concat!(
                r#"{"type":"order.created","subject":"c\"7","timestamp":1752127706390,"#,
                r#""data":{"b": 1.50, "a": 12345678901234567890123}}"#
            )
        );
        let dated = Draft { timestamp: "2026-01-15T09:30:00Z".to_owned(), ..draft };
        assert!(dated.body().unwrap().contains(r#""timestamp":"2026-01-15T09:30:00Z""#));
    }

    #[test]
    fn a_page_of_large_requests_is_short() {
        let webhooks = |bytes| on_a_page(&"x".repeat(bytes));
        assert_eq!((webhooks(100), webhooks(64 * 1024), webhooks(300_000)), (20, 4, 1));
    }

    #[test]
    fn data_that_is_no_json_is_refused_at_its_field() {
        for data in ["", "{", "{} {}", r#"{},"type":"x""#] {
            let draft = Draft { data: data.to_owned(), ..Draft::default() };
            let refusal = draft.body().unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("data"), "{data}");
        }
    }
}
