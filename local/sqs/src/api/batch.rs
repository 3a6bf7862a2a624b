//! The three batch actions check their entries alike, and answer alike.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{ErrorKind, SqsError};

const MAX_ENTRIES: usize = 10;

/// Checks the batch as a whole, and returns its entries with their ids. `entry_type` is the
/// entries' name in the API.
pub(super) fn check<E>(
    entry_type: &str,
    entries: Option<Vec<E>>,
    id: impl Fn(&mut E) -> Option<String>,
) -> Result<Vec<(String, E)>, SqsError> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        let message = format!("There should be at least one {entry_type} in the request.");
        return Err(SqsError::new(ErrorKind::EmptyBatchRequest, message));
    }
    if entries.len() > MAX_ENTRIES {
        let message = format!(
            "Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.",
            entries.len()
        );
        return Err(SqsError::new(ErrorKind::TooManyEntriesInBatchRequest, message));
    }
    let entries: Vec<(String, E)> =
        entries.into_iter().map(|mut entry| (id(&mut entry).unwrap_or_default(), entry)).collect();
    if !entries.iter().all(|(id, _)| is_id(id)) {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and \
            underscores. It can be at most 80 letters long.";
        return Err(SqsError::new(ErrorKind::InvalidBatchEntryId, message));
    }
    let mut seen = HashSet::new();
    if let Some((id, _)) = entries.iter().find(|(id, _)| !seen.insert(id.as_str())) {
        return Err(SqsError::new(
            ErrorKind::BatchEntryIdsNotDistinct,
            format!("Id {id} repeated."),
        ));
    }
    Ok(entries)
}

fn is_id(id: &str) -> bool {
    (1..=80).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Makes the answer. Each entry has its own part, a JSON object without its id, or its error.
pub(super) fn answer(
    results: impl IntoIterator<Item = (String, Result<Value, SqsError>)>,
) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, result) in results {
        match result {
            Ok(mut answer) => {
                answer["Id"] = Value::String(id);
                successful.push(answer);
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "SenderFault": error.sender_fault(),
                "Code": error.code(),
                "Message": error.message,
            })),
        }
    }
    json!({"Successful": successful, "Failed": failed})
}
