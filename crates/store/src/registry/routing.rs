//! The routing index: see [`posthaste_domain::fanout::routing`].
//!
//! A webhook and the index are written by one transaction, which holds only if the root is the one
//! that was read. So the index says of every webhook what the webhook says, and a registration that
//! is answered is in the root that the next fan-out reads.

use std::{collections::HashMap, time::Duration};

use posthaste_domain::{
    Invalid,
    access::workspace::Workspace,
    fanout::{
        routing::{Changed, Page, Refused, Root, StoredPage},
        subscription::Subscription,
    },
    webhook::key::WebhookKey,
};

use super::Webhooks;
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{Item, json, key, number, text},
    table::{Table, Transacted},
    write::{Condition, Write},
};

/// A change that met another one of the same workspace is tried so often: for about five seconds.
/// Waits don't grow, because whoever waits longer loses against those who have just come.
const TRIES: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);
const ROOT: &str = "root";
const PAGE: &str = "page";

/// A page of a workspace's index, by its hash.
pub type PageKey = (Workspace, String);

/// The outcome of a change of a webhook.
#[derive(Debug)]
pub enum Written {
    /// It is written, and so is the index.
    Done,
    /// The webhook has been changed or deleted since it was read.
    Stale,
    /// The workspace can't have it.
    Refused(Invalid),
}

/// The root as it was read; no revision where there is none yet.
#[derive(Default)]
struct ReadRoot {
    root: Root,
    revision: Option<u64>,
}

/// The routing indexes of all workspaces.
#[derive(Debug, Clone)]
pub struct RoutingIndex {
    pub(super) table: Table,
}

impl RoutingIndex {
    /// The roots of those of these workspaces that have an index, read strongly with as few calls
    /// as possible.
    pub async fn roots(
        &self,
        workspaces: impl IntoIterator<Item = Workspace>,
    ) -> Found<Workspace, Root> {
        let keys =
            workspaces.into_iter().map(|workspace| (workspace.clone(), root_key(&workspace)));
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[ROOT], read: read_root };
        batch::get(reading, keys).await
    }

    /// Those of these pages that are there: one that is not has been replaced.
    pub async fn pages(&self, pages: impl IntoIterator<Item = PageKey>) -> Found<PageKey, Page> {
        let keys = pages.into_iter().map(|page| (page.clone(), page_key(&page.0, &page.1)));
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[PAGE], read: read_page };
        batch::get(reading, keys).await
    }
}

impl Webhooks {
    /// Carries out these writes, of which the first is that of a webhook, whose subscription is then
    /// this one, together with the change of the index. `most` is how many webhooks the workspace
    /// may have.
    pub(super) async fn write_with_index(
        &self,
        webhook: &WebhookKey,
        subscription: Option<&Subscription>,
        most: usize,
        writes: &[Write],
    ) -> Result<Written, StoreError> {
        let WebhookKey { workspace, id } = webhook;
        for attempt in 1..=TRIES {
            let read = self.root_or_build(workspace).await?;
            let around: Vec<PageKey> =
                read.root.around(*id).map(|hash| (workspace.clone(), hash.to_owned())).collect();
            let pages: HashMap<String, Page> = self
                .routing
                .pages(around)
                .await
                .items
                .into_iter()
                .map(|((_, hash), page)| (hash, page))
                .collect();
            let changed = match read.root.change(*id, subscription, &pages, most) {
                Ok(changed) => changed,
                Err(Refused::Limit(invalid)) => return Ok(Written::Refused(invalid)),
                Err(Refused::Json(error)) => return Err(error.into()),
                Err(Refused::Unread) => {
                    wait_after(attempt, id.0).await;
                    continue;
                }
            };
            let mut writes = writes.to_vec();
            if let Some(changed) = changed {
                writes.extend(index_writes(workspace, changed, read.revision)?);
            }
            match self.table.transact(&writes).await? {
                Transacted::Done => return Ok(Written::Done),
                Transacted::Refused(at) if at.contains(&0) => return Ok(Written::Stale),
                // The root has changed, or other calls were in the way.
                Transacted::Refused(_) | Transacted::Overtaken(_) => {
                    wait_after(attempt, id.0).await
                }
            }
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }

    /// Carries out these writes, of which the first is that of a webhook, where the index does not
    /// show the change.
    pub(super) async fn write_without_index(
        &self,
        webhook: &WebhookKey,
        writes: &[Write],
    ) -> Result<Written, StoreError> {
        for attempt in 1..=TRIES {
            match self.table.transact(writes).await? {
                Transacted::Done => return Ok(Written::Done),
                Transacted::Refused(_) => return Ok(Written::Stale),
                // Other calls were in the way, such as one that notes the webhook's health.
                Transacted::Overtaken(_) => wait_after(attempt, webhook.id.0).await,
            }
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }

    async fn root_or_build(&self, workspace: &Workspace) -> Result<ReadRoot, StoreError> {
        if let Some(item) = self.table.get(root_key(workspace)).await? {
            return Ok(ReadRoot {
                root: item.json(ROOT)?,
                revision: Some(item.number("revision")?),
            });
        }
        let all = self.all(workspace).await?;
        if let Some(id) = all.unreadable.first() {
            // An index without it would keep events from it.
            return Err(StoreError::Corrupt { key: id.to_string(), attribute: "settings" });
        }
        let subscriptions: Vec<Subscription> = all.webhooks.iter().map(Subscription::of).collect();
        let (root, pages) = Root::build(&subscriptions)?;
        for page in &pages {
            self.table.put(page_item(workspace, page), &[]).await?;
        }
        Ok(ReadRoot { root, revision: None })
    }
}

/// The writes that make the index what it has become, if its root is still the one of this
/// revision.
fn index_writes(
    workspace: &Workspace,
    changed: Changed,
    revision: Option<u64>,
) -> Result<Vec<Write>, StoreError> {
    let root = root_key(workspace)
        .with(ROOT, json(&changed.root)?)
        .with("revision", number(revision.unwrap_or(0) + 1));
    let unchanged = match revision {
        None => Condition::no_item(),
        Some(read) => Condition::Is("revision", number(read)),
    };
    let mut writes = vec![Write::Put(root, vec![unchanged])];
    writes
        .extend(changed.written.iter().map(|page| Write::Put(page_item(workspace, page), vec![])));
    writes.extend(
        changed.removed.iter().map(|hash| Write::Delete(page_key(workspace, hash), vec![])),
    );
    Ok(writes)
}

fn read_root(item: &Item) -> Result<Root, StoreError> {
    item.json(ROOT)
}

fn read_page(item: &Item) -> Result<Page, StoreError> {
    Page::parse(item.text(PAGE)?).map_err(|_| item.corrupt(PAGE))
}

fn root_key(workspace: &Workspace) -> Item {
    key(format!("routing#{workspace}"), ROOT)
}

fn page_key(workspace: &Workspace, hash: &str) -> Item {
    key(format!("routing#{workspace}#{hash}"), PAGE)
}

fn page_item(workspace: &Workspace, page: &StoredPage) -> Item {
    page_key(workspace, &page.hash).with(PAGE, text(&page.json))
}

/// Calls that met once shall not meet again, so what each of them changes, by this number of it,
/// waits differently.
pub(super) async fn wait_after(attempt: u32, number: u64) {
    let eighths = u32::try_from((number * 5 + u64::from(attempt) * 3) % 8).unwrap_or_default();
    tokio::time::sleep(WAIT + WAIT / 2 * eighths).await;
}
