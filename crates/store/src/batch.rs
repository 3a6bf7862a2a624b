//! BatchGetItem and BatchWriteItem to the end: both may leave a part undone when they are throttled, and one item that can't be
//! read says nothing about the others.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes, WriteRequest, builders::KeysAndAttributesBuilder},
};
use futures::{StreamExt, stream};

use crate::{
    StoreError,
    item::{Item, PK, SK},
};

/// The most keys of one BatchGetItem, by the API reference.
const MAX_GET: usize = 100;
/// The most requests of one BatchWriteItem, by the API reference.
const MAX_WRITE: usize = 25;
/// How often an unprocessed part is tried again, with doubling waits from [`FIRST_WAIT`]: about 1.5 s in all.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const CONCURRENT_CALLS: usize = 4;

/// What was found of some keys. What is in neither part does not exist.
#[derive(Debug, Clone)]
pub struct Found<K, V> {
    /// What exists.
    pub items: HashMap<K, V>,
    /// What could not be read, so that nobody knows whether it exists. Why is in the log.
    pub unread: HashSet<K>,
}

impl<K, V> Default for Found<K, V> {
    fn default() -> Self {
        Self { items: HashMap::new(), unread: HashSet::new() }
    }
}

/// How items are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) client: &'a Client,
    pub(crate) table: &'a str,
    /// Strongly, not eventually.
    pub(crate) consistent: bool,
    /// The attributes to be read, next to the key; all if empty.
    pub(crate) attributes: &'a [&'a str],
}

/// The items of these keys.
pub(crate) async fn get<K: Eq + Hash + Clone, V>(
    reading: Reading<'_>,
    wanted: impl IntoIterator<Item = (K, Item)>,
    read: impl Fn(&Item) -> Result<V, StoreError>,
) -> Found<K, V> {
    let mut wanted: HashMap<(String, String), (K, Item)> =
        wanted.into_iter().filter_map(|(name, key)| Some((texts(&key)?, (name, key)))).collect();
    let keys: Vec<Item> = wanted.values().map(|(_, key)| key.clone()).collect();
    let chunks: Vec<Vec<Item>> = keys.chunks(MAX_GET).map(<[Item]>::to_vec).collect();
    let answers: Vec<(Vec<Item>, Vec<Item>)> =
        stream::iter(chunks).map(|chunk| get_chunk(reading, chunk)).buffer_unordered(CONCURRENT_CALLS).collect().await;
    let mut found = Found::default();
    for (items, unread) in answers {
        for item in items {
            let Some((name, _)) = texts(&item).and_then(|texts| wanted.remove(&texts)) else { continue };
            match read(&item) {
                Ok(value) => {
                    found.items.insert(name, value);
                }
                Err(error) => {
                    tracing::error!(%error, "an item can't be read");
                    found.unread.insert(name);
                }
            }
        }
        found.unread.extend(
            unread.iter().filter_map(|key| texts(key).and_then(|texts| wanted.remove(&texts))).map(|(name, _)| name),
        );
    }
    found
}

/// The items of up to 100 keys, and the keys of which nothing is known.
async fn get_chunk(reading: Reading<'_>, mut left: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    let mut found = Vec::with_capacity(left.len());
    for attempt in 0..TRIES {
        wait_before(attempt).await;
        let keys = KeysAndAttributes::builder().set_keys(Some(left.clone())).consistent_read(reading.consistent);
        let Ok(request) = project(keys, reading.attributes).build() else { break };
        let answer = match reading.client.batch_get_item().request_items(reading.table, request).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = StoreError::call("BatchGetItem")(error);
                tracing::error!(%error, keys = left.len(), "items could not be read");
                return (found, left);
            }
        };
        found.extend(answer.responses.unwrap_or_default().into_values().flatten());
        let unprocessed = answer.unprocessed_keys.unwrap_or_default();
        left = unprocessed.into_values().flat_map(|unprocessed| unprocessed.keys).collect();
        if left.is_empty() {
            return (found, left);
        }
    }
    tracing::error!(keys = left.len(), "BatchGetItem left keys unprocessed");
    (found, left)
}

/// Carries out these writes, whose keys are distinct. Returns the places of those that may not have been.
pub(crate) async fn write(client: &Client, table: &str, writes: &[(Item, WriteRequest)]) -> HashSet<usize> {
    let chunks = writes.chunks(MAX_WRITE).enumerate();
    let undone: Vec<HashSet<usize>> = stream::iter(chunks)
        .map(async |(nth, chunk)| {
            let undone = write_chunk(client, table, chunk).await;
            undone.into_iter().map(|at| nth * MAX_WRITE + at).collect()
        })
        .buffer_unordered(CONCURRENT_CALLS)
        .collect()
        .await;
    undone.into_iter().flatten().collect()
}

async fn write_chunk(client: &Client, table: &str, chunk: &[(Item, WriteRequest)]) -> HashSet<usize> {
    let mut left: Vec<WriteRequest> = chunk.iter().map(|(_, write)| write.clone()).collect();
    for attempt in 0..TRIES {
        wait_before(attempt).await;
        match client.batch_write_item().request_items(table, left.clone()).send().await {
            Ok(answer) => left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect(),
            Err(error) => {
                let error = StoreError::call("BatchWriteItem")(error);
                tracing::error!(%error, writes = left.len(), "items could not be written");
                break;
            }
        }
        if left.is_empty() {
            break;
        }
    }
    let keys: HashSet<_> = left.iter().filter_map(key_of).collect();
    (0..chunk.len()).filter(|at| texts(&chunk[*at].0).is_some_and(|texts| keys.contains(&texts))).collect()
}

fn key_of(write: &WriteRequest) -> Option<(String, String)> {
    let put = write.put_request().map(|put| put.item());
    put.or_else(|| write.delete_request().map(|delete| delete.key())).and_then(texts)
}

/// The two texts of an item's key.
fn texts(item: &Item) -> Option<(String, String)> {
    let text = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok()).cloned();
    Some((text(PK)?, text(SK)?))
}

/// Names every attribute by a placeholder, as many are reserved words.
fn project(keys: KeysAndAttributesBuilder, attributes: &[&str]) -> KeysAndAttributesBuilder {
    if attributes.is_empty() {
        return keys;
    }
    let named: Vec<&str> = [PK, SK].into_iter().chain(attributes.iter().copied()).collect();
    let placeholders: Vec<String> = (0..named.len()).map(|at| format!("#{at}")).collect();
    let keys = placeholders
        .iter()
        .zip(named)
        .fold(keys, |keys, (placeholder, name)| keys.expression_attribute_names(placeholder, name));
    keys.projection_expression(placeholders.join(", "))
}

async fn wait_before(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt - 1)).await;
    }
}
