//! The way of an event to a webhook, compared with a plain reading of the rules.

use posthaste_domain::{
    event::{event_type::EventType, process::Process},
    fanout::subscription::{Route, Subscription},
};
use serde_json::{Map, Value, json};

use crate::choices::Choices;

const TYPES: [&str; 10] = [
    "order.created",
    "order.line.added",
    "order",
    "orders.created",
    "process_run_end",
    "process_run_start",
    "webhook.failing",
    "delivery.exhausted",
    "webhook.other",
    "a",
];
const PATTERNS: [&str; 11] = [
    "*",
    "order.*",
    "order.line.*",
    "webhook.*",
    "order.created",
    "order.line.added",
    "process_run_end",
    "webhook.failing",
    "delivery.*",
    "order",
    "a",
];
const OPERATIONAL: [&str; 3] = ["webhook.failing", "webhook.disabled", "delivery.exhausted"];
const ROWS: [&str; 4] = ["monitoring", "onboarding", "*", "no_process"];
const RULES: [&str; 3] = ["never", "immediate", "process_end"];

/// The facts that decide, as the choices made them.
struct Case {
    patterns: Vec<&'static str>,
    rows: Map<String, Value>,
    waits: bool,
    holds: bool,
    event_type: &'static str,
    process: Process,
}

/// A subscription sends an event the way that the documented rules say.
pub(crate) fn decides_like_the_reference(input: &[u8]) -> bool {
    let case = Case::choose(&mut Choices::new(input));
    let timing = if case.waits { "process_end" } else { "immediate" };
    let stored = json!({
        "id": 1, "events": case.patterns, "timing": timing, "filters": case.rows,
        "holds": case.holds,
    });
    let subscription: Subscription = serde_json::from_value(stored).expect("a subscription");
    let event_type = EventType::parse(case.event_type).expect("a type");
    let route = subscription.route(&event_type, &case.process);
    assert_eq!(route, case.expected(), "{subscription:?}, {event_type}, {:?}", case.process);
    route.is_wanted()
}

impl Case {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let patterns = (0..=choices.below(4)).map(|_| choices.one_of(&PATTERNS)).collect();
        let mut rows = Map::new();
        for _ in 0..choices.below(4) {
            let mut cells = Map::new();
            for _ in 0..choices.below(5) {
                let column = choices.one_of(&PATTERNS).to_owned();
                cells.insert(column, choices.one_of(&RULES).into());
            }
            rows.insert(choices.one_of(&ROWS).to_owned(), cells.into());
        }
        let process_types = [None, Some("monitoring"), Some("onboarding"), Some("risk")];
        let process = Process {
            process_type: choices.one_of(&process_types).map(str::to_owned),
            context_id: choices.one_of(&[None, Some("run-1")]).map(str::to_owned),
            process_id: choices.one_of(&[None, Some("p-1")]).map(str::to_owned),
            is_unnamed: choices.below(4) == 1,
        };
        Self {
            patterns,
            rows,
            waits: choices.flag(),
            holds: choices.flag(),
            event_type: choices.one_of(&TYPES),
            process,
        }
    }

    /// The way by the rules as `docs/guide.md` tells them.
    fn expected(&self) -> Route {
        let rule = self.is_subscribed().then(|| self.rule());
        let is_wanted = rule.is_some_and(|rule| rule != "never");
        let context = self.process.context_id.clone();
        match context {
            Some(context) if self.event_type == "process_run_end" && self.holds => {
                Route::End { context, wanted: is_wanted }
            }
            _ if !is_wanted => Route::Ignore,
            Some(context) if rule == Some("process_end") => Route::Hold { context },
            _ => Route::Now,
        }
    }

    /// `*` asks for everything but the news of how deliveries went.
    fn is_subscribed(&self) -> bool {
        let is_operational = OPERATIONAL.contains(&self.event_type);
        self.patterns.iter().any(|pattern| {
            matches(pattern, self.event_type) && !(*pattern == "*" && is_operational)
        })
    }

    /// The rule of the longest column of the row that is about the event's process, or else of the
    /// webhook.
    fn rule(&self) -> &str {
        let row = match &self.process.process_type {
            Some(named) => self.rows.get(named).or_else(|| self.rows.get("*")),
            None if self.process == Process::default() => self.rows.get("no_process"),
            None => None,
        };
        let cells = row.and_then(Value::as_object).into_iter().flatten();
        let mut closest: Option<(&String, &Value)> = None;
        for (column, rule) in cells.filter(|(column, _)| matches(column, self.event_type)) {
            // Every column that matches is a beginning of the type: the longest one says most.
            let is_closer = closest.is_none_or(|(other, _)| {
                column == self.event_type
                    || (column.len() > other.len() && other != self.event_type)
            });
            if is_closer {
                closest = Some((column, rule));
            }
        }
        let of_webhook = if self.waits { "process_end" } else { "immediate" };
        closest.and_then(|(_, rule)| rule.as_str()).unwrap_or(of_webhook)
    }
}

/// Tells whether a pattern is about a type, letter by letter.
fn matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => event_type.starts_with(beginning),
        None => pattern == event_type,
    }
}
