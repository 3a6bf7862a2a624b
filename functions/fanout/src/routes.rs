//! The webhooks of a workspace, and what they subscribe to.
//!
//! Every invocation reads the roots of its workspaces' routing indexes, strongly and with one call,
//! and those pages that this environment does not have. A page never changes, so one that is known
//! is right. A page that the root names and that is not there has been replaced since, so the root
//! is read again. A workspace without a root has webhooks that an earlier version registered: they
//! are read themselves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use posthaste_domain::{
    access::workspace::Workspace,
    fanout::{
        recipients::{MAX_RECIPIENTS, Recipient, Recipients},
        routing::{Page, Root},
        subscription::{Route, Subscription},
    },
    id::WebhookId,
};
use posthaste_store::{PageKey, Registry};
use tracing::Instrument;

use crate::plan::Arrived;

/// Roots that change while their pages are read are read so often.
const TRIES: u32 = 5;
/// Reading the webhooks of one workspace without an index may take so long.
const REGISTRY_TIME: Duration = Duration::from_secs(10);
/// An environment keeps so many bytes of pages beyond those that an invocation needs. In memory
/// they take about four times as much.
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// A webhook, and what it subscribes to; none where this version can't read that.
pub(crate) type Routed = (WebhookId, Option<Subscription>);

/// The webhooks of one workspace, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Vec<Arc<Vec<Routed>>>);

impl Routes {
    /// These webhooks.
    pub(crate) fn of(webhooks: Vec<Routed>) -> Self {
        Self(vec![Arc::new(webhooks)])
    }

    /// Those that an event goes to: the webhooks of its share, or some of them only.
    pub(crate) fn for_which(&self, arrived: &Arrived) -> impl Iterator<Item = &Routed> {
        let all = self.0.iter().flat_map(|page| page.iter());
        all.filter(|(id, _)| {
            let only = &arrived.only;
            arrived.share.has(*id) && (only.is_empty() || only.binary_search(id).is_ok())
        })
    }

    /// The webhooks that an event is owed to. None where they are too many, or where a subscription
    /// can't be read.
    pub(crate) fn recipients(&self, arrived: &Arrived) -> Option<Recipients> {
        let mut all = Vec::new();
        for (webhook, subscription) in self.for_which(arrived) {
            let (event_type, process) = (&arrived.event.event_type, &arrived.process);
            let is_held = match subscription.as_ref()?.route(event_type, process) {
                Route::Ignore | Route::End { wanted: false, .. } => continue,
                Route::Now | Route::End { wanted: true, .. } => false,
                Route::Hold { .. } => true,
            };
            all.push(Recipient { webhook: *webhook, is_held });
            if all.len() > MAX_RECIPIENTS {
                return None;
            }
        }
        Recipients::new(all)
    }
}

/// The webhooks of those workspaces whose webhooks could be read.
pub(crate) type RoutesOf = BTreeMap<Workspace, Routes>;

/// The index, and what this environment knows of it.
#[derive(Debug)]
pub(crate) struct Routing {
    registry: Registry,
    known: Mutex<HashMap<PageKey, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    webhooks: Arc<Vec<Routed>>,
    bytes: usize,
}

impl Routing {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, known: Mutex::default() }
    }

    /// The webhooks of those of these workspaces whose webhooks could be read.
    pub(crate) async fn routes(&self, workspaces: BTreeSet<Workspace>) -> RoutesOf {
        let mut all = BTreeMap::new();
        let mut used = BTreeSet::new();
        let mut left = workspaces;
        for _ in 0..TRIES {
            let mut found = self.registry.routing.roots(left.iter().cloned()).await;
            let without: BTreeSet<Workspace> = left
                .iter()
                .filter(|workspace| {
                    !found.items.contains_key(*workspace) && !found.unread.contains(*workspace)
                })
                .cloned()
                .collect();
            left.retain(|workspace| found.items.contains_key(workspace));
            found.items.retain(|workspace, _| left.contains(workspace));
            let (read, ()) = tokio::join!(self.read_whole(without), self.learn(&found.items));
            all.extend(read);
            for (workspace, root) in &found.items {
                if let Some(routes) = self.recall(workspace, root) {
                    used.extend(root.hashes().map(|hash| (workspace.clone(), hash.to_owned())));
                    all.insert(workspace.clone(), routes);
                    left.remove(workspace);
                }
            }
            if left.is_empty() {
                break;
            }
        }
        for workspace in left {
            tracing::error!(%workspace, "a workspace's webhooks could not be read");
        }
        self.forget_but(&used);
        all
    }

    /// Reads those pages of these roots that are not known.
    async fn learn(&self, roots: &HashMap<Workspace, Root>) {
        let unknown: Vec<PageKey> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let keys = roots.iter().flat_map(|(workspace, root)| {
                root.hashes().map(|hash| (workspace.clone(), hash.to_owned()))
            });
            keys.filter(|key| !known.contains_key(key)).collect()
        };
        if unknown.is_empty() {
            return;
        }
        let pages = self.registry.routing.pages(unknown).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(pages.items.into_iter().map(|(key, page)| (key, Known::of(&page))));
    }

    /// None where not all pages are known.
    fn recall(&self, workspace: &Workspace, root: &Root) -> Option<Routes> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pages = Vec::new();
        for hash in root.hashes() {
            let page = known.get(&(workspace.clone(), hash.to_owned()))?;
            pages.push(Arc::clone(&page.webhooks));
        }
        Some(Routes(pages))
    }

    /// Keeps memory within its bound.
    fn forget_but(&self, used: &BTreeSet<PageKey>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(|page| page.bytes).sum::<usize>() > MAX_KEPT_BYTES {
            known.retain(|key, _| used.contains(key));
        }
    }

    /// The webhooks of workspaces without an index.
    async fn read_whole(&self, workspaces: BTreeSet<Workspace>) -> Vec<(Workspace, Routes)> {
        let queries = workspaces.into_iter().map(async |workspace| {
            let reading = self.registry.webhooks.all(&workspace);
            let reading = reading.instrument(tracing::error_span!("workspace", %workspace));
            // One workspace that takes long does not take the others' time.
            match tokio::time::timeout(REGISTRY_TIME, reading).await {
                Ok(Ok(webhooks)) => {
                    let mut all: Vec<Routed> =
                        webhooks.unreadable.iter().map(|id| (*id, None)).collect();
                    for webhook in &webhooks.webhooks {
                        all.push((webhook.key.id, Some(Subscription::of(webhook))));
                    }
                    all.sort_unstable_by_key(|(id, _)| *id);
                    Some((workspace, Routes::of(all)))
                }
                Ok(Err(error)) => {
                    tracing::error!(%workspace, %error, "a workspace's webhooks could not be read");
                    None
                }
                Err(_) => {
                    tracing::error!(%workspace, "a workspace's webhooks could not be read in time");
                    None
                }
            }
        });
        join_all(queries).await.into_iter().flatten().collect()
    }
}

impl Known {
    fn of(page: &Page) -> Self {
        Self { webhooks: Arc::new(page.subscriptions().collect()), bytes: page.bytes() }
    }
}
