//! Simulations are played.
//!
//! Actors: the call that starts a simulation, and a schedule that comes once a minute. Both look
//! [`AHEAD`], send the events whose time comes within that, with the rest of it as the delay of
//! their messages, and then write down how many are sent.
//!
//! Guarantees: an event is sent first and counted then. So when this dies between, the schedule
//! sends it again, with the same id, and it is one event. Without faults each is sent once: the
//! schedule leaves a simulation that has just begun to the call that has started it. What can't be
//! sent stays for the next minute, and holds up no other simulation.

use std::time::Duration;

use futures::{StreamExt, stream};
use posthaste_domain::{metrics::Metric, simulation::Simulation};
use posthaste_queue::Queue;
use posthaste_runtime::{
    clock, deadline::Deadline, event_message::event_message, telemetry::count,
};
use posthaste_store::{Place, Simulations};

/// So many simulations are played at once.
const AT_ONCE: usize = 10;

/// All that it takes to play simulations.
#[derive(Debug, Clone)]
pub struct Player {
    pub(crate) simulations: Simulations,
    /// The events queue.
    pub(crate) events: Queue,
}

impl Player {
    /// Sends what is due soon of every simulation that runs. An error says that they could not be
    /// looked for.
    pub async fn play_all(&self, deadline: Deadline) -> anyhow::Result<()> {
        let Ok(played) = tokio::time::timeout_at(deadline.instant(), self.play_pages()).await
        else {
            count(Metric::Faults, 1);
            tracing::warn!("not all simulations could be played in time; the rest comes later");
            return Ok(());
        };
        let (simulations, failed) = played?;
        count(Metric::Faults, failed);
        if simulations > 0 {
            tracing::info!(simulations, "played simulations");
        }
        Ok(())
    }

    /// Returns how many simulations run, and how many of them could not be played.
    async fn play_pages(&self) -> anyhow::Result<(usize, usize)> {
        let (mut simulations, mut failed) = (0, 0);
        let mut after = None;
        loop {
            let page = self.simulations.places(after).await?;
            simulations += page.items.len();
            let played = page.items.into_iter().map(async |place| match place {
                Ok(place) => self.play_at(&place).await,
                Err(error) => Err(error.into()),
            });
            let mut played = stream::iter(played).buffer_unordered(AT_ONCE);
            while let Some(played) = played.next().await {
                if let Err(error) = played {
                    failed += 1;
                    tracing::error!(%error, "a simulation could not be played");
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((simulations, failed));
            }
        }
    }

    async fn play_at(&self, place: &Place) -> anyhow::Result<()> {
        match self.simulations.get(&place.workspace, place.simulation).await? {
            Some(simulation) if simulation.is_starting(clock::now()) => Ok(()),
            Some(simulation) => self.play(simulation).await.map(drop),
            // It has expired.
            None => Ok(self.simulations.leave(place).await?),
        }
    }

    /// Sends the events whose time comes soon. Returns the simulation as it is then.
    pub(crate) async fn play(&self, mut simulation: Simulation) -> anyhow::Result<Simulation> {
        loop {
            let now = clock::now();
            let due = simulation.due(now);
            if due.is_empty() {
                return Ok(simulation);
            }
            let (mut places, mut messages) = (Vec::new(), Vec::new());
            for (place, event) in simulation.events(due.clone()) {
                let mut message = event_message(&event, 0)?;
                message.delay =
                    Duration::try_from(event.timestamp.duration_since(now)).unwrap_or_default();
                places.push(place);
                messages.push(message);
            }
            let failed = self.events.send(&messages).await;
            // What comes after one that could not be sent is sent again with it.
            let first_failed = failed.iter().map(|(at, _)| places[*at]).min();
            let sent = first_failed.unwrap_or(due.end);
            if sent > simulation.sent {
                if !self.simulations.advance(&simulation, sent, now).await? {
                    // Another call has played it on, or it has expired.
                    return Ok(simulation);
                }
                simulation.sent = sent;
                simulation.updated_at = now;
            }
            if let Some((_, error)) = failed.into_iter().next() {
                return Err(error.into());
            }
        }
    }
}
