//! The rules by which the request of an attempt is made again, to be shown as it was sent.
//!
//! Requests are not kept. A request follows from the events and the settings that it was made with,
//! so it is made again from these. An attempt says which revision of the settings it was made with.

use std::time::Duration;

use serde::Serialize;

use crate::{
    delivery::{attempt::Attempt, shared::Whole},
    webhook::Webhook,
};

/// The most bytes of events that several deliveries may have whose request is shown: what one call
/// reads is bounded.
const MAX_SHOWN_BYTES: u64 = 2 * 1024 * 1024;

/// The time after a change in which a version before, whose attempts name no revision, may still
/// make requests with the settings of before: `deliver` reads them once in its 45 s.
const SETTLED: Duration = Duration::from_secs(60);

/// The settings that a request was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeWith {
    /// The settings of the webhook as it is.
    Present,
    /// Those of an earlier revision, if they are kept.
    Kept(u64),
    /// Nobody knows which: a version before made the request.
    Unknown,
}

/// The reason why the request of an attempt is not shown. `settings_unknown`: a version before made
/// it, and did not note with which settings or for which deliveries. `settings_gone`: the settings
/// that it was made with are no longer kept. `event_gone`: an event that was in it is no longer
/// stored. `batch_changed`: the first of the deliveries that shared it was tried again without this
/// one since, or its record is gone. `too_large`: the events that were in it have more than 2 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RequestMissing))]
pub enum Missing {
    /// A version before made the request, and did not note what it was made of.
    SettingsUnknown,
    /// The settings are no longer kept.
    SettingsGone,
    /// An event is no longer stored.
    EventGone,
    /// The record of the request's first delivery is about another request by now.
    BatchChanged,
    /// The events are too large to be read for an answer.
    TooLarge,
}

impl Attempt {
    /// Finds out which settings the request was made with. The webhook is as it is now, or as it
    /// was when it was removed.
    pub fn made_with(&self, webhook: &Webhook) -> MadeWith {
        match self.revision {
            Some(revision) if revision == webhook.revision => MadeWith::Present,
            Some(revision) => MadeWith::Kept(revision),
            None if is_unchanged_since(self, webhook) => MadeWith::Present,
            None => MadeWith::Unknown,
        }
    }

    /// Tells whether two records are about one and the same attempt. Two attempts of a webhook
    /// hardly begin in the same nanosecond and take equally long.
    pub fn is_that_of(&self, other: &Self) -> bool {
        self.at == other.at && self.duration_ms == other.duration_ms
    }
}

impl Whole {
    /// Tells whether an answer can show the request: its events are few enough bytes to be read.
    pub fn can_be_shown(&self) -> bool {
        self.deliveries.len() == 1 || self.bytes <= MAX_SHOWN_BYTES
    }
}

/// Tells whether an attempt that names no revision was made with the present settings, and for one
/// delivery alone.
fn is_unchanged_since(attempt: &Attempt, webhook: &Webhook) -> bool {
    let Webhook { created_at, updated_at, .. } = webhook;
    (updated_at == created_at || *updated_at + SETTLED <= attempt.at) && !webhook.batches()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        id::{BatchId, DeliveryId, EventId},
        testing,
    };

    fn webhook(profile: &str, updated_at: i64) -> Webhook {
        Webhook {
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::from_second(updated_at).unwrap(),
            revision: 3,
            ..testing::webhook(json!({ "profile": profile }))
        }
    }

    fn attempt(second: i64, revision: Option<u64>) -> Attempt {
        let at = Timestamp::from_second(second).unwrap();
        let url = testing::url("https://example.com/");
        let attempt =
            Attempt::answered(&webhook("standard", 0), &url, at, Duration::ZERO, 500, b"");
        Attempt { revision, ..attempt }
    }

    #[test]
    fn a_request_was_made_with_the_settings_of_its_revision() {
        let webhook = webhook("spektr", 1_000);
        let made_with = |revision| attempt(5, Some(revision)).made_with(&webhook);
        assert_eq!(made_with(3), MadeWith::Present, "however old the attempt is");
        assert_eq!(made_with(2), MadeWith::Kept(2));
        assert_eq!(made_with(4), MadeWith::Kept(4), "it was changed and removed since");
    }

    #[test]
    fn of_an_attempt_without_a_revision_only_a_request_is_known_that_can_be_no_other_one() {
        let made_with = |profile, updated_at, second| {
            attempt(second, None).made_with(&webhook(profile, updated_at))
        };
        assert_eq!(made_with("standard", 0, 0), MadeWith::Present, "never changed");
        assert_eq!(made_with("standard", 10, 70), MadeWith::Present, "changed long before");
        assert_eq!(made_with("standard", 10, 5), MadeWith::Unknown, "changed since");
        assert_eq!(made_with("standard", 10, 69), MadeWith::Unknown, "it may have been under way");
        assert_eq!(made_with("spektr", 0, 15), MadeWith::Unknown, "others may have been in it");
    }

    #[test]
    fn two_records_of_one_request_have_the_same_attempt() {
        let first = attempt(5, Some(3));
        assert!(first.is_that_of(&first.kept_with(1)));
        assert!(!first.is_that_of(&attempt(6, Some(3))));
    }

    #[test]
    fn several_large_events_are_not_read_for_an_answer() {
        let pair = (DeliveryId::of_bytes([1; 16]), EventId::of_bytes([2; 16]));
        let whole = |count, bytes| Whole {
            batch: BatchId::of_bytes([3; 16]),
            deliveries: vec![pair; count],
            bytes,
        };
        assert!(whole(2, MAX_SHOWN_BYTES).can_be_shown());
        assert!(!whole(2, MAX_SHOWN_BYTES + 1).can_be_shown());
        assert!(whole(1, MAX_SHOWN_BYTES + 1).can_be_shown(), "a single one always is");
    }

    #[test]
    fn the_reasons_have_names() {
        let names = [
            Missing::SettingsUnknown,
            Missing::SettingsGone,
            Missing::EventGone,
            Missing::BatchChanged,
            Missing::TooLarge,
        ];
        let expected =
            ["settings_unknown", "settings_gone", "event_gone", "batch_changed", "too_large"];
        assert_eq!(serde_json::to_value(names).unwrap(), json!(expected));
    }
}
