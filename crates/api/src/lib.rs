//! The HTTP API as clients see it: what is answered, and the OpenAPI document of all of it.

pub mod check;
mod delivery;
mod deployment;
mod dry_run;
mod event;
mod event_type;
mod key;
pub mod openapi;
mod portal_link;
mod query;
mod replay;
mod simulation;
mod webhook;
mod workspace;

use serde::Serialize;
use utoipa::ToSchema;

pub use delivery::{DeliveryAnswer, SentRequest, WaitingAnswer, WaitingReason};
pub use deployment::{
    BacklogFigures, Count, DeadLetter, DeadLetters, DeploymentAnswer, Letter, OldestDue,
    QueueAnswer, RedriveAnswer, RedriveStatus, Redrives, WaitingFigures,
};
pub use dry_run::{
    DecidingCell, DryRunAnswer, KnownProcess, Publishing, WebhookForecast, WouldBeEvent,
    WouldBeRequest,
};
pub use event::{Accepted, AcceptedMany, EventAnswer};
pub use event_type::EventTypeAnswer;
pub use key::KeyAnswer;
pub use portal_link::{PortalLinkAnswer, PortalThemeAnswer};
pub use query::{
    ListAllDeliveries, ListDeliveries, ListEventDeliveries, ListEvents, LookAtLetters, ShowEvent,
    WantedDeliveries,
};
pub use replay::{JobAnswer, Replayed, TestAnswer};
pub use simulation::SimulationAnswer;
pub use webhook::{Warning, WebhookAnswer};
pub use workspace::WorkspaceAnswer;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct List<T> {
    /// The page. It can be shorter than asked for, and even empty, although another one follows.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// An answer that names what was removed.
#[derive(Debug, Clone, Serialize)]
pub struct Removed<I> {
    /// The id of what was removed.
    pub id: I,
    /// Always true.
    pub deleted: bool,
}

impl<I> Removed<I> {
    /// Returns the answer for what had this id.
    pub fn of(id: I) -> Self {
        Self { id, deleted: true }
    }
}
