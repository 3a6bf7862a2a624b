//! Simulations, and those of them that run. A running one has one of the few places of its
//! workspace, so that a workspace can't have more, and all places are one list, which the schedule
//! reads with one call. A simulation and its place are begun in one transaction and ended in one.

use std::time::Duration;

use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    id::SimulationId,
    simulation::{MAX_RUNNING, Simulation, Status},
};

use crate::{
    Page, StoreError,
    item::{EXPIRES_AT, Item, SK, json, key, number, text},
    table::{Answer, Range, Table, Transacted},
    wait::wait_doubling,
    write::{Condition, Update, Write},
};

/// The partition of the places.
const PLACES: &str = "simulating";
const SIMULATION: &str = "simulation";
const STATUS: &str = "status";
const SENT: &str = "sent";
const UPDATED_AT: &str = "updatedAt";
/// A transaction that met another one is tried so often, with doubling waits from [`FIRST_WAIT`].
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The most places that are read with one call.
const PLACES_AT_ONCE: i32 = 200;

/// The simulations of all workspaces.
#[derive(Debug, Clone)]
pub struct Simulations {
    pub(super) table: Table,
}

/// A place of a workspace that a running simulation has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The workspace.
    pub workspace: Workspace,
    /// The simulation.
    pub simulation: SimulationId,
    /// The sort key of the place.
    sk: String,
}

/// A page of places.
#[derive(Debug)]
pub struct PlacesPage {
    /// The places.
    pub items: Vec<Result<Place, StoreError>>,
    /// The cursor of the next page; none on the last one.
    pub next: Option<String>,
}

impl Simulations {
    /// Stores a simulation that begins, and takes a place for it. Returns false, and nothing is
    /// written, if the workspace has no place left.
    pub async fn begin(
        &self,
        simulation: &Simulation,
        retention: Duration,
    ) -> Result<bool, StoreError> {
        let workspace = &simulation.workspace;
        let prefix = format!("{workspace}#");
        let taken = Answer::to(self.table.query(PLACES, Range::Beginning(&prefix))).await?;
        let taken: Vec<&str> =
            taken.items.iter().map(|item| item.text(SK)).collect::<Result<_, _>>()?;
        for nth in 0..MAX_RUNNING {
            let sk = format!("{prefix}{nth}");
            if taken.contains(&sk.as_str()) {
                continue;
            }
            let place = key(PLACES, &sk)
                .with(SIMULATION, text(simulation.id.to_string()))
                .with(EXPIRES_AT, expiry(simulation.started_at, retention));
            let item = write(simulation, retention)?.with("place", text(&sk));
            let writes = [
                Write::Put(place, vec![Condition::no_item()]),
                Write::Put(item, vec![Condition::no_item()]),
            ];
            // A refusal can be the repetition of a transaction whose answer got lost.
            if self.transact(&writes).await? || self.get(workspace, simulation.id).await?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a simulation of a workspace.
    pub async fn get(
        &self,
        workspace: &Workspace,
        id: SimulationId,
    ) -> Result<Option<Simulation>, StoreError> {
        let item = self.table.get(simulation_key(workspace, id)).await?;
        item.map(|item| read(&item, workspace)).transpose()
    }

    /// A page of the simulations of a workspace, the newest first.
    pub async fn page(
        &self,
        workspace: &Workspace,
        limit: u16,
        after: Option<SimulationId>,
    ) -> Result<Page<Simulation, SimulationId>, StoreError> {
        let limit = usize::from(limit);
        let after = after.map(|id| simulation_key(workspace, id).0);
        // One more than is asked for tells whether there is another page.
        let query = self.table.query(&partition(workspace), Range::All);
        let query = query.scan_index_forward(false).limit(limit as i32 + 1);
        let answer = Answer::to(query.set_exclusive_start_key(after)).await?;
        let is_last = answer.next.is_none() && answer.items.len() <= limit;
        let items = answer.items.iter().take(limit).map(|item| read(item, workspace));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let next = if is_last { None } else { items.last().map(|last| last.id) };
        Ok(Page { items, next })
    }

    /// A page of the places that running simulations have, and where the next one begins. One that
    /// can't be read holds up no other.
    pub async fn places(&self, after: Option<String>) -> Result<PlacesPage, StoreError> {
        let after = after.map(|sk| key(PLACES, sk).0);
        let query = self.table.query(PLACES, Range::All).limit(PLACES_AT_ONCE);
        let answer = Answer::to(query.set_exclusive_start_key(after)).await?;
        let next = answer.next.map(|key| key.text(SK).map(str::to_owned)).transpose()?;
        Ok(PlacesPage { items: answer.items.iter().map(read_place).collect(), next })
    }

    /// Writes down that the events up to this one are sent, and ends the simulation after its last
    /// one. One that was cancelled meanwhile stays so, but what has been sent for it counts.
    /// Returns false, and nothing is written, if it has moved since it was read.
    pub async fn advance(
        &self,
        simulation: &Simulation,
        sent: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let counting = Update::at(simulation_key(&simulation.workspace, simulation.id))
            .set(SENT, number(sent))
            .set(UPDATED_AT, text(now.to_string()))
            .only_if(Condition::Is(SENT, number(simulation.sent)));
        if sent == simulation.total() {
            let ending = counting.clone().set(STATUS, text(Status::Finished.name()));
            if self.end(simulation, ending).await? {
                return Ok(true);
            }
        }
        self.table.update(counting).await
    }

    /// Ends a running simulation early. One that is over stays as it is. Returns the simulation as
    /// it is then; none if there is none.
    pub async fn cancel(
        &self,
        workspace: &Workspace,
        id: SimulationId,
        now: Timestamp,
    ) -> Result<Option<Simulation>, StoreError> {
        let Some(simulation) = self.get(workspace, id).await? else { return Ok(None) };
        if simulation.status != Status::Running {
            return Ok(Some(simulation));
        }
        let ending = Update::at(simulation_key(workspace, id))
            .set(STATUS, text(Status::Cancelled.name()))
            .set(UPDATED_AT, text(now.to_string()));
        self.end(&simulation, ending).await?;
        self.get(workspace, id).await
    }

    /// Gives back a place whose simulation is over or gone.
    pub async fn leave(&self, place: &Place) -> Result<(), StoreError> {
        self.transact(&[free(&place.sk, place.simulation)]).await.map(drop)
    }

    /// Carries out an update of a running simulation that ends it, and gives back its place.
    async fn end(&self, simulation: &Simulation, ending: Update) -> Result<bool, StoreError> {
        let is_running = Condition::Is(STATUS, text(Status::Running.name()));
        let item = simulation_key(&simulation.workspace, simulation.id);
        let Some(item) = self.table.get(item).await? else { return Ok(false) };
        let place = item.text("place")?;
        let writes = [Write::Update(ending.only_if(is_running)), free(place, simulation.id)];
        self.transact(&writes).await
    }

    /// Carries out all of these writes, or none where a condition does not hold.
    async fn transact(&self, writes: &[Write]) -> Result<bool, StoreError> {
        for attempt in 1.. {
            match self.table.transact(writes).await? {
                Transacted::Done => break,
                Transacted::Refused(_) => return Ok(false),
                Transacted::Overtaken(error) if attempt == TRIES => return Err(error),
                Transacted::Overtaken(_) => wait_doubling(FIRST_WAIT, attempt).await,
            }
        }
        Ok(true)
    }
}

/// Frees a place, if this simulation has it.
fn free(place: &str, simulation: SimulationId) -> Write {
    let is_its = Condition::Is(SIMULATION, text(simulation.to_string()));
    Write::Delete(key(PLACES, place), vec![is_its])
}

fn write(simulation: &Simulation, retention: Duration) -> Result<Item, StoreError> {
    let samples = &simulation.samples;
    let samples = if samples.is_empty() { None } else { Some(json(samples)?) };
    Ok(simulation_key(&simulation.workspace, simulation.id)
        .with(STATUS, text(simulation.status.name()))
        .with("asked", json(&simulation.asked)?)
        .with_some("samples", samples)
        .with(SENT, number(simulation.sent))
        .with("startedAt", text(simulation.started_at.to_string()))
        .with(UPDATED_AT, text(simulation.updated_at.to_string()))
        .with(EXPIRES_AT, expiry(simulation.started_at, retention)))
}

fn read(item: &Item, workspace: &Workspace) -> Result<Simulation, StoreError> {
    Ok(Simulation {
        id: item.parsed(SK)?,
        workspace: workspace.clone(),
        status: Status::by_name(item.text(STATUS)?).ok_or_else(|| item.corrupt(STATUS))?,
        asked: item.json("asked")?,
        samples: item.optional("samples", Item::json)?.unwrap_or_default(),
        sent: item.number(SENT)?,
        started_at: item.parsed("startedAt")?,
        updated_at: item.parsed(UPDATED_AT)?,
    })
}

fn read_place(item: &Item) -> Result<Place, StoreError> {
    let sk = item.text(SK)?;
    let workspace = sk.rsplit_once('#').and_then(|(name, _)| Workspace::parse(name).ok());
    Ok(Place {
        workspace: workspace.ok_or_else(|| item.corrupt(SK))?,
        simulation: item.parsed(SIMULATION)?,
        sk: sk.to_owned(),
    })
}

fn expiry(now: Timestamp, retention: Duration) -> aws_sdk_dynamodb::types::AttributeValue {
    number(now.as_second().saturating_add_unsigned(retention.as_secs()))
}

fn simulation_key(workspace: &Workspace, id: SimulationId) -> Item {
    key(partition(workspace), id.to_string())
}

fn partition(workspace: &Workspace) -> String {
    format!("simulations#{workspace}")
}
