//! The event types of which events were published, so that the API can list those that nobody has
//! described. They are in a partition of their own, because fan-out writes them, which can't write
//! webhooks. A type is forgotten 90 days after it was last noted.

use std::{collections::HashSet, time::Duration};

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::event_type::{EventPattern, EventType},
};

use super::types::{OwnType, SK_PREFIX, SUGGESTED_FROM, beginning, first_of_each, name_of};
use crate::{
    Page, StoreError, batch,
    item::{EXPIRES_AT, Item, key, number},
    table::{Answer, Range, Table, Transacted},
    write::{Condition, Write},
};

/// A type is listed for so long after an event of it was noted.
const LISTED_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The event types of which each workspace has published events.
#[derive(Debug, Clone)]
pub struct PublishedTypes {
    pub(super) table: Table,
}

impl PublishedTypes {
    /// Notes that events of these types, which are distinct, were published. Returns the places of
    /// those that may not be noted.
    pub async fn note(
        &self,
        types: &[OwnType],
        now: Timestamp,
    ) -> Result<HashSet<usize>, StoreError> {
        let expires_at = number((now + LISTED_FOR).as_second());
        let items = types.iter().map(|(workspace, name)| {
            published_key(workspace, name).with(EXPIRES_AT, expires_at.clone())
        });
        batch::put(&self.table, items.collect()).await
    }

    /// A page of the types of which events were published, by name. The built-in types are not
    /// among them; those of the workspace's own are.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<&EventType>,
    ) -> Result<Page<EventType, EventType>, StoreError> {
        let after = after.map(|name| published_key(workspace, name));
        let answer = self.beginning_with(workspace, "", i32::from(limit), after).await?;
        let items = answer.items.iter().map(name_of).collect::<Result<Vec<_>, _>>()?;
        let next = answer.next.as_ref().map(name_of).transpose()?;
        Ok(Page { items, next })
    }

    /// For each of these patterns the first type that it matches, by name, of which events were
    /// published.
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

    /// Some names of types of which events were published, to suggest one of.
    pub async fn some_names(&self, workspace: &Workspace) -> Result<Vec<EventType>, StoreError> {
        self.names(workspace, "", SUGGESTED_FROM).await
    }

    /// Returns whether events of this type were published.
    pub async fn contains(
        &self,
        workspace: &Workspace,
        name: &EventType,
    ) -> Result<bool, StoreError> {
        Ok(self.table.get(published_key(workspace, name)).await?.is_some())
    }

    /// Forgets that events of this type were published. Returns false if that is not known.
    pub async fn forget(
        &self,
        workspace: &Workspace,
        name: &EventType,
    ) -> Result<bool, StoreError> {
        let key = published_key(workspace, name);
        let delete = Write::Delete(key, vec![Condition::some_item()]);
        Ok(matches!(self.table.transact(&[delete]).await?, Transacted::Done))
    }

    /// The published types whose names begin so, at most so many.
    async fn names(
        &self,
        workspace: &Workspace,
        beginning: &str,
        most: i32,
    ) -> Result<Vec<EventType>, StoreError> {
        let answer = self.beginning_with(workspace, beginning, most, None).await?;
        answer.items.iter().map(name_of).collect()
    }

    async fn beginning_with(
        &self,
        workspace: &Workspace,
        beginning: &str,
        most: i32,
        after: Option<Item>,
    ) -> Result<Answer, StoreError> {
        let range = format!("{SK_PREFIX}{beginning}");
        let query = self.table.query(&partition(workspace), Range::Beginning(&range));
        Answer::to(query.limit(most).set_exclusive_start_key(after.map(|key| key.0))).await
    }
}

fn partition(workspace: &Workspace) -> String {
    format!("types#{workspace}")
}

fn published_key(workspace: &Workspace, name: &EventType) -> Item {
    key(partition(workspace), format!("{SK_PREFIX}{name}"))
}
