//! Queues are created, found, changed and emptied.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{done, page};
use crate::{ErrorKind, Sqs, SqsError, attributes};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    // The one request member that the API spells in lower case.
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    queue_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDeadLetterSourceQueues {
    queue_url: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

fn is_allowed_in_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl Sqs {
    pub(super) fn create_queue(&self, request: CreateQueue) -> Result<Value, SqsError> {
        let name = request.queue_name.ok_or_else(|| SqsError::missing("QueueName"))?;
        if name.ends_with(".fifo") {
            let message = "FIFO queues are not supported: this server has standard queues only.";
            return Err(SqsError::new(ErrorKind::UnsupportedOperation, message));
        }
        if !(1..=80).contains(&name.len()) || !name.bytes().all(is_allowed_in_a_name) {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to \
                80 in length";
            return Err(SqsError::parameter(message));
        }
        let mut state = self.state();
        state.create(&name, &request.attributes, request.tags)?;
        Ok(json!({"QueueUrl": state.url(&name)}))
    }

    pub(super) fn delete_queue(&self, request: QueueUrl) -> Result<Value, SqsError> {
        let mut state = self.state();
        let name = state.queue_at(request.queue_url.as_deref())?.name.clone();
        state.delete(&name)?;
        Ok(done())
    }

    pub(super) fn get_queue_url(&self, request: GetQueueUrl) -> Result<Value, SqsError> {
        let name = request.queue_name.ok_or_else(|| SqsError::missing("QueueName"))?;
        let mut state = self.state();
        if request.owner.is_some_and(|owner| owner != state.settings.account) {
            return Err(SqsError::no_such_queue());
        }
        state.queue(&name)?;
        Ok(json!({"QueueUrl": state.url(&name)}))
    }

    pub(super) fn get_queue_attributes(
        &self,
        request: GetQueueAttributes,
    ) -> Result<Value, SqsError> {
        let mut state = self.state();
        let queue = state.queue_at(request.queue_url.as_deref())?;
        let asked = request.attribute_names;
        if let Some(other) =
            asked.iter().find(|name| *name != "All" && !attributes::NAMES.contains(&name.as_str()))
        {
            return Err(attributes::unknown(other));
        }
        let all = asked.iter().any(|name| name == "All");
        let depth = queue.depth();
        let answer: Map<String, Value> = attributes::NAMES
            .into_iter()
            .filter(|name| all || asked.iter().any(|asked| asked == name))
            .filter_map(|name| {
                let value = match name {
                    "QueueArn" => queue.arn.clone(),
                    "ApproximateNumberOfMessages" => depth.visible.to_string(),
                    "ApproximateNumberOfMessagesNotVisible" => depth.in_flight.to_string(),
                    "ApproximateNumberOfMessagesDelayed" => depth.delayed.to_string(),
                    "CreatedTimestamp" => queue.created_seconds.to_string(),
                    "LastModifiedTimestamp" => queue.modified_seconds.to_string(),
                    other => queue.attributes.get(other)?,
                };
                Some((name.to_owned(), Value::String(value)))
            })
            .collect();
        Ok(if answer.is_empty() { done() } else { json!({"Attributes": answer}) })
    }

    pub(super) fn set_queue_attributes(
        &self,
        request: SetQueueAttributes,
    ) -> Result<Value, SqsError> {
        let mut state = self.state();
        let name = state.queue_at(request.queue_url.as_deref())?.name.clone();
        let changes = request.attributes.ok_or_else(|| SqsError::missing("Attributes"))?;
        state.set_attributes(&name, &changes)?;
        Ok(done())
    }

    pub(super) fn list_queues(&self, request: ListQueues) -> Result<Value, SqsError> {
        let state = self.state();
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let names = state.queues.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        let (names, token) = page(names, request.max_results, request.next_token)?;
        let mut answer = Map::new();
        if !names.is_empty() {
            let urls: Vec<String> = names.iter().map(|name| state.url(name)).collect();
            answer.insert("QueueUrls".to_owned(), json!(urls));
        }
        if let Some(token) = token {
            answer.insert("NextToken".to_owned(), json!(token));
        }
        Ok(Value::Object(answer))
    }

    pub(super) fn list_dead_letter_source_queues(
        &self,
        request: ListDeadLetterSourceQueues,
    ) -> Result<Value, SqsError> {
        let mut state = self.state();
        let arn = state.queue_at(request.queue_url.as_deref())?.arn.clone();
        let (names, token) = page(state.sources_of(&arn), request.max_results, request.next_token)?;
        let urls: Vec<String> = names.iter().map(|name| state.url(name)).collect();
        let mut answer = Map::from_iter([("queueUrls".to_owned(), json!(urls))]);
        if let Some(token) = token {
            answer.insert("NextToken".to_owned(), json!(token));
        }
        Ok(Value::Object(answer))
    }

    pub(super) fn purge_queue(&self, request: QueueUrl) -> Result<Value, SqsError> {
        let mut state = self.state();
        let name = state.queue_at(request.queue_url.as_deref())?.name.clone();
        state.purge(&name)?;
        Ok(done())
    }
}
