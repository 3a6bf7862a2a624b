//! The form that makes a portal link.

use maud::{Markup, html};
use posthaste_domain::access::{
    api_key::Scope,
    portal_link::{DEFAULT_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS, MAX_SESSION_SECONDS},
};
use serde_json::{Map, Value, json};

use crate::{control::Entered, form::Fields, visitor::Visitor};

/// The names of the fields, which are the API's. Those of the theme have its name before them.
pub(super) const NAMES: [&str; 9] = [
    "scopes",
    "expiresInSeconds",
    "sessionSeconds",
    "webhookIds",
    "returnUrl",
    "theme.name",
    "theme.logoUrl",
    "theme.accentColor",
    "frameOrigins",
];
/// The parts of a theme.
const THEME: [&str; 3] = ["name", "logoUrl", "accentColor"];

/// The form as it is before anybody has sent it.
pub(super) fn fresh() -> Entered {
    Entered::fresh(Fields::of([
        ("scopes", Scope::WebhooksManage.name().to_owned()),
        ("expiresInSeconds", DEFAULT_EXPIRY_SECONDS.to_string()),
        ("sessionSeconds", MAX_SESSION_SECONDS.to_string()),
    ]))
}

pub(super) fn controls(visitor: &Visitor, entered: &Entered) -> Markup {
    let field = |name, label, hint| entered.control(name, label, hint);
    let scopes = Scope::ALL.into_iter().filter(|scope| visitor.may(*scope));
    let chosen = |name: &str| entered.fields.all("scopes").any(|chosen| chosen == name);
    html! {
        (field("scopes", "Scopes", "What the session may do: at least one.")
            .choices(scopes.map(|scope| (scope.name(), about(scope))), chosen))
        (field("webhookIds", "Webhooks", "The ids of the webhooks that the session sees, one in a \
            line. All webhooks of the workspace unless some are given.").area(3))
        (field("expiresInSeconds", "Can be opened for (seconds)", "Up to 86400, which is a day.")
            .number(1, MAX_EXPIRY_SECONDS))
        (field("sessionSeconds", "The session lasts (seconds)", "Up to 43200: 12 hours.")
            .number(1, MAX_SESSION_SECONDS))
        (field("returnUrl", "Return address", "Where a link on the pages leads back to, such as \
            https://shop.example.com/settings.").line(false))
        fieldset {
            legend { "Look" }
            (field("theme.name", "Name of your product", "Up to 64 characters.").line(false))
            (field("theme.logoUrl", "Address of its logo", "It begins with https://.").line(false))
            (field("theme.accentColor", "Colour of buttons and links", "Such as #36a64f.")
                .line(false))
        }
        (field("frameOrigins", "Origins of frames", "The sites whose pages may show the session in \
            a frame, one in a line, such as https://shop.example.com. None unless given.").area(3))
        button.primary type="submit" { "Make the link" }
    }
}

fn about(scope: Scope) -> &'static str {
    match scope {
        Scope::WebhooksManage => "see, change, test and replay webhooks",
        Scope::EventsPublish => "publish events",
        Scope::EventsRead => "read all events of the workspace, and event types",
        Scope::EventsManage => "the workspace’s own event types",
        Scope::KeysManage => "API keys and portal links. Not for some webhooks only",
        Scope::WorkspacesManage => "other workspaces. Not for some webhooks only",
    }
}

/// The body of the call. What is left empty is left to the API, and what is no number goes as it
/// is, for the API to refuse it.
pub(super) fn body(fields: &Fields) -> Value {
    let mut body = Map::new();
    let scopes: Vec<&str> = fields.all("scopes").collect();
    body.insert("scopes".to_owned(), json!(scopes));
    for name in ["expiresInSeconds", "sessionSeconds"] {
        insert(&mut body, name, fields.text(name), number);
    }
    insert(&mut body, "returnUrl", fields.text("returnUrl"), |text| json!(text));
    let ids = fields.text("webhookIds").split(|sign: char| sign.is_whitespace() || sign == ',');
    let ids: Vec<Value> = ids.filter(|id| !id.is_empty()).map(number).collect();
    if !ids.is_empty() {
        body.insert("webhookIds".to_owned(), Value::Array(ids));
    }
    let mut theme = Map::new();
    for part in THEME {
        insert(&mut theme, part, fields.text(&format!("theme.{part}")), |text| json!(text));
    }
    if !theme.is_empty() {
        body.insert("theme".to_owned(), Value::Object(theme));
    }
    let origins = fields.text("frameOrigins").lines().map(str::trim);
    let origins: Vec<&str> = origins.filter(|origin| !origin.is_empty()).collect();
    if !origins.is_empty() {
        body.insert("frameOrigins".to_owned(), json!(origins));
    }
    Value::Object(body)
}

fn insert(to: &mut Map<String, Value>, name: &str, text: &str, read: impl Fn(&str) -> Value) {
    if !text.is_empty() {
        to.insert(name.to_owned(), read(text));
    }
}

fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Value {
        body(&Fields::parse(form.as_bytes()))
    }

    #[test]
    fn every_field_becomes_a_part_of_the_call() {
        let form = "scopes=webhooks%3Amanage&scopes=events%3Aread&expiresInSeconds=60\
            &sessionSeconds=600&webhookIds=7%0D%0A+9%2C11&returnUrl=https%3A%2F%2Fa.example\
            &theme.name=Shop&theme.logoUrl=https%3A%2F%2Fa.example%2Fl.svg\
            &theme.accentColor=%2336a64f&frameOrigins=https%3A%2F%2Fa.example%0D%0A%0D%0A+b+";
        assert_eq!(
            of(form),
            json!({
                "scopes": ["webhooks:manage", "events:read"],
                "expiresInSeconds": 60,
                "sessionSeconds": 600,
                "webhookIds": [7, 9, 11],
                "returnUrl": "https://a.example",
                "theme": {
                    "name": "Shop", "logoUrl": "https://a.example/l.svg", "accentColor": "#36a64f",
                },
                "frameOrigins": ["https://a.example", "b"],
            })
        );
    }

    #[test]
    fn what_is_left_empty_is_left_to_the_api() {
        let empty = "expiresInSeconds=&sessionSeconds=+&webhookIds=%0D%0A&returnUrl=&theme.name=\
            &theme.logoUrl=&theme.accentColor=&frameOrigins=";
        assert_eq!(of(empty), json!({ "scopes": [] }));
    }

    #[test]
    fn what_is_no_number_is_refused_by_the_api_as_it_was_written() {
        assert_eq!(
            of("sessionSeconds=-1&webhookIds=seven"),
            json!({ "scopes": [], "sessionSeconds": "-1", "webhookIds": ["seven"] })
        );
    }

    #[test]
    fn a_fresh_form_asks_for_what_the_api_takes_by_itself() {
        let body = body(&fresh().fields);
        assert_eq!(
            (&body["expiresInSeconds"], &body["sessionSeconds"]),
            (&json!(900), &json!(43_200))
        );
    }
}
