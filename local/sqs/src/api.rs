//! Each action of the API takes the request's JSON and answers with JSON.

mod batch;
mod messages;
mod queues;
mod receive;
mod tags;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{ErrorKind, Sqs, SqsError};

impl Sqs {
    /// Carries out a call of the API. `action` is the part after `AmazonSQS.` in `X-Amz-Target`,
    /// and `body` is the request's JSON.
    pub async fn call(&self, action: &str, body: &[u8]) -> Result<Value, SqsError> {
        match action {
            "CreateQueue" => self.create_queue(parse(body)?),
            "DeleteQueue" => self.delete_queue(parse(body)?),
            "GetQueueUrl" => self.get_queue_url(parse(body)?),
            "GetQueueAttributes" => self.get_queue_attributes(parse(body)?),
            "SetQueueAttributes" => self.set_queue_attributes(parse(body)?),
            "ListQueues" => self.list_queues(parse(body)?),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(parse(body)?),
            "PurgeQueue" => self.purge_queue(parse(body)?),
            "TagQueue" => self.tag_queue(parse(body)?),
            "UntagQueue" => self.untag_queue(parse(body)?),
            "ListQueueTags" => self.list_queue_tags(parse(body)?),
            "SendMessage" => self.send_message(parse(body)?),
            "SendMessageBatch" => self.send_message_batch(parse(body)?),
            "ReceiveMessage" => self.receive_message(parse(body)?).await,
            "DeleteMessage" => self.delete_message(parse(body)?),
            "DeleteMessageBatch" => self.delete_message_batch(parse(body)?),
            "ChangeMessageVisibility" => self.change_message_visibility(parse(body)?),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(parse(body)?),
            "StartMessageMoveTask" => self.start_message_move_task(parse(body)?),
            "ListMessageMoveTasks" => self.list_message_move_tasks(parse(body)?),
            "CancelMessageMoveTask" => self.cancel_message_move_task(parse(body)?),
            "AddPermission" | "RemovePermission" => {
                let message =
                    format!("{action} is not supported: nobody is refused anything here.");
                Err(SqsError::new(ErrorKind::UnsupportedOperation, message))
            }
            _ => Err(SqsError::new(
                ErrorKind::UnknownOperation,
                format!("The action {action} does not exist."),
            )),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| SqsError::new(ErrorKind::Serialization, error.to_string()))
}

/// Makes the answer of an action that has nothing to say.
fn done() -> Value {
    json!({})
}

/// Makes one page of a list: at most `max_results` items after the one that the token names, and
/// the token for the rest.
fn page(
    items: Vec<String>,
    max_results: Option<i64>,
    token: Option<String>,
) -> Result<(Vec<String>, Option<String>), SqsError> {
    let max = match max_results {
        None => 1_000,
        Some(max @ 1..=1_000) => max as usize,
        Some(other) => {
            return Err(SqsError::value(
                other,
                "MaxResults",
                "Must be an integer between 1 and 1000, if provided.",
            ));
        }
    };
    let mut rest =
        items.into_iter().filter(|item| token.as_ref().is_none_or(|token| item > token)).peekable();
    let page: Vec<String> = rest.by_ref().take(max).collect();
    // Without MaxResults there is no token, as the API reference says.
    let more = max_results.is_some() && rest.peek().is_some();
    let token = more.then(|| page.last().cloned()).flatten();
    Ok((page, token))
}
