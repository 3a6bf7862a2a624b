use posthaste_domain::{
    Timestamp,
    deployment::{
        LetterQueue, WorkQueue,
        letter::{Told, shown},
        waiting::{Backlogs, Counted, Waiting},
    },
    id::{EventId, WebhookId},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The figures of the whole deployment, of all workspaces.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Deployment)]
pub struct DeploymentAnswer {
    /// The version of Posthaste that runs.
    pub version: String,
    /// The stage, such as `production`.
    pub stage: String,
    /// The queues that functions work off.
    pub queues: Vec<QueueAnswer>,
    /// The number of messages on the queue of exhausted deliveries.
    pub exhausted: u64,
    /// The delivery in the table that has been due for the longest time; null if none is late.
    #[schema(required = true)]
    pub oldest_due: Option<OldestDue>,
    /// The deliveries that wait in the table, by the reason why they wait.
    pub waiting: WaitingFigures,
}

/// The figures of one queue. SQS knows them approximately, and up to a minute late.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueueFigures)]
pub struct QueueAnswer {
    /// The queue.
    pub name: WorkQueue,
    /// The number of messages that can be received.
    pub waiting: u64,
    /// The number of messages that a function has, or that come again after a wait.
    pub in_flight: u64,
    /// The number of messages that were sent with a delay that is not over.
    pub delayed: u64,
    /// The number of messages on the queue's dead-letter queue.
    pub dead_letters: u64,
}

/// A delivery that is late.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OldestDue {
    /// The time at which it was due.
    #[schema(value_type = String, format = "date-time")]
    pub due_at: Timestamp,
    /// The number of seconds since then.
    pub late_seconds: u64,
}

/// The deliveries that wait in the table.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFigures {
    /// The tasks of retries that are parked until they are due. A task has one delivery, or those
    /// that shared a request.
    pub retries: Count,
    /// The deliveries that are held for the end of a process run.
    pub process_end: Count,
    /// The webhooks whose rate limit makes deliveries wait.
    pub limited: BacklogFigures,
    /// The webhooks whose endpoints take long to answer.
    pub slow: BacklogFigures,
    /// The webhooks whose endpoints keep timing out.
    pub sick: BacklogFigures,
    /// The webhooks whose endpoints are quick again, and whose backlogs are being sent.
    pub recovering: BacklogFigures,
}

/// The webhooks in one state, and what waits for them.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct BacklogFigures {
    /// The number of webhooks.
    pub webhooks: Count,
    /// The number of tasks in their backlogs. A task has one delivery or several.
    pub tasks: Count,
}

/// A number, or the least that it can be.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// The number of those that were looked at.
    pub count: u64,
    /// True if there may be more, because a call looks at a bounded number.
    pub at_least: bool,
}

impl From<Counted> for Count {
    fn from(Counted { count, at_least }: Counted) -> Self {
        Self { count, at_least }
    }
}

impl From<Backlogs> for BacklogFigures {
    fn from(Backlogs { webhooks, tasks }: Backlogs) -> Self {
        Self { webhooks: webhooks.into(), tasks: tasks.into() }
    }
}

impl WaitingFigures {
    /// Returns the answer for what waits.
    pub fn of(waiting: &Waiting) -> Self {
        Self {
            retries: waiting.retries.into(),
            process_end: waiting.held.into(),
            limited: waiting.limited.into(),
            slow: waiting.slow.into(),
            sick: waiting.sick.into(),
            recovering: waiting.recovering.into(),
        }
    }
}

impl OldestDue {
    /// Returns the answer for what waits, at this time; none if nothing is late.
    pub fn of(waiting: &Waiting, now: Timestamp) -> Option<Self> {
        let (due_at, late_seconds) = waiting.oldest_due(now)?;
        Some(Self { due_at, late_seconds })
    }
}

/// Some dead letters of a queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// The queue.
    pub queue: LetterQueue,
    /// The letters that SQS gave, in no order. There may be more.
    pub items: Vec<DeadLetter>,
}

/// A message that could not go on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The id of the message. Each redrive gives it another one.
    pub message_id: String,
    /// The reason why it could not go on. Null where SQS itself gave it up, after too many
    /// receives.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// The details that the reason leaves open.
    #[schema(required = true)]
    pub detail: Option<String>,
    /// The workspace that the message belongs to, in test mode with `~test` behind its name; null
    /// where the message does not say it.
    #[schema(required = true)]
    pub workspace: Option<String>,
    /// The id of the webhook that the message is about; null if it is about none, or can't be read.
    #[schema(required = true, value_type = Option<u64>)]
    pub webhook_id: Option<WebhookId>,
    /// The ids of the events in the message: the first 20.
    #[schema(value_type = Vec<String>)]
    pub event_ids: Vec<EventId>,
    /// The number of deliveries in the message; null if it has none, or can't be read.
    #[schema(required = true)]
    pub deliveries: Option<usize>,
    /// The time at which the message was sent.
    #[schema(value_type = String, format = "date-time")]
    pub sent_at: Timestamp,
    /// The time at which it became a dead letter; null where SQS itself moved it, which keeps the
    /// time at which it was sent.
    #[schema(required = true, value_type = Option<String>, format = "date-time")]
    pub dead_since: Option<Timestamp>,
    /// The text of the message, or its first 4 KB.
    pub body: String,
    /// The number of bytes that the whole text has.
    pub body_bytes: usize,
}

/// A message as it was received from a queue of dead letters.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The message's id.
    pub id: &'a str,
    /// The attribute `reason`.
    pub reason: Option<&'a str>,
    /// The attribute `detail`.
    pub detail: Option<&'a str>,
    /// The attribute `eventId`.
    pub event: Option<&'a str>,
    /// The message group.
    pub group: Option<&'a str>,
    /// The time at which it was sent.
    pub sent_at: Timestamp,
    /// True if SQS itself moved the message to its queue.
    pub was_moved: bool,
    /// The body.
    pub body: &'a str,
}

impl DeadLetter {
    /// Returns the answer for a letter of this queue.
    pub fn of(queue: LetterQueue, letter: Letter<'_>) -> Self {
        let told = Told::of(queue, letter.body);
        let named = letter.event.and_then(|id| id.parse().ok());
        Self {
            message_id: letter.id.to_owned(),
            reason: letter.reason.map(str::to_owned),
            detail: letter.detail.map(str::to_owned),
            workspace: letter.group.map(str::to_owned),
            webhook_id: told.webhook,
            event_ids: named.map_or(told.events, |id| vec![id]),
            deliveries: told.deliveries,
            sent_at: letter.sent_at,
            dead_since: (!letter.was_moved).then_some(letter.sent_at),
            body: shown(letter.body).to_owned(),
            body_bytes: letter.body.len(),
        }
    }
}

/// The latest redrives of every queue of dead letters.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Redrives {
    /// The redrives, by their queues and for each the newest first: at most three.
    pub items: Vec<RedriveAnswer>,
}

/// A redrive: dead letters on their way back.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Redrive)]
pub struct RedriveAnswer {
    /// The queue whose dead letters are sent back.
    pub queue: LetterQueue,
    /// The queue that they go to.
    pub to: WorkQueue,
    /// The state of the redrive.
    pub status: RedriveStatus,
    /// The number of messages that were moved, approximately.
    pub moved: u64,
    /// The number of messages that there were when it began, approximately; null if SQS does not
    /// say it.
    #[schema(required = true)]
    pub to_move: Option<u64>,
    /// The most messages that are moved in a second; null where SQS chooses.
    #[schema(required = true)]
    pub max_per_second: Option<i32>,
    /// The time at which it began.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Timestamp,
    /// The reason why it failed, in SQS's words; null if it did not fail.
    #[schema(required = true)]
    pub failure: Option<String>,
    /// SQS's name of the redrive; null when it is over.
    #[schema(required = true)]
    pub handle: Option<String>,
}

/// The state of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedriveStatus {
    /// Messages are being moved.
    Running,
    /// All messages that there were have been moved.
    Completed,
    /// It was cancelled a moment ago, and still moves messages.
    Cancelling,
    /// It was cancelled. What it had moved stays moved.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl RedriveStatus {
    /// Reads SQS's word. One that SQS has learned since counts as a failure.
    pub fn of(word: &str) -> Self {
        match word {
            "RUNNING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "CANCELLING" => Self::Cancelling,
            "CANCELLED" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_nobody_can_read_is_shown_as_text() {
        let body = format!("<script>alert(1)</script>\u{0}{}", "ä".repeat(4_000));
        let letter = Letter {
            id: "m",
            reason: Some("unreadable_event"),
            detail: None,
            event: Some("no id"),
            group: None,
            sent_at: Timestamp::UNIX_EPOCH,
            was_moved: false,
            body: &body,
        };
        let shown = DeadLetter::of(LetterQueue::Events, letter);
        assert!(body.starts_with(&shown.body) && shown.body.len() > 4_000);
        assert!(shown.body.len() <= 4_096 && shown.body_bytes == body.len());
        assert_eq!((shown.webhook_id, shown.event_ids.len()), (None, 0));
        assert_eq!(shown.dead_since, Some(Timestamp::UNIX_EPOCH));
        let moved = DeadLetter::of(LetterQueue::Events, Letter { was_moved: true, ..letter });
        assert_eq!(moved.dead_since, None, "SQS keeps the time at which it was first sent");
    }

    #[test]
    fn each_word_of_sqs_is_a_status() {
        for (word, status) in [
            ("RUNNING", RedriveStatus::Running),
            ("COMPLETED", RedriveStatus::Completed),
            ("CANCELLING", RedriveStatus::Cancelling),
            ("CANCELLED", RedriveStatus::Cancelled),
            ("FAILED", RedriveStatus::Failed),
            ("PAUSED", RedriveStatus::Failed),
        ] {
            assert_eq!(RedriveStatus::of(word), status);
        }
    }
}
