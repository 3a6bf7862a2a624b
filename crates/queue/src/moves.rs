use aws_sdk_sqs::types::ListMessageMoveTasksResultEntry;

use crate::{Queue, QueueError};

const START: &str = "StartMessageMoveTask";
const LIST: &str = "ListMessageMoveTasks";
const CANCEL: &str = "CancelMessageMoveTask";
/// So many of the latest tasks of a queue are listed. SQS lists ten at most.
const LISTED: i32 = 3;

/// A task that moves the messages of a dead-letter queue to another queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTask {
    /// The state of the task, in SQS's words: `RUNNING`, `COMPLETED`, `CANCELLING`, `CANCELLED` or
    /// `FAILED`.
    pub status: String,
    /// The name by which it can be cancelled. SQS tells it while the task runs.
    pub handle: Option<String>,
    /// The number of messages that were moved, approximately.
    pub moved: u64,
    /// The number of messages that there were when the task began.
    pub to_move: Option<u64>,
    /// The most messages that are moved in a second.
    pub max_per_second: Option<i32>,
    /// The time at which the task began, in Unix milliseconds.
    pub started_ms: i64,
    /// The reason why it failed, in SQS's words.
    pub failure: Option<String>,
}

/// The status of a task that runs.
const RUNNING: &str = "RUNNING";
/// The status of a task that was cancelled a moment ago.
const CANCELLING: &str = "CANCELLING";

impl MoveTask {
    /// True if it has not ended: the queue can have no other one.
    pub fn is_active(&self) -> bool {
        self.status == RUNNING || self.status == CANCELLING
    }

    /// The handle of a task that runs.
    pub fn running(&self) -> Option<&str> {
        self.handle.as_deref().filter(|_| self.status == RUNNING)
    }
}

impl Queue {
    /// Starts to move all messages of this dead-letter queue to another queue, and returns the
    /// task's handle. None if another task is active.
    pub async fn start_move(
        &self,
        to: &Self,
        max_per_second: Option<i32>,
    ) -> Result<Option<String>, QueueError> {
        let (source, destination) = tokio::try_join!(self.arn(), to.arn())?;
        let call = self
            .client
            .start_message_move_task()
            .source_arn(source)
            .destination_arn(destination)
            .set_max_number_of_messages_per_second(max_per_second);
        match call.send().await {
            Ok(answer) => Ok(Some(answer.task_handle.unwrap_or_default())),
            Err(error) => {
                // SQS has no code of its own for this refusal, so its list is asked.
                if self.moves().await?.iter().any(MoveTask::is_active) {
                    return Ok(None);
                }
                Err(QueueError::call(START, error))
            }
        }
    }

    /// The latest tasks that move messages away from this dead-letter queue, the newest first.
    pub async fn moves(&self) -> Result<Vec<MoveTask>, QueueError> {
        let arn = self.arn().await?;
        let call = self.client.list_message_move_tasks().source_arn(arn).max_results(LISTED);
        let answer = call.send().await.map_err(|error| QueueError::call(LIST, error))?;
        Ok(answer.results.unwrap_or_default().into_iter().map(read).collect())
    }

    /// Cancels a task of this queue by its handle, and returns the number of messages that it has
    /// moved. None if it has ended in the meantime.
    pub async fn cancel_move(&self, handle: &str) -> Result<Option<u64>, QueueError> {
        let call = self.client.cancel_message_move_task().task_handle(handle);
        match call.send().await {
            Ok(answer) => Ok(Some(count(answer.approximate_number_of_messages_moved))),
            Err(error) => {
                let tasks = self.moves().await?;
                if tasks.iter().any(|task| task.running() == Some(handle)) {
                    return Err(QueueError::call(CANCEL, error));
                }
                Ok(None)
            }
        }
    }
}

fn read(entry: ListMessageMoveTasksResultEntry) -> MoveTask {
    MoveTask {
        status: entry.status.unwrap_or_default(),
        handle: entry.task_handle,
        moved: count(entry.approximate_number_of_messages_moved),
        to_move: entry.approximate_number_of_messages_to_move.map(count),
        max_per_second: entry.max_number_of_messages_per_second,
        started_ms: entry.started_timestamp,
        failure: entry.failure_reason,
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
