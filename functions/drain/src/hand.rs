//! A turn has a part of its backlog at hand: items that were read and not disposed of. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use posthaste_domain::{
    delivery::{
        format::{MAX_BODY_BYTES, MAX_EVENTS},
        sequence::{Pending, Sequence},
    },
    endpoint::backlog::{Class, LIVE_PAGES, Waiting},
    id::DeliveryId,
};

/// An item at hand.
#[derive(Debug)]
struct Item {
    waiting: Waiting,
    /// The number of its deliveries that are not settled.
    open: usize,
    /// It says whether some of them were carried by a request.
    is_begun: bool,
    /// It says whether the item has to stay in the backlog, as something for it could not be done.
    stays: bool,
}

/// A sequence at hand, with the item that it is of; none for those of a format with a list, which
/// share requests.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) item: Option<usize>,
    pub(crate) sequence: Sequence,
}

/// A delivery that a request carries, and the item that asked for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carrying {
    pub(crate) source: usize,
    pub(crate) id: DeliveryId,
}

/// The items at hand.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    items: BTreeMap<usize, Item>,
    next_item: usize,
    /// The deliveries that were never attempted, of a format with a list.
    pool: Sequence,
    ready: VecDeque<Ready>,
    done: Vec<String>,
    /// The deliveries that are at hand and not settled.
    open: HashSet<DeliveryId>,
    /// The deliveries that have been at hand since the turn began.
    seen: HashSet<DeliveryId>,
    /// The key after which the next page of each class begins; none for its beginning.
    after: BTreeMap<Class, String>,
    live_pages: u32,
}

impl Hand {
    /// The classes in the order in which their next page is wanted.
    pub(crate) fn classes(&mut self) -> [Class; 2] {
        self.live_pages += 1;
        if self.live_pages <= LIVE_PAGES {
            return [Class::Live, Class::Replay];
        }
        self.live_pages = 0;
        [Class::Replay, Class::Live]
    }

    pub(crate) fn after(&self, class: Class) -> Option<&str> {
        self.after.get(&class).map(String::as_str)
    }

    /// Sets where the next page of a class begins: behind this item, or at the beginning again.
    pub(crate) fn read_to(&mut self, class: Class, key: Option<String>) {
        match key {
            Some(key) => self.after.insert(class, key),
            None => self.after.remove(&class),
        };
    }

    /// Says whether something is ready to be sent.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.pool.left.is_empty()
    }

    /// Says whether an item with this key is at hand, or was a moment ago.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.items.values().any(|item| item.waiting.key == key)
            || self.done.iter().any(|done| done == key)
    }

    /// Takes an item in. Its number names it.
    pub(crate) fn take(&mut self, waiting: Waiting) -> usize {
        let number = self.next_item;
        self.next_item += 1;
        self.items.insert(number, Item { waiting, open: 0, is_begun: false, stays: false });
        number
    }

    /// Makes the deliveries of an item ready. Answers by how much there is more that is ready: a
    /// sequence, or so many deliveries that others can join.
    pub(crate) fn make_ready(
        &mut self,
        number: usize,
        sequence: Sequence,
        takes_lists: bool,
    ) -> usize {
        // Two messages can bring the same delivery. One that was attempted before may be back for
        // its next try, which has to wait until the attempt before is settled.
        if !sequence.is_fresh && sequence.left.iter().any(|pending| self.open.contains(&pending.id))
        {
            self.leave(number);
            return 0;
        }
        let Some(item) = self.items.get_mut(&number) else { return 0 };
        let mut sequence = sequence;
        if sequence.is_fresh {
            sequence.left.retain(|pending| !self.seen.contains(&pending.id));
        }
        self.open.extend(sequence.left.iter().map(|pending| pending.id));
        self.seen.extend(sequence.left.iter().map(|pending| pending.id));
        item.open = sequence.left.len();
        if item.open == 0 {
            self.close(number);
            return 0;
        }
        if takes_lists && sequence.is_fresh && sequence.batch.is_none() {
            let count = sequence.left.len();
            self.pool.left.extend(sequence.left);
            return count;
        }
        self.ready.push_back(Ready { item: Some(number), sequence });
        1
    }

    /// Makes an item ready that is only handed on.
    pub(crate) fn make_ready_to_pour(&mut self, number: usize) -> usize {
        self.ready.push_back(Ready { item: Some(number), sequence: Sequence::default() });
        1
    }

    /// Takes the next sequence: one whose order or request is given, else what can share a request.
    pub(crate) fn next(&mut self) -> Option<Ready> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        if self.pool.left.is_empty() {
            return None;
        }
        self.pool.left.sort_by_key(|pending| pending.event.id);
        let sequence =
            Sequence { batch: None, left: std::mem::take(&mut self.pool.left), is_fresh: true };
        Some(Ready { item: None, sequence })
    }

    /// The number of KiB of events that the next request may carry at most; counted twice, as its
    /// body has them too.
    pub(crate) fn next_kib(&self) -> u32 {
        let next = self.ready.front().map_or(&self.pool.left, |ready| &ready.sequence.left);
        let bytes: usize =
            next.iter().take(MAX_EVENTS).map(|pending| pending.event.data.get().len()).sum();
        let single = next.iter().map(|pending| pending.event.data.get().len()).max().unwrap_or(0);
        u32::try_from(bytes.min(single.max(MAX_BODY_BYTES)) / 512 + 1).unwrap_or(u32::MAX)
    }

    /// Takes the next item, to be handed on as it is. What it asks for may come back.
    pub(crate) fn next_item(&mut self) -> Option<usize> {
        let (item, left) = match self.ready.pop_front() {
            Some(ready) => (ready.item, ready.sequence.left),
            None => {
                let source = self.pool.left.first()?.source;
                (
                    Some(source),
                    self.pool.left.extract_if(.., |pending| pending.source == source).collect(),
                )
            }
        };
        left.iter().for_each(|pending| self.forget(pending.id));
        item
    }

    fn forget(&mut self, delivery: DeliveryId) {
        self.open.remove(&delivery);
        self.seen.remove(&delivery);
    }

    /// Puts back what is left of a sequence. Answers how much of it is ready again.
    pub(crate) fn put_back(&mut self, ready: Ready) -> usize {
        match ready.item {
            _ if ready.sequence.left.is_empty() => 0,
            None => {
                let count = ready.sequence.left.len();
                self.pool.left.extend(ready.sequence.left);
                count
            }
            Some(_) => {
                self.ready.push_front(ready);
                1
            }
        }
    }

    /// These deliveries are under way.
    pub(crate) fn begin(&mut self, deliveries: &[Pending]) {
        for pending in deliveries {
            if let Some(item) = self.items.get_mut(&pending.source) {
                item.is_begun = true;
            }
        }
    }

    /// These deliveries are settled, but for those of the items that have to stay.
    pub(crate) fn settle(&mut self, deliveries: &[Carrying], unsettled: &BTreeSet<usize>) {
        for Carrying { source, id } in deliveries {
            self.open.remove(id);
            let Some(item) = self.items.get_mut(source) else { continue };
            item.open = item.open.saturating_sub(1);
            if unsettled.contains(source) {
                item.stays = true;
                self.seen.remove(id);
            }
            if item.open == 0 {
                self.close(*source);
            }
        }
    }

    /// These deliveries were not made: their items stay in the backlog as they are.
    pub(crate) fn leave_all(&mut self, deliveries: &[Carrying]) {
        for Carrying { source, id } in deliveries {
            self.forget(*id);
            self.items.remove(source);
        }
    }

    /// An item asks for nothing more.
    pub(crate) fn close(&mut self, number: usize) {
        if let Some(item) = self.items.remove(&number)
            && !item.stays
        {
            self.done.push(item.waiting.key);
        }
    }

    /// An item stays in the backlog as it is.
    pub(crate) fn leave(&mut self, number: usize) {
        self.items.remove(&number);
    }

    /// The item of this number.
    pub(crate) fn waiting(&self, number: usize) -> Option<&Waiting> {
        self.items.get(&number).map(|item| &item.waiting)
    }

    /// The keys of the items that can be deleted.
    pub(crate) fn take_done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    /// These could not be deleted: they are still done.
    pub(crate) fn put_back_done(&mut self, keys: Vec<String>) {
        self.done.extend(keys);
    }

    pub(crate) fn done(&self) -> usize {
        self.done.len()
    }

    /// Sequences of which a part is done, and the items that they are of: what is left of them has
    /// to be written down.
    pub(crate) fn half_done(&self) -> Vec<(&Waiting, &Sequence)> {
        let begun = self.ready.iter().filter_map(|ready| {
            let item = self.items.get(&ready.item?)?;
            item.is_begun.then_some((&item.waiting, &ready.sequence))
        });
        begun.collect()
    }

    /// Lays down everything that has not begun. Answers how much was ready.
    pub(crate) fn lay_down(&mut self) -> usize {
        let count = self.ready.len() + self.pool.left.len();
        let mut laid_down = std::mem::take(&mut self.pool.left);
        for ready in self.ready.drain(..) {
            if let Some(number) = ready.item {
                self.items.remove(&number);
            }
            laid_down.extend(ready.sequence.left);
        }
        for pending in laid_down {
            self.items.remove(&pending.source);
            self.forget(pending.id);
        }
        self.after.clear();
        count
    }
}

#[cfg(test)]
mod tests;
