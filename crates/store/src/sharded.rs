//! A list that is spread over partitions, read in the order of its sort keys, page by page.
//!
//! Each partition is asked for a page; the results are merged. Sort keys are UUIDs that begin with their time, so the order is that
//! of time. A page costs a bounded number of calls, however rare what a filter leaves is: where a partition was not looked through
//! to its end, the page ends at the point up to which all of them were, and its cursor goes on from there. So a page can have
//! fewer items than asked for, even none, and still have a next one.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::future::try_join_all;

use crate::{
    Page, StoreError,
    item::{Item, Read, SK, text},
};

/// How many calls one partition may take for a page. A call reads up to 1 MB.
const MAX_CALLS: usize = 3;
/// How many bytes of items a page may have: a Lambda answer takes 6 MB, and JSON escapes some of them.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Sharded<'a> {
    pub(crate) client: &'a Client,
    pub(crate) table: &'a str,
    pub(crate) partitions: Vec<String>,
    /// The bounds of the sort key: at or above the first, below the second.
    pub(crate) from: String,
    pub(crate) until: String,
    /// The sort key of the last item that was seen.
    pub(crate) after: Option<String>,
    /// The highest sort key first.
    pub(crate) descending: bool,
    /// Attributes, and the values that they have to have.
    pub(crate) filter: Vec<(&'static str, AttributeValue)>,
    pub(crate) limit: usize,
}

/// What one partition gave: items in order, and the sort key up to which it was looked through; none if to its end.
struct Part {
    items: Vec<Item>,
    frontier: Option<String>,
}

impl Sharded<'_> {
    /// A page of items, and the sort key after which the next one begins.
    pub(crate) async fn page(&self) -> Result<Page<Item, String>, StoreError> {
        let bounds = (self.lower(), self.upper());
        if bounds.0 > bounds.1 {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let parts = self.partitions.iter().map(|partition| self.part(partition, (&bounds.0, &bounds.1)));
        let parts = try_join_all(parts).await?;
        let frontiers = parts.iter().filter_map(|part| part.frontier.clone());
        let frontier = if self.descending { frontiers.max() } else { frontiers.min() };
        let mut items = Vec::new();
        for item in parts.into_iter().flat_map(|part| part.items) {
            items.push((item.text(SK)?.to_owned(), item));
        }
        items.sort_unstable_by(|(a, _), (b, _)| if self.descending { b.cmp(a) } else { a.cmp(b) });
        Ok(self.cut(items, frontier))
    }

    /// Ends the page at its limits and where not all partitions are known.
    fn cut(&self, items: Vec<(String, Item)>, frontier: Option<String>) -> Page<Item, String> {
        let mut page = Vec::new();
        let (mut bytes, mut last) = (0, None);
        for (sort_key, item) in items {
            let beyond = frontier.as_ref().is_some_and(|frontier| match self.descending {
                true => sort_key < *frontier,
                false => sort_key > *frontier,
            });
            if beyond {
                break;
            }
            bytes += size(&item);
            if page.len() == self.limit || (bytes > MAX_PAGE_BYTES && !page.is_empty()) {
                return Page { items: page, next: last };
            }
            page.push(item);
            last = Some(sort_key);
        }
        Page { items: page, next: frontier }
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

    async fn part(&self, partition: &str, (from, until): (&str, &str)) -> Result<Part, StoreError> {
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        let mut bytes = 0;
        for _ in 0..MAX_CALLS {
            let answer = self.query(partition, from, until, start).send().await.map_err(StoreError::call("Query"))?;
            for item in answer.items.unwrap_or_default() {
                if self.is_within(item.text(SK)?) {
                    bytes += size(&item);
                    items.push(item);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() > self.limit || bytes > MAX_PAGE_BYTES {
                break;
            }
        }
        let frontier = start.map(|key| key.text(SK).map(str::to_owned)).transpose()?;
        Ok(Part { items, frontier })
    }

    /// BETWEEN includes both its bounds; the cursor and the upper bound are not part of the page.
    fn is_within(&self, sort_key: &str) -> bool {
        sort_key < self.until.as_str() && self.after.as_deref().is_none_or(|after| after != sort_key)
    }

    fn query(
        &self,
        partition: &str,
        from: &str,
        until: &str,
        start: Option<Item>,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let mut query = self
            .client
            .query()
            .table_name(self.table)
            .scan_index_forward(!self.descending)
            .consistent_read(true)
            .key_condition_expression("pk = :partition AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
            .set_exclusive_start_key(start);
        let mut conditions = Vec::new();
        for (at, (attribute, value)) in self.filter.iter().enumerate() {
            conditions.push(format!("#{at} = :{at}"));
            query = query
                .expression_attribute_names(format!("#{at}"), *attribute)
                .expression_attribute_values(format!(":{at}"), value.clone());
        }
        // A limit counts what is looked at, not what a filter leaves: with a filter, a look is as large as DynamoDB makes it.
        if conditions.is_empty() {
            // The page can lie wholly in one partition; two more are the cursor itself and a sign that another page follows.
            query.limit(i32::try_from(self.limit + 2).unwrap_or(i32::MAX))
        } else {
            query.filter_expression(conditions.join(" AND "))
        }
    }
}

fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + weight(value)).sum()
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
    use crate::item::key;

    fn asked(client: &Client, descending: bool, limit: usize) -> Sharded<'_> {
        Sharded {
            client,
            table: "t",
            partitions: Vec::new(),
            from: "b".to_owned(),
            until: "y".to_owned(),
            after: None,
            descending,
            filter: Vec::new(),
            limit,
        }
    }

    fn client() -> Client {
        let config =
            aws_sdk_dynamodb::Config::builder().behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest());
        Client::from_conf(config.build())
    }

    fn items(keys: &[&str]) -> Vec<(String, Item)> {
        keys.iter().map(|sort_key| ((*sort_key).to_owned(), key("p", *sort_key))).collect()
    }

    fn cut(asked: &Sharded<'_>, keys: &[&str], frontier: Option<&str>) -> (Vec<String>, Option<String>) {
        let page = asked.cut(items(keys), frontier.map(str::to_owned));
        (page.items.iter().map(|item| item.text(SK).unwrap().to_owned()).collect(), page.next)
    }

    #[test]
    fn a_page_ends_at_its_limit_and_says_where() {
        let client = client();
        let ascending = asked(&client, false, 2);
        assert_eq!(cut(&ascending, &["c", "d", "e"], None), (vec!["c".into(), "d".into()], Some("d".into())));
        assert_eq!(cut(&ascending, &["c", "d"], None), (vec!["c".into(), "d".into()], None));
        assert_eq!(cut(&ascending, &[], None), (vec![], None));
    }

    #[test]
    fn a_page_does_not_go_beyond_what_all_partitions_were_looked_through_to() {
        let client = client();
        let ascending = asked(&client, false, 5);
        assert_eq!(cut(&ascending, &["c", "d", "f"], Some("d")), (vec!["c".into(), "d".into()], Some("d".into())));
        assert_eq!(cut(&ascending, &["f"], Some("d")), (vec![], Some("d".into())), "nothing yet, but it goes on");
        let descending = asked(&client, true, 5);
        assert_eq!(cut(&descending, &["f", "d", "c"], Some("d")), (vec!["f".into(), "d".into()], Some("d".into())));
    }

    #[test]
    fn a_page_is_bounded_in_bytes_but_has_an_item() {
        let client = client();
        let asked = asked(&client, false, 5);
        let large = |sort_key: &str| {
            let mut item = key("p", sort_key);
            item.insert("x".to_owned(), text("x".repeat(MAX_PAGE_BYTES)));
            (sort_key.to_owned(), item)
        };
        let page = asked.cut(vec![large("c"), large("d")], None);
        assert_eq!((page.items.len(), page.next.as_deref()), (1, Some("c")));
    }

    #[test]
    fn a_cursor_narrows_the_side_that_was_seen() {
        let client = client();
        let after =
            |descending, after: &str| Sharded { after: Some(after.to_owned()), ..asked(&client, descending, 5) };
        assert_eq!((after(false, "m").lower(), after(false, "m").upper()), ("m".into(), "y".into()));
        assert_eq!((after(true, "m").lower(), after(true, "m").upper()), ("b".into(), "m".into()));
        assert_eq!(after(false, "a").lower(), "b", "a cursor can't reach beyond the bounds");
        assert!(
            !after(false, "m").is_within("m") && after(false, "m").is_within("n") && !after(false, "m").is_within("y")
        );
    }
}
