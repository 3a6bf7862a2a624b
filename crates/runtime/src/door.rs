//! The door decides who may come in: whether a call's API key exists, and whether its workspace has
//! calls left.
//!
//! A key is looked up once in some seconds ([`posthaste_domain::access::known_keys`]). Each call
//! takes a token of the workspace's bucket ([`posthaste_domain::access::tokens`]), whichever of its
//! keys makes it, and one that has read much takes further ones when it is over ([`weigh`]). A call
//! without a valid key belongs to nobody, so it takes none.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use posthaste_domain::access::{
    api_key::{ApiKey, KeyHash, KeyInfo},
    known_keys::{Known, KnownKeys},
    tokens::{self, Limit},
    workspace::Workspace,
};
use posthaste_store::{Bucket, Registry};

use crate::{api::ApiError, clock, limiter::Limiter, read_units};

tokio::task_local! {
    /// The bucket that the caller takes from, as soon as it is known.
    static CALLER: OnceLock<Bucket>;
}

/// The memory that this environment has of keys, and of the calls that their workspaces have left.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct Door {
    registry: Registry,
    known: Arc<Mutex<KnownKeys>>,
    limiter: Limiter,
    /// The bucket of a workspace that its calls take from.
    bucket: fn(Workspace) -> Bucket,
}

impl Door {
    /// `limit` is how many calls a second the keys of a workspace may make together, which take
    /// from `bucket`.
    pub fn new(limit: Option<Limit>, bucket: fn(Workspace) -> Bucket, registry: Registry) -> Self {
        let limiter = Limiter::new(limit, registry.clone());
        Self { registry, known: Arc::default(), limiter, bucket }
    }

    /// Looks the key up, and counts a call of its workspace.
    pub(crate) async fn enter(&self, key: &ApiKey) -> Result<KeyInfo, ApiError> {
        let info = self.look_up(key.hash()).await?.ok_or(ApiError::Unauthorized)?;
        self.count(self.bucket, &info.reach()).await?;
        Ok(info)
    }

    /// Counts a call that a page of the console makes for a workspace.
    pub(crate) async fn count_for_page(&self, workspace: &Workspace) -> Result<(), ApiError> {
        self.count(Bucket::Pages, workspace).await
    }

    /// Counts a call, which is refused if there are too many.
    async fn count(
        &self,
        bucket: fn(Workspace) -> Bucket,
        workspace: &Workspace,
    ) -> Result<(), ApiError> {
        let bucket = bucket(workspace.clone());
        // A call that nobody weighs has no place to write this down.
        let _ = CALLER.try_with(|caller| caller.set(bucket.clone()));
        self.limiter.admit(&bucket, 1).await.map_err(|over| {
            if over.is_new {
                tracing::info!(%workspace, "a workspace makes more calls than it may");
            }
            ApiError::TooManyCalls(over)
        })
    }

    /// Takes further tokens for a call that makes more work than others. What follows waits for them.
    pub async fn charge(&self, workspace: &Workspace, tokens: u32) {
        self.limiter.charge(&(self.bucket)(workspace.clone()), tokens).await;
    }

    /// A key that has been revoked by this environment is of no use here at once.
    pub fn forget(&self, hash: &KeyHash) {
        self.known().forget(hash);
    }

    /// The facts that are known of the key with this hash; none if there is no such key.
    pub async fn look_up(&self, hash: KeyHash) -> Result<Option<KeyInfo>, ApiError> {
        let now = clock::now();
        let known = self.known().find(&hash, now);
        match known {
            Known::Key(info) => Ok(Some(info)),
            Known::NoKey => Ok(None),
            Known::Nothing => {
                let info = self.registry.keys.get(&hash).await?;
                self.known().learn(hash, info.clone(), now);
                Ok(info)
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownKeys> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer of an API's routes: a call that has read much counts as several calls of its workspace.
pub async fn weigh(State(door): State<Door>, request: Request, next: Next) -> Response {
    let named = async {
        let response = next.run(request).await;
        (response, CALLER.with(|caller| caller.get().cloned()))
    };
    let ((response, bucket), units) =
        read_units::counted(CALLER.scope(OnceLock::new(), named)).await;
    let weight = tokens::weight(units);
    if let Some(bucket) = bucket.filter(|_| weight > 0) {
        door.limiter.charge(&bucket, weight).await;
    }
    response
}
