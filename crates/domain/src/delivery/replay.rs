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

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Invalid,
    access::workspace::Workspace,
    delivery::attempt::{Failure, Status},
    id::{CauseKind, DeliveryId, JobId, WebhookId},
    input::{Fields, Optional, Shape, Time, body, parsed},
};

/// The most pages of a job: 50 million deliveries, with 500 a page. Each page sends the message for
/// the next, and no chain of sends may be without an end.
pub const MAX_PAGES: u64 = 100_000;

/// The time that the next page's message may be on its way before it is taken for lost.
const NEXT_MESSAGE: Duration = Duration::from_secs(5);
/// The time that a message waits for its job: it is sent before the job is stored, so that no job
/// is without its message.
const FIRST_MESSAGE: Duration = Duration::from_secs(60);
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
    pub fn message(&self, workspace: &Workspace, webhook: WebhookId) -> PageMessage {
        PageMessage {
            workspace: workspace.clone(),
            webhook,
            job: self.id,
            page: self.page,
            cursor: self.cursor,
        }
    }

    /// Returns whether the job should have moved by now, so that its message may be lost.
    pub fn stands_still(&self, now: Timestamp) -> bool {
        self.status == JobStatus::Running && age(self.updated_at, now) >= STANDSTILL
    }
}

/// A message of the replay queue: a page that is to be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMessage {
    /// The workspace that the webhook belongs to.
    pub workspace: Workspace,
    /// The webhook whose deliveries are made again.
    pub webhook: WebhookId,
    /// The job that the page belongs to.
    pub job: JobId,
    /// The number of pages that come before this one.
    pub page: u64,
    /// The delivery at which the page begins; none at the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<DeliveryId>,
}

/// The step that a message leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the page again.
    Read,
    /// End the job as failed: it has had [`MAX_PAGES`] pages, and there is more.
    GiveUp,
    /// Send the message for the page that the job is at.
    SendNext,
    /// Look again after this wait.
    Wait(Duration),
    /// There is nothing to do.
    Over,
}

/// Decides what a message asks for that was `sent` then, `now`.
pub fn step(message: &PageMessage, job: Option<&Job>, sent: Timestamp, now: Timestamp) -> Step {
    let Some(job) = job else {
        return if age(sent, now) < FIRST_MESSAGE {
            Step::Wait(Duration::from_secs(1))
        } else {
            Step::Over
        };
    };
    if job.status != JobStatus::Running {
        return Step::Over;
    }
    match job.page.checked_sub(message.page) {
        Some(0) if message.page >= MAX_PAGES => Step::GiveUp,
        Some(0) => Step::Read,
        Some(1) => match NEXT_MESSAGE.checked_sub(age(job.updated_at, now)) {
            Some(left) if !left.is_zero() => Step::Wait(left),
            _ => Step::SendNext,
        },
        _ => Step::Over,
    }
}

/// None where a clock is behind.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn job(page: u64) -> Job {
        let asked = StartReplay { since: at(0), until: None, status: Selection::Failed };
        Job { page, ..Job::new(JobId::new(at(100), &[1; 10]), asked, at(100)) }
    }

    fn message(page: u64) -> PageMessage {
        job(page).message(&Workspace::parse("acme").unwrap(), WebhookId(42))
    }

    #[test]
    fn the_jobs_own_message_reads_its_page() {
        assert_eq!(step(&message(0), Some(&job(0)), at(100), at(100)), Step::Read);
        assert_eq!(
            step(&message(7), Some(&job(7)), at(100), at(99_999)),
            Step::Read,
            "however late"
        );
    }

    #[test]
    fn a_job_with_too_many_pages_is_given_up() {
        let step = |page| step(&message(page), Some(&job(page)), at(100), at(100));
        assert_eq!(step(MAX_PAGES - 1), Step::Read);
        assert_eq!(step(MAX_PAGES), Step::GiveUp);
        assert_eq!(step(MAX_PAGES + 1), Step::GiveUp);
    }

    #[test]
    fn a_copy_of_the_page_before_sends_the_next_message_if_the_job_stands_still() {
        let step = |now| step(&message(0), Some(&job(1)), at(100), at(now));
        assert_eq!(step(100), Step::Wait(Duration::from_secs(5)));
        assert_eq!(step(104), Step::Wait(Duration::from_secs(1)));
        assert_eq!(step(105), Step::SendNext);
        assert_eq!(step(90), Step::Wait(Duration::from_secs(5)), "clocks differ");
    }

    #[test]
    fn any_other_copy_does_nothing() {
        for (page, at_page) in [(0, 2), (0, 100), (3, 2)] {
            assert_eq!(step(&message(page), Some(&job(at_page)), at(100), at(9999)), Step::Over);
        }
        for status in [JobStatus::Done, JobStatus::Cancelled, JobStatus::Failed] {
            let over = Job { status, ..job(0) };
            assert_eq!(step(&message(0), Some(&over), at(100), at(100)), Step::Over);
        }
    }

    #[test]
    fn a_message_without_its_job_waits_for_it_a_while() {
        assert_eq!(step(&message(0), None, at(100), at(101)), Step::Wait(Duration::from_secs(1)));
        assert_eq!(step(&message(0), None, at(100), at(160)), Step::Over);
    }

    #[test]
    fn only_a_running_job_can_stand_still() {
        assert!(!job(0).stands_still(at(699)));
        assert!(job(0).stands_still(at(700)));
        assert!(!Job { status: JobStatus::Done, ..job(0) }.stands_still(at(9999)));
    }

    #[test]
    fn what_is_over_and_was_published_is_replayed() {
        let takes = |selection: Selection| {
            let statuses = Status::ALL
                .into_iter()
                .filter(move |status| selection.takes(CauseKind::Published, *status));
            statuses.map(Status::name).collect::<Vec<_>>()
        };
        assert_eq!(takes(Selection::Failed), ["exhausted", "skipped"]);
        assert_eq!(takes(Selection::All), ["succeeded", "exhausted", "skipped"]);
        for cause in [CauseKind::Replay, CauseKind::Test] {
            assert!(Status::ALL.into_iter().all(|status| !Selection::All.takes(cause, status)));
        }
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let parse = |body: serde_json::Value| StartReplay::parse(body.to_string().as_bytes());
        let asked = parse(json!({ "since": "1970-01-01T00:00:10Z" })).unwrap();
        assert_eq!(asked, StartReplay { since: at(10), until: None, status: Selection::Failed });
        let all = json!({
            "since": "1970-01-01T00:00:10Z", "until": "1970-01-01T00:00:20Z", "status": "all",
        });
        assert_eq!(
            parse(all).unwrap(),
            StartReplay { since: at(10), until: Some(at(20)), status: Selection::All }
        );
        let complaint =
            |body| parse(body).map_err(|invalid| (invalid.field.unwrap_or_default(), invalid.code));
        assert_eq!(complaint(json!({})), Err(("since".into(), "missing_field")));
        assert_eq!(complaint(json!({ "since": "yesterday" })), Err(("since".into(), "wrong_type")));
        let status = json!({ "since": "1970-01-01T00:00:10Z", "status": "pending" });
        assert_eq!(complaint(status), Err(("status".into(), "wrong_type")));
        let backwards = json!({ "since": "1970-01-01T00:00:10Z", "until": "1970-01-01T00:00:10Z" });
        assert_eq!(complaint(backwards), Err(("until".into(), "invalid_range")));
    }

    #[test]
    fn a_job_ends_before_what_is_published_after_it_was_asked_for() {
        let until = |until| {
            Job::new(
                job(0).id,
                StartReplay { since: at(0), until, status: Selection::All },
                at(100),
            )
            .until
        };
        assert_eq!(
            [until(None), until(Some(at(50))), until(Some(at(150)))],
            [at(100), at(50), at(100)]
        );
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let cursor = Some("01856aa0-c493-8173-8f9a-e97ae5338db4".parse().unwrap());
        for message in [message(0), PageMessage { cursor, ..message(3) }] {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<PageMessage>(&text).unwrap(), message);
        }
        insta::assert_snapshot!(
            serde_json::to_string(&PageMessage { cursor, ..message(3) }).unwrap()
        );
        for (name, status) in JobStatus::NAMES {
            assert_eq!((JobStatus::by_name(name), status.name()), (Some(status), name));
        }
    }
}
