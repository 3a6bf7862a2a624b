//! The routing index: the subscriptions of a workspace's webhooks, in few items that fan-out can keep in memory.
//!
//! ```text
//! root    the pages in the order of their webhooks, with the hash of each
//! page    the subscriptions of neighbouring webhooks, by id
//! ```
//!
//! A page is named by the hash of its content, so it never changes: a change of one webhook writes a new page and a new root, in
//! the transaction that writes the webhook itself. Whoever has the root and every page that it names has the subscriptions as they
//! were at one moment. Fan-out reads the root for each batch, and a page only when it does not have it. A page that the root names
//! and that is not there was replaced in the meantime, so the root is read again.
//!
//! A page takes up to [`MAX_PAGE_BYTES`], since each change writes one and deletes one. One that has grown beyond that is divided, and two neighbours that have become small are
//! joined, so a root stays small whatever is registered and removed.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{Invalid, id::WebhookId, subscription::Subscription};

/// The most bytes of a page with more than one webhook.
pub const MAX_PAGE_BYTES: usize = 24 * 1024;
/// The most bytes of all pages of a workspace: fan-out keeps them in memory.
pub const MAX_INDEX_BYTES: usize = 4 * 1024 * 1024;

/// Two pages beside each other with no more bytes together become one.
const SMALL_PAIR: usize = MAX_PAGE_BYTES / 2;

/// How many webhooks of a workspace may name operational events. Each failing webhook tells all of them of each delivery that it
/// gave up, so many that tell each other of their own failures would be without measure.
pub const MAX_OPERATIONAL: usize = 10;

/// What the root says of one page: its first webhook, its hash, how many webhooks it has, how many bytes, and how many of its webhooks
/// name operational events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PageRef(WebhookId, String, usize, usize, usize);

impl PageRef {
    fn hash(&self) -> &str {
        &self.1
    }

    fn bytes(&self) -> usize {
        self.3
    }
}

/// The root of a workspace's index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pages: Vec<PageRef>,
}

/// A page: the subscriptions of some webhooks, as JSON, so that one which another version wrote stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Page(BTreeMap<WebhookId, Box<RawValue>>);

/// A page as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// Its name.
    pub hash: String,
    /// Its content.
    pub json: String,
}

/// What a change of the index writes.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The root after it.
    pub root: Root,
    /// The pages that are new.
    pub written: Vec<StoredPage>,
    /// The pages that the root names no more.
    pub removed: Vec<String>,
}

#[derive(Deserialize)]
struct OnlyId {
    id: WebhookId,
}

impl Root {
    /// The index of these subscriptions.
    pub fn build(subscriptions: &[Subscription]) -> serde_json::Result<(Self, Vec<StoredPage>)> {
        let mut all = Page::default();
        for subscription in subscriptions {
            all.0.insert(subscription.id, serde_json::value::to_raw_value(subscription)?);
        }
        let (pages, written) = stored(all.divided_into(MAX_PAGE_BYTES))?;
        Ok((Self { pages }, written))
    }

    /// How many webhooks there are.
    pub fn webhooks(&self) -> usize {
        self.pages.iter().map(|page| page.2).sum()
    }

    /// The names of the pages, in the order of their webhooks.
    pub fn hashes(&self) -> impl Iterator<Item = &str> {
        self.pages.iter().map(PageRef::hash)
    }

    /// The pages that a change of this webhook needs to know: its own, and those beside it that are small.
    pub fn around(&self, id: WebhookId) -> impl Iterator<Item = &str> {
        let at = self.place(id);
        let near = self.pages.iter().enumerate().take(at + 2).skip(at.saturating_sub(1));
        near.filter(move |(nth, page)| *nth == at || page.bytes() <= SMALL_PAIR).map(|(_, page)| page.hash())
    }

    /// The index with this subscription for the webhook, or without the webhook; none where it is so already. `pages` are those
    /// [around](Self::around) the webhook. A new webhook is refused where there are `most`.
    pub fn change(
        &self,
        id: WebhookId,
        subscription: Option<&Subscription>,
        pages: &HashMap<String, Page>,
        most: usize,
    ) -> Result<Option<Changed>, Refused> {
        let at = self.place(id);
        let read = |page: &PageRef| pages.get(page.hash()).cloned().ok_or(Refused::Unread);
        let mut page = self.pages.get(at).map(read).transpose()?.unwrap_or_default();
        let entry = subscription.map(serde_json::value::to_raw_value).transpose()?;
        let before = page.0.get(&id).map(|entry| entry.get());
        if before == entry.as_ref().map(|entry| entry.get()) {
            return Ok(None);
        }
        if before.is_none() && self.webhooks() >= most {
            let message = format!("the workspace has {} webhooks; it can have {most} at most", self.webhooks());
            return Err(Refused::Limit(Invalid::conflicting(None, "too_many_webhooks", message)));
        }
        let named_before = page.names_operational(id);
        match entry {
            Some(entry) => page.0.insert(id, entry),
            None => page.0.remove(&id),
        };
        let named: usize = self.pages.iter().map(|page| page.4).sum();
        if !named_before && page.names_operational(id) && named >= MAX_OPERATIONAL {
            let message = format!("{MAX_OPERATIONAL} webhooks of the workspace name operational events; no more can");
            return Err(Refused::Limit(Invalid::conflicting(Some("events"), "too_many_operational_webhooks", message)));
        }
        let mut replaced = at..(at + 1).min(self.pages.len());
        for beside in [at.checked_sub(1), Some(at + 1)].into_iter().flatten() {
            let Some(other) = self.pages.get(beside) else { continue };
            if page.bytes() + other.bytes() <= SMALL_PAIR {
                page.0.extend(read(other)?.0);
                replaced = replaced.start.min(beside)..replaced.end.max(beside + 1);
            }
        }
        let is_last = replaced.end == self.pages.len() && page.0.last_key_value().is_some_and(|(last, _)| *last == id);
        let (refs, mut written) = stored(if is_last { page.filled() } else { page.divided() })?;
        let mut root = self.clone();
        let mut removed: Vec<String> = root.pages.splice(replaced, refs).map(|page| page.1).collect();
        written.retain(|page| !removed.contains(&page.hash));
        removed.retain(|hash| !root.hashes().any(|kept| kept == hash));
        if root.bytes() > MAX_INDEX_BYTES && root.bytes() > self.bytes() {
            let message = format!(
                "events and filters of all the workspace's webhooks take at most {MAX_INDEX_BYTES} bytes together"
            );
            return Err(Refused::Limit(Invalid::conflicting(Some("events"), "too_many_subscriptions", message)));
        }
        Ok(Some(Changed { root, written, removed }))
    }

    fn bytes(&self) -> usize {
        self.pages.iter().map(PageRef::bytes).sum()
    }

    /// Where the page stands that this webhook is in, or belongs into.
    fn place(&self, id: WebhookId) -> usize {
        self.pages.partition_point(|page| page.0 <= id).saturating_sub(1)
    }
}

/// Why the index can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The workspace has as many webhooks as it may have, or as many that name operational events, or their subscriptions would take
    /// more than [`MAX_INDEX_BYTES`].
    #[error(transparent)]
    Limit(Invalid),
    /// A page that has to be known was replaced in the meantime.
    #[error("a page of the routing index was not read")]
    Unread,
    /// A subscription can't be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Page {
    /// Reads the content of a page.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        let entries: Vec<Box<RawValue>> = serde_json::from_str(json)?;
        let with_id = |entry: Box<RawValue>| Ok((serde_json::from_str::<OnlyId>(entry.get())?.id, entry));
        entries.into_iter().map(with_id).collect::<serde_json::Result<_>>().map(Self)
    }

    /// The subscriptions by webhook; none where this version does not understand one.
    pub fn subscriptions(&self) -> impl Iterator<Item = (WebhookId, Option<Subscription>)> {
        self.0.iter().map(|(id, entry)| (*id, serde_json::from_str(entry.get()).ok()))
    }

    fn names_operational(&self, id: WebhookId) -> bool {
        let subscription = self.0.get(&id).and_then(|entry| serde_json::from_str(entry.get()).ok());
        subscription.is_some_and(|subscription: Subscription| subscription.names_operational())
    }

    /// How many bytes its content has.
    pub fn bytes(&self) -> usize {
        // An opening and a closing bracket, and a comma between each two.
        self.0.values().map(|entry| entry.get().len() + 1).sum::<usize>() + 1
    }

    fn stored(&self) -> serde_json::Result<(PageRef, StoredPage)> {
        let json = serde_json::to_string(&self.0.values().collect::<Vec<_>>())?;
        let hash = hex::encode(&Sha256::digest(&json)[..12]);
        let first = self.0.first_key_value().map_or(WebhookId(0), |(id, _)| *id);
        let operational = self.0.keys().filter(|id| self.names_operational(**id)).count();
        Ok((PageRef(first, hash.clone(), self.0.len(), json.len(), operational), StoredPage { hash, json }))
    }

    /// Itself if it is small enough, else two halves, as far as whole subscriptions make halves; nothing where it is empty.
    fn divided(self) -> Vec<Self> {
        let bytes = self.bytes();
        if bytes <= MAX_PAGE_BYTES {
            return self.divided_into(MAX_PAGE_BYTES);
        }
        let mut sum = 0;
        let is_first = |(_, entry): &(WebhookId, Box<RawValue>)| {
            sum += entry.get().len();
            // The one in the middle is in the half that has more of it.
            sum - entry.get().len() / 2 <= bytes / 2
        };
        let (first, second) = self.0.into_iter().partition::<Vec<_>, _>(is_first);
        let halves = [first, second].map(|half| Self(half.into_iter().collect()));
        halves.into_iter().filter(|half| !half.0.is_empty()).collect()
    }

    /// Itself if it is small enough, else its last webhook gets a page of its own: pages that are filled one webhook after the other
    /// become full.
    fn filled(mut self) -> Vec<Self> {
        if self.bytes() <= MAX_PAGE_BYTES {
            return self.divided();
        }
        let last = self.0.pop_last();
        let mut pages = self.divided();
        pages.extend(last.map(|last| Self(BTreeMap::from([last]))));
        pages
    }

    /// Pages of at most so many bytes, or of one webhook.
    fn divided_into(self, most: usize) -> Vec<Self> {
        let mut pages: Vec<Self> = Vec::new();
        let mut bytes = 0;
        for (id, entry) in self.0 {
            let more = entry.get().len() + 1;
            match pages.last_mut().filter(|_| bytes + more <= most) {
                Some(page) => {
                    page.0.insert(id, entry);
                    bytes += more;
                }
                None => {
                    pages.push(Self(BTreeMap::from([(id, entry)])));
                    bytes = more + 1;
                }
            }
        }
        pages
    }
}

fn stored(pages: Vec<Page>) -> serde_json::Result<(Vec<PageRef>, Vec<StoredPage>)> {
    pages.iter().map(Page::stored).collect()
}

#[cfg(test)]
mod tests;
