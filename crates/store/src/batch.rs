//! BatchGetItem and BatchWriteItem to the end: both may leave a part undone when they are
//! throttled, and one item that can't be read says nothing about the others.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    types::{
        DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
        builders::KeysAndAttributesBuilder,
    },
};
use futures::{StreamExt, stream};

use crate::{
    StoreError,
    item::{Item, PK, SK},
    table::Table,
    wait::wait_doubling,
};

/// The most keys of one BatchGetItem, by the API reference.
const MAX_GET: usize = 100;
/// The most requests of one BatchWriteItem, by the API reference.
const MAX_WRITE: usize = 25;
/// An unprocessed part is tried so often, with doubling waits from [`FIRST_WAIT`]: about 1.5 s in
/// all.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const CONCURRENT_CALLS: usize = 4;

/// The answer to some keys. What is neither in `items` nor in `unread` does not exist.
#[derive(Debug, Clone)]
pub struct Found<K, V> {
    /// The items that exist.
    pub items: HashMap<K, V>,
    /// The keys that could not be read, so that nobody knows whether their items exist. The log
    /// says why.
    pub unread: HashSet<K>,
    /// The read units that it took: 4 KB read strongly, or 8 KB read eventually.
    pub read_units: f64,
}

impl<K, V> Default for Found<K, V> {
    fn default() -> Self {
        Self { items: HashMap::new(), unread: HashSet::new(), read_units: 0.0 }
    }
}

/// It is not known whether an item exists, because it could not be read. The log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an item could not be read")]
pub struct Unread;

impl<K: Eq + Hash, V> Found<K, V> {
    /// Takes out the item of this key; none if it does not exist.
    pub fn one(&mut self, key: &K) -> Result<Option<V>, Unread> {
        if self.unread.contains(key) { Err(Unread) } else { Ok(self.items.remove(key)) }
    }
}

/// A way of reading items of a table.
#[derive(Debug)]
pub(crate) struct Reading<'a, V> {
    pub(crate) table: &'a Table,
    /// Strongly, not eventually.
    pub(crate) consistent: bool,
    /// The attributes to be read, next to the key; all if empty.
    pub(crate) attributes: &'a [&'a str],
    pub(crate) read: fn(&Item) -> Result<V, StoreError>,
}

/// The partition key and the sort key of an item.
type Texts = (String, String);

/// A key in a table.
#[derive(Debug, Clone)]
struct Place {
    table: String,
    key: Item,
}

/// The items of these keys.
pub(crate) async fn get<K: Eq + Hash + Clone, V>(
    reading: Reading<'_, V>,
    wanted: impl IntoIterator<Item = (K, Item)>,
) -> Found<K, V> {
    let wanted = Wanted::of(&reading, wanted);
    let mut got =
        get_places(&reading.table.client, reading.consistent, reading.attributes, wanted.places())
            .await;
    let read_units = got.read_units;
    Found { read_units, ..wanted.found(&mut got) }
}

/// The items of keys in two tables, read strongly and whole with the same calls.
pub(crate) async fn get_both<K: Eq + Hash + Clone, L: Eq + Hash + Clone, V, W>(
    first: Wanted<'_, K, V>,
    second: Wanted<'_, L, W>,
) -> (Found<K, V>, Found<L, W>) {
    let mut places = first.places();
    places.extend(second.places());
    let mut got = get_places(&first.table.client, true, &[], places).await;
    (first.found(&mut got), second.found(&mut got))
}

/// The items that are asked for in one table, by their keys.
pub(crate) struct Wanted<'a, K, V> {
    table: &'a Table,
    read: fn(&Item) -> Result<V, StoreError>,
    keys: HashMap<Texts, (K, Item)>,
}

/// The answers of all calls, by table.
#[derive(Default)]
struct Got {
    items: HashMap<String, Vec<Item>>,
    unread: Vec<Place>,
    read_units: f64,
}

impl<'a, K: Eq + Hash + Clone, V> Wanted<'a, K, V> {
    pub(crate) fn of(
        reading: &Reading<'a, V>,
        wanted: impl IntoIterator<Item = (K, Item)>,
    ) -> Self {
        let mut keys = HashMap::new();
        for (name, key) in wanted {
            if let Ok(texts) = key.key_texts() {
                keys.insert(texts, (name, key));
            }
        }
        Self { table: reading.table, read: reading.read, keys }
    }

    fn places(&self) -> Vec<Place> {
        self.keys
            .values()
            .map(|(_, key)| Place { table: self.table.name.clone(), key: key.clone() })
            .collect()
    }

    fn found(mut self, got: &mut Got) -> Found<K, V> {
        let mut found = Found::default();
        for item in got.items.remove(&self.table.name).unwrap_or_default() {
            let Some(name) = self.take(&item) else { continue };
            match (self.read)(&item) {
                Ok(value) => {
                    found.items.insert(name, value);
                }
                Err(error) => {
                    tracing::error!(%error, "an item can't be read");
                    found.unread.insert(name);
                }
            }
        }
        for place in got.unread.iter().filter(|place| place.table == self.table.name) {
            found.unread.extend(self.take(&place.key));
        }
        found
    }

    /// The name under which the item of this key is wanted, once.
    fn take(&mut self, key: &Item) -> Option<K> {
        let (name, _) = self.keys.remove(&key.key_texts().ok()?)?;
        Some(name)
    }
}

async fn get_places(
    client: &Client,
    consistent: bool,
    attributes: &[&str],
    places: Vec<Place>,
) -> Got {
    let chunks: Vec<Vec<Place>> = places.chunks(MAX_GET).map(<[Place]>::to_vec).collect();
    let answers: Vec<Got> = stream::iter(chunks)
        .map(|chunk| get_chunk(client, consistent, attributes, chunk))
        .buffer_unordered(CONCURRENT_CALLS)
        .collect()
        .await;
    let mut all = Got::default();
    for got in answers {
        for (table, items) in got.items {
            all.items.entry(table).or_default().extend(items);
        }
        all.unread.extend(got.unread);
        all.read_units += got.read_units;
    }
    all
}

/// The items of up to 100 keys, and the keys of which nothing is known.
async fn get_chunk(
    client: &Client,
    consistent: bool,
    attributes: &[&str],
    mut left: Vec<Place>,
) -> Got {
    let mut got = Got::default();
    for attempt in 0..TRIES {
        wait_before(attempt).await;
        let Ok(request) = requests(consistent, attributes, &left) else { break };
        let call = client.batch_get_item().set_request_items(Some(request));
        let answer = match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await
        {
            Ok(answer) => answer,
            Err(error) => {
                let error = StoreError::call("BatchGetItem")(error);
                tracing::error!(%error, keys = left.len(), "items could not be read");
                got.unread = left;
                return got;
            }
        };
        let consumed = answer.consumed_capacity.unwrap_or_default();
        got.read_units +=
            consumed.iter().filter_map(|consumed| consumed.capacity_units).sum::<f64>();
        for (table, items) in answer.responses.unwrap_or_default() {
            got.items.entry(table).or_default().extend(items.into_iter().map(Item));
        }
        left.clear();
        for (table, unprocessed) in answer.unprocessed_keys.unwrap_or_default() {
            left.extend(
                unprocessed
                    .keys
                    .into_iter()
                    .map(|key| Place { table: table.clone(), key: Item(key) }),
            );
        }
        if left.is_empty() {
            return got;
        }
    }
    tracing::error!(keys = left.len(), "BatchGetItem left keys unprocessed");
    got.unread = left;
    got
}

fn requests(
    consistent: bool,
    attributes: &[&str],
    places: &[Place],
) -> Result<HashMap<String, KeysAndAttributes>, BuildError> {
    let mut tables: HashMap<&str, KeysAndAttributesBuilder> = HashMap::new();
    for place in places {
        let request = tables.remove(place.table.as_str()).unwrap_or_else(|| {
            project(KeysAndAttributes::builder().consistent_read(consistent), attributes)
        });
        tables.insert(&place.table, request.keys(place.key.0.clone()));
    }
    tables.into_iter().map(|(table, request)| Ok((table.to_owned(), request.build()?))).collect()
}

/// Puts these items, whose keys are distinct. Returns the places of those that may not be there.
pub(crate) async fn put(table: &Table, items: Vec<Item>) -> Result<HashSet<usize>, StoreError> {
    let mut writes = Vec::new();
    for item in items {
        let put = PutRequest::builder().set_item(Some(item.0)).build().map_err(incomplete)?;
        writes.push(WriteRequest::builder().put_request(put).build());
    }
    Ok(write(table, &writes).await)
}

/// Deletes the items of these keys, which are distinct. Returns the places of those that may still
/// be there.
pub(crate) async fn delete(table: &Table, keys: Vec<Item>) -> Result<HashSet<usize>, StoreError> {
    let mut writes = Vec::new();
    for key in keys {
        let delete = DeleteRequest::builder().set_key(Some(key.0)).build().map_err(incomplete)?;
        writes.push(WriteRequest::builder().delete_request(delete).build());
    }
    Ok(write(table, &writes).await)
}

fn incomplete(error: BuildError) -> StoreError {
    StoreError::incomplete("BatchWriteItem", error)
}

/// The places of those that may not have been carried out.
async fn write(table: &Table, writes: &[WriteRequest]) -> HashSet<usize> {
    let chunks = writes.chunks(MAX_WRITE).enumerate();
    let undone: Vec<HashSet<usize>> = stream::iter(chunks)
        .map(async |(nth, chunk)| {
            let undone = write_chunk(table, chunk).await;
            undone.into_iter().map(|at| nth * MAX_WRITE + at).collect()
        })
        .buffer_unordered(CONCURRENT_CALLS)
        .collect()
        .await;
    undone.into_iter().flatten().collect()
}

async fn write_chunk(table: &Table, chunk: &[WriteRequest]) -> HashSet<usize> {
    let mut left: Vec<WriteRequest> = chunk.to_vec();
    for attempt in 0..TRIES {
        wait_before(attempt).await;
        match table.client.batch_write_item().request_items(&table.name, left.clone()).send().await
        {
            Ok(answer) => {
                left =
                    answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect()
            }
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
    let undone: HashSet<Texts> = left.iter().filter_map(key_of).collect();
    (0..chunk.len())
        .filter(|at| key_of(&chunk[*at]).is_some_and(|key| undone.contains(&key)))
        .collect()
}

fn key_of(write: &WriteRequest) -> Option<Texts> {
    let put = write.put_request().map(|put| put.item());
    let key = put.or_else(|| write.delete_request().map(|delete| delete.key()))?;
    Some((key.get(PK)?.as_s().ok()?.clone(), key.get(SK)?.as_s().ok()?.clone()))
}

/// Names every attribute by a placeholder, as many are reserved words.
fn project(mut request: KeysAndAttributesBuilder, attributes: &[&str]) -> KeysAndAttributesBuilder {
    if attributes.is_empty() {
        return request;
    }
    let mut placeholders = Vec::new();
    for (at, name) in [PK, SK].iter().chain(attributes).enumerate() {
        placeholders.push(format!("#{at}"));
        request = request.expression_attribute_names(format!("#{at}"), *name);
    }
    request.projection_expression(placeholders.join(", "))
}

async fn wait_before(attempt: u32) {
    if attempt > 0 {
        wait_doubling(FIRST_WAIT, attempt).await;
    }
}
