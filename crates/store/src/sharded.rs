//! A list that is spread over partitions of a table and of its indexes, read in the order of its
//! sort keys, page by page.
//!
//! Each partition is asked for its share of the page, and those that are behind are asked again;
//! the results are merged. Sort keys are UUIDs that begin with their time, so the order is that of
//! time. A page costs a bounded number of read units, however rare what a filter leaves is: where a
//! partition was not looked through to its end, the page ends at the point up to which all of them
//! were, and its cursor goes on from there. So a page can have fewer items than asked for, even
//! none, and still have a next one. Each page looks at a new item of every partition at least, so
//! the cursor always moves.

mod merge;

use std::cmp::Ordering;

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use futures::future::try_join_all;

use crate::{
    Page, StoreError,
    item::{Item, SK, key, text},
    table::{Answer, Range, Table},
    write::{Condition, Expressions},
};
use merge::{Bounds, Entry, Given, Merge, Question};

/// After so many read units (4 KB, read strongly) a page asks for nothing more. What was asked at
/// once may go beyond that by one call a partition, which reads up to 1 MB.
const MAX_UNITS: f64 = 1000.0;
/// A page may have so many bytes of items: a Lambda answer takes 6 MB, and JSON escapes some of
/// them.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// A question about a list.
#[derive(Clone)]
pub(crate) struct Sharded<'a> {
    pub(crate) table: &'a Table,
    pub(crate) partitions: Vec<Partition>,
    /// The bounds of the sort key: at or above the first, below the second.
    pub(crate) from: String,
    pub(crate) until: String,
    /// The sort key of the last item that was seen.
    pub(crate) after: Option<String>,
    /// The highest sort key first.
    pub(crate) descending: bool,
    pub(crate) limit: usize,
}

/// One of the partitions.
#[derive(Clone)]
pub(crate) struct Partition {
    /// The partition key.
    pub(crate) key: String,
    /// The index that it is a partition of; none if it is one of the table.
    pub(crate) index: Option<Index>,
    /// The conditions that an item has to meet to be in the list. An index knows them only of the
    /// attributes that it has.
    pub(crate) filter: Vec<Condition>,
}

/// An index that has the keys of the items alone, with a text as its sort key that no two items of
/// a partition share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) partition_key: &'static str,
    pub(crate) sort_key: &'static str,
}

impl Partition {
    /// A partition of the table, whole.
    pub(crate) fn of_table(key: String) -> Self {
        Self { key, index: None, filter: Vec::new() }
    }

    fn sort_key(&self) -> &'static str {
        self.index.map_or(SK, |index| index.sort_key)
    }
}

/// The order of sort keys in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

impl Order {
    fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Ascending => a.cmp(b),
            Self::Descending => b.cmp(a),
        }
    }

    fn is_before(self, a: &str, b: &str) -> bool {
        self.compare(a, b).is_lt()
    }
}

impl Sharded<'_> {
    /// A page of items, and the sort key after which the next one begins.
    pub(crate) async fn page(&self) -> Result<Page<Item, String>, StoreError> {
        let (lower, upper) = (self.lower(), self.upper());
        if lower > upper {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let mut merge = Merge::new(self.order(), self.bounds(), self.partitions.len());
        loop {
            let questions = merge.questions();
            if questions.is_empty() {
                break;
            }
            let given = questions.iter().map(|question| self.ask(question, (&lower, &upper)));
            merge.take(try_join_all(given).await?);
        }
        let (items, next) = merge.page();
        Ok(Page { items, next })
    }

    fn order(&self) -> Order {
        if self.descending { Order::Descending } else { Order::Ascending }
    }

    fn bounds(&self) -> Bounds {
        let is_filtered = self.partitions.iter().any(|partition| !partition.filter.is_empty());
        Bounds { items: self.limit, bytes: MAX_PAGE_BYTES, units: MAX_UNITS, is_filtered }
    }

    fn lower(&self) -> String {
        match &self.after {
            Some(after) if !self.descending => self.from.clone().max(after.clone()),
            _ => self.from.clone(),
        }
    }

    fn upper(&self) -> String {
        match &self.after {
            Some(after) if self.descending => self.until.clone().min(after.clone()),
            _ => self.until.clone(),
        }
    }

    async fn ask(
        &self,
        question: &Question,
        between: (&str, &str),
    ) -> Result<Given<Item>, StoreError> {
        let partition = &self.partitions[question.partition];
        let name = partition.sort_key();
        let answer = Answer::to(self.query(partition, question, between)).await?;
        let up_to = answer.next.map(|key| key.text(name).map(str::to_owned)).transpose()?;
        let mut entries = Vec::new();
        for item in answer.items {
            let sort_key = item.text(name)?.to_owned();
            if self.is_within(&sort_key) && question.after.as_ref() != Some(&sort_key) {
                entries.push(Entry { sort_key, bytes: size(&item), item });
            }
        }
        let units = answer.units.unwrap_or(1.0);
        Ok(Given {
            partition: question.partition,
            entries,
            looked_at: answer.looked_at,
            up_to,
            units,
        })
    }

    /// BETWEEN includes both its bounds; the cursor and the upper bound are not part of the page.
    fn is_within(&self, sort_key: &str) -> bool {
        sort_key < self.until.as_str()
            && self.after.as_deref().is_none_or(|after| after != sort_key)
    }

    fn query(
        &self,
        partition: &Partition,
        question: &Question,
        (from, until): (&str, &str),
    ) -> QueryFluentBuilder {
        let after = question.after.as_deref();
        let query = match partition.index {
            None => {
                let start = after.map(|after| key(&partition.key, after).0);
                let query = self.table.query(&partition.key, Range::Between(from, until));
                query.set_exclusive_start_key(start)
            }
            // An entry of an index is known by its sort key, but a call goes on behind its item.
            Some(index) => {
                let (from, until) = match after {
                    Some(after) if self.descending => (from, after),
                    Some(after) => (after, until),
                    None => (from, until),
                };
                self.index_query(index, &partition.key, (from, until))
            }
        };
        // One more, as the first one that is looked at can be the cursor itself.
        let look_at = i32::try_from(question.look_at + 1).unwrap_or(i32::MAX);
        let mut query = query
            .scan_index_forward(!self.descending)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .limit(look_at);
        let filter = Expressions::of(&partition.filter);
        for (placeholder, name) in filter.names().into_iter().flatten() {
            query = query.expression_attribute_names(placeholder, name);
        }
        for (placeholder, value) in filter.values().into_iter().flatten() {
            query = query.expression_attribute_values(placeholder, value);
        }
        query.set_filter_expression(filter.condition)
    }

    /// A query of one partition of an index, which is read eventually.
    fn index_query(
        &self,
        index: Index,
        partition: &str,
        (from, until): (&str, &str),
    ) -> QueryFluentBuilder {
        let Index { name, partition_key, sort_key } = index;
        let condition =
            format!("{partition_key} = :partition AND {sort_key} BETWEEN :from AND :until");
        self.table
            .client
            .query()
            .table_name(&self.table.name)
            .index_name(name)
            .key_condition_expression(condition)
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
    }
}

fn size(item: &Item) -> usize {
    item.0.iter().map(|(name, value)| name.len() + weight(value)).sum()
}

fn weight(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::L(values) => values.iter().map(weight).sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(table: &'a Table, descending: bool, after: &str) -> Sharded<'a> {
        Sharded {
            table,
            partitions: Vec::new(),
            from: "b".to_owned(),
            until: "y".to_owned(),
            after: Some(after.to_owned()),
            descending,
            limit: 5,
        }
    }

    #[test]
    fn a_cursor_narrows_the_side_that_was_seen() {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest());
        let table = &Table::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "t");
        let bounds = |descending, after| {
            let asked = asked(table, descending, after);
            (asked.lower(), asked.upper())
        };
        assert_eq!(bounds(false, "m"), ("m".into(), "y".into()));
        assert_eq!(bounds(true, "m"), ("b".into(), "m".into()));
        assert_eq!(bounds(false, "a").0, "b", "a cursor can't reach beyond the bounds");
        let ascending = asked(table, false, "m");
        assert!(!ascending.is_within("m") && ascending.is_within("n") && !ascending.is_within("y"));
    }
}
