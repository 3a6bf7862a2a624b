//! TagQueue, UntagQueue and ListQueueTags change and show the tags of a queue.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::done;
use crate::{Sqs, SqsError};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagQueue {
    queue_url: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagQueue {
    queue_url: Option<String>,
    tag_keys: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueueTags {
    queue_url: Option<String>,
}

impl Sqs {
    pub(super) fn tag_queue(&self, request: TagQueue) -> Result<Value, SqsError> {
        let tags = request.tags.ok_or_else(|| SqsError::missing("Tags"))?;
        self.state().queue_at(request.queue_url.as_deref())?.tags.extend(tags);
        Ok(done())
    }

    pub(super) fn untag_queue(&self, request: UntagQueue) -> Result<Value, SqsError> {
        let keys = request.tag_keys.ok_or_else(|| SqsError::missing("TagKeys"))?;
        self.state()
            .queue_at(request.queue_url.as_deref())?
            .tags
            .retain(|key, _| !keys.contains(key));
        Ok(done())
    }

    pub(super) fn list_queue_tags(&self, request: ListQueueTags) -> Result<Value, SqsError> {
        let mut state = self.state();
        let tags = &state.queue_at(request.queue_url.as_deref())?.tags;
        Ok(if tags.is_empty() { done() } else { json!({"Tags": tags}) })
    }
}
