use posthaste_domain::{
    Timestamp,
    id::SimulationId,
    simulation::{Simulation, StartSimulation, Status},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A simulation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Simulation)]
pub struct SimulationAnswer {
    /// The id of the simulation.
    #[schema(value_type = String, format = "uuid")]
    pub id: SimulationId,
    /// The state of the simulation.
    pub status: Status,
    /// The body of the call, with the defaults and the seed that hold. A call with this body plays the
    /// same types, data and pauses again.
    pub asked: StartSimulation,
    /// The number of events of the simulation.
    pub total: u32,
    /// The number of events that were sent, up to 75 seconds before their time. They can't be
    /// stopped any more.
    pub sent: u32,
    /// The number of events that were sent and whose time has come.
    pub played: u32,
    /// The time at which the simulation was started.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Timestamp,
    /// The time of the last event.
    #[schema(value_type = String, format = "date-time")]
    pub ends_at: Timestamp,
    /// The time at which the simulation last moved.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: Timestamp,
}

impl SimulationAnswer {
    /// Returns the answer for this simulation, as it is at this time.
    pub fn of(simulation: Simulation, now: Timestamp) -> Self {
        let (total, played) = (simulation.total(), simulation.played(now));
        let ends_at = simulation.ends_at();
        let Simulation { id, status, asked, sent, started_at, updated_at, .. } = simulation;
        Self { id, status, asked, total, sent, played, started_at, ends_at, updated_at }
    }
}
