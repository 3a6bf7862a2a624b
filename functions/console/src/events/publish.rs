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
    control::{Entered, writable},
    deliveries::{
        body::formatted,
        filter::{TYPES, offered_types},
    },
    form::{Fields, Posted},
    layout::{Section, token},
    parts::{complaint, with_query},
    sign_in::form_token,
    trouble::Trouble,
    visitor::Visitor,
};

const PATH: &str = "/console/events/publish";
/// The field with the key of the call that publishes.
const KEY: &str = "idempotency-key";
/// The fields of the form that the API can complain about.
const FIELDS: [&str; 5] = ["type", "subject", "reference", "timestamp", "data"];
/// The most webhooks of a page of a dry run.
const ON_A_PAGE: usize = 20;
/// The requests of a page of a dry run have about so many bytes together at most, because an answer
/// of Lambda has 6 MB at most.
const MOST_BYTES: usize = 256 * 1024;

/// An event as a sample or as somebody has published it.
#[derive(Debug, Deserialize)]
struct Sample {
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// The form, with the sample of `?type=` or with what the event of `?event=` has.
pub(crate) async fn form(visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Trouble> {
    if !visitor.may(Scope::EventsPublish) {
        return Err(lacks_the_scope());
    }
    let asked = Fields::parse(query.unwrap_or_default().as_bytes());
    let fields = match asked.text("event").parse::<EventId>() {
        Ok(event) => like(&visitor.get::<Event>(&format!("/events/{event}")).await?),
        Err(_) => of_type(&visitor, asked.text("type")).await,
    };
    page(&visitor, &Entered::fresh(fields), None).await
}

/// Publishes the event, or says what publishing would do.
pub(crate) async fn send(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let body = match body(&fields) {
        Ok(body) => body,
        Err(refusal) => return again(&visitor, fields, refusal).await,
    };
    if fields.has("publish") {
        return publish(&visitor, fields, body).await;
    }
    let (limit, cursor) = (on_a_page(&body).to_string(), fields.text("further"));
    let page_of = [("dry_run", "true"), ("limit", &limit), ("cursor", cursor)];
    let path = with_query("/events", &page_of, &[]);
    match visitor.send_text::<DryRun>(Method::POST, &path, body).await? {
        Ok(answer) => page(&visitor, &Entered::fresh(fields), Some(&answer)).await,
        Err(refusal) => again(&visitor, fields, refusal).await,
    }
}

/// Publishes the event once, however often the form is sent.
async fn publish(visitor: &Visitor, fields: Fields, body: String) -> Result<Response, Trouble> {
    let published: Result<Published, Refusal> = match fields.text(KEY) {
        "" => visitor.send_text(Method::POST, "/events", body).await?,
        key => visitor.send_once(Method::POST, "/events", body, key).await?,
    };
    match published {
        Ok(Published { id }) => {
            let to = if visitor.may(Scope::EventsRead) { "/console/events" } else { PATH };
            visitor.go(to, format!("The event {id} was published.")).await
        }
        Err(refusal) if refusal.code == "idempotency_key_reused" => {
            let message = "This form has published an event already, with other content. Send it \
                again to publish this one too.";
            let refusal = Refusal { message: message.to_owned(), field: None, ..refusal };
            again(visitor, fields, refusal).await
        }
        Err(refusal) => again(visitor, fields, refusal).await,
    }
}

async fn again(visitor: &Visitor, fields: Fields, refusal: Refusal) -> Result<Response, Trouble> {
    page(visitor, &Entered::refused(fields, refusal, &FIELDS), None).await
}

/// The key of the form's call. It stays where nobody knows whether the call has published.
fn key(entered: &Entered) -> Result<String, Trouble> {
    let is_open = entered.refusal.as_ref().is_some_and(|refusal| refusal.status.is_server_error());
    match entered.fields.text(KEY) {
        key if is_open && !key.is_empty() => Ok(key.to_owned()),
        _ => form_token(),
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

/// The fields of an event of this type: its sample, if it has one that the visitor may see.
async fn of_type(visitor: &Visitor, name: &str) -> Fields {
    #[derive(Deserialize)]
    struct Described {
        name: String,
        sample: Option<Sample>,
    }
    // Without it the form is empty, and works all the same.
    let described: Option<Described> = match EventType::parse(name) {
        Ok(_) => visitor.get(&format!("/event-types/{name}")).await.ok(),
        Err(_) => None,
    };
    let (name, sample) = match described {
        Some(described) => (described.name, described.sample),
        None => (name.to_owned(), None),
    };
    let Sample { subject, data } = sample.unwrap_or(Sample { subject: None, data: None });
    let data = data.map_or_else(|| "{}".to_owned(), |data| formatted(data.get()));
    Fields::of([("type", name), ("subject", subject.unwrap_or_default()), ("data", data)])
}

/// The fields of an event like this one, which happens when it is published.
fn like(event: &Event) -> Fields {
    Fields::of([
        ("type", event.r#type.clone()),
        ("subject", event.subject.clone().unwrap_or_default()),
        ("reference", event.reference.clone().unwrap_or_default()),
        ("data", formatted(event.data.get())),
    ])
}

/// The body of the call. The data stays as it is written.
fn body(fields: &Fields) -> Result<String, Refusal> {
    let data: &RawValue = serde_json::from_str(fields.text("data")).map_err(|error| Refusal {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        code: "invalid".to_owned(),
        message: format!("The data is not JSON: {error}."),
        field: Some("data".to_owned()),
        request_id: String::new(),
    })?;
    let mut members = vec![("type", json!(fields.text("type")))];
    let texts = ["subject", "reference"].map(|name| (name, fields.text(name)));
    let given = texts.into_iter().filter(|(_, text)| !text.is_empty());
    members.extend(given.map(|(name, text)| (name, json!(text))));
    let timestamp = fields.text("timestamp");
    if !timestamp.is_empty() {
        // Unix milliseconds are a number, and every other time is a text.
        let number: Option<i64> = timestamp.parse().ok();
        members.push(("timestamp", number.map_or_else(|| json!(timestamp), |ms| json!(ms))));
    }
    let members: Vec<String> =
        members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Ok(format!("{{{},\"data\":{data}}}", members.join(",")))
}

async fn page(
    visitor: &Visitor,
    entered: &Entered,
    dry_run: Option<&DryRun>,
) -> Result<Response, Trouble> {
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
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        section.card aria-label="The event" {
            @if may_read { (sample_form(entered.fields.text("type"))) }
            (event_form(visitor, entered, &key(entered)?))
            (types)
        }
        @if let Some(answer) = dry_run { (dry_run::result(visitor, answer)) }
    };
    let page = visitor.show(Section::Events, "Publish an event", content);
    Ok((entered.status(), page).into_response())
}

fn sample_form(name: &str) -> Markup {
    html! {
        form.filters action=(PATH) aria-label="Begin with a sample" {
            div.field {
                label for="sample" { "Begin with the sample of a type" }
                input id="sample" name="type" type="text" value=(writable(name)) list=(TYPES)
                    spellcheck="false" autocomplete="off";
            }
            button type="submit" { "Fill in the sample" }
        }
    }
}

fn event_form(visitor: &Visitor, entered: &Entered, key: &str) -> Markup {
    let field = |name, label| entered.control(name, label, "");
    // A dry run tells of every webhook.
    let may_try = !visitor.is_restricted();
    html! {
        form method="post" action=(PATH) id=(dry_run::FORM) data-wait="Sending…" autocomplete="off" {
            (token(visitor))
            input type="hidden" name=(KEY) value=(key);
            @if visitor.may(Scope::EventsRead) { (field("type", "Type").line_in(TYPES)) }
            @else { (field("type", "Type").line(false)) }
            div.grid2 {
                (field("subject", "Subject: whom it is about (optional)").line(false))
                (field("reference", "Your own reference (optional)").line(false))
            }
            (field(
                "timestamp",
                "When it happened: RFC 3339 or Unix milliseconds (now, unless given)",
            ).line(false))
            (field("data", "Data, a JSON object").json(14))
            p.quiet {
                "A process is named by " code { "processType" } ", " code { "processId" } " and "
                code { "contextId" } " of the data."
            }
            div.actions {
                @if may_try {
                    // The first button is the one that the Enter key presses, and does no harm.
                    button type="submit" name="dry-run" value="1" { "Dry run" }
                }
                button.primary type="submit" name="publish" value="1" { "Publish" }
            }
            p.quiet {
                @if may_try {
                    "A dry run publishes nothing: it says which webhooks would get the event, when \
                     and why. "
                }
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
        let fields = |timestamp| {
            Fields::of([
                ("type", "order.created"),
                ("subject", "c\"7"),
                ("timestamp", timestamp),
                ("data", "{\"b\": 1.50, \"a\": 12345678901234567890123}"),
            ])
        };
        assert_eq!(
            body(&fields("1752127706390")).unwrap(),
            concat!(
                r#"{"type":"order.created","subject":"c\"7","timestamp":1752127706390,"#,
                r#""data":{"b": 1.50, "a": 12345678901234567890123}}"#
            )
        );
        let dated = body(&fields("2026-01-15T09:30:00Z")).unwrap();
        assert!(dated.contains(r#""timestamp":"2026-01-15T09:30:00Z""#), "{dated}");
    }

    #[test]
    fn a_key_stays_where_nobody_knows_whether_the_call_has_published() {
        let after = |status| {
            let refusal = Refusal {
                status,
                code: String::new(),
                message: String::new(),
                field: None,
                request_id: String::new(),
            };
            let fields = Fields::of([(KEY, "k-1")]);
            key(&Entered::refused(fields, refusal, &FIELDS)).unwrap()
        };
        assert_eq!(after(StatusCode::SERVICE_UNAVAILABLE), "k-1");
        let drawn = after(StatusCode::CONFLICT);
        assert!(drawn != "k-1" && drawn != after(StatusCode::CONFLICT));
    }

    #[test]
    fn a_page_of_large_requests_is_short() {
        let webhooks = |bytes| on_a_page(&"x".repeat(bytes));
        assert_eq!((webhooks(100), webhooks(64 * 1024), webhooks(300_000)), (20, 4, 1));
    }

    #[test]
    fn data_that_is_no_json_is_refused_at_its_field() {
        for data in ["", "{", "{} {}", r#"{},"type":"x""#] {
            let refusal = body(&Fields::of([("data", data)])).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("data"), "{data}");
        }
    }
}
