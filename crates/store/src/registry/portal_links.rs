//! Portal links. A link is one item, in the list of its workspace, and a second one leads there
//! from the hash of its token. Both are written and deleted in one transaction. They have
//! partitions of their own, which no function can write that need not.

use aws_sdk_dynamodb::types::ReturnValue;
use posthaste_domain::{
    Timestamp,
    access::{
        portal_link::{NotOpened, PortalLink, PortalTokenHash},
        workspace::Workspace,
    },
    id::PortalLinkId,
};

use crate::{
    Page, StoreError,
    item::{EXPIRES_AT, Item, bytes, json, key, number, text},
    table::{Answer, Outcome, Range, Table},
    write::{Condition, Update, Write},
};

const LINK: &str = "link";
const HASH: &str = "hash";
const OPENED_AT: &str = "openedAt";
const OPENING: &str = "opening";

/// The portal links of all workspaces.
#[derive(Debug, Clone)]
pub struct PortalLinks {
    pub(super) table: Table,
}

impl PortalLinks {
    /// Stores a link under its token's hash and in its workspace's list. Storing the same link
    /// again changes nothing.
    pub async fn insert(
        &self,
        hash: &PortalTokenHash,
        link: &PortalLink,
    ) -> Result<(), StoreError> {
        let expires_at = number(link.listed_until().as_second());
        let by_hash = hash_key(hash)
            .with("workspace", text(link.workspace.as_str()))
            .with("id", text(link.id.to_string()))
            .with(EXPIRES_AT, expires_at.clone());
        let listed = list_key(&link.workspace, link.id)
            .with(LINK, json(link)?)
            .with(HASH, text(hash.as_str()))
            .with(EXPIRES_AT, expires_at);
        self.table.transact_whole(&[Write::Put(by_hash, vec![]), Write::Put(listed, vec![])]).await
    }

    /// A page of a workspace's links, the newest first, read strongly consistently.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<PortalLinkId>,
    ) -> Result<Page<PortalLink, PortalLinkId>, StoreError> {
        let limit = usize::from(limit);
        let after = after.map(|id| list_key(workspace, id).0);
        // One more than is asked for tells whether there is another page.
        let query = self.table.query(&partition(workspace), Range::All);
        let query = query.scan_index_forward(false).limit(limit as i32 + 1);
        let answer = Answer::to(query.set_exclusive_start_key(after)).await?;
        let is_last = answer.next.is_none() && answer.items.len() <= limit;
        let items = answer.items.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        let next = if is_last { None } else { items.last().map(|link| link.id) };
        Ok(Page { items, next })
    }

    /// The link with this id, if the workspace has one, read strongly consistently: a deleted link
    /// is gone from then on.
    pub async fn get(
        &self,
        workspace: &Workspace,
        id: PortalLinkId,
    ) -> Result<Option<PortalLink>, StoreError> {
        self.table.get(list_key(workspace, id)).await?.as_ref().map(read).transpose()
    }

    /// The link whose token has this hash, read strongly consistently.
    pub async fn find(&self, hash: &PortalTokenHash) -> Result<Option<PortalLink>, StoreError> {
        let Some(item) = self.table.get(hash_key(hash)).await? else { return Ok(None) };
        let workspace = item.text("workspace")?;
        let workspace = Workspace::parse(workspace).map_err(|_| item.corrupt("workspace"))?;
        self.get(&workspace, item.parsed("id")?).await
    }

    /// Opens the link whose token has this hash, or says why it can't be opened. Of all calls that
    /// try, one opens it. `opening` is drawn anew by each of them: when the SDK repeats a call whose
    /// answer got lost, the call knows its own opening by it. Where a function dies after that, the
    /// link is used and its session is not known to anybody: the customer needs another link.
    pub async fn open(
        &self,
        hash: &PortalTokenHash,
        opening: [u8; 16],
        now: Timestamp,
    ) -> Result<Result<PortalLink, NotOpened>, StoreError> {
        let Some(link) = self.find(hash).await? else { return Ok(Err(NotOpened::Missing)) };
        let opened = match link.opened(now) {
            Ok(opened) => opened,
            Err(reason) => return Ok(Err(reason)),
        };
        let is_first = Condition::Any(vec![
            Condition::Absent(OPENED_AT),
            Condition::Is(OPENING, bytes(opening)),
        ]);
        let update = Update::at(list_key(&link.workspace, link.id))
            .set(OPENED_AT, text(now.to_string()))
            .set(OPENING, bytes(opening))
            .only_if(Condition::some_item())
            .only_if(is_first);
        Ok(match self.table.update_and_read(update, ReturnValue::None).await? {
            Outcome::Done(_) => Ok(opened),
            Outcome::Refused(Some(_)) => Err(NotOpened::Used),
            Outcome::Refused(None) => Err(NotOpened::Missing),
        })
    }

    /// Deletes a link, with which the session ends that it has opened. Deleting one that is gone
    /// changes nothing.
    pub async fn delete(&self, workspace: &Workspace, id: PortalLinkId) -> Result<(), StoreError> {
        let listed = list_key(workspace, id);
        let Some(item) = self.table.get(listed.clone()).await? else { return Ok(()) };
        let hash = PortalTokenHash::from(item.text(HASH)?.to_owned());
        let writes = [Write::Delete(hash_key(&hash), vec![]), Write::Delete(listed, vec![])];
        self.table.transact_whole(&writes).await
    }
}

fn read(item: &Item) -> Result<PortalLink, StoreError> {
    let link: PortalLink = item.json(LINK)?;
    Ok(PortalLink { opened_at: item.optional(OPENED_AT, Item::parsed)?, ..link })
}

fn hash_key(hash: &PortalTokenHash) -> Item {
    key(format!("portal-link#{}", hash.as_str()), LINK)
}

fn list_key(workspace: &Workspace, id: PortalLinkId) -> Item {
    key(partition(workspace), id.to_string())
}

fn partition(workspace: &Workspace) -> String {
    format!("portal-links#{workspace}")
}
