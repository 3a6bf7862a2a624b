//! The form that starts a simulation. Each kind has fields of its own.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::{
    control::Entered, event_types::EventType, form::Fields, layout::post_form, parts::with_query,
    visitor::Visitor,
};

pub(super) const PATH: &str = "/console/simulations";
/// The fields that the API names in its complaints.
pub(super) const NAMES: [&str; 9] = [
    "type",
    "types",
    "count",
    "processType",
    "processName",
    "speed",
    "perMinute",
    "minutes",
    "seed",
];

/// The kind of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ProcessRun,
    Trickle,
    Event,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ProcessRun, Self::Trickle, Self::Event];

    /// The kind of this name, which is the first one unless it is another's.
    pub(super) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::ProcessRun)
    }

    fn name(self) -> &'static str {
        match self {
            Self::ProcessRun => "process_run",
            Self::Trickle => "trickle",
            Self::Event => "event",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::ProcessRun => "A run of a process",
            Self::Trickle => "Random events",
            Self::Event => "Events of one type",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::ProcessRun => {
                "One customer goes through a process in about ten minutes: it starts, forms are \
                 filled in, services run, an alert is raised and resolved, and it ends."
            }
            Self::Trickle => "Events of about twenty customers come one after the other.",
            Self::Event => "Events of one type are published at once.",
        }
    }

    /// The fields of the kind that have one value, and whether the value is a number.
    fn fields(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::ProcessRun => {
                &[("processType", false), ("processName", false), ("speed", true), ("seed", true)]
            }
            Self::Trickle => &[("perMinute", true), ("minutes", true), ("seed", true)],
            Self::Event => &[("type", false), ("count", true), ("seed", true)],
        }
    }
}

/// The body of the call, out of the fields of its kind. What is no number goes to the API as it is
/// written, which says what it takes.
pub(super) fn body(kind: Kind, fields: &Fields) -> Value {
    let mut body = Map::new();
    body.insert("kind".to_owned(), json!(kind.name()));
    for (name, is_number) in kind.fields() {
        let text = fields.text(name);
        let number = text.parse::<i64>().ok().filter(|_| *is_number);
        if !text.is_empty() {
            body.insert((*name).to_owned(), number.map_or_else(|| json!(text), Value::from));
        }
    }
    let types: Vec<&str> = fields.all("types").filter(|name| !name.is_empty()).collect();
    if kind == Kind::Trickle && !types.is_empty() {
        body.insert("types".to_owned(), json!(types));
    }
    Value::Object(body)
}

/// The types that can be played: those with a sample that Posthaste does not publish itself.
pub(super) fn playable(offered: &[EventType]) -> impl Iterator<Item = &EventType> {
    offered.iter().filter(|offered| offered.sample.is_some() && offered.owner != "posthaste")
}

/// The kinds as tabs, and the form of the chosen one.
pub(super) fn card(
    visitor: &Visitor,
    kind: Kind,
    entered: &Entered,
    offered: &[EventType],
) -> Markup {
    html! {
        section.card aria-labelledby="start" {
            h2 id="start" { "Start a simulation" }
            nav aria-label="Kinds of simulations" {
                ul.tabs {
                    @for other in Kind::ALL {
                        li {
                            a href=(with_query(PATH, &[("kind", other.name())], &[]))
                                aria-current=[(other == kind).then_some("page")] { (other.title()) }
                        }
                    }
                }
            }
            p.quiet { (kind.about()) }
            (post_form(visitor, PATH, html! {
                input type="hidden" name="kind" value=(kind.name());
                (controls(kind, entered, offered))
                (entered.control("seed", "Seed", "The same seed plays the same types, data and \
                    pauses again. Drawn unless given.").number(0, 2_147_483_647))
                button.primary type="submit" { "Start" span.sr { " the simulation" } }
            }))
        }
    }
}

fn controls(kind: Kind, entered: &Entered, offered: &[EventType]) -> Markup {
    let field = |name, label, hint| entered.control(name, label, hint);
    let known = || playable(offered).map(|known| known.name.as_str());
    let chosen = |name: &str| entered.fields.all("types").any(|chosen| chosen == name);
    html! {
        @match kind {
            Kind::ProcessRun => {
                (field("processType", "Process type", "Such as onboarding or monitoring. Drawn \
                    unless given.").line(false))
                (field("processName", "Process name", "Drawn unless given.").line(false))
                (field("speed", "Speed", "How many times faster than ten minutes: 1 to 1,000. \
                    Events are at least a second apart.").number(1, 1000))
            }
            Kind::Trickle => {
                div.grid2 {
                    (field("perMinute", "Events a minute", "1 to 60; 10 unless given.")
                        .number(1, 60))
                    (field("minutes", "Minutes", "1 to 60; 60 unless given.").number(1, 60))
                }
                details open[entered.fields.has("types")] {
                    summary { "Types of the events: all types of the documents unless some are \
                        chosen" }
                    (field("types", "Types", "Up to 20.")
                        .choices(known().map(|name| (name, "")), chosen))
                }
            }
            Kind::Event => {
                (type_choice(entered, &known().collect::<Vec<_>>()))
                (field("count", "Number of events", "1 to 100; 1 unless given.").number(1, 100))
            }
        }
    }
}

/// The choice of a type; a line where the type that was entered is not among the known ones.
fn type_choice(entered: &Entered, known: &[&str]) -> Markup {
    let field = entered.control("type", "Event type", "Types with a sample can be played.");
    if known.is_empty() || !(field.value.is_empty() || known.contains(&field.value)) {
        return field.line(true);
    }
    field.choice(known.iter().map(|name| (*name, *name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Value {
        let fields = Fields::parse(form.as_bytes());
        body(Kind::named(fields.text("kind")), &fields)
    }

    #[test]
    fn a_form_has_only_the_fields_of_its_kind() {
        assert_eq!(
            of("kind=event&type=order.created&count=3&speed=7&seed="),
            json!({ "kind": "event", "type": "order.created", "count": 3 })
        );
        assert_eq!(
            of("kind=process_run&processType=kyb&processName=12&speed=60&seed=9&types=a"),
            json!({
                "kind": "process_run", "processType": "kyb", "processName": "12", "speed": 60,
                "seed": 9
            })
        );
        assert_eq!(
            of("kind=trickle&types=a&types=b&perMinute=ten"),
            json!({ "kind": "trickle", "types": ["a", "b"], "perMinute": "ten" })
        );
        assert_eq!(of("kind=other"), json!({ "kind": "process_run" }));
    }

    #[test]
    fn every_field_of_a_kind_can_have_a_complaint() {
        for kind in Kind::ALL {
            for (name, _) in kind.fields() {
                assert!(NAMES.contains(name), "{name}");
            }
        }
    }
}
