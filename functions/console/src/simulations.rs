//! The pages about simulations, which are for test mode.

mod form;
mod list;
mod show;

use axum::{
    Router,
    routing::{get, post},
};
use maud::Markup;
use posthaste_domain::Timestamp;
use serde::Deserialize;

use crate::{
    Console,
    parts::{self, Tone},
};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/simulations", get(list::show).post(list::start))
        .route("/console/simulations/{id}", get(show::show))
        .route("/console/simulations/{id}/cancel", post(show::cancel))
}

/// A simulation, as the API answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Simulation {
    id: String,
    status: String,
    asked: Asked,
    total: u32,
    sent: u32,
    played: u32,
    started_at: Timestamp,
    ends_at: Timestamp,
}

/// The request that a simulation began with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    kind: String,
    r#type: Option<String>,
    count: Option<u32>,
    process_type: Option<String>,
    process_name: Option<String>,
    speed: Option<u32>,
    #[serde(default)]
    types: Vec<String>,
    per_minute: Option<u32>,
    minutes: Option<u32>,
    seed: Option<u32>,
}

impl Simulation {
    /// The address of the simulation's page.
    fn page(&self) -> String {
        format!("/console/simulations/{}", self.id)
    }

    fn is_running(&self) -> bool {
        self.status == "running"
    }

    /// Says whether events are still to come. They are sent before their time, so that some come
    /// after the simulation has ended.
    fn is_under_way(&self) -> bool {
        self.is_running() || self.played < self.sent
    }

    fn badge(&self) -> Markup {
        let tone = match self.status.as_str() {
            "running" => Tone::Waiting,
            "finished" => Tone::Good,
            _ => Tone::Plain,
        };
        parts::badge(tone, &self.status)
    }
}

impl Asked {
    /// A few words about the events that are played.
    fn title(&self) -> String {
        match self.kind.as_str() {
            "event" => {
                let count = self.count.unwrap_or(1);
                let name = self.r#type.as_deref().unwrap_or_default();
                let noun = if count == 1 { "event" } else { "events" };
                format!("{count} {noun} of {name}")
            }
            "process_run" => match self.process_name.as_deref().or(self.process_type.as_deref()) {
                Some(name) => format!("A run of {name}"),
                None => "A run of a process".to_owned(),
            },
            "trickle" => {
                let (rate, minutes) = (self.per_minute.unwrap_or(10), self.minutes.unwrap_or(60));
                format!("{rate} random events a minute for {minutes} min")
            }
            other => other.to_owned(),
        }
    }

    /// The fields that hold, by the names of the API, but for the kind.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let single = [
            ("type", self.r#type.clone()),
            ("count", number(self.count)),
            ("processType", self.process_type.clone()),
            ("processName", self.process_name.clone()),
            ("speed", number(self.speed)),
            ("perMinute", number(self.per_minute)),
            ("minutes", number(self.minutes)),
            ("seed", number(self.seed)),
        ];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value?)));
        single.chain(self.types.iter().map(|name| ("types", name.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Asked {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_simulation_is_named_by_what_it_plays() {
        for (json, title) in [
            (r#"{"kind":"event","type":"a.b","count":1}"#, "1 event of a.b"),
            (r#"{"kind":"process_run","processType":"kyb","speed":60}"#, "A run of kyb"),
            (r#"{"kind":"process_run"}"#, "A run of a process"),
            (
                r#"{"kind":"trickle","perMinute":5,"minutes":2}"#,
                "5 random events a minute for 2 min",
            ),
        ] {
            assert_eq!(asked(json).title(), title);
        }
    }

    #[test]
    fn what_was_asked_can_be_asked_again() {
        let asked = asked(r#"{"kind":"trickle","types":["a","b"],"perMinute":5,"seed":7}"#);
        let fields = asked.fields();
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("perMinute", "5"), ("seed", "7"), ("types", "a"), ("types", "b")]);
    }
}
