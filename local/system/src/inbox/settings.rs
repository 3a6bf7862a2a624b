//! What an inbox is told.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// What an inbox is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The webhook's secret, `whsec_…`: signatures are verified with it.
    #[serde(default, skip_serializing)]
    pub secret: Option<String>,
    /// What is answered, one after the other, each as often as it says; then the default.
    #[serde(default)]
    pub responses: VecDeque<Answer>,
    /// What is answered when no response is left, however often; 200 without a body unless given.
    #[serde(default)]
    pub default: Option<Answer>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How often; a default answer is given without end.
    #[serde(default = "once")]
    pub times: u32,
    /// After how long.
    #[serde(default)]
    pub delay_ms: u64,
    /// The body, a text as it is.
    #[serde(default)]
    pub body: String,
    /// Further headers; a `content-type` takes the place of `text/plain`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Answer {
    /// A status, this often, at once and without a body.
    pub fn status(status: u16, times: u32) -> Self {
        Self { status, times, delay_ms: 0, body: String::new(), headers: BTreeMap::new() }
    }
}

fn once() -> u32 {
    1
}

impl Settings {
    /// The answer to the next request.
    pub(super) fn next_answer(&mut self) -> Answer {
        while let Some(answer) = self.responses.front_mut() {
            if answer.times > 0 {
                answer.times -= 1;
                return answer.clone();
            }
            self.responses.pop_front();
        }
        self.default.clone().unwrap_or_else(|| Answer::status(200, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_turn_each_as_often_as_it_says_and_then_the_default() {
        let responses = VecDeque::from([Answer::status(500, 2), Answer::status(404, 0), Answer::status(410, 1)]);
        let statuses = |default: Option<Answer>| {
            let mut settings = Settings { responses: responses.clone(), default, ..Settings::default() };
            (0..6).map(|_| settings.next_answer().status).collect::<Vec<_>>()
        };
        assert_eq!(statuses(None), [500, 500, 410, 200, 200, 200]);
        assert_eq!(statuses(Some(Answer::status(503, 1))), [500, 500, 410, 503, 503, 503]);
    }

    #[test]
    fn only_a_status_has_to_be_told() {
        let settings: Settings = serde_json::from_str(r#"{"default": {"status": 200, "body": "ok"}}"#).unwrap();
        assert_eq!(settings.default, Some(Answer { body: "ok".to_owned(), ..Answer::status(200, 1) }));
        assert!(serde_json::from_str::<Settings>(r#"{"default": {"status": 200, "bodi": "ok"}}"#).is_err());
    }
}
