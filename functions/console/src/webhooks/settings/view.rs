//! The form itself.

use maud::{Markup, html};

use super::{
    body::{SHOWN, Texts},
    defaults,
    fields::{self, Field, GROUPS, Group, Kind},
};
use crate::{
    api::Refusal,
    layout,
    parts::complaint,
    visitor::Visitor,
    webhooks::{Tab, Webhook, frame},
};

/// The things that the form shows.
pub(super) struct Shown<'a> {
    /// The webhook that is changed; none where one is registered.
    pub(super) webhook: Option<&'a Webhook>,
    /// The profile that the defaults come from.
    pub(super) profile: &'a str,
    /// The texts in the fields.
    pub(super) texts: &'a Texts,
    /// The texts that stood in them when the form was first shown.
    pub(super) before: &'a Texts,
    /// The refusal of the last try by the API.
    pub(super) refusal: Option<&'a Refusal>,
}

pub(super) fn page(visitor: &Visitor, shown: &Shown<'_>) -> Markup {
    match shown.webhook {
        Some(webhook) => frame(webhook, Tab::Settings, form(visitor, shown, &webhook.page())),
        None => html! {
            p.crumbs { a href="/console/webhooks" { "Webhooks" } }
            h1 { "Register a webhook" }
            (form(visitor, shown, ""))
        },
    }
}

fn form(visitor: &Visitor, shown: &Shown<'_>, webhook: &str) -> Markup {
    let action = if webhook.is_empty() {
        "/console/webhooks/new".to_owned()
    } else {
        format!("{webhook}/settings")
    };
    let defaults = defaults(shown.profile);
    let stray = shown.refusal.filter(|refusal| GROUPS.iter().all(|group| !has(group, refusal)));
    let fields = html! {
        @if let Some(refusal) = stray { (complaint(refusal)) }
        input type="hidden" name=(SHOWN) value=(shown.before.as_shown());
        @for (place, group) in GROUPS.iter().enumerate() {
            @let inner = html! {
                @for field in group.fields { (control(field, shown, &defaults)) }
            };
            @if place == 0 {
                section.card { h2 { (group.title) } (inner) }
            } @else {
                details.card open[is_used(group, shown)] {
                    summary { (group.title) }
                    p.quiet { "What is empty here follows the profile." }
                    (inner)
                }
            }
        }
        div.actions {
            button.primary type="submit" {
                @if webhook.is_empty() { "Register" } @else { "Save" }
            }
            a.button href=(if webhook.is_empty() { "/console/webhooks" } else { webhook }) { "Cancel" }
        }
    };
    layout::post_form(visitor, &action, fields)
}

fn control(field: &Field, shown: &Shown<'_>, defaults: &serde_json::Value) -> Markup {
    let Field { name, label, hint, kind } = *field;
    let text = shown.texts.text(name);
    let about = shown.refusal.filter(|refusal| is_about(field, refusal));
    let default = kind.text(&defaults[name]);
    let described = about.map(|_| format!("{name}-hint {name}-complaint"));
    let described = described.unwrap_or_else(|| format!("{name}-hint"));
    let invalid = about.map(|_| "true");
    html! {
        div.field {
            label for=(name) { (label) }
            @if let Some(choices) = kind.choices() {
                (select(field, shown, &choices, &default, &described, invalid))
            } @else if let Some(rows) = kind.rows() {
                textarea.(if rows == 2 { "short" } else { "long" }) id=(name) name=(name) rows=(rows) spellcheck="false"
                    aria-describedby=(described) aria-invalid=[invalid] { "\n" (text) }
            } @else {
                input id=(name) name=(name) type="text" value=(text) spellcheck="false"
                    required[kind == Kind::Url]
                    placeholder=[(!default.is_empty() && kind != Kind::Url).then_some(default.as_str())]
                    inputmode=[input_mode(kind)]
                    aria-describedby=(described) aria-invalid=[invalid];
            }
            p.quiet id={ (name) "-hint" } { (hint) (existing_headers(field, shown)) }
            @if let Some(refusal) = about {
                p.complaint id={ (name) "-complaint" } { (refusal.message) }
            }
        }
    }
}

fn select(
    field: &Field,
    shown: &Shown<'_>,
    choices: &[(&str, &str)],
    default: &str,
    described: &str,
    invalid: Option<&str>,
) -> Markup {
    let text = shown.texts.text(field.name);
    let default = choices.iter().find(|(value, _)| *value == default).map(|(_, text)| *text);
    // A registration leaves the profile to the workspace, and every change has one.
    let is_given = shown.webhook.is_some() && matches!(field.name, "profile" | "timing");
    html! {
        select id=(field.name) name=(field.name) aria-describedby=(described) aria-invalid=[invalid] {
            @if !is_given {
                option value="" selected[text.is_empty()] {
                    "Default"
                    @if field.kind == Kind::Profile { " (" (shown.profile) ")" }
                    @else if let Some(default) = default { " (" (default) ")" }
                }
            }
            @for (value, label) in choices {
                option value=(value) selected[*value == text]
                    data-defaults=[(field.kind == Kind::Profile).then(|| texts_of(value))] {
                    (label)
                }
            }
        }
    }
}

/// The defaults of the fields under a profile, by their names, as JSON for the script.
fn texts_of(profile: &str) -> String {
    let defaults = defaults(profile);
    let followed = fields::all().filter(|field| !matches!(field.kind, Kind::Url | Kind::Profile));
    let texts = followed.map(|field| {
        let text = field.kind.text(&defaults[field.name]);
        let choices = field.kind.choices().unwrap_or_default();
        let label = choices.iter().find(|(value, _)| *value == text).map(|(_, label)| *label);
        (field.name.to_owned(), label.map_or(text, str::to_owned).into())
    });
    serde_json::Value::Object(texts.collect()).to_string()
}

fn existing_headers(field: &Field, shown: &Shown<'_>) -> Markup {
    let headers = shown.webhook.and_then(|webhook| webhook.settings.get("headers"));
    let names: Vec<&String> = headers
        .and_then(|headers| headers.as_object())
        .into_iter()
        .flat_map(|headers| headers.keys())
        .collect();
    html! {
        @if field.kind == Kind::Headers && !names.is_empty() {
            " Now there are: "
            @for (place, name) in names.iter().enumerate() {
                @if place > 0 { ", " }
                code { (name) }
            }
            "."
        }
    }
}

fn input_mode(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Url => Some("url"),
        Kind::Number => Some("numeric"),
        _ => None,
    }
}

/// Says whether a part of the form has to be seen: something is written in it, or wrong.
fn is_used(group: &Group, shown: &Shown<'_>) -> bool {
    group.fields.iter().any(|field| !shown.texts.text(field.name).is_empty())
        || shown.refusal.is_some_and(|refusal| has(group, refusal))
}

fn has(group: &Group, refusal: &Refusal) -> bool {
    group.fields.iter().any(|field| is_about(field, refusal))
}

/// Says whether the complaint is about this field, or about a part of it such as `events[2]`.
fn is_about(field: &Field, refusal: &Refusal) -> bool {
    let rest = refusal.field.as_deref().and_then(|path| path.strip_prefix(field.name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
