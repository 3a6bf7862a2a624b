//! The Registry table: webhooks and the index that routes events to them, API keys, the counter of
//! webhook ids, the calls that have an idempotency key, and the buckets of limits.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `workspace#<name>` | `webhook#<id, 20 digits>` | `settings` (JSON), `secrets` and `headers` (JSON of sealed values), `createdAt`, `updatedAt`, `revision`; its health: `failingSince`, `lastSuccessAt`, `lastFailureAt`, `failures`, `announced`, `disabledAt`, `disabledReason` |
//! | `revision#<workspace>#<webhook id>` | revision, 20 digits, or `removed` | what the webhook was then: `settings`, `headers` (JSON of names without values), `createdAt`, `updatedAt`, `revision`, `expiresAt`; of a removed one `removedAt` |
//! | `routing#<workspace>` | `root` | `root` (JSON of [`posthaste_domain::fanout::routing::Root`]), `revision` |
//! | `routing#<workspace>#<hash>` | `page` | `page` (JSON of a [`posthaste_domain::fanout::routing::Page`]) |
//! | `workspace#<name>` | `key#<id>` | `info` (JSON), `hash` |
//! | `workspace#<name>` | `type#<event type>` | `type` (JSON): an event type of the workspace's own |
//! | `workspace#<name>` | `settings` | `settings` (JSON): the workspace's own |
//! | `types#<workspace>` | `type#<event type>` | `expiresAt`: events of it were published |
//! | `count#<workspace>` | `type` | `count`: how many event types of its own the workspace has |
//! | `key#<sha-256>` | `key` | `info` (JSON) |
//! | `portal-link#<sha-256>` | `link` | `workspace`, `id`, `expiresAt`: the portal link that has this token |
//! | `portal-links#<workspace>` | portal link id | `link` (JSON), `hash`, `expiresAt`; of one that was opened `openedAt` and `opening` (which call has opened it) |
//! | `counter` | `webhook` | `value` |
//! | `idempotency#<workspace>#<sha-256>` | `call` | `body` (SHA-256), `acceptedAt` (ms), `seed`, `sent`, `ordered`, `expiresAt` |
//! | `publish#<workspace>` | `limit` | `nextFree` (ns), `expiresAt`: the limit of publishing |
//! | `calls#<workspace>` | `limit`, `publishing` or `pages` | the same: the limit of the calls of its API keys, of those that publish, and of those that pages of the console make |
//! | `sign-in#<address>` | `limit` | the same: the limit of the tries to sign in from an address |
//! | `simulations#<workspace>` | simulation id | `status`, `asked` (JSON: what is simulated), `samples` (JSON, of own types), `sent`, `startedAt`, `updatedAt`, `place`, `expiresAt` |
//! | `simulating` | `<workspace>#<0 to 4>` | `simulation` (the id of one that runs), `expiresAt` |
//!
//! Confidential values are sealed before they get here, and are read without being opened: see
//! [`crate::KeyRing`].
//!
//! A webhook, what the routing index says of it and what it was before are written in one
//! transaction. A key is two items, written and deleted in one transaction, and so is a portal link.

mod buckets;
mod health;
mod idempotency;
mod keys;
mod portal_links;
mod published;
mod revisions;
mod routing;
mod settings;
mod simulations;
mod subscribers;
mod type_count;
mod types;
pub(crate) mod webhooks;

use std::{ops::Deref, sync::Arc};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use posthaste_domain::access::workspace::Workspace;

use crate::{
    Page, StoreError,
    item::Item,
    table::{Answer, Range, Table},
};

pub use buckets::{Bucket, Buckets};
pub use health::Healths;
pub use idempotency::KeyedCalls;
pub use keys::ApiKeys;
pub use portal_links::PortalLinks;
pub use published::PublishedTypes;
pub use revisions::{RemovedWebhook, Replaced, Revisions};
pub use routing::{PageKey, RoutingIndex, Written};
pub use settings::Workspaces;
pub use simulations::{Place, PlacesPage, Simulations};
pub use subscribers::Subscribers;
pub use types::{OwnType, OwnTypes};
pub use webhooks::{AllWebhooks, Webhooks};

/// The Registry table. Each call of an API clones it several times, so clones share its parts.
#[derive(Debug, Clone)]
pub struct Registry(Arc<RegistryParts>);

impl Deref for Registry {
    type Target = RegistryParts;

    fn deref(&self) -> &RegistryParts {
        &self.0
    }
}

/// The parts of the Registry table, by what is in it. A [`Registry`] leads to them.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is explained at its type")]
pub struct RegistryParts {
    pub webhooks: Webhooks,
    pub revisions: Revisions,
    pub health: Healths,
    pub routing: RoutingIndex,
    pub keys: ApiKeys,
    pub portal_links: PortalLinks,
    pub types: OwnTypes,
    pub published: PublishedTypes,
    pub workspaces: Workspaces,
    pub calls: KeyedCalls,
    pub buckets: Buckets,
    pub simulations: Simulations,
}

impl Registry {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let table = Table::new(client, table);
        let routing = RoutingIndex { table: table.clone() };
        Self(Arc::new(RegistryParts {
            webhooks: Webhooks { table: table.clone(), routing: routing.clone() },
            revisions: Revisions { table: table.clone() },
            health: Healths { table: table.clone() },
            routing,
            keys: ApiKeys { table: table.clone() },
            portal_links: PortalLinks { table: table.clone() },
            types: OwnTypes { table: table.clone() },
            published: PublishedTypes { table: table.clone() },
            workspaces: Workspaces { table: table.clone() },
            calls: KeyedCalls { table: table.clone() },
            buckets: Buckets { table: table.clone() },
            simulations: Simulations { table },
        }))
    }
}

/// A list of items, and the page of it that is asked for.
struct List<'a> {
    workspace: &'a Workspace,
    /// The beginning of the sort keys of the items.
    prefix: &'a str,
    /// The key of the last item of the page before.
    start: Option<Item>,
    limit: u16,
}

impl List<'_> {
    /// Reads the page with one call, strongly consistently.
    async fn page<T, C>(
        self,
        table: &Table,
        read: fn(&Item) -> Result<T, StoreError>,
        cursor: fn(&T) -> C,
    ) -> Result<Page<T, C>, StoreError> {
        let limit = usize::from(self.limit);
        // One more than is asked for tells whether there is another page.
        let query = beginning_with(table, self.workspace, self.prefix, self.start)
            .limit(i32::from(self.limit) + 1);
        let answer = Answer::to(query).await?;
        let mut items = answer.items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let is_last = answer.next.is_none() && items.len() <= limit;
        items.truncate(limit);
        let next = if is_last { None } else { items.last().map(cursor) };
        Ok(Page { items, next })
    }
}

/// The items of a workspace whose sort keys begin so, read strongly consistently.
fn beginning_with(
    table: &Table,
    workspace: &Workspace,
    prefix: &str,
    start: Option<Item>,
) -> QueryFluentBuilder {
    let query = table.query(&partition(workspace), Range::Beginning(prefix));
    query.set_exclusive_start_key(start.map(|key| key.0))
}

fn partition(workspace: &Workspace) -> String {
    format!("workspace#{workspace}")
}
