//! A move task brings the messages of a dead-letter queue back to the queues that they came from,
//! or to another one.
//!
//! A task moves, oldest first, as many messages as were visible when it started. A moved message is
//! a new message: new id, new retention, no receives ("Learn how to configure a dead-letter queue
//! redrive" in the developer guide).

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    ErrorKind, Sqs, SqsError, ids,
    message::Message,
    state::{State, wall_ms},
};

/// Without a rate, a task moves this many messages before others get their turn.
const CHUNK: usize = 100;

/// The list of tasks shows at most ten, as the API reference says.
const MAX_LISTED: usize = 10;

pub(crate) struct Task {
    id: String,
    source_arn: String,
    destination_arn: Option<String>,
    rate: Option<u32>,
    started_ms: u64,
    to_move: usize,
    moved: usize,
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    Completed,
    Cancelled,
    Failed(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StartMessageMoveTask {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListMessageMoveTasks {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CancelMessageMoveTask {
    task_handle: Option<String>,
}

impl Sqs {
    /// Starts a task, which runs in the tokio runtime of the caller.
    pub(crate) fn start_message_move_task(
        &self,
        request: StartMessageMoveTask,
    ) -> Result<Value, SqsError> {
        let source_arn = request.source_arn.ok_or_else(|| SqsError::missing("SourceArn"))?;
        let rate = match request.max_number_of_messages_per_second {
            None => None,
            Some(rate @ 1..=500) => Some(rate as u32),
            Some(other) => {
                return Err(SqsError::value(
                    other,
                    "MaxNumberOfMessagesPerSecond",
                    "Must be between 1 and 500, if provided.",
                ));
            }
        };
        let mut state = self.state();
        let source = state.name_of(&source_arn).ok_or_else(|| no_such_resource("SourceArn"))?;
        if request.destination_arn.as_deref().is_some_and(|arn| state.name_of(arn).is_none()) {
            return Err(no_such_resource("DestinationArn"));
        }
        if state.sources_of(&source_arn).is_empty() {
            return Err(SqsError::parameter(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if state
            .tasks
            .iter()
            .any(|task| task.source_arn == source_arn && task.status == Status::Running)
        {
            return Err(SqsError::parameter(
                "There is already a task running. Only one active task is allowed for a source \
                 queue arn at a given time.",
            ));
        }
        let task = Task {
            id: ids::uuid().to_string(),
            to_move: state.queue(&source)?.depth().visible,
            source_arn,
            destination_arn: request.destination_arn,
            rate,
            started_ms: wall_ms(),
            moved: 0,
            status: Status::Running,
        };
        let (handle, index) = (task.handle(), state.tasks.len());
        state.tasks.push(task);
        drop(state);
        tokio::spawn(self.clone().run_move_task(index, rate));
        Ok(json!({"TaskHandle": handle}))
    }

    pub(crate) fn list_message_move_tasks(
        &self,
        request: ListMessageMoveTasks,
    ) -> Result<Value, SqsError> {
        let source_arn = request.source_arn.ok_or_else(|| SqsError::missing("SourceArn"))?;
        let max = match request.max_results.unwrap_or(1) {
            max if (1..=MAX_LISTED as i64).contains(&max) => max as usize,
            other => {
                return Err(SqsError::value(
                    other,
                    "MaxResults",
                    "Must be between 1 and 10, if provided.",
                ));
            }
        };
        let state = self.state();
        state.name_of(&source_arn).ok_or_else(|| no_such_resource("SourceArn"))?;
        let tasks = state.tasks.iter().rev().filter(|task| task.source_arn == source_arn);
        Ok(json!({"Results": tasks.take(max).map(Task::to_json).collect::<Vec<_>>()}))
    }

    pub(crate) fn cancel_message_move_task(
        &self,
        request: CancelMessageMoveTask,
    ) -> Result<Value, SqsError> {
        let handle = request.task_handle.ok_or_else(|| SqsError::missing("TaskHandle"))?;
        let (id, source_arn) = Task::read(&handle)
            .ok_or_else(|| SqsError::parameter("Value for parameter TaskHandle is invalid."))?;
        let mut state = self.state();
        state.name_of(&source_arn).ok_or_else(|| no_such_resource("SourceArn"))?;
        let task = state
            .tasks
            .iter_mut()
            .find(|task| task.id == id && task.source_arn == source_arn)
            .ok_or_else(|| SqsError::new(ErrorKind::ResourceNotFound, "Task does not exist."))?;
        if task.status != Status::Running {
            return Err(SqsError::new(
                ErrorKind::UnsupportedOperation,
                "Only active tasks can be cancelled.",
            ));
        }
        task.status = Status::Cancelled;
        Ok(json!({"ApproximateNumberOfMessagesMoved": task.moved}))
    }

    async fn run_move_task(self, index: usize, rate: Option<u32>) {
        let mut ticks = rate.map(|rate| {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            let at_once = match &mut ticks {
                Some(ticks) => {
                    ticks.tick().await;
                    1
                }
                None => {
                    tokio::task::yield_now().await;
                    CHUNK
                }
            };
            let mut state = self.state();
            for _ in 0..at_once {
                state.step(index);
            }
            if state.tasks[index].status != Status::Running {
                return;
            }
        }
    }
}

impl State {
    /// Lists the names of the queues whose dead letters come to this one.
    pub(crate) fn sources_of(&self, arn: &str) -> Vec<String> {
        let mut sources = Vec::new();
        for queue in self.queues.values() {
            if let Some(policy) = &queue.attributes.redrive
                && policy.dead_letter_target_arn == arn
            {
                sources.push(queue.name.clone());
            }
        }
        sources
    }

    /// Moves one message of a running task, or ends the task.
    fn step(&mut self, index: usize) {
        let task = &self.tasks[index];
        if task.status != Status::Running {
            return;
        }
        let (source_arn, destination_arn) = (task.source_arn.clone(), task.destination_arn.clone());
        let status = if task.moved >= task.to_move {
            Ok(false)
        } else {
            self.move_one(&source_arn, destination_arn)
        };
        let task = &mut self.tasks[index];
        match status {
            Ok(true) => task.moved += 1,
            Ok(false) => task.status = Status::Completed,
            Err(reason) => task.status = Status::Failed(reason),
        }
    }

    /// Moves a message, and tells if there was one. The error is the reason for which it can't be
    /// moved.
    fn move_one(
        &mut self,
        source_arn: &str,
        destination_arn: Option<String>,
    ) -> Result<bool, &'static str> {
        const GONE: &str = "AWS.SimpleQueueService.NonExistentQueue";
        let now = Instant::now();
        let source = self.name_of(source_arn).ok_or(GONE)?;
        let Some(message) = self.queue(&source).map_err(|_| GONE)?.take_out() else {
            return Ok(false);
        };
        let moved = match destination_arn.as_ref().or(message.source_arn.as_ref()) {
            // It was sent to the dead-letter queue directly.
            None => Err("CouldNotDetermineMessageSource"),
            Some(arn) => self.name_of(arn).ok_or(GONE),
        };
        match moved {
            Ok(destination) => {
                let id = ids::uuid().to_string();
                let message = Message {
                    id,
                    content: message.content,
                    enqueued: now,
                    sent_ms: wall_ms(),
                    first_received_ms: None,
                    receives: 0,
                    receives_here: 0,
                    source_arn: None,
                };
                self.queue(&destination).map_err(|_| GONE)?.put(message, now, Duration::ZERO);
                Ok(true)
            }
            Err(reason) => {
                self.queue(&source).map_err(|_| GONE)?.put(message, now, Duration::ZERO);
                Err(reason)
            }
        }
    }
}

impl Task {
    fn handle(&self) -> String {
        BASE64_STANDARD.encode(json!({"taskId": self.id, "sourceArn": self.source_arn}).to_string())
    }

    /// Reads the task's id and source from its handle.
    fn read(handle: &str) -> Option<(String, String)> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Handle {
            task_id: String,
            source_arn: String,
        }
        let json = BASE64_STANDARD.decode(handle).ok()?;
        let handle: Handle = serde_json::from_slice(&json).ok()?;
        Some((handle.task_id, handle.source_arn))
    }

    fn to_json(&self) -> Value {
        let status = match self.status {
            Status::Running => "RUNNING",
            Status::Completed => "COMPLETED",
            Status::Cancelled => "CANCELLED",
            Status::Failed(_) => "FAILED",
        };
        let mut json = json!({
            "Status": status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_ms,
        });
        if let Some(arn) = &self.destination_arn {
            json["DestinationArn"] = json!(arn);
        }
        if let Some(rate) = self.rate {
            json["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        match self.status {
            Status::Running => json["TaskHandle"] = json!(self.handle()),
            Status::Failed(reason) => json["FailureReason"] = json!(reason),
            Status::Completed | Status::Cancelled => {}
        }
        json
    }
}

fn no_such_resource(parameter: &str) -> SqsError {
    let message =
        format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    SqsError::new(ErrorKind::ResourceNotFound, message)
}
