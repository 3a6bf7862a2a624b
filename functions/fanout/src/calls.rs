//! The events that were published in the same call as the end of a run, and go before it.
//!
//! All ends of a call ask about the same events. So these are read once for a batch, without their
//! data, and what was read is remembered: an event does not change. An end that comes again because
//! an event was missing reads only from that event on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, stream};
use posthaste_domain::{
    access::workspace::Workspace,
    event::Event,
    fanout::subscription::{Route, Subscription},
    id::EventId,
};
use posthaste_store::{CallEvent, Events};

use crate::plan::Arrived;

/// So many calls are read side by side.
const READ_AT_ONCE: usize = 2;
/// An environment remembers so many events of calls. Each takes up to about 1.5 KB, and mostly a
/// fifth of that.
const MAX_REMEMBERED: usize = 4_000;

/// A publishing call, by its workspace and its [id](EventId::call).
pub(crate) type CallKey = (Workspace, EventId);

/// Those events of a call that are known to be stored, by their place.
pub(crate) type Members = BTreeMap<usize, CallEvent>;

/// The calls, and what this environment knows of them.
#[derive(Debug)]
pub(crate) struct Calls {
    events: Events,
    known: Mutex<HashMap<CallKey, Arc<Members>>>,
}

/// The events that go before the ends of a batch. A call that could not be read is missing.
#[derive(Debug, Default)]
pub(crate) struct Earlier(pub(crate) BTreeMap<CallKey, Arc<Members>>);

impl Calls {
    pub(crate) fn new(events: Events) -> Self {
        Self { events, known: Mutex::default() }
    }

    /// Reads what was published before the ends among these events.
    pub(crate) async fn earlier(&self, arrived: &[Arrived]) -> Earlier {
        let reads = stream::iter(wanted(arrived)).map(|(call, before)| self.read(call, before));
        let read: Vec<_> = reads.buffer_unordered(READ_AT_ONCE).collect().await;
        Earlier(read.into_iter().flatten().collect())
    }

    /// Reads what is not known yet of a call's first events. None where that fails.
    async fn read(&self, call: CallKey, before: usize) -> Option<(CallKey, Arc<Members>)> {
        let known = self.recall(&call);
        let Some(missing) = (0..before).find(|place| !known.contains_key(place)) else {
            return Some((call, known));
        };
        let read = match self.events.of_call(&call.0, call.1, missing..before).await {
            Ok(read) => read,
            Err(error) => {
                let workspace = &call.0;
                tracing::error!(%workspace, %error, "what goes before an end could not be read");
                return None;
            }
        };
        let mut members = (*known).clone();
        members.extend(read.into_iter().map(|event| (event.place, event)));
        let members = Arc::new(members);
        self.remember(call.clone(), Arc::clone(&members));
        Some((call, members))
    }

    fn recall(&self, call: &CallKey) -> Arc<Members> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(call).cloned().unwrap_or_default()
    }

    fn remember(&self, call: CallKey, members: Arc<Members>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(|members| members.len()).sum::<usize>() > MAX_REMEMBERED {
            known.clear();
        }
        known.insert(call, members);
    }
}

impl Earlier {
    /// Tells whether the event can be dealt with: what goes before it could be read, if it is an
    /// end that asks for that.
    pub(crate) fn is_known_for(&self, arrived: &Arrived) -> bool {
        !asks(arrived) || self.0.contains_key(&call_of(&arrived.event))
    }

    /// The events before an end that a webhook holds for this run; none where not all that go
    /// before the end are stored yet.
    pub(crate) fn held_for(
        &self,
        subscription: &Subscription,
        context: &str,
        end: &Arrived,
    ) -> Option<BTreeSet<EventId>> {
        if !asks(end) {
            return Some(BTreeSet::new());
        }
        let before = self.0.get(&call_of(&end.event))?.range(..end.share.before);
        let hold = Route::Hold { context: context.to_owned() };
        let mut stored = 0;
        let mut held = BTreeSet::new();
        for (_, event) in before {
            stored += 1;
            if subscription.route(&event.event_type, &event.process) == hold {
                held.insert(event.id);
            }
        }
        (stored == end.share.before).then_some(held)
    }
}

/// The calls of the ends among these events, and how many events go before the last end of each.
fn wanted(arrived: &[Arrived]) -> BTreeMap<CallKey, usize> {
    let mut wanted = BTreeMap::new();
    for end in arrived.iter().filter(|arrived| asks(arrived)) {
        let before = wanted.entry(call_of(&end.event)).or_default();
        *before = end.share.before.max(*before);
    }
    wanted
}

/// Tells whether events of its call go before an event: it is the end of a run, and is dealt with.
fn asks(arrived: &Arrived) -> bool {
    arrived.share.ends && arrived.share.before > 0 && arrived.share.rest.is_none()
}

fn call_of(event: &Event) -> CallKey {
    (event.workspace.clone(), event.id.call())
}

#[cfg(test)]
mod tests {
    use posthaste_domain::fanout::share::Share;

    use super::*;
    use crate::plan::tests::arrived;

    fn end(nth: usize, mark: [u8; 4], before: usize) -> Arrived {
        let arrived = arrived(0, "process_run_end", "{}");
        let event = Event { id: arrived.event.id.of(mark, nth), ..(*arrived.event).clone() };
        let share = Share { ends: true, before, ..Share::ALL };
        Arrived { event: Arc::new(event), share, ..arrived }
    }

    #[test]
    fn a_call_is_read_once_for_all_its_ends() {
        let mut all: Vec<Arrived> = (15..24).map(|nth| end(nth, [7; 4], nth)).collect();
        all.push(end(3, [8; 4], 3));
        // Nothing goes before the first event of a call, and an event that is not put off yet
        // does not ask.
        all.push(end(0, [9; 4], 0));
        let first = Arrived { share: Share { before: 5, ..Share::ALL }, ..end(5, [9; 4], 5) };
        all.push(first);
        let wanted: Vec<usize> = wanted(&all).into_values().collect();
        assert_eq!(wanted, [23, 3]);
    }

    #[test]
    fn an_end_is_not_dealt_with_where_its_call_could_not_be_read() {
        let (end, first) = (end(4, [7; 4], 4), end(0, [7; 4], 0));
        let unread = Earlier::default();
        assert_eq!([&end, &first].map(|end| unread.is_known_for(end)), [false, true]);
        let read = Earlier(BTreeMap::from([(call_of(&end.event), Arc::default())]));
        assert!(read.is_known_for(&end));
    }
}
