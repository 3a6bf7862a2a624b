//! Adding, editing and removing the workspace's own event types.

use axum::{
    extract::{Path, Query},
    http::Method,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::event::event_type;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::EventType;
use crate::{
    control::{Entered, writable},
    form::{Fields, Posted},
    json::compact,
    layout::{Section, post_form},
    parts::{complaint, heading, indented},
    trouble::Trouble,
    visitor::Visitor,
};

/// The fields of the form.
const NAMES: [&str; 4] = ["name", "description", "schema", "sample"];
/// The fields that have JSON.
const OF_JSON: [&str; 2] = ["schema", "sample"];

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The name that the form begins with.
    #[serde(default)]
    name: String,
}

/// The form for a new type.
pub(super) async fn new(
    visitor: Visitor,
    Query(Asked { name }): Query<Asked>,
) -> Result<Response, Trouble> {
    let fields = Fields::of([("name", name)]);
    Ok(page(&visitor, None, &Entered::fresh(fields)))
}

/// The form for a type of the workspace, with what is known of it.
pub(super) async fn edit(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Trouble> {
    let event_type = own(&visitor, &name).await?;
    let schema = event_type.schema.as_ref().map(|schema| indented(schema.get()));
    let sample = event_type.sample_data().map(|sample| indented(&sample));
    let fields = Fields::of([
        ("description", event_type.description.clone().unwrap_or_default()),
        ("schema", schema.unwrap_or_default()),
        ("sample", sample.unwrap_or_default()),
    ]);
    Ok(page(&visitor, Some(&event_type), &Entered::fresh(fields)))
}

/// Stores a type that there is not yet.
pub(super) async fn add(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let name = fields.text("name").to_owned();
    let complaint = match event_type::EventType::parse(name.as_str()) {
        Err(error) => Some(error.to_string()),
        Ok(_) => match EventType::find(&visitor, &name).await? {
            Some(found) if found.is_described() => {
                Some("There is a type with this name already.".to_owned())
            }
            _ => None,
        },
    };
    match complaint {
        Some(complaint) => {
            let entered = Entered::fresh(fields).complaining("name", complaint);
            Ok(refused(&visitor, None, &entered))
        }
        None => store(&visitor, &name, None, fields).await,
    }
}

/// Stores what a type is now.
pub(super) async fn save(
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Result<Response, Trouble> {
    let event_type = own(&visitor, &name).await?;
    store(&visitor, &event_type.name, Some(&event_type), fields).await
}

/// Removes a type of the workspace.
pub(super) async fn remove(
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let event_type = own(&visitor, &name).await?;
    let path = format!("/event-types/{}", event_type.name);
    let removed = visitor.send::<IgnoredAny>(Method::DELETE, &path, None).await?;
    removed.map_err(Trouble::Refused)?;
    let done = format!("The event type {} was removed.", event_type.name);
    visitor.go("/console/event-types", done).await
}

/// The workspace's type of this name.
async fn own(visitor: &Visitor, name: &str) -> Result<EventType, Trouble> {
    let found = EventType::find(visitor, name).await?;
    found.filter(EventType::is_own).ok_or(Trouble::NotFound)
}

async fn store(
    visitor: &Visitor,
    name: &str,
    before: Option<&EventType>,
    fields: Fields,
) -> Result<Response, Trouble> {
    let stored = before.and_then(|before| before.description.as_deref()).unwrap_or_default();
    let body = match body(&fields, stored) {
        Ok(body) => body,
        Err((field, complaint)) => {
            let entered = Entered::fresh(fields).complaining(field, complaint);
            return Ok(refused(visitor, before, &entered));
        }
    };
    let path = format!("/event-types/{name}");
    match visitor.send_text::<IgnoredAny>(Method::PUT, &path, body).await? {
        Ok(_) => {
            let page = format!("/console/event-types/{name}");
            visitor.go(&page, format!("The event type {name} was stored.")).await
        }
        Err(refusal) => Ok(refused(visitor, before, &Entered::refused(fields, refusal, &NAMES))),
    }
}

/// The body of the call, with JSON as it was entered; or the field that is no JSON, and why. A
/// description that nobody has edited stays as it is stored, also where a line of a form can't show
/// all of it.
fn body(fields: &Fields, stored: &str) -> Result<String, (&'static str, String)> {
    let mut members = Vec::new();
    let as_line = |text: &str| writable(text).replace('\n', "").trim().to_owned();
    let entered = fields.text("description");
    let description = if entered == as_line(stored) { stored } else { entered };
    if !description.is_empty() {
        members.push(format!("\"description\":{}", json!(description)));
    }
    for name in OF_JSON {
        let text = fields.text(name);
        if !text.is_empty() {
            let json = compact(text).map_err(|complaint| (name, complaint))?;
            members.push(format!("{}:{json}", Value::from(name)));
        }
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn refused(visitor: &Visitor, before: Option<&EventType>, entered: &Entered) -> Response {
    (entered.status(), page(visitor, before, entered)).into_response()
}

fn page(visitor: &Visitor, before: Option<&EventType>, entered: &Entered) -> Response {
    let (title, action) = match before {
        None => ("Add an event type".to_owned(), "/console/event-types/new".to_owned()),
        Some(before) if before.is_described() => {
            (format!("Edit {}", before.name), format!("{}/edit", before.page()))
        }
        Some(before) => (format!("Describe {}", before.name), format!("{}/edit", before.page())),
    };
    let back = before.map_or_else(|| "/console/event-types".to_owned(), EventType::page);
    let content = html! {
        (heading(&title, html! {}))
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        section.card aria-label="The event type" {
            (post_form(visitor, &action, html! {
                (controls(before.is_none(), entered))
                div.actions {
                    button.primary type="submit" { "Store the event type" }
                    a href=(back) { "Cancel" }
                }
            }))
        }
        @if let Some(before) = before { (removal(visitor, before)) }
    };
    visitor.show(Section::EventTypes, &title, content)
}

fn controls(is_new: bool, entered: &Entered) -> Markup {
    html! {
        @if is_new {
            (entered.control("name", "Name", "Words of letters, digits, _ and - with dots \
                between, such as invoice.paid.").line(true))
        }
        (entered.control("description", "Description", "A sentence for people, up to 1,024 \
            bytes.").line(false))
        (entered.control(
            "schema",
            "JSON Schema of the data",
            "Events are checked against it when they are published. Without one, any object is \
                taken.",
        ).json(14))
        (entered.control(
            "sample",
            "Sample of the data",
            "A JSON object that fits the schema. Tests and simulations send it.",
        ).json(10))
    }
}

fn removal(visitor: &Visitor, event_type: &EventType) -> Markup {
    html! {
        details {
            summary { "Remove this event type" }
            p {
                "Webhooks that subscribe to it stay as they are. While the catalogue is open, its "
                "events are still accepted, without a check."
            }
            (post_form(visitor, &format!("{}/remove", event_type.page()), html! {
                button.danger type="submit" { "Remove " (event_type.name) }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_into_the_body_as_it_is_written() {
        let form = "description=An+%22invoice%22\
            &schema=%7B%22b%22:1.50,%0D%0A%20%22a%22:%7B%7D%7D&sample=";
        let body = body(&Fields::parse(form.as_bytes()), "").unwrap();
        assert_eq!(body, r#"{"description":"An \"invoice\"","schema":{"b":1.50,"a":{}}}"#);
    }

    #[test]
    fn a_description_stays_until_somebody_edits_it() {
        let stored = " An\u{85} invoice\nis paid\u{7f}";
        let saved = |form: &str| body(&Fields::parse(form.as_bytes()), stored).unwrap();
        let json = json!({ "description": stored }).to_string();
        assert_eq!(saved("description=An+invoiceis+paid"), json);
        assert_eq!(saved("description=It+is+paid"), r#"{"description":"It is paid"}"#);
        assert_eq!(saved("description="), "{}");
    }

    #[test]
    fn a_field_can_not_bring_another_member_in() {
        let form = "sample=%7B%7D%2C%22schema%22%3A%7B%7D";
        let (field, complaint) = body(&Fields::parse(form.as_bytes()), "").unwrap_err();
        assert_eq!(field, "sample");
        assert!(complaint.contains("column 3"), "{complaint}");
    }
}
