use futures::{StreamExt, TryStreamExt, stream};
use posthaste_domain::{
    access::workspace::Workspace,
    event::{
        event_type::{EventPattern, EventType},
        own_type::{self, OwnEventType},
    },
};

use super::{
    List, Written, beginning_with, partition,
    routing::wait_after,
    type_count::{Counted, TRIES},
};
use crate::{
    Page, StoreError,
    batch::{self, Found, Reading},
    item::{Item, SK, json, key},
    table::{Answer, Outcome, Table},
    write::{Condition, Write},
};

pub(super) const SK_PREFIX: &str = "type#";
const TYPE: &str = "type";
/// So many patterns are looked up at the same time.
const LOOKS_AT_ONCE: usize = 16;
/// The most names that a suggestion is chosen from.
pub(super) const SUGGESTED_FROM: i32 = 1000;

/// One type of one workspace.
pub type OwnType = (Workspace, EventType);

/// The event types of their own that workspaces have.
#[derive(Debug, Clone)]
pub struct OwnTypes {
    pub(super) table: Table,
}

impl OwnTypes {
    /// Stores a type of a workspace's own, or replaces it. `most` is how many the workspace may
    /// have.
    pub async fn put(
        &self,
        workspace: &Workspace,
        own: &OwnEventType,
        most: usize,
    ) -> Result<Written, StoreError> {
        let item = type_key(workspace, &own.name).with(TYPE, json(own)?);
        for attempt in 1..=TRIES {
            if let Outcome::Done(_) =
                self.table.put(item.clone(), &[Condition::some_item()]).await?
            {
                return Ok(Written::Done);
            }
            let read = self.count(workspace).await?;
            if read.types >= most {
                return Ok(Written::Refused(own_type::too_many(most)));
            }
            let add = Write::Put(item.clone(), vec![Condition::no_item()]);
            if self.write_counted(workspace, add, read, read.types + 1).await? == Counted::Done {
                return Ok(Written::Done);
            }
            wait_after(attempt, own.name.as_str().len() as u64).await;
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }

    /// Deletes a type. False when there is none.
    pub async fn delete(
        &self,
        workspace: &Workspace,
        name: &EventType,
    ) -> Result<bool, StoreError> {
        for attempt in 1..=TRIES {
            let read = self.count(workspace).await?;
            let delete = Write::Delete(type_key(workspace, name), vec![Condition::some_item()]);
            match self.write_counted(workspace, delete, read, read.types.saturating_sub(1)).await? {
                Counted::Done => return Ok(true),
                Counted::Refused => return Ok(false),
                Counted::Overtaken => wait_after(attempt, name.as_str().len() as u64).await,
            }
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }

    /// Those of these types that exist.
    pub async fn by_name(
        &self,
        wanted: impl IntoIterator<Item = OwnType>,
    ) -> Found<OwnType, OwnEventType> {
        let reading = Reading { table: &self.table, consistent: true, attributes: &[TYPE], read };
        let keys = wanted.into_iter().map(|(workspace, name)| {
            let key = type_key(&workspace, &name);
            ((workspace, name), key)
        });
        batch::get(reading, keys).await
    }

    /// A page of a workspace's types, by name.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<&EventType>,
    ) -> Result<Page<OwnEventType, EventType>, StoreError> {
        let start = after.map(|name| type_key(workspace, name));
        List { workspace, prefix: SK_PREFIX, start, limit }
            .page(&self.table, read, |own| own.name.clone())
            .await
    }

    /// For each of these patterns the first type of the workspace that it matches, by name, if
    /// there is one. Reading a type costs what it costs with its schema, so it reads no more than
    /// one for each pattern.
    pub async fn matching(
        &self,
        workspace: &Workspace,
        patterns: impl IntoIterator<Item = EventPattern>,
    ) -> Result<Vec<EventType>, StoreError> {
        let first = patterns.into_iter().map(async |pattern| {
            let names = self.names(workspace, &beginning(&pattern), 1).await?;
            Ok::<_, StoreError>(names.into_iter().find(|name| pattern.matches(name)))
        });
        first_of_each(first).await
    }

    /// Some names of a workspace's types, to suggest one of: those that one call reads, a megabyte
    /// of types.
    pub async fn some_names(&self, workspace: &Workspace) -> Result<Vec<EventType>, StoreError> {
        self.names(workspace, "", SUGGESTED_FROM).await
    }

    async fn names(
        &self,
        workspace: &Workspace,
        beginning: &str,
        most: i32,
    ) -> Result<Vec<EventType>, StoreError> {
        let query =
            beginning_with(&self.table, workspace, &format!("{SK_PREFIX}{beginning}"), None);
        let answer = Answer::to(query.projection_expression(SK).limit(most)).await?;
        answer.items.iter().map(name_of).collect()
    }
}

/// The beginning of the names that a pattern matches.
pub(super) fn beginning(pattern: &EventPattern) -> String {
    match pattern {
        EventPattern::All => String::new(),
        EventPattern::Below(prefix) => format!("{prefix}."),
        // No other name that begins with this one comes before it.
        EventPattern::Exactly(name) => name.to_string(),
    }
}

/// Carries out look-ups, some at the same time, and returns what they have found.
pub(super) async fn first_of_each(
    looks: impl Iterator<Item = impl Future<Output = Result<Option<EventType>, StoreError>>>,
) -> Result<Vec<EventType>, StoreError> {
    let found: Vec<Option<EventType>> =
        stream::iter(looks).buffered(LOOKS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn read(item: &Item) -> Result<OwnEventType, StoreError> {
    item.json(TYPE)
}

pub(super) fn name_of(item: &Item) -> Result<EventType, StoreError> {
    let name = item.text(SK)?.strip_prefix(SK_PREFIX).and_then(|name| EventType::parse(name).ok());
    name.ok_or_else(|| item.corrupt(SK))
}

fn type_key(workspace: &Workspace, name: &EventType) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{name}"))
}
