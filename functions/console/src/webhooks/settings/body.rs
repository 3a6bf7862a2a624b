//! The texts of the form, and the body of the call that they stand for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{self, Field, Kind};
use crate::form::Fields;

/// The field with what the form has shown.
pub(super) const SHOWN: &str = "shown";

/// The texts in the fields, by their names. A field that is not there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts(BTreeMap<&'static str, String>);

impl Texts {
    /// The texts that somebody has sent.
    pub(super) fn sent(form: &Fields) -> Self {
        let texts =
            fields::all().map(|field| (field.name, form.text(field.name).replace("\r\n", "\n")));
        Self(texts.filter(|(_, text)| !text.is_empty()).collect())
    }

    /// The texts that the form shows first: the settings that are not those of the profile.
    pub(super) fn of(webhook: &Value, defaults: &Value) -> Self {
        let own = fields::all().filter(|field| {
            let always = matches!(field.name, "url" | "events" | "profile" | "timing");
            always || webhook[field.name] != defaults[field.name]
        });
        let texts = own.map(|field| (field.name, field.kind.text(&webhook[field.name])));
        Self(texts.filter(|(_, text)| !text.is_empty()).collect())
    }

    /// The text of a field.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The texts that a form had when it was shown: it sends them back in a field of its own.
    pub(super) fn shown(form: &Fields) -> Self {
        let texts: BTreeMap<String, String> =
            serde_json::from_str(form.text(SHOWN)).unwrap_or_default();
        let known = fields::all()
            .filter_map(|field| texts.get(field.name).map(|text| (field.name, text.clone())));
        Self(known.collect())
    }

    /// The text of the field that [`Self::shown`] reads.
    pub(super) fn as_shown(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The body that makes of what was shown what is written now, and leaves alone what somebody
    /// else has changed since. A field that was emptied goes back to its default.
    pub(super) fn body(&self, shown: &Self) -> Value {
        let changed = fields::all().filter(|field| {
            // A browser sends other ends of lines, and people leave spaces behind.
            let plain =
                |texts: &Self| texts.text(field.name).replace("\r\n", "\n").trim().to_owned();
            plain(self) != plain(shown)
        });
        let members =
            changed.map(|field| (field.name.to_owned(), field.value(self.text(field.name))));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

impl Kind {
    /// A setting as people write it.
    pub(super) fn text(self, value: &Value) -> String {
        let list = |separator: &str| {
            let items = value.as_array().into_iter().flatten();
            items.map(plain).collect::<Vec<_>>().join(separator)
        };
        match (self, value) {
            (_, Value::Null) | (Self::Headers, _) => String::new(),
            (Self::Lines, _) => list("\n"),
            (Self::Numbers, Value::Array(items)) if items.is_empty() => "none".to_owned(),
            (Self::Numbers | Self::Statuses, Value::Array(_)) => list(", "),
            (Self::Rate, rate) => format!("{} per {}", rate["requests"], plain(&rate["per"])),
            (Self::Json, json) => serde_json::to_string_pretty(json).unwrap_or_default(),
            (_, value) => plain(value),
        }
    }
}

impl Field {
    /// The value that a text stands for. What can't be understood goes to the API as it is written,
    /// which says what it takes.
    fn value(&self, text: &str) -> Value {
        if text.is_empty() {
            return Value::Null;
        }
        match self.kind {
            Kind::Lines => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
            Kind::Number => number(text),
            Kind::Numbers if text == "none" => json!([]),
            Kind::Statuses if text == "2xx" => json!(text),
            Kind::Numbers | Kind::Statuses => {
                text.split([',', ' ', '\n']).filter(|part| !part.is_empty()).map(number).collect()
            }
            Kind::Rate => rate(text),
            Kind::YesNo => text.parse::<bool>().map_or_else(|_| json!(text), Value::Bool),
            Kind::Headers => headers(text),
            Kind::Json => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            Kind::Url | Kind::Text | Kind::Choice(_) | Kind::Profile | Kind::Format => json!(text),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(text: &str) -> Value {
    text.trim().parse::<i64>().map_or_else(|_| json!(text.trim()), Value::from)
}

fn rate(text: &str) -> Value {
    match text.split_once("per").or_else(|| text.split_once('/')) {
        Some((requests, per)) => json!({ "requests": number(requests), "per": per.trim() }),
        None => json!(text),
    }
}

fn headers(text: &str) -> Value {
    if text == "none" {
        return json!({});
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().to_owned(), json!(value.trim()))
    });
    Value::Object(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &str) -> Texts {
        Texts::sent(&Fields::parse(body.as_bytes()))
    }

    #[test]
    fn what_is_written_becomes_the_body_of_a_registration() {
        let form = "url=https%3A%2F%2Fexample.com%2F&events=order.*%0D%0A+invoice.paid+%0D%0A&profile=spektr\
            &rateLimit=10+per+second&successStatuses=200,+202&retrySchedule=none&disableOn410=false\
            &disableAfterDays=0&headers=X-A%3A+1%0AX-B%3Ab%3Ac&timeoutSeconds=ten&description=";
        insta::assert_json_snapshot!(sent(form).body(&Texts::default()));
    }

    #[test]
    fn a_form_that_nobody_changed_changes_nothing() {
        let webhook = json!({
            "url": "https://example.com/", "events": ["order.*", "a.b"], "profile": "standard",
            "timing": "immediate", "format": "standard", "rateLimit": { "requests": 5, "per": "minute" },
            "retrySchedule": [5, 300], "successStatuses": [200], "timeoutSeconds": 7,
            "disableOn410": true, "headers": { "X-A": "***" }, "description": null,
            "maxEventsPerRequest": 1
        });
        let defaults = json!({ "format": "standard", "timeoutSeconds": 5, "disableOn410": true, "maxEventsPerRequest": 1 });
        let shown = Texts::of(&webhook, &defaults);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(shown.0.iter().map(|(name, text)| (name, text.replace('\n', "\r\n"))))
            .finish();
        assert_eq!(sent(&form).body(&shown), json!({}));
        assert_eq!(shown.text("format"), "", "the profile's own is left to the profile");
    }

    #[test]
    fn what_somebody_else_has_changed_meanwhile_stays() {
        let shown = sent("description=a&timeoutSeconds=5");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(SHOWN, &shown.as_shown())
            .append_pair("description", "b")
            .append_pair("timeoutSeconds", "5")
            .finish();
        let form = Fields::parse(form.as_bytes());
        let body = Texts::sent(&form).body(&Texts::shown(&form));
        assert_eq!(body, json!({ "description": "b" }));
    }

    #[test]
    fn an_emptied_field_goes_back_to_its_default() {
        let shown = sent("url=https%3A%2F%2Fa.example%2F&timeoutSeconds=7&description=x");
        let now = sent("url=https%3A%2F%2Fa.example%2F&timeoutSeconds=&description=y");
        assert_eq!(now.body(&shown), json!({ "timeoutSeconds": null, "description": "y" }));
    }

    #[test]
    fn every_default_can_be_written_and_read_back() {
        for (profile, _) in posthaste_domain::webhook::profile::Profile::NAMES {
            let defaults = super::super::defaults(profile);
            for field in fields::all().filter(|field| field.kind != Kind::Headers) {
                let text = field.kind.text(&defaults[field.name]);
                assert_eq!(field.value(&text), defaults[field.name], "{profile} {}", field.name);
            }
        }
    }
}
