//! The turns of webhooks, side by side.
//!
//! Actors: the poller hands over up to ten messages, each of which asks for the turn of one
//! webhook; each claims it, and works the backlog off until the turn is over. What the turn does
//! next is decided in [`posthaste_domain::endpoint::lane::Turn`]; this carries it out.
//!
//! Guarantees, wherever the function dies: what has been sent and recorded is not sent again, as
//! the next turn reads the records first where this one did not end; what has not been recorded is.
//! An item is deleted only when what it asks for is recorded, sent on or parked. The lane's item,
//! and not the message, says whether there is a turn: a message that gets lost is replaced by
//! `release`.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use futures::stream::FuturesUnordered;
use posthaste_delivery::Courier;
use posthaste_domain::{
    Timestamp,
    endpoint::lane::{Claim, Claiming, Message, TurnMessage},
    message::dead_letter::DeadLetterReason,
};
use posthaste_runtime::{
    batch::{Batch, Fate, Record},
    clock,
    deadline::{Deadline, RESERVE},
};

use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::turn::Working;

/// All that drain works with.
pub(crate) struct Drain {
    pub(crate) courier: Courier,
    pub(crate) batch: Batch,
    /// A backlog may have so many items.
    pub(crate) max_waiting: u64,
    /// A delivery may wait in a backlog for so long.
    pub(crate) max_waiting_time: Duration,
    /// Room for requests: the turns of an invocation share its file descriptors, of which Lambda
    /// gives 1,024.
    pub(crate) places: Arc<Semaphore>,
    /// Room for what requests carry, in KiB.
    pub(crate) memory: Arc<Semaphore>,
}

/// One invocation has at most so many requests under way at once.
pub(crate) const MAX_REQUESTS: usize = 400;
/// They carry at most so many KiB of events and bodies together.
pub(crate) const MAX_MEMORY_KIB: usize = 128 * 1024;

impl Drain {
    /// Handles a batch to its end. `invocation` is unique to this run.
    pub(crate) async fn handle(
        &self,
        records: &[Record],
        invocation: &str,
        deadline: Deadline,
    ) -> SqsBatchResponse {
        let turns: FuturesUnordered<_> = records
            .iter()
            .enumerate()
            .map(async |(at, record)| {
                (at, self.turn(record, &format!("{invocation}/{at}"), deadline).await)
            })
            .collect();
        self.batch.settle(records, turns).await
    }

    /// Takes the turn that a message asks for. `me` is unique to this taking.
    async fn turn(&self, record: &Record, me: &str, deadline: Deadline) -> Fate {
        match TurnMessage::parse(&record.body) {
            Ok(asked) => {
                let span = tracing::error_span!(
                    "turn", webhook.id = %asked.webhook.id, workspace = %asked.webhook.workspace
                );
                self.take(&asked, record, me, deadline).instrument(span).await
            }
            Err(error) => {
                Fate::of_unreadable(record, &error, DeadLetterReason::UnreadableTurn, clock::now())
            }
        }
    }

    async fn take(
        &self,
        asked: &TurnMessage,
        record: &Record,
        me: &str,
        deadline: Deadline,
    ) -> Fate {
        let now = clock::now();
        let until: Timestamp = now + deadline.left();
        let message = Message {
            id: record.message_id.clone(),
            token: asked.token.clone(),
            receives: record.receives,
            sent: record.sent,
        };
        let claiming = Claiming::new(message, me.to_owned(), until, until + RESERVE);
        let deliveries = &self.courier.deliveries;
        let outcome = match deliveries.lanes.write(&asked.webhook, &claiming.write(now)).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "a turn could not be claimed");
                return Fate::after_our_fault(record);
            }
        };
        match claiming.outcome(outcome, clock::now()) {
            Claim::Done => Fate::Done,
            Claim::RetryIn(wait) => Fate::RetryIn(wait),
            Claim::Mine(turn) => Working::new(self, asked, *turn, me, deadline).go_on().await,
        }
    }
}
