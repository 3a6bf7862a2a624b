//! Limits that the environments of a function keep together; the rule is in
//! [`posthaste_domain::access::tokens`].
//!
//! If the bucket can't be asked, the events pass uncounted: a limit is no reason to lose events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use posthaste_domain::{
    Timestamp,
    access::tokens::{Account, Admission, Limit},
};
use posthaste_store::{Bucket, Registry};

use crate::clock;

/// From how many accounts on those that say nothing any more are forgotten.
const MANY_ACCOUNTS: usize = 1000;

/// One limit, and what this environment knows of its buckets. Clones share that.
#[derive(Debug, Clone)]
pub struct Limiter {
    limit: Option<Limit>,
    registry: Registry,
    accounts: Arc<Mutex<HashMap<Bucket, Account>>>,
}

/// There are not enough tokens.
#[derive(Debug, Clone, Copy)]
pub struct OverLimit {
    /// The number of tokens that the limit allows in a second.
    pub per_second: u32,
    /// The number of seconds after which it is worth another try, at least 1: the header
    /// `Retry-After`.
    pub seconds: u64,
    /// It says whether the bucket itself has refused, and not the memory of what it said before.
    /// Such a refusal is worth a line in the log.
    pub is_new: bool,
}

impl Limiter {
    /// Without a limit everything passes.
    pub fn new(limit: Option<Limit>, registry: Registry) -> Self {
        Self { limit, registry, accounts: Arc::default() }
    }

    /// Takes so many tokens, or none where there are fewer.
    pub async fn admit(&self, bucket: &Bucket, count: u32) -> Result<(), OverLimit> {
        let Some(limit) = self.limit else { return Ok(()) };
        let now = clock::now();
        let asked = match self.account(bucket, now, |account| account.admit(limit, count, now)) {
            Admission::Admitted => return Ok(()),
            Admission::Refused(until) => return Err(OverLimit::until(limit, until, now, false)),
            Admission::Ask(asked) => asked,
        };
        match self.registry.buckets.take(bucket, limit, asked, now).await {
            Ok(grant) => match self
                .account(bucket, now, |account| account.settle(limit, asked, grant, now))
            {
                Admission::Refused(until) => Err(OverLimit::until(limit, until, now, true)),
                Admission::Admitted | Admission::Ask(_) => Ok(()),
            },
            Err(error) => {
                tracing::warn!(?bucket, %error, "a limit could not be asked for: the call passes");
                self.account(bucket, now, |account| account.go_on_unasked(asked, now));
                Ok(())
            }
        }
    }

    /// Takes tokens for what has been used already.
    pub async fn charge(&self, bucket: &Bucket, count: u32) {
        let Some(limit) = self.limit else { return };
        let now = clock::now();
        let owed = self.account(bucket, now, |account| account.charge(limit, count, now));
        if owed == 0 {
            return;
        }
        match self.registry.buckets.owe(bucket, limit, owed, now).await {
            Ok(next_free) => self.account(bucket, now, |account| account.charged(next_free)),
            Err(error) => {
                tracing::warn!(?bucket, %error, "what a call has read could not be counted")
            }
        }
    }

    fn account<T>(
        &self,
        bucket: &Bucket,
        now: Timestamp,
        act: impl FnOnce(&mut Account) -> T,
    ) -> T {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MANY_ACCOUNTS {
            accounts.retain(|_, account| !account.is_idle(now));
        }
        act(accounts.entry(bucket.clone()).or_default())
    }
}

impl OverLimit {
    /// Over the limit of `per_second`, for so many seconds.
    pub fn new(per_second: u32, seconds: u64, is_new: bool) -> Self {
        Self { per_second, seconds, is_new }
    }

    fn until(limit: Limit, until: Timestamp, now: Timestamp, is_new: bool) -> Self {
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        Self::new(limit.per_second(), wait.as_secs_f64().ceil().max(1.0) as u64, is_new)
    }
}
