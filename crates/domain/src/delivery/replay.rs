//! A replay of many deliveries: a job that goes through a webhook's history page by page, newest
//! first.
//!
//! ```text
//! (asked for) ─▶ running ─┬─▶ done        the last page is through
//!                         ├─▶ cancelled   a person stopped it: what is on the queue still goes out
//!                         └─▶ failed      its webhook was paused or removed, or it has too many pages
//! ```
//!
//! The job's item is what has happened; a message is what is to be done next. A message names the
//! page it is for, so that a copy of it, or one that comes again because its function died, can be
//! told from the one that carries the job on:
//!
//! - the job is at its page: it reads the page;
//! - the job is one page further: the function may have died before it sent the next message. If
//!   the job stands still for a moment, that message is sent now; if not, it was sent, and the copy
//!   ends here;
//! - the job is further than that, or over: others carry it on, and the copy ends here.

mod step;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    delivery::attempt::{Failure, Status},
    id::{CauseKind, DeliveryId, JobId},
    input::{Fields, Optional, Shape, Time, body, parsed},
    webhook::key::WebhookKey,
};

pub use step::{PageMessage, PageWait, Step, step};

/// The most pages of a job: 50 million deliveries, with 500 a page. Each page sends the message for
/// the next, and no chain of sends may be without an end.
pub const MAX_PAGES: u64 = 100_000;

/// The time that a running job may stand still before whoever asks about it sends its message
/// again.
const STANDSTILL: Duration = Duration::from_secs(10 * 60);

/// The choice of the deliveries that are made again. `failed`: those that are exhausted or skipped.
/// `all`: those that succeeded too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Selection {
    /// Those that ended without success: exhausted and skipped.
    #[default]
    Failed,
    /// All deliveries that are over.
    All,
}

impl Selection {
    /// Both choices, with their names.
    pub const NAMES: [(&'static str, Self); 2] = [("failed", Self::Failed), ("all", Self::All)];

    /// Returns whether a delivery is made again. Only those are that a published event led to: no
    /// replay and no test. What is still being tried is not made again either.
    pub fn takes(self, cause: CauseKind, status: Status) -> bool {
        cause == CauseKind::Published
            && match status {
                Status::Exhausted | Status::Skipped => true,
                Status::Succeeded => self == Self::All,
                Status::Pending | Status::Waiting => false,
            }
    }
}

/// An obstacle that keeps a job from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It has gone through [`MAX_PAGES`].
    TooManyPages,
    /// Its webhook is paused or disabled.
    WebhookDisabled,
    /// Its webhook was removed.
    WebhookGone,
}

impl Obstacle {
    /// The failure that the job ends with.
    pub fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::TooManyPages => {
                let message = format!(
                    "the replay has gone through {MAX_PAGES} pages, the most that one may have; \
                     ask for another one with an earlier until"
                );
                ("too_many_pages", message)
            }
            Self::WebhookDisabled => ("webhook_disabled", "the webhook was paused".to_owned()),
            Self::WebhookGone => ("webhook_gone", "the webhook was removed".to_owned()),
        };
        Failure { code: code.to_owned(), message }
    }
}

impl Shape for Selection {
    type Value = Self;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "failed or all")
    }
}

body! {
    /// The choice of the deliveries of a webhook that are made again.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct StartReplay {
        /// The replay takes deliveries of events that were accepted at this time or later.
        pub since: Timestamp as Time,
        /// The replay takes deliveries of events that were accepted before this time. The time of
        /// the call unless given, which is also the latest.
        pub until: Option<Timestamp> as Optional<Time>,
        /// The outcome of the deliveries that are made again. `failed` unless given.
        pub status: Selection = Selection::Failed,
    }
}

impl StartReplay {
    /// Reads the body of the call.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let asked = Self::of_fields(Fields::of_body(body)?)?;
        if asked.until.is_some_and(|until| until <= asked.since) {
            return Err(Invalid::field(
                "until",
                "invalid_range",
                "until has to be later than since",
            ));
        }
        Ok(asked)
    }
}

/// The state of a replay. `running`: it goes on. `done`: it has gone through everything.
/// `cancelled`: it was stopped. `failed`: it could not go on, as `error` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum JobStatus {
    /// It goes on.
    Running,
    /// It has gone through everything.
    Done,
    /// A person stopped it.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl JobStatus {
    /// Every status, with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("running", Self::Running),
        ("done", Self::Done),
        ("cancelled", Self::Cancelled),
        ("failed", Self::Failed),
    ];

    /// The name that the API and the table use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, status)| *status == self).map_or("", |(name, _)| name)
    }

    /// The status of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, status)| *status)
    }
}

/// A job, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The id of the job.
    pub id: JobId,
    /// The state of the job.
    pub status: JobStatus,
    /// The choice of the deliveries that are made again.
    pub selection: Selection,
    /// The job takes deliveries of events that were accepted at this time or later.
    pub since: Timestamp,
    /// The job takes deliveries of events that were accepted before this time.
    pub until: Timestamp,
    /// The number of deliveries that the job has looked at.
    pub examined: u64,
    /// The number of those deliveries that the job has put on the queue again.
    pub replayed: u64,
    /// The number of pages that the job has finished.
    pub page: u64,
    /// The delivery at which the next page begins; none at the first one.
    pub cursor: Option<DeliveryId>,
    /// The reason why the job failed.
    pub error: Option<Failure>,
    /// The time at which the job was asked for.
    pub created_at: Timestamp,
    /// The time at which the job last moved.
    pub updated_at: Timestamp,
}

impl Job {
    /// The job that does what is asked, `now`. What is published from now on is not part of it.
    pub fn new(id: JobId, asked: StartReplay, now: Timestamp) -> Self {
        Self {
            id,
            status: JobStatus::Running,
            selection: asked.status,
            since: asked.since,
            until: asked.until.map_or(now, |until| until.min(now)),
            examined: 0,
            replayed: 0,
            page: 0,
            cursor: None,
            error: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The message that carries it on.
    pub fn message(&self, webhook: &WebhookKey) -> PageMessage {
        PageMessage {
            webhook: webhook.clone(),
            job: self.id,
            page: self.page,
            cursor: self.cursor,
            recorded: false,
        }
    }

    /// Returns whether the job should have moved by now, so that its message may be lost.
    pub fn stands_still(&self, now: Timestamp) -> bool {
        self.status == JobStatus::Running && age(self.updated_at, now) >= STANDSTILL
    }
}

/// None where a clock is behind.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
