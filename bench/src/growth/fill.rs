//! A table is filled with copies of items that the system itself has written. A copy is of another
//! time, so it has another id, and is in the partition of the item that it copies.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::system::Bench;

/// One BatchWriteItem has at most this many writes.
const MAX_WRITE: usize = 25;
/// This many calls go on side by side.
const CALLS: usize = 4;
/// The copies lie this far apart, so that 100,000 of them are six days.
const STEP_MS: u64 = 5000;

/// The items that are copied, one of each partition.
pub(super) struct Samples {
    /// The name of the table's output in the template.
    table: &'static str,
    items: Vec<Value>,
    /// The time of the oldest, from which copies go back.
    oldest_ms: u64,
    /// The copies that there are already.
    copies: usize,
}

impl Samples {
    /// Finds items of a table whose partition keys begin with this text and end with the number of
    /// a shard.
    pub(super) async fn find(
        bench: &Bench,
        table: &'static str,
        partition: &str,
    ) -> anyhow::Result<Self> {
        let name = bench.output(table)?;
        let mut by_partition = BTreeMap::new();
        let mut oldest_ms = u64::MAX;
        let mut scan = json!({ "TableName": name });
        loop {
            let mut page = bench.dynamodb("Scan", &scan).await?;
            for item in page["Items"].as_array().into_iter().flatten() {
                let key = item["pk"]["S"].as_str().unwrap_or_default();
                let shard = key.strip_prefix(partition).and_then(|rest| rest.strip_prefix('#'));
                if shard.is_none_or(|shard| shard.parse::<u8>().is_err()) {
                    continue;
                }
                oldest_ms = oldest_ms.min(time_ms(id(item)?)?);
                by_partition.insert(key.to_owned(), item.clone());
            }
            let last = page["LastEvaluatedKey"].take();
            if last.is_null() {
                break;
            }
            scan["ExclusiveStartKey"] = last;
        }
        ensure!(!by_partition.is_empty(), "{table} has nothing in the partitions of {partition}");
        Ok(Self { table, items: by_partition.into_values().collect(), oldest_ms, copies: 0 })
    }

    /// Writes copies until there are so many.
    pub(super) async fn fill(&mut self, bench: &Bench, copies: usize) -> anyhow::Result<()> {
        let numbers: Vec<usize> = (self.copies..copies).collect();
        let table = bench.output(self.table)?;
        let calls = numbers.chunks(MAX_WRITE).map(|chunk| self.write(bench, &table, chunk));
        stream::iter(calls).buffer_unordered(CALLS).try_collect::<Vec<()>>().await?;
        self.copies = self.copies.max(copies);
        Ok(())
    }

    async fn write(&self, bench: &Bench, table: &str, numbers: &[usize]) -> anyhow::Result<()> {
        let mut puts = Vec::new();
        for number in numbers {
            let sample = &self.items[number % self.items.len()];
            let copy = copy(sample, self.oldest_ms - (*number as u64 + 1) * STEP_MS)?;
            puts.push(json!({ "PutRequest": { "Item": copy } }));
        }
        let call = json!({ "RequestItems": { table: puts } });
        let answer = bench.dynamodb("BatchWriteItem", &call).await?;
        let left = answer["UnprocessedItems"].as_object().is_some_and(|left| !left.is_empty());
        ensure!(!left, "not all copies were written");
        Ok(())
    }
}

fn id(item: &Value) -> anyhow::Result<&str> {
    item["sk"]["S"].as_str().context("an item has no sort key")
}

/// Reads the time in an id, whose first 48 bits are milliseconds since 1970.
fn time_ms(id: &str) -> anyhow::Result<u64> {
    let digits: String = id.chars().filter(|letter| *letter != '-').take(12).collect();
    u64::from_str_radix(&digits, 16).with_context(|| format!("{id} has no time"))
}

/// Copies an item to another time.
fn copy(item: &Value, at_ms: u64) -> anyhow::Result<Value> {
    let id = id(item)?;
    let rest = id.get(13..).with_context(|| format!("{id} is no id"))?;
    let digits = format!("{at_ms:012x}");
    let new = format!("{}-{}{rest}", &digits[..8], &digits[8..]);
    Ok(serde_json::from_str(&item.to_string().replace(id, &new))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_an_id_of_its_time_wherever_the_item_has_one() {
        let item = json!({
            "pk": { "S": "w#3" }, "sk": { "S": "01a1f8d3-ea00-7851-b079-1f31db1699f6" },
            "event": { "S": "{\"id\":\"01a1f8d3-ea00-7851-b079-1f31db1699f6\"}" },
        });
        let at_ms = time_ms("01a1f8d3-ea00-7851-b079-1f31db1699f6").unwrap() - 1;
        let copy = copy(&item, at_ms).unwrap();
        assert_eq!(copy["sk"]["S"], "01a1f8d3-e9ff-7851-b079-1f31db1699f6");
        assert_eq!(copy["event"]["S"], r#"{"id":"01a1f8d3-e9ff-7851-b079-1f31db1699f6"}"#);
        assert_eq!(copy["pk"], item["pk"]);
        assert_eq!(time_ms(id(&copy).unwrap()).unwrap(), at_ms);
    }
}
