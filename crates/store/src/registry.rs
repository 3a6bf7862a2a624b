//! The Registry table: webhooks and the index that routes events to them, API keys, the counter of webhook ids, the calls that have an
//! idempotency key, and the buckets of limits.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `workspace#<name>` | `webhook#<id, 20 digits>` | `settings` (JSON), `secrets` and `headers` (JSON of sealed values), `createdAt`, `updatedAt`, `revision`; its health: `failingSince`, `lastSuccessAt`, `lastFailureAt`, `failures`, `announced`, `disabledAt`, `disabledReason` |
//! | `routing#<workspace>` | `root` | `root` (JSON of [`posthaste_domain::routing::Root`]), `revision` |
//! | `routing#<workspace>#<hash>` | `page` | `page` (JSON of a [`posthaste_domain::routing::Page`]) |
//! | `workspace#<name>` | `key#<id>` | `info` (JSON), `hash` |
//! | `workspace#<name>` | `type#<event type>` | `type` (JSON): an event type of the workspace's own |
//! | `count#<workspace>` | `type` | `count`: how many event types of its own the workspace has |
//! | `key#<sha-256>` | `key` | `info` (JSON) |
//! | `counter` | `webhook` | `value` |
//! | `idempotency#<workspace>#<sha-256>` | `call` | `body` (SHA-256), `acceptedAt` (ms), `seed`, `sent`, `ordered`, `expiresAt` |
//! | `publish#<workspace>` | `limit` | `nextFree` (ns), `expiresAt`: the limit of publishing |
//! | `calls#<key id>` | `limit` | the same: the limit of the calls of an API key |
//!
//! What is confidential is sealed before it gets here, and is read without being opened: see [`crate::KeyRing`].
//!
//! A webhook and what the routing index says of it are written in one transaction. A key is two items, written and deleted in one transaction.

mod buckets;
mod health;
mod idempotency;
mod keys;
mod routing;
mod subscribers;
mod type_count;
mod types;
pub(crate) mod webhooks;

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use posthaste_domain::workspace::Workspace;

use crate::item::{Item, text};

pub use buckets::Bucket;
pub use routing::{PageKey, Written};
pub use subscribers::Subscribers;
pub use types::OwnType;
pub use webhooks::{Revision, Webhooks};

/// The Registry table.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Registry {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// The items of a workspace whose sort keys begin so, read strongly consistently.
    fn beginning_with(&self, workspace: &Workspace, prefix: &str, start: Option<Item>) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :workspace AND begins_with(sk, :prefix)")
            .expression_attribute_values(":workspace", text(partition(workspace)))
            .expression_attribute_values(":prefix", text(prefix))
            .consistent_read(true)
            .set_exclusive_start_key(start)
    }
}

fn partition(workspace: &Workspace) -> String {
    format!("workspace#{workspace}")
}
