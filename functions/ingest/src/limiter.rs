//! The limit of publishing; the rule is in [`posthaste_domain::publish_limit`].
//!
//! A call is counted when its body could be read, so a repeated call counts again, and so does one that is refused for what its
//! events say. Where the bucket can't be asked, the call passes: a limit is no reason to lose events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use posthaste_domain::{
    Timestamp,
    publish_limit::{Account, Admission, PublishLimit},
    workspace::Workspace,
};
use posthaste_runtime::{api::ApiError, clock};
use posthaste_store::Registry;

/// From how many accounts on those that say nothing any more are forgotten.
const MANY_ACCOUNTS: usize = 1000;

/// What this environment knows of what workspaces publish.
#[derive(Debug, Clone)]
pub(crate) struct Limiter {
    limit: Option<PublishLimit>,
    registry: Registry,
    accounts: Arc<Mutex<HashMap<Workspace, Account>>>,
}

impl Limiter {
    pub(crate) fn new(limit: Option<PublishLimit>, registry: Registry) -> Self {
        Self { limit, registry, accounts: Arc::default() }
    }

    /// Lets a call of `count` events pass, or refuses it.
    pub(crate) async fn admit(&self, workspace: &Workspace, count: usize) -> Result<(), ApiError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let now = clock::now();
        let admission = match self.account(workspace, now, |account| account.admit(limit, count, now)) {
            Admission::Ask { least, most } => {
                match self.registry.take_tokens(workspace, limit, least, most, now).await {
                    Ok(grant) => self.account(workspace, now, |account| account.settle(limit, count, grant, now)),
                    Err(error) => {
                        tracing::warn!(%workspace, %error, "the limit of publishing could not be asked for: the call passes");
                        Admission::Admitted
                    }
                }
            }
            known => known,
        };
        match admission {
            Admission::Refused(until) => {
                let ms = u64::try_from(until.duration_since(now).as_millis()).unwrap_or(0);
                tracing::info!(%workspace, events = count, "a publishing call is over its workspace's limit");
                Err(ApiError::RateLimited { per_second: limit.per_second(), seconds: ms.div_ceil(1000).max(1) })
            }
            Admission::Admitted | Admission::Ask { .. } => Ok(()),
        }
    }

    fn account<T>(&self, workspace: &Workspace, now: Timestamp, act: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MANY_ACCOUNTS {
            accounts.retain(|_, account| !account.is_idle(now));
        }
        act(accounts.entry(workspace.clone()).or_default())
    }
}
