//! The routing index holds the subscriptions of a workspace's webhooks, in few items that fan-out
//! can keep in memory.
//!
//! ```text
//! root    the pages in the order of their webhooks, with the hash of each
//! page    the subscriptions of neighbouring webhooks, by id
//! ```
//!
//! A page is named by the hash of its content, so it never changes: a change of one webhook writes
//! a new page and a new root, in the transaction that writes the webhook itself. The root and all
//! pages that it names are the subscriptions as they were at one moment. Fan-out reads the root for
//! each batch, and a page only when it does not have it. If a page that the root names is missing,
//! it was replaced in the meantime, and the root is read again.
//!
//! A page takes up to [`MAX_PAGE_BYTES`], since each change writes one and deletes one. One that
//! has grown beyond that is divided, and two neighbours that have become small are joined, so a
//! root stays small whatever is registered and removed.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{Invalid, fanout::subscription::Subscription, id::WebhookId};

/// The most bytes of a page with more than one webhook.
pub const MAX_PAGE_BYTES: usize = 24 * 1024;
/// The most bytes of all pages of a workspace: fan-out keeps them in memory.
pub const MAX_INDEX_BYTES: usize = 4 * 1024 * 1024;

/// Two neighbouring pages with no more bytes than this together are joined.
const SMALL_PAIR: usize = MAX_PAGE_BYTES / 2;

/// The most webhooks of a workspace that may name operational events. Each delivery that a failing
/// webhook gives up is announced to all of them, so if many of them announced each other's failures
/// there would be no end.
pub const MAX_OPERATIONAL: usize = 10;

/// A page as the root lists it. Stored as an array, to keep the root small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PageRow", into = "PageRow")]
struct PageRef {
    /// The first webhook of the page.
    first: WebhookId,
    hash: String,
    webhooks: usize,
    bytes: usize,
    /// The number of its webhooks that name operational events.
    operational: usize,
}

/// The stored form: first webhook, hash, webhooks, bytes, webhooks that name operational events.
type PageRow = (WebhookId, String, usize, usize, usize);

impl From<PageRow> for PageRef {
    fn from((first, hash, webhooks, bytes, operational): PageRow) -> Self {
        Self { first, hash, webhooks, bytes, operational }
    }
}

impl From<PageRef> for PageRow {
    fn from(page: PageRef) -> Self {
        (page.first, page.hash, page.webhooks, page.bytes, page.operational)
    }
}

/// The root of a workspace's index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pages: Vec<PageRef>,
}

/// The subscriptions of some neighbouring webhooks, each as JSON, so that one that another version
/// wrote stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Page(BTreeMap<WebhookId, Box<RawValue>>);

/// A page as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// The name of the page: the hash of its content.
    pub hash: String,
    /// The content of the page.
    pub json: String,
}

/// The writes that a change of the index needs.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The root after the change.
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
    /// Builds the index of these subscriptions.
    pub fn build(subscriptions: &[Subscription]) -> serde_json::Result<(Self, Vec<StoredPage>)> {
        let mut all = Page::default();
        for subscription in subscriptions {
            all.0.insert(subscription.id, serde_json::value::to_raw_value(subscription)?);
        }
        let (pages, written) = stored(all.divided_into(MAX_PAGE_BYTES))?;
        Ok((Self { pages }, written))
    }

    /// The number of webhooks in the index.
    pub fn webhooks(&self) -> usize {
        self.pages.iter().map(|page| page.webhooks).sum()
    }

    /// The names of the pages, in the order of their webhooks.
    pub fn hashes(&self) -> impl Iterator<Item = &str> {
        self.pages.iter().map(|page| page.hash.as_str())
    }

    /// The names of the pages that a change of this webhook needs to know: its own page, and those
    /// beside it that are small.
    pub fn around(&self, id: WebhookId) -> impl Iterator<Item = &str> {
        let at = self.place(id);
        let near = self.pages.iter().enumerate().take(at + 2).skip(at.saturating_sub(1));
        near.filter(move |(nth, page)| *nth == at || page.bytes <= SMALL_PAIR)
            .map(|(_, page)| page.hash.as_str())
    }

    /// Changes the index to this subscription for the webhook, or to none; returns none if that is
    /// what it has. `pages` are those [around](Self::around) the webhook. A new webhook is refused
    /// if there are `most` already.
    pub fn change(
        &self,
        id: WebhookId,
        subscription: Option<&Subscription>,
        pages: &HashMap<String, Page>,
        most: usize,
    ) -> Result<Option<Changed>, Refused> {
        let at = self.place(id);
        let mut page = match self.pages.get(at) {
            Some(listed) => read(listed, pages)?,
            None => Page::default(),
        };
        let entry = subscription.map(serde_json::value::to_raw_value).transpose()?;
        let before = page.0.get(&id).map(|entry| entry.get());
        if before == entry.as_ref().map(|entry| entry.get()) {
            return Ok(None);
        }
        if before.is_none() && self.webhooks() >= most {
            let message = format!(
                "the workspace has {} webhooks; it can have {most} at most",
                self.webhooks()
            );
            return Err(Refused::Limit(Invalid::conflicting(None, "too_many_webhooks", message)));
        }
        let named_before = page.names_operational(id);
        match entry {
            Some(entry) => page.0.insert(id, entry),
            None => page.0.remove(&id),
        };
        let named: usize = self.pages.iter().map(|page| page.operational).sum();
        if !named_before && page.names_operational(id) && named >= MAX_OPERATIONAL {
            let message = format!(
                "{MAX_OPERATIONAL} webhooks of the workspace name operational events; no more can"
            );
            return Err(Refused::Limit(Invalid::conflicting(
                Some("events"),
                "too_many_operational_webhooks",
                message,
            )));
        }
        self.with_page(at, id, page, pages).map(Some)
    }

    /// Puts a changed page at this place, joined with its neighbours if they are small. `id` is the
    /// webhook that was changed.
    fn with_page(
        &self,
        at: usize,
        id: WebhookId,
        mut page: Page,
        pages: &HashMap<String, Page>,
    ) -> Result<Changed, Refused> {
        let mut replaced = at..(at + 1).min(self.pages.len());
        for beside in [at.checked_sub(1), Some(at + 1)].into_iter().flatten() {
            let Some(other) = self.pages.get(beside) else { continue };
            if page.bytes() + other.bytes <= SMALL_PAIR {
                page.0.extend(read(other, pages)?.0);
                replaced = replaced.start.min(beside)..replaced.end.max(beside + 1);
            }
        }
        let is_last = replaced.end == self.pages.len()
            && page.0.last_key_value().is_some_and(|(last, _)| *last == id);
        let (refs, mut written) = stored(if is_last { page.filled() } else { page.divided() })?;
        let mut root = self.clone();
        let mut removed: Vec<String> =
            root.pages.splice(replaced, refs).map(|page| page.hash).collect();
        written.retain(|page| !removed.contains(&page.hash));
        removed.retain(|hash| !root.hashes().any(|kept| kept == hash));
        if root.bytes() > MAX_INDEX_BYTES && root.bytes() > self.bytes() {
            let message = format!(
                "events and filters of all the workspace's webhooks take at most {MAX_INDEX_BYTES} \
                 bytes together"
            );
            return Err(Refused::Limit(Invalid::conflicting(
                Some("events"),
                "too_many_subscriptions",
                message,
            )));
        }
        Ok(Changed { root, written, removed })
    }

    fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.bytes).sum()
    }

    /// The place of the page that has this webhook, or would have it.
    fn place(&self, id: WebhookId) -> usize {
        self.pages.partition_point(|page| page.first <= id).saturating_sub(1)
    }
}

fn read(listed: &PageRef, pages: &HashMap<String, Page>) -> Result<Page, Refused> {
    pages.get(&listed.hash).cloned().ok_or(Refused::Unread)
}

/// The reason why the index can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The workspace has as many webhooks as it may have, or as many that name operational events,
    /// or their subscriptions would take more than [`MAX_INDEX_BYTES`].
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
        let mut page = Self::default();
        for entry in entries {
            let OnlyId { id } = serde_json::from_str(entry.get())?;
            page.0.insert(id, entry);
        }
        Ok(page)
    }

    /// The subscriptions by webhook; none for a webhook whose subscription this version does not
    /// understand.
    pub fn subscriptions(&self) -> impl Iterator<Item = (WebhookId, Option<Subscription>)> {
        self.0.iter().map(|(id, entry)| (*id, serde_json::from_str(entry.get()).ok()))
    }

    fn names_operational(&self, id: WebhookId) -> bool {
        let subscription = self.0.get(&id).and_then(|entry| serde_json::from_str(entry.get()).ok());
        subscription.is_some_and(|subscription: Subscription| subscription.names_operational())
    }

    /// The number of bytes of the content.
    pub fn bytes(&self) -> usize {
        // An opening and a closing bracket, and a comma between each two entries.
        self.0.values().map(|entry| entry.get().len() + 1).sum::<usize>() + 1
    }

    fn stored(&self) -> serde_json::Result<(PageRef, StoredPage)> {
        let json = serde_json::to_string(&self.0.values().collect::<Vec<_>>())?;
        let hash = hex::encode(&Sha256::digest(&json)[..12]);
        let listed = PageRef {
            first: self.0.first_key_value().map_or(WebhookId(0), |(id, _)| *id),
            hash: hash.clone(),
            webhooks: self.0.len(),
            bytes: json.len(),
            operational: self.0.keys().filter(|id| self.names_operational(**id)).count(),
        };
        Ok((listed, StoredPage { hash, json }))
    }

    /// Returns the page itself if it is small enough, else its two halves, as equal as whole
    /// subscriptions allow; nothing if it is empty.
    fn divided(self) -> Vec<Self> {
        let bytes = self.bytes();
        if bytes <= MAX_PAGE_BYTES {
            return self.divided_into(MAX_PAGE_BYTES);
        }
        let mut halves = [Self::default(), Self::default()];
        let mut sum = 0;
        for (id, entry) in self.0 {
            sum += entry.get().len();
            // The one in the middle goes to the half that has more of it.
            let is_first = sum - entry.get().len() / 2 <= bytes / 2;
            halves[usize::from(!is_first)].0.insert(id, entry);
        }
        halves.into_iter().filter(|half| !half.0.is_empty()).collect()
    }

    /// Returns the page itself if it is small enough, else gives its last webhook a page of its
    /// own. So pages that are filled with one webhook after the other become full.
    fn filled(mut self) -> Vec<Self> {
        if self.bytes() <= MAX_PAGE_BYTES {
            return self.divided();
        }
        let last = self.0.pop_last();
        let mut pages = self.divided();
        pages.extend(last.map(|last| Self(BTreeMap::from([last]))));
        pages
    }

    /// Divides it into pages of at most so many bytes, or of one webhook.
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
