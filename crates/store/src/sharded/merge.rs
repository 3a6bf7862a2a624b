//! A page is merged from partitions here. This decides which of them have to be asked for more, and
//! where the page ends. Pure.
//!
//! Every partition is known up to a point. The page can't go beyond the point up to which all of
//! them are known, so only those that are behind are asked again. At first each is asked for its
//! share of the page and a little more, as ids are spread by chance.

use super::Order;

/// All that the partitions have given for one page.
#[derive(Debug)]
pub(super) struct Merge<T> {
    order: Order,
    bounds: Bounds,
    parts: Vec<Part<T>>,
    round: u32,
    /// The number of items that were looked at, and below it the read units that they took.
    looked_at: usize,
    units: f64,
}

/// The bounds of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most items of the page.
    pub(super) items: usize,
    /// The most bytes of the page, which has one item in any case.
    pub(super) bytes: usize,
    /// After so many read units nothing more is asked. The first question is put to every partition
    /// in any case.
    pub(super) units: f64,
    /// It says whether what is looked at may be no part of the list.
    pub(super) is_filtered: bool,
}

#[derive(Debug)]
struct Part<T> {
    entries: Vec<Entry<T>>,
    known: Known,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Nothing,
    UpTo(String),
    Everything,
}

/// An item of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<T> {
    pub(super) sort_key: String,
    pub(super) bytes: usize,
    pub(super) item: T,
}

/// A question to one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) partition: usize,
    /// The sort key after which it goes on; none at the beginning.
    pub(super) after: Option<String>,
    /// It looks at so many items at most.
    pub(super) look_at: usize,
}

/// The answer to a question.
#[derive(Debug)]
pub(super) struct Given<T> {
    pub(super) partition: usize,
    /// Those of the list, in its order.
    pub(super) entries: Vec<Entry<T>>,
    /// The number of items that were looked at.
    pub(super) looked_at: usize,
    /// The sort key up to which the partition was looked through; none if to its end.
    pub(super) up_to: Option<String>,
    /// The read units that it took.
    pub(super) units: f64,
}

impl<T> Merge<T> {
    pub(super) fn new(order: Order, bounds: Bounds, partitions: usize) -> Self {
        let parts =
            (0..partitions).map(|_| Part { entries: Vec::new(), known: Known::Nothing }).collect();
        Self { order, bounds, parts, round: 0, looked_at: 0, units: 0.0 }
    }

    /// Says what to ask next; nothing if the page can be made.
    pub(super) fn questions(&self) -> Vec<Question> {
        if self.round > 0 && self.units >= self.bounds.units {
            return Vec::new();
        }
        let end = self.end();
        let mut questions = Vec::new();
        for (partition, part) in self.parts.iter().enumerate() {
            let after = match (&part.known, &end) {
                (Known::Everything, _) => continue,
                // All that the page can have of this partition is known.
                (Known::UpTo(key), Some(end)) if !self.order.is_before(key, end) => continue,
                (Known::UpTo(key), _) => Some(key.clone()),
                (Known::Nothing, _) => None,
            };
            questions.push(Question { partition, after, look_at: 0 });
        }
        let look_at = self.look_at(questions.len());
        for question in &mut questions {
            question.look_at = look_at;
        }
        questions
    }

    pub(super) fn take(&mut self, given: Vec<Given<T>>) {
        self.round += 1;
        for Given { partition, entries, looked_at, up_to, units } in given {
            self.looked_at += looked_at;
            self.units += units;
            if let Some(part) = self.parts.get_mut(partition) {
                part.entries.extend(entries);
                part.known = up_to.map_or(Known::Everything, Known::UpTo);
            }
        }
    }

    /// The page, and the sort key after which the next one begins.
    pub(super) fn page(self) -> (Vec<T>, Option<String>) {
        let (frontier, Self { order, bounds, parts, .. }) = (self.frontier(), self);
        let mut entries: Vec<Entry<T>> = parts.into_iter().flat_map(|part| part.entries).collect();
        entries.sort_unstable_by(|a, b| order.compare(&a.sort_key, &b.sort_key));
        let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
        for Entry { sort_key, bytes: more, item } in entries {
            if frontier.as_ref().is_some_and(|frontier| order.is_before(frontier, &sort_key)) {
                break;
            }
            bytes += more;
            if items.len() == bounds.items || (bytes > bounds.bytes && !items.is_empty()) {
                return (items, last);
            }
            items.push(item);
            last = Some(sort_key);
        }
        (items, frontier)
    }

    /// The number of items that each of so many partitions looks at: its share of what the page
    /// lacks, and as many more as chance may give it. If a filter leaves little, each round looks
    /// at four times as many as the one before. Never more than seems to fit into what is left to
    /// read.
    fn look_at(&self, partitions: usize) -> usize {
        let partitions = partitions.max(1);
        // One more than the page has tells whether there is another page.
        let lacking = (self.bounds.items + 1).saturating_sub(self.known_entries());
        let share = lacking.div_ceil(partitions).max(1);
        let ample = share + 2 * share.isqrt();
        let growth = if self.bounds.is_filtered { 4_usize.saturating_pow(self.round) } else { 1 };
        ample.saturating_mul(growth).min(self.affordable(partitions)).max(1)
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rough number of items, far below what either type holds"
    )]
    fn affordable(&self, partitions: usize) -> usize {
        if self.looked_at == 0 || self.units <= 0.0 {
            return usize::MAX;
        }
        let each = self.units / self.looked_at as f64;
        ((self.bounds.units - self.units) / each / partitions as f64) as usize
    }

    fn known_entries(&self) -> usize {
        let Some(frontier) = self.frontier() else {
            return self.parts.iter().map(|part| part.entries.len()).sum();
        };
        if self.parts.iter().any(|part| part.known == Known::Nothing) {
            return 0;
        }
        let entries = self.parts.iter().flat_map(|part| &part.entries);
        entries.filter(|entry| !self.order.is_before(&frontier, &entry.sort_key)).count()
    }

    /// The first item beyond the page, if so many were found: nothing beyond it matters.
    fn end(&self) -> Option<String> {
        let mut entries: Vec<&Entry<T>> =
            self.parts.iter().flat_map(|part| &part.entries).collect();
        entries.sort_unstable_by(|a, b| self.order.compare(&a.sort_key, &b.sort_key));
        let mut bytes = 0;
        for (at, entry) in entries.into_iter().enumerate() {
            bytes += entry.bytes;
            if at == self.bounds.items || (bytes > self.bounds.bytes && at > 0) {
                return Some(entry.sort_key.clone());
            }
        }
        None
    }

    /// The point up to which all partitions are known; none if all are known to their ends.
    fn frontier(&self) -> Option<String> {
        let up_to = self.parts.iter().filter_map(|part| match &part.known {
            Known::UpTo(key) => Some(key),
            Known::Nothing | Known::Everything => None,
        });
        up_to.min_by(|a, b| self.order.compare(a, b)).cloned()
    }
}

#[cfg(test)]
mod tests;
