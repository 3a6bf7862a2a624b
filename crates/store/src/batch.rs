//! BatchGetItem and BatchWriteItem to the end: both may leave a part undone when they are throttled.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    types::{KeysAndAttributes, WriteRequest, builders::KeysAndAttributesBuilder},
};

use crate::{StoreError, item::Item};

/// The most keys of one BatchGetItem, by the API reference.
const MAX_GET: usize = 100;
/// The most requests of one BatchWriteItem, by the API reference.
const MAX_WRITE: usize = 25;
/// How often an unprocessed part is tried again, with doubling waits from [`FIRST_WAIT`]: about 1.5 s in all.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The items that exist of these distinct keys, read strongly consistently if `consistent`. `attributes` names what is read; all if none.
pub(crate) async fn get(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    consistent: bool,
    attributes: Option<&[&str]>,
) -> Result<Vec<Item>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(MAX_GET) {
        let mut left = chunk.to_vec();
        for attempt in 0..TRIES {
            wait_before(attempt).await;
            let request =
                project(KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(consistent), attributes)
                    .build()
                    .map_err(|error| StoreError::Call {
                        operation: "BatchGetItem",
                        code: "no keys".to_owned(),
                        source: Box::new(error),
                    })?;
            let answer = client
                .batch_get_item()
                .request_items(table, request)
                .send()
                .await
                .map_err(StoreError::call("BatchGetItem"))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            left = answer
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|unprocessed| unprocessed.keys)
                .collect();
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            return Err(StoreError::Unprocessed { operation: "BatchGetItem", left: left.len() });
        }
    }
    Ok(found)
}

/// Carries out these writes, whose keys are distinct.
pub(crate) async fn write(client: &Client, table: &str, writes: Vec<WriteRequest>) -> Result<(), StoreError> {
    for chunk in writes.chunks(MAX_WRITE) {
        let mut left = chunk.to_vec();
        for attempt in 0..TRIES {
            wait_before(attempt).await;
            let answer = client
                .batch_write_item()
                .request_items(table, left)
                .send()
                .await
                .map_err(StoreError::call("BatchWriteItem"))?;
            left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            return Err(StoreError::Unprocessed { operation: "BatchWriteItem", left: left.len() });
        }
    }
    Ok(())
}

/// Names every attribute by a placeholder, as many are reserved words.
fn project(keys: KeysAndAttributesBuilder, attributes: Option<&[&str]>) -> KeysAndAttributesBuilder {
    let Some(attributes) = attributes else { return keys };
    let named = attributes
        .iter()
        .enumerate()
        .fold(keys, |keys, (at, name)| keys.expression_attribute_names(format!("#{at}"), *name));
    let placeholders: Vec<_> = (0..attributes.len()).map(|at| format!("#{at}")).collect();
    named.projection_expression(placeholders.join(", "))
}

async fn wait_before(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
    }
}
