//! BatchGetItem and BatchWriteItem to the end: both may leave a part undone when they are throttled, and one item that can't be
//! read says nothing about the others.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, WriteRequest, builders::KeysAndAttributesBuilder,
    },
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

/// What was found of some keys. What is neither in `items` nor in `unread` does not exist.
#[derive(Debug, Clone)]
pub struct Found<K, V> {
    /// What exists.
    pub items: HashMap<K, V>,
    /// What could not be read, so that nobody knows whether it exists. Why is in the log.
    pub unread: HashSet<K>,
    /// What it took, in read units: 4 KB read strongly, or 8 KB read eventually.
    pub read_units: f64,
}

impl<K, V> Default for Found<K, V> {
    fn default() -> Self {
        Self { items: HashMap::new(), unread: HashSet::new(), read_units: 0.0 }
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

/// The keys of an item: its partition key and its sort key.
type Texts = (String, String);

/// A key in a table.
#[derive(Debug, Clone)]
struct Place {
    table: String,
    key: Item,
}

/// The items of these keys.
pub(crate) async fn get<K: Eq + Hash + Clone, V>(
    reading: Reading<'_>,
    wanted: impl IntoIterator<Item = (K, Item)>,
    read: impl Fn(&Item) -> Result<V, StoreError>,
) -> Found<K, V> {
    let wanted = Wanted::of(wanted);
    let keys = wanted.places(reading.table);
    let mut got = get_places(reading.client, reading.consistent, reading.attributes, keys).await;
    let read_units = got.read_units;
    Found { read_units, ..wanted.found(reading.table, &mut got, read) }
}

/// The items of keys in two tables, read strongly with the same calls.
pub(crate) async fn get_both<K: Eq + Hash + Clone, L: Eq + Hash + Clone, V, W>(
    client: &Client,
    first: (&str, impl IntoIterator<Item = (K, Item)>, impl Fn(&Item) -> Result<V, StoreError>),
    second: (&str, impl IntoIterator<Item = (L, Item)>, impl Fn(&Item) -> Result<W, StoreError>),
) -> (Found<K, V>, Found<L, W>) {
    let (first_table, first_wanted, first_read) = first;
    let (second_table, second_wanted, second_read) = second;
    let (first_wanted, second_wanted) = (Wanted::of(first_wanted), Wanted::of(second_wanted));
    let mut keys = first_wanted.places(first_table);
    keys.extend(second_wanted.places(second_table));
    let mut got = get_places(client, true, &[], keys).await;
    (first_wanted.found(first_table, &mut got, first_read), second_wanted.found(second_table, &mut got, second_read))
}

/// What is asked for in one table, by key.
struct Wanted<K>(HashMap<Texts, (K, Item)>);

/// What came of all calls, by table.
#[derive(Default)]
struct Got {
    items: HashMap<String, Vec<Item>>,
    unread: Vec<Place>,
    read_units: f64,
}

impl<K: Eq + Hash + Clone> Wanted<K> {
    fn of(wanted: impl IntoIterator<Item = (K, Item)>) -> Self {
        Self(wanted.into_iter().filter_map(|(name, key)| Some((texts(&key)?, (name, key)))).collect())
    }

    fn places(&self, table: &str) -> Vec<Place> {
        self.0.values().map(|(_, key)| Place { table: table.to_owned(), key: key.clone() }).collect()
    }

    fn found<V>(mut self, table: &str, got: &mut Got, read: impl Fn(&Item) -> Result<V, StoreError>) -> Found<K, V> {
        let mut found = Found::default();
        for item in got.items.remove(table).unwrap_or_default() {
            let Some((name, _)) = texts(&item).and_then(|texts| self.0.remove(&texts)) else { continue };
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
        for place in got.unread.iter().filter(|place| place.table == table) {
            found.unread.extend(texts(&place.key).and_then(|texts| self.0.remove(&texts)).map(|(name, _)| name));
        }
        found
    }
}

async fn get_places(client: &Client, consistent: bool, attributes: &[&str], keys: Vec<Place>) -> Got {
    let chunks: Vec<Vec<Place>> = keys.chunks(MAX_GET).map(<[Place]>::to_vec).collect();
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
async fn get_chunk(client: &Client, consistent: bool, attributes: &[&str], mut left: Vec<Place>) -> Got {
    let mut got = Got::default();
    for attempt in 0..TRIES {
        wait_before(attempt).await;
        let Some(request) = requests(consistent, attributes, &left) else { break };
        let call = client.batch_get_item().set_request_items(Some(request));
        let answer = match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = StoreError::call("BatchGetItem")(error);
                tracing::error!(%error, keys = left.len(), "items could not be read");
                got.unread = left;
                return got;
            }
        };
        let consumed = answer.consumed_capacity.unwrap_or_default();
        got.read_units += consumed.iter().filter_map(|consumed| consumed.capacity_units).sum::<f64>();
        for (table, items) in answer.responses.unwrap_or_default() {
            got.items.entry(table).or_default().extend(items);
        }
        left.clear();
        for (table, unprocessed) in answer.unprocessed_keys.unwrap_or_default() {
            left.extend(unprocessed.keys.into_iter().map(|key| Place { table: table.clone(), key }));
        }
        if left.is_empty() {
            return got;
        }
    }
    tracing::error!(keys = left.len(), "BatchGetItem left keys unprocessed");
    got.unread = left;
    got
}

/// None where the SDK refuses them.
fn requests(consistent: bool, attributes: &[&str], places: &[Place]) -> Option<HashMap<String, KeysAndAttributes>> {
    let mut tables: HashMap<&str, Vec<Item>> = HashMap::new();
    for place in places {
        tables.entry(&place.table).or_default().push(place.key.clone());
    }
    let request = |(table, keys): (&str, Vec<Item>)| {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent);
        Some((table.to_owned(), project(keys, attributes).build().ok()?))
    };
    tables.into_iter().map(request).collect()
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

fn key_of(write: &WriteRequest) -> Option<Texts> {
    let put = write.put_request().map(|put| put.item());
    put.or_else(|| write.delete_request().map(|delete| delete.key())).and_then(texts)
}

fn texts(item: &Item) -> Option<Texts> {
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
