//! An execution environment of `deliver` keeps what it has seen of its endpoints, to tell whether a
//! slow request says something about the endpoint.
//!
//! One slow request in a hundred is no slow endpoint, and when the network between us and all of
//! them is slow, no endpoint is.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use super::{SLOW, Strike};
use crate::webhook::key::WebhookKey;

/// An observation counts for this long.
const MEMORY: Duration = Duration::from_secs(60);
/// The most observations that are kept for one webhook.
const MAX_SAMPLES: usize = 100;
/// The most webhooks that are remembered.
const MAX_WEBHOOKS: usize = 10_000;
/// An observation younger than this tells how things are at the moment.
const RECENT: Duration = Duration::from_secs(10);
/// The fuse needs to have seen at least this many workspaces, or hosts.
const FEWEST_FOR_FUSE: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    is_slow: bool,
}

#[derive(Debug, Clone)]
struct Endpoint {
    host: String,
    samples: VecDeque<Sample>,
}

/// The observations of endpoints, by webhook.
#[derive(Debug, Clone, Default)]
pub struct Evidence(BTreeMap<WebhookKey, Endpoint>);

impl Evidence {
    /// Notes a request that has been under way for a second, or has ended. Returns a strike if it
    /// was slow and the cause is not on our side. A request that was noted while it was under way
    /// must not be noted again when it ends.
    pub fn note(
        &mut self,
        webhook: &WebhookKey,
        host: &str,
        took: Duration,
        now: Timestamp,
    ) -> Option<Strike> {
        let is_slow = took >= SLOW;
        self.make_room(webhook, now);
        let endpoint = self
            .0
            .entry(webhook.clone())
            .or_insert_with(|| Endpoint { host: host.to_owned(), samples: VecDeque::new() });
        host.clone_into(&mut endpoint.host);
        endpoint.samples.push_back(Sample { at: now, is_slow });
        if endpoint.samples.len() > MAX_SAMPLES {
            endpoint.samples.pop_front();
        }
        endpoint.samples.retain(|sample| now < sample.at + MEMORY);
        let strike = if endpoint.is_slow() { Strike::Counts } else { Strike::Doubt };
        (is_slow && !self.is_our_trouble(now)).then_some(strike)
    }

    /// Tells whether the webhook answered quickly a moment ago, so that several requests may begin
    /// at once.
    pub fn was_quick(&self, webhook: &WebhookKey, now: Timestamp) -> bool {
        let last = self.0.get(webhook).and_then(|endpoint| endpoint.samples.back());
        last.is_some_and(|last| !last.is_slow && now < last.at + RECENT)
    }

    /// The fuse: whether more than half of all that was called a moment ago is slow. It counts
    /// workspaces and not hosts, so that no tenant can blow it with many dead hosts; only where
    /// there is a single workspace do its hosts count. Its test mode is no other tenant.
    fn is_our_trouble(&self, now: Timestamp) -> bool {
        let mut workspaces: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for (webhook, endpoint) in &self.0 {
            let Some(last) = endpoint.samples.back().filter(|last| now < last.at + RECENT) else {
                continue;
            };
            let hosts = workspaces.entry(webhook.workspace.name()).or_default();
            // A host that answers one of its webhooks quickly can be reached.
            let is_slow = hosts.entry(&endpoint.host).or_insert(true);
            *is_slow &= last.is_slow;
        }
        let mut groups: Vec<bool> =
            workspaces.values().map(|hosts| is_most(hosts.values().copied())).collect();
        if let (1, Some(hosts)) = (workspaces.len(), workspaces.values().next()) {
            groups = hosts.values().copied().collect();
        }
        groups.len() >= FEWEST_FOR_FUSE && is_most(groups.into_iter())
    }

    fn make_room(&mut self, webhook: &WebhookKey, now: Timestamp) {
        if self.0.len() >= MAX_WEBHOOKS && !self.0.contains_key(webhook) {
            self.0.retain(|_, endpoint| {
                endpoint.samples.back().is_some_and(|last| now < last.at + MEMORY)
            });
            if self.0.len() >= MAX_WEBHOOKS {
                self.0.clear();
            }
        }
    }
}

impl Endpoint {
    /// Tells whether a fifth of the observations is slow, so that one slow observation is enough
    /// where there are no more than five.
    fn is_slow(&self) -> bool {
        let slow = self.samples.iter().filter(|sample| sample.is_slow).count();
        slow * 5 >= self.samples.len()
    }
}

fn is_most(all: impl Iterator<Item = bool>) -> bool {
    let (mut yes, mut count) = (0, 0);
    for one in all {
        count += 1;
        yes += usize::from(one);
    }
    yes * 2 > count
}
