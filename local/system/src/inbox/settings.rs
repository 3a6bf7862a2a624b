//! An inbox has settings: its answers, and the secret to verify signatures with.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// The settings of one inbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The webhook's secret, `whsec_…`: signatures are verified with it.
    #[serde(default, skip_serializing)]
    pub secret: Option<String>,
    /// The next answers, in their order. Each is given as often as it says, and the default after
    /// the last.
    #[serde(default)]
    pub responses: VecDeque<Answer>,
    /// The answer when no response is left, given without end. It is a 200 with an empty body
    /// unless set.
    #[serde(default)]
    pub default: Option<Answer>,
    /// The most bytes of a body. A larger request is answered with 413, as `express.json()` does,
    /// and takes none of the other answers.
    #[serde(default)]
    pub max_bytes: Option<usize>,
}

/// An answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The number of requests that get this answer. A default answer ignores it.
    #[serde(default = "once")]
    pub times: u32,
    /// The answer waits for this many milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// The body, which is sent as it is.
    #[serde(default)]
    pub body: String,
    /// Further headers. A `content-type` among them replaces `text/plain`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Answer {
    /// Makes an answer with this status and an empty body, given at once and this often.
    pub fn status(status: u16, times: u32) -> Self {
        Self { status, times, delay_ms: 0, body: String::new(), headers: BTreeMap::new() }
    }
}

fn once() -> u32 {
    1
}

impl Settings {
    /// Takes the answer to the next request, whose body has this many bytes.
    pub(super) fn next_answer(&mut self, bytes: usize) -> Answer {
        if self.max_bytes.is_some_and(|most| bytes > most) {
            return Answer::status(413, 1);
        }
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
        let responses = VecDeque::from([
            Answer::status(500, 2),
            Answer::status(404, 0),
            Answer::status(410, 1),
        ]);
        let statuses = |default: Option<Answer>| {
            let mut settings =
                Settings { responses: responses.clone(), default, ..Settings::default() };
            (0..6).map(|_| settings.next_answer(0).status).collect::<Vec<_>>()
        };
        assert_eq!(statuses(None), [500, 500, 410, 200, 200, 200]);
        assert_eq!(statuses(Some(Answer::status(503, 1))), [500, 500, 410, 503, 503, 503]);
    }

    #[test]
    fn a_body_that_is_too_large_takes_none_of_the_answers() {
        let responses = VecDeque::from([Answer::status(500, 1)]);
        let mut settings = Settings { responses, max_bytes: Some(100), ..Settings::default() };
        let statuses = [101, 100, 100, 101].map(|bytes| settings.next_answer(bytes).status);
        assert_eq!(statuses, [413, 500, 200, 413]);
    }

    #[test]
    fn only_a_status_has_to_be_told() {
        let settings: Settings =
            serde_json::from_str(r#"{"default": {"status": 200, "body": "ok"}}"#).unwrap();
        assert_eq!(
            settings.default,
            Some(Answer { body: "ok".to_owned(), ..Answer::status(200, 1) })
        );
        assert!(
            serde_json::from_str::<Settings>(r#"{"default": {"status": 200, "bodi": "ok"}}"#)
                .is_err()
        );
    }
}
