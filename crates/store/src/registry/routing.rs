//! The routing index: see [`posthaste_domain::routing`].
//!
//! A webhook and the index are written by one transaction, which holds only if the root is the one that was read. So the index says
//! of every webhook what the webhook says, and a registration that is answered is in the root that the next fan-out reads.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, Delete, Put, TransactWriteItem},
};
use posthaste_domain::{
    Invalid,
    id::WebhookId,
    routing::{Changed, Page, Refused, Root, StoredPage},
    subscription::Subscription,
    workspace::Workspace,
};

use super::Registry;
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{Item, Read, key, number, text},
};

/// How often a change is tried that met another one of the same workspace: for about five seconds. Waits don't grow, because whoever
/// waits longer loses against those who have just come.
const TRIES: u32 = 100;
const WAIT: Duration = Duration::from_millis(10);
const ROOT: &str = "root";
const PAGE: &str = "page";

/// A page of a workspace's index, by its hash.
pub type PageKey = (Workspace, String);

/// What became of a change of a webhook.
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

impl Registry {
    /// The roots of those of these workspaces that have an index, read strongly with as few calls as possible.
    pub async fn roots(&self, workspaces: impl IntoIterator<Item = Workspace>) -> Found<Workspace, Root> {
        let keys = workspaces.into_iter().map(|workspace| (workspace.clone(), root_key(&workspace)));
        batch::get(self.index_reading(&[ROOT]), keys, |item| item.json(ROOT)).await
    }

    /// Those of these pages that are there: one that is not has been replaced.
    pub async fn pages(&self, pages: impl IntoIterator<Item = PageKey>) -> Found<PageKey, Page> {
        let keys = pages.into_iter().map(|page| (page.clone(), page_key(&page.0, &page.1)));
        batch::get(self.index_reading(&[PAGE]), keys, |item| {
            Page::parse(item.text(PAGE)?).map_err(|_| item.corrupt(PAGE))
        })
        .await
    }

    fn index_reading<'a>(&'a self, attributes: &'a [&'a str]) -> Reading<'a> {
        Reading { client: &self.client, table: &self.table, consistent: true, attributes }
    }

    /// Carries out the write of a webhook, whose subscription is then this one, together with the change of the index. `most` is how
    /// many webhooks the workspace may have.
    pub(super) async fn write_with_index(
        &self,
        workspace: &Workspace,
        id: WebhookId,
        subscription: Option<&Subscription>,
        most: usize,
        write: TransactWriteItem,
    ) -> Result<Written, StoreError> {
        for attempt in 1..=TRIES {
            let read = self.root_or_build(workspace).await?;
            let around: Vec<PageKey> = read.root.around(id).map(|hash| (workspace.clone(), hash.to_owned())).collect();
            let pages: HashMap<String, Page> =
                self.pages(around).await.items.into_iter().map(|((_, hash), page)| (hash, page)).collect();
            let changed = match read.root.change(id, subscription, &pages, most) {
                Ok(changed) => changed,
                Err(Refused::Limit(invalid)) => return Ok(Written::Refused(invalid)),
                Err(Refused::Json(error)) => return Err(error.into()),
                Err(Refused::Unread) => {
                    wait_after(attempt, id.0).await;
                    continue;
                }
            };
            let mut writes = vec![write.clone()];
            if let Some(changed) = changed {
                writes.extend(self.index_writes(workspace, changed, read.revision)?);
            }
            let sent = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
            let Err(error) = sent else { return Ok(Written::Done) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    cancelled.cancellation_reasons()
                }
                _ => return Err(StoreError::call("TransactWriteItems")(error)),
            };
            if reasons.first().is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                return Ok(Written::Stale);
            }
            if !reasons.iter().all(passes) {
                return Err(StoreError::call("TransactWriteItems")(error));
            }
            wait_after(attempt, id.0).await;
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }

    async fn root_or_build(&self, workspace: &Workspace) -> Result<ReadRoot, StoreError> {
        let get =
            self.client.get_item().table_name(&self.table).set_key(Some(root_key(workspace))).consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        if let Some(item) = answer.item {
            return Ok(ReadRoot { root: item.json(ROOT)?, revision: Some(item.number("revision")?) });
        }
        let all = self.webhooks(workspace).await?;
        if let Some(id) = all.unreadable.first() {
            // An index without it would keep events from it.
            return Err(StoreError::Corrupt { key: id.to_string(), attribute: "settings" });
        }
        let subscriptions: Vec<Subscription> = all.webhooks.iter().map(Subscription::of).collect();
        let (root, pages) = Root::build(&subscriptions)?;
        for page in &pages {
            let put = self.client.put_item().table_name(&self.table).set_item(Some(page_item(workspace, page)));
            put.send().await.map_err(StoreError::call("PutItem"))?;
        }
        Ok(ReadRoot { root, revision: None })
    }

    fn index_writes(
        &self,
        workspace: &Workspace,
        changed: Changed,
        revision: Option<u64>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let incomplete = |error| StoreError::incomplete("TransactWriteItems", error);
        let mut item = root_key(workspace);
        item.insert(ROOT.to_owned(), text(serde_json::to_string(&changed.root)?));
        item.insert("revision".to_owned(), number(revision.unwrap_or(0) + 1));
        let root = Put::builder().table_name(&self.table).set_item(Some(item));
        let root = match revision {
            None => root.condition_expression("attribute_not_exists(pk)"),
            Some(read) => {
                root.condition_expression("revision = :read").expression_attribute_values(":read", number(read))
            }
        };
        let mut writes = vec![TransactWriteItem::builder().put(root.build().map_err(incomplete)?).build()];
        for page in &changed.written {
            let put = Put::builder().table_name(&self.table).set_item(Some(page_item(workspace, page)));
            writes.push(TransactWriteItem::builder().put(put.build().map_err(incomplete)?).build());
        }
        for hash in &changed.removed {
            let delete = Delete::builder().table_name(&self.table).set_key(Some(page_key(workspace, hash)));
            writes.push(TransactWriteItem::builder().delete(delete.build().map_err(incomplete)?).build());
        }
        Ok(writes)
    }
}

/// Whether a transaction that was cancelled for this can be carried out later: the root has changed, or other calls were in the way.
pub(super) fn passes(reason: &CancellationReason) -> bool {
    let passing =
        ["None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    reason.code().is_none_or(|code| passing.contains(&code))
}

fn root_key(workspace: &Workspace) -> Item {
    key(format!("routing#{workspace}"), ROOT)
}

fn page_key(workspace: &Workspace, hash: &str) -> Item {
    key(format!("routing#{workspace}#{hash}"), PAGE)
}

fn page_item(workspace: &Workspace, page: &StoredPage) -> Item {
    let mut item = page_key(workspace, &page.hash);
    item.insert(PAGE.to_owned(), text(&page.json));
    item
}

/// Calls that met once shall not meet again, so what each of them changes, by this number of it, waits differently.
pub(super) async fn wait_after(attempt: u32, number: u64) {
    let eighths = u32::try_from((number * 5 + u64::from(attempt) * 3) % 8).unwrap_or_default();
    tokio::time::sleep(WAIT + WAIT / 2 * eighths).await;
}
