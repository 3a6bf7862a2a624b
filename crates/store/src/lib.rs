//! DynamoDB: one module per table. AWS types stop here; what goes in and out are the words of `posthaste-domain`.
//!
//! Partition keys carry a shard where one busy workspace or webhook would otherwise be one hot partition (DynamoDB serves about
//! 1,000 writes a second from one). Every write here may be done twice with the result of doing it once, because a function may
//! die after a write that its next run repeats, and the SDK repeats a call whose answer got lost.

mod batch;
mod deliveries;
mod error;
mod events;
mod item;
mod registry;
mod sealed;
mod sharded;

pub use batch::Found;
pub use deliveries::{
    Advanced, Backlog, BacklogPage, Deliveries, DeliveryRecord, DueCursor, DueDelivery, DueLane, DuePage, History,
    Hold, HoldAt, Holding, JobOwner, ParkedItem, ParkedPage, Released, Reserved, Subject, TurnedPage, WebhookKey,
    Within,
};
pub use error::StoreError;
pub use events::{EventKey, EventQuery, Events};
pub use registry::{Bucket, OwnType, PageKey, Registry, Revision, Subscribers, Webhooks, Written};
pub use sealed::{KeyRing, NONCE_BYTES, Place, Purpose, SealError};

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
        read: impl Fn(&item::Item) -> Result<T, StoreError>,
    ) -> Result<Page<T, C>, StoreError> {
        let corrupt = |key: &String| StoreError::Corrupt { key: key.clone(), attribute: item::SK };
        let next = self.next.map(|next| next.parse().map_err(|_| corrupt(&next))).transpose()?;
        Ok(Page { items: self.items.iter().map(read).collect::<Result<_, _>>()?, next })
    }
}
