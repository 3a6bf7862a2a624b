//! An attempt that was made and could not be recorded. It travels with its deliveries until it is
//! recorded, so that it is not made again. A version that does not know this field makes the
//! attempt again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::{
    attempt::{Attempt, Progress, Status},
    shared::Packed,
};

/// The result of an attempt, as the message carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// The name of the attempt in the records.
    pub id: String,
    /// The attempt, with the beginning of the answer's body.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The wait in seconds that the endpoint asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_seconds: Option<u64>,
    /// All deliveries of the request, if they shared it: some may be recorded already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Packed>,
}

impl Made {
    /// Sums an attempt up for the message.
    pub fn new(
        id: &str,
        attempt: &Attempt,
        asked: Option<Duration>,
        shared: Option<Packed>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            attempt: attempt.abridged(),
            asked_seconds: asked.map(|asked| asked.as_secs()),
            shared,
        }
    }

    /// Tells whether an attempt is still to be recorded with a delivery that stands so. It is,
    /// unless the delivery has succeeded: one that has ended otherwise gets it into its history.
    pub fn is_wanted(progress: Option<Progress>) -> bool {
        progress.is_none_or(|progress| progress.status != Status::Succeeded)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn made(http_status: u16) -> Made {
        let webhook = testing::webhook(json!({}));
        let body = "no ".repeat(1000);
        let attempt = Attempt::answered(
            &webhook,
            &testing::url("https://example.com/"),
            Timestamp::UNIX_EPOCH,
            Duration::from_millis(7),
            http_status,
            body.as_bytes(),
        );
        Made::new("a7f1/0/1", &attempt, Some(Duration::from_secs(60)), None)
    }

    #[test]
    fn the_outcome_of_an_attempt_travels_as_json() {
        let failed = made(500);
        assert!(failed.attempt.response_body.as_ref().is_some_and(|body| body.len() == 1024));
        let short = Made {
            attempt: Attempt { response_body: Some("no".to_owned()), ..failed.attempt },
            ..failed
        };
        let json = serde_json::to_string(&short).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(serde_json::from_str::<Made>(&json).unwrap(), short);
    }

    #[test]
    fn an_outcome_is_recorded_unless_the_delivery_has_succeeded() {
        let wanted = |status: Status| {
            let progress = Progress {
                status,
                attempts: 1,
                halvings: 0,
                due_at: None,
                not_before: None,
                batch: None,
                recorded_at: None,
            };
            Made::is_wanted(Some(progress))
        };
        assert!(Made::is_wanted(None) && wanted(Status::Pending));
        assert!(wanted(Status::Exhausted) && wanted(Status::Skipped), "the history has it");
        assert!(!wanted(Status::Succeeded), "another copy has succeeded");
    }
}
