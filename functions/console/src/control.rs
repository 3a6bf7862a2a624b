//! The controls of forms, each with its label, a hint and the complaint about it.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::{api::Refusal, deliveries::filter::as_in_forms, form::Fields};

/// A control of a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control<'a> {
    /// The name of the field, and the id of the control.
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    /// A sentence about what can stand there; empty where the label says it.
    pub(crate) hint: &'a str,
    pub(crate) value: &'a str,
    pub(crate) complaint: Option<&'a str>,
}

/// The texts that were entered in a form, with the complaints about them.
#[derive(Debug, Default)]
pub(crate) struct Entered {
    pub(crate) fields: Fields,
    /// The complaints about fields, by the names of the fields.
    complaints: Vec<(String, String)>,
    /// The complaint about no field of the form.
    pub(crate) refusal: Option<Refusal>,
}

impl Entered {
    /// A form as it is before anybody has sent it.
    pub(crate) fn fresh(fields: Fields) -> Self {
        Self { fields, ..Self::default() }
    }

    /// A form that was refused. `names` are those of its fields, which are the API's names.
    pub(crate) fn refused(fields: Fields, refusal: Refusal, names: &[&str]) -> Self {
        let at = refusal
            .field
            .as_deref()
            .and_then(|path| names.iter().find(|name| is_about(path, name)));
        match at {
            Some(name) => {
                let complaints = vec![((*name).to_owned(), refusal.message)];
                Self { fields, complaints, refusal: None }
            }
            None => Self { fields, complaints: Vec::new(), refusal: Some(refusal) },
        }
    }

    /// The same form with a complaint of the page's own about a field.
    #[must_use]
    pub(crate) fn complaining(mut self, name: &str, complaint: impl Into<String>) -> Self {
        self.complaints.push((name.to_owned(), complaint.into()));
        self
    }

    /// The status of the page that shows the form.
    pub(crate) fn status(&self) -> StatusCode {
        match &self.refusal {
            Some(refusal) => refusal.status,
            None if self.complaints.is_empty() => StatusCode::OK,
            None => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The complaint about a field.
    pub(crate) fn complaint(&self, name: &str) -> Option<&str> {
        let found = self.complaints.iter().find(|(other, _)| other == name);
        found.map(|(_, complaint)| complaint.as_str())
    }

    /// A control with what was entered in its field.
    pub(crate) fn control<'e>(
        &'e self,
        name: &'e str,
        label: &'e str,
        hint: &'e str,
    ) -> Control<'e> {
        let (value, complaint) = (self.fields.text(name), self.complaint(name));
        Control { name, label, hint, value, complaint }
    }
}

/// Says whether a complaint about a path is about this field: `data.total` is about `data`.
fn is_about(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Control<'_> {
    /// A line of text.
    pub(crate) fn line(&self, is_required: bool) -> Markup {
        self.around(html! {
            input id=(self.name) name=(self.name) type="text" value=(writable(self.value))
                required[is_required] spellcheck="false" autocomplete="off"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// A line of text for which the list with this id is offered. The page has the list.
    pub(crate) fn line_in(&self, list: &str) -> Markup {
        self.around(html! {
            input id=(self.name) name=(self.name) type="text" value=(writable(self.value))
                list=(list) spellcheck="false" autocomplete="off"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// A moment in UTC, to the second. The script shows it in the reader's own zone, and says so in
    /// the label in the place of "UTC".
    pub(crate) fn time(&self) -> Markup {
        self.around(html! {
            input id=(self.name) name=(self.name) type="datetime-local" step="1" data-utc
                value=[as_in_forms(self.value)] autocomplete="off"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// A line of text for which these are offered. Others can be written too.
    pub(crate) fn line_of<'o>(&self, offered: impl Iterator<Item = &'o str>) -> Markup {
        self.around(html! {
            input id=(self.name) name=(self.name) type="text" value=(writable(self.value))
                list={ (self.name) "-offered" } spellcheck="false" autocomplete="off"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()];
            datalist id={ (self.name) "-offered" } {
                @for name in offered { option value=(name) {} }
            }
        })
    }

    /// A whole number.
    pub(crate) fn number(&self, least: u32, most: u32) -> Markup {
        self.around(html! {
            input id=(self.name) name=(self.name) type="number" value=(self.value)
                min=(least) max=(most) step="1"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()];
        })
    }

    /// Several lines of text.
    pub(crate) fn area(&self, rows: u8) -> Markup {
        self.lines(rows, &writable(self.value))
    }

    /// Several lines of JSON.
    pub(crate) fn json(&self, rows: u8) -> Markup {
        self.lines(rows, &writable_json(self.value))
    }

    fn lines(&self, rows: u8, text: &str) -> Markup {
        // HTML takes a line break away that a text begins with.
        self.around(html! {
            textarea id=(self.name) name=(self.name) rows=(rows) spellcheck="false"
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()] { "\n" (text) }
        })
    }

    /// One of these, each with the text that is shown.
    pub(crate) fn choice<'o>(&self, options: impl Iterator<Item = (&'o str, &'o str)>) -> Markup {
        self.around(html! {
            select id=(self.name) name=(self.name)
                aria-invalid=[self.complaint.map(|_| "true")]
                aria-describedby=[self.described_by()] {
                @for (value, text) in options {
                    option value=(value) selected[value == self.value] { (text) }
                }
            }
        })
    }

    /// Some of these, with those that are chosen, each with the text behind its name.
    pub(crate) fn choices<'o>(
        &self,
        options: impl Iterator<Item = (&'o str, &'o str)>,
        is_chosen: impl Fn(&str) -> bool,
    ) -> Markup {
        html! {
            fieldset aria-describedby=[self.described_by()] {
                legend { (self.label) }
                div.choices {
                    @for (value, text) in options {
                        label {
                            input type="checkbox" name=(self.name) value=(value)
                                checked[is_chosen(value)];
                            " " code { (value) }
                            @if !text.is_empty() { span.quiet { " " (text) } }
                        }
                    }
                }
                (self.below())
            }
        }
    }

    fn around(&self, control: Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                (control)
                (self.below())
            }
        }
    }

    fn below(&self) -> Markup {
        html! {
            @if !self.hint.is_empty() { p.quiet id={ (self.name) "-hint" } { (self.hint) } }
            @if let Some(complaint) = self.complaint {
                p.complaint id={ (self.name) "-complaint" } { (complaint) }
            }
        }
    }

    fn described_by(&self) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let complaint = self.complaint.map(|_| format!("{}-complaint", self.name));
        let ids: Vec<String> = complaint.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

/// A text without the control characters that can't stand in a page.
pub(crate) fn writable(text: &str) -> String {
    text.chars().filter(|sign| !is_unwritable(*sign)).collect()
}

/// The same JSON with an escape for each control character that can't stand in a page. They can
/// only stand in its texts.
fn writable_json(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for sign in json.chars() {
        match sign {
            '\r' => {}
            sign if is_unwritable(sign) => written += &format!("\\u{:04x}", u32::from(sign)),
            sign => written.push(sign),
        }
    }
    written
}

fn is_unwritable(sign: char) -> bool {
    sign.is_control() && !matches!(sign, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(field: &str) -> Refusal {
        Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "wrong_type".to_owned(),
            message: "it has to be <b>".to_owned(),
            field: Some(field.to_owned()),
            request_id: String::new(),
        }
    }

    #[test]
    fn a_complaint_stands_at_its_field() {
        let names = ["type", "types", "data"];
        for (field, at) in [("data.a.b", "data"), ("types[3]", "types"), ("type", "type")] {
            let entered = Entered::refused(Fields::default(), refusal(field), &names);
            assert_eq!(entered.complaint(at), Some("it has to be <b>"), "{field}");
            assert!(entered.refusal.is_none());
            assert_eq!(entered.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        let elsewhere = Entered::refused(Fields::default(), refusal("typed"), &names);
        assert!(elsewhere.refusal.is_some(), "it is about no field of the form");
    }

    #[test]
    fn json_stays_what_it_is_and_other_text_loses_what_no_page_can_have() {
        let json = "{\r\n\t\"a\": \"\u{7f}\u{85}\u{9f}é\u{200d}\"}";
        let written = writable_json(json);
        assert_eq!(written, "{\n\t\"a\": \"\\u007f\\u0085\\u009fé\u{200d}\"}");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&written), read(json));
        assert_eq!(writable("a\0\u{85}\r\n\u{7f}b"), "a\nb");
    }

    #[test]
    fn a_time_is_in_utc_unless_a_script_shows_it_otherwise() {
        let fields = Fields::parse(b"since=2026-01-15T09:00:00%2B01:00&until=soon");
        let entered = Entered::fresh(fields);
        let shown = |name| entered.control(name, "Since (UTC)", "").time().into_string();
        assert!(shown("since").contains(r#" data-utc value="2026-01-15T08:00:00""#));
        assert!(!shown("until").contains("value"), "{}", shown("until"));
    }

    #[test]
    fn controls_keep_what_was_entered_and_name_what_describes_them() {
        let fields = Fields::parse(b"data=%0A%3C%2Ftextarea%3E");
        let entered = Entered::refused(fields, refusal("data"), &["data"]);
        let control = entered.control("data", "Data", "A JSON object.");
        insta::assert_snapshot!(control.area(3).into_string());
        let chosen =
            control.choices([("a", ""), ("b", "the \"other\"")].into_iter(), |it| it == "b");
        insta::assert_snapshot!(chosen.into_string());
    }
}
