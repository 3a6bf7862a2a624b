//! The Deliveries table: what became of every delivery.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `<workspace>#<webhook id>#<shard>` | delivery id | `eventId`, `eventType`, `status`, `attemptCount`, `attempts` (a list of JSON), `httpStatus`, `responseBody`, `error` (JSON), `lastAttempt`, `bytes` (of the event's data), `updatedAt`, `expiresAt`; `halvings`, where a request was too large and was divided; `cause`, where it is not "published"; `shared` (binary), where the last attempt had several deliveries: [`posthaste_domain::delivery::shared`]; `event` (JSON) of a test; while a retry is to come `notBefore` and `batch`; where the version before has parked it `dueAt` and `dueShard`; where it was active late `activeIn` and `activeAs` |
//! | `#due#<0 to 63>` | `<due, ms>#<workspace>#<webhook id>#<delivery or batch id>`, of one delivery of a batch with `#<delivery id>` | `task` (JSON, by reference), `expiresAt` |
//! | `#hold#<workspace>#<webhook id>#<SHA-256 of the context id>` | `hold#<event id>`, and for the end of a long run `last#<event id>` | `deliveryId`, `bytes`, `dueAt` (the deadline), `dueShard`, `activeIn`, `activeAs`, `expiresAt` |
//! | the same | `ended` | `expiresAt` |
//! | `#replay#<workspace>#<webhook id>` | job id | `status`, `selection`, `since`, `until`, `examined`, `replayed`, `page`, `cursor`, `by`, `error` (JSON), `createdAt`, `updatedAt`, `expiresAt` |
//! | the same | `latest` | `job` (the id of the newest job) |
//! | `#lane#<workspace>#<webhook id>` | `lane` | those of [`posthaste_domain::endpoint::lane::Attr`]; while it has a turn `dueAt` and `dueShard` (`L0` to `L15`) |
//! | `#wait#<workspace>#<webhook id>#0` | `<class>#<event id>#<part>#<delivery or batch id>#<SHA-256 of the message, 8 digits>` | `task` (JSON, by reference), `bytes`, `since` (ms), `expiresAt` |
//! | `#run#<workspace>#<SHA-256 of a clue>` | `started` | `started` (JSON: what the start of a run tells), `expiresAt`: [`posthaste_domain::event::run`] |
//! | `#run#<workspace>` | `type#<process type>` | `expiresAt` |
//! | `#suspect#<SQS message id>` | `suspect` | `begun` (how many functions began to handle the message in a row without an end), `expiresAt` |
//! | `#limit#<workspace>#<webhook id>` | `limit` | `nextFree` (Unix microseconds), `spacing` (microseconds), `expiresAt` |
//!
//! The index `due` has the partition key `dueShard`, the sort key `dueAt` (Unix milliseconds) and
//! the keys of holds, of lanes that have a turn, and of what the version before has parked. What is
//! parked has an item of its own: [`posthaste_domain::delivery::parked`]. The index `activity` has
//! the partition key `activeIn` (`<workspace>#<group>#<spread>`), the sort key `activeAs` (a delivery
//! id that begins with the time of its last activity) and the keys of records and holds. A workspace begins with a
//! letter or a digit, so no record is in a partition that begins with `#`.

mod activity;
mod attempts;
mod backlog;
mod due;
mod history;
mod holds;
mod jobs;
mod lanes;
mod limits;
mod parked;
mod record;
mod records;
mod runs;
mod suspects;
mod waits;

use std::{ops::Deref, sync::Arc};

use aws_sdk_dynamodb::Client;

pub use backlog::{BacklogPage, Backlogs};
pub use due::{DueCursor, DueDelivery, DueIndex, DuePage, Released};
pub use history::{History, Listed};
pub use holds::{HeldDelivery, Hold, HoldAt, Holding, Holds, Within};
pub use jobs::{Advanced, Jobs, TurnedPage};
pub use lanes::{AfterLane, DueLanes, Lanes};
pub use limits::{Reserved, Slots};
pub use parked::{DueItems, ParkedItem, ParkedPage};
pub use record::DeliveryRecord;
pub use records::{NewAttempt, Records, Subject};
pub use runs::{RunClue, RunLesson, Runs};
pub use suspects::Suspects;
pub use waits::Waits;

use crate::{inserts::Inserts, table::Table};

/// The Deliveries table. Clones share its parts.
#[derive(Debug, Clone)]
pub struct Deliveries(Arc<DeliveriesParts>);

impl Deref for Deliveries {
    type Target = DeliveriesParts;

    fn deref(&self) -> &DeliveriesParts {
        &self.0
    }
}

/// The parts of the Deliveries table, by what is in it. [`Deliveries`] lead to them.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is explained at its type")]
pub struct DeliveriesParts {
    pub records: Records,
    pub due_items: DueItems,
    pub due: DueIndex,
    pub holds: Holds,
    pub jobs: Jobs,
    pub lanes: Lanes,
    pub backlogs: Backlogs,
    pub slots: Slots,
    pub runs: Runs,
    pub suspects: Suspects,
    pub waits: Waits,
}

impl Deliveries {
    /// The table of this name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let table = Table::new(client, table);
        Self(Arc::new(DeliveriesParts {
            records: Records { table: table.clone(), new: Inserts::new(&table) },
            due_items: DueItems { table: table.clone() },
            due: DueIndex { table: table.clone() },
            holds: Holds { table: table.clone() },
            jobs: Jobs { table: table.clone() },
            lanes: Lanes { table: table.clone() },
            backlogs: Backlogs { table: table.clone() },
            slots: Slots { table: table.clone() },
            runs: Runs { table: table.clone() },
            suspects: Suspects { table: table.clone() },
            waits: Waits { table },
        }))
    }
}
