//! DynamoDB: one module per table. AWS types stop here; what goes in and out are the words of
//! `posthaste-domain`.
//!
//! Each kind of item has a file that says how its items are keyed, written and read. What such a
//! file says goes to the table as a value of `write.rs` (what changes, and on which conditions) by
//! a call of `table.rs` or, for many items, of `batch.rs`.
//!
//! Partition keys carry a shard where one busy workspace or webhook would otherwise be one hot
//! partition (DynamoDB serves about 1,000 writes a second from one). Every write here may be done
//! twice with the result of doing it once, because a function may die after a write that its next
//! run repeats, and the SDK repeats a call whose answer got lost.

mod batch;
mod deliveries;
mod error;
mod events;
mod inserts;
mod item;
mod registry;
mod sealed;
mod sharded;
mod table;
mod wait;
mod write;

pub use batch::{Found, Unread};
pub use deliveries::{
    Advanced, AfterLane, BacklogPage, Backlogs, Deliveries, DeliveriesParts, DeliveryRecord,
    DueCursor, DueDelivery, DueIndex, DueItems, DueLanes, DuePage, HeldDelivery, History, Hold,
    HoldAt, Holding, Holds, Jobs, Lanes, Listed, NewAttempt, ParkedItem, ParkedPage, Records,
    Released, Reserved, RunClue, RunLesson, Runs, Slots, Subject, Suspects, TurnedPage, Waits,
    Within,
};
pub use error::StoreError;
pub use events::{CallEvent, EventKey, EventQuery, EventToStore, Events, FannedOut};
pub use registry::{
    AllWebhooks, ApiKeys, Bucket, Buckets, Healths, KeyedCalls, OwnType, OwnTypes, PageKey, Place,
    PlacesPage, PortalLinks, PublishedTypes, Registry, RegistryParts, RemovedWebhook, Replaced,
    Revisions, RoutingIndex, Simulations, Subscribers, Webhooks, Workspaces, Written,
};
pub use sealed::{KeyRing, NONCE_BYTES, Purpose, SealError};

/// One page of a list, and where the next one begins.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    /// The page.
    pub items: Vec<T>,
    /// The cursor of the next page; none on the last one.
    pub next: Option<C>,
}

impl Page<item::Item, String> {
    /// The same with its items and its cursor read.
    fn read<T, C: std::str::FromStr>(
        self,
        read: fn(&item::Item) -> Result<T, StoreError>,
    ) -> Result<Page<T, C>, StoreError> {
        let next = match self.next {
            Some(key) => {
                Some(key.parse().map_err(|_| StoreError::Corrupt { key, attribute: item::SK })?)
            }
            None => None,
        };
        Ok(Page { items: self.items.iter().map(read).collect::<Result<_, _>>()?, next })
    }
}
