//! The messages that carry a job on, and the steps that they lead to.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Job, JobStatus, MAX_PAGES, age};
use crate::{
    id::{DeliveryId, JobId},
    webhook::key::WebhookKey,
};

/// The time that the next page's message may be on its way before it is taken for lost.
const NEXT_MESSAGE: Duration = Duration::from_secs(5);
/// The time that a message waits for its job: it is sent before the job is stored, so that no job
/// is without its message.
const FIRST_MESSAGE: Duration = Duration::from_secs(60);
/// The shortest and the longest time for which a page waits for the one before it.
const FIRST_PAGE_WAIT: Duration = Duration::from_secs(30);
const LONGEST_PAGE_WAIT: Duration = Duration::from_secs(8 * 60);
/// A message waits with up to so many receives. The queue gives it up after a hundred, and some are
/// left for faults of ours.
const MAX_RECEIVES: u32 = 50;

/// A message of the replay queue: a page that is to be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageMessage {
    /// The webhook whose deliveries are made again.
    #[serde(flatten)]
    pub webhook: WebhookKey,
    /// The job that the page belongs to.
    pub job: JobId,
    /// The number of pages that come before this one.
    pub page: u64,
    /// The delivery at which the page begins; none at the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<DeliveryId>,
    /// True if the page may have been gone through before, although this message is new. The
    /// version before may ignore it: then a delivery may be made twice, as after a crash.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recorded: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The way in which a page waits until the one before it has left the webhook's backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageWait {
    /// The message comes again after this wait.
    ComeAgain(Duration),
    /// A new message with this delay takes the place of the old one, which the queue would give up
    /// after too many receives.
    SendAnew(Duration),
}

impl PageWait {
    /// The wait of a page whose message was received so often: 30 s, 1, 2, 4, then 8 minutes.
    pub fn after(receives: u32) -> Self {
        let wait = FIRST_PAGE_WAIT.saturating_mul(1 << receives.saturating_sub(1).min(10));
        let wait = wait.min(LONGEST_PAGE_WAIT);
        if receives < MAX_RECEIVES { Self::ComeAgain(wait) } else { Self::SendAnew(wait) }
    }
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
