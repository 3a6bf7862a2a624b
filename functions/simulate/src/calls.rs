//! The calls about simulations. All of them are for test mode.

use std::{collections::HashMap, ops::Deref, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use posthaste_api::{List, SimulationAnswer};
use posthaste_domain::{
    access::workspace::Environment,
    event::{event_type::EventType, own_type::OwnEventType},
    id::SimulationId,
    input,
    simulation::{Simulation, StartSimulation, too_many_running},
};
use posthaste_runtime::{
    api::{ApiError, success},
    auth::{Allowed, scope::EventsPublish},
    clock,
    query::Query,
    random,
};
use posthaste_store::Registry;

use crate::{Shared, play::Player};

const MISSING: ApiError = ApiError::NotFound("simulation with this id");

/// A caller who may publish events in test mode.
pub(crate) struct Tester(Allowed<EventsPublish>);

impl Deref for Tester {
    type Target = Allowed<EventsPublish>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromRequestParts<Shared> for Tester {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, ApiError> {
        let caller = Allowed::<EventsPublish>::from_request_parts(parts, state).await?;
        match caller.workspace.environment() {
            Environment::Test => Ok(Self(caller)),
            Environment::Live => Err(ApiError::TestModeOnly),
        }
    }
}

/// A simulation that is stored is played, by the schedule if this call dies: so it is answered,
/// also where its first events could not be sent yet.
pub(crate) async fn start(
    caller: Tester,
    State(Shared { registry, player, retention, door }): State<Shared>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked = StartSimulation::parse(&body)?;
    let own = own_types(&registry, &caller, &asked).await?;
    let samples = asked.samples(&own)?;
    let now = clock::now();
    let (entropy, drawn) = (random::bytes()?, u32::from_be_bytes(random::bytes()?));
    let id = SimulationId::new(now, &entropy);
    let workspace = caller.workspace.clone();
    let simulation = Simulation::new(id, workspace, asked, samples, drawn, now);
    let simulation = begin(&registry, &player, simulation, retention).await?;
    // Each event that went out at once counts as a call.
    door.charge(&simulation.workspace, simulation.sent).await;
    tracing::info!(simulation.id = %id, "started a simulation");
    Ok(success(StatusCode::ACCEPTED, SimulationAnswer::of(simulation, clock::now())))
}

async fn begin(
    registry: &Registry,
    player: &Player,
    simulation: Simulation,
    retention: Duration,
) -> Result<Simulation, ApiError> {
    if !registry.simulations.begin(&simulation, retention).await? {
        return Err(too_many_running().into());
    }
    let (workspace, id) = (simulation.workspace.clone(), simulation.id);
    if let Err(error) = player.play(simulation).await {
        tracing::warn!(%error, "a simulation begins with the next minute");
    }
    registry.simulations.get(&workspace, id).await?.ok_or(MISSING)
}

/// The workspace's own types that are named.
async fn own_types(
    registry: &Registry,
    caller: &Tester,
    asked: &StartSimulation,
) -> Result<HashMap<EventType, OwnEventType>, ApiError> {
    let wanted = asked.own_types().into_iter().map(|name| (caller.workspace.clone(), name));
    let found = registry.types.by_name(wanted).await;
    if !found.unread.is_empty() {
        return Err(ApiError::Internal);
    }
    Ok(found.items.into_iter().map(|((_, name), own)| (name, own)).collect())
}

pub(crate) async fn list(
    caller: Tester,
    State(registry): State<Registry>,
    Query(input::Page { limit, after }): Query<input::Page<SimulationId>>,
) -> Result<Response, ApiError> {
    let page = registry.simulations.page(&caller.workspace, limit, after).await?;
    let now = clock::now();
    let items = page.items.into_iter().map(|item| SimulationAnswer::of(item, now)).collect();
    Ok(success(StatusCode::OK, List { items, next: page.next.map(|id| id.to_string()) }))
}

pub(crate) async fn show(
    caller: Tester,
    State(registry): State<Registry>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let found = registry.simulations.get(&caller.workspace, read_id(&id)?).await?;
    let simulation = found.ok_or(MISSING)?;
    Ok(success(StatusCode::OK, SimulationAnswer::of(simulation, clock::now())))
}

pub(crate) async fn cancel(
    caller: Tester,
    State(registry): State<Registry>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let now = clock::now();
    let ended = registry.simulations.cancel(&caller.workspace, read_id(&id)?, now).await?;
    let simulation = ended.ok_or(MISSING)?;
    tracing::info!(simulation.id = %simulation.id, "cancelled a simulation");
    Ok(success(StatusCode::OK, SimulationAnswer::of(simulation, now)))
}

/// Reads the id of a path. A text that is no id is the id of nothing.
fn read_id(text: &str) -> Result<SimulationId, ApiError> {
    text.parse().map_err(|_| MISSING)
}
