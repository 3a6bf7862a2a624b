//! Every queue of the deployment.

use posthaste_domain::deployment::{LetterQueue, WorkQueue};
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws::{self, SdkConfig},
    config,
};

/// The queues that functions work off, and those of dead letters.
#[derive(Clone)]
pub(crate) struct Queues {
    events: Queue,
    deliveries: Queue,
    turns: Queue,
    replay: Queue,
    dead_events: Queue,
    dead_deliveries: Queue,
    dead_turns: Queue,
    dead_replay: Queue,
    exhausted: Queue,
}

impl Queues {
    pub(crate) fn from_env(sdk: &SdkConfig) -> anyhow::Result<Self> {
        let sqs = &aws::sqs(sdk);
        Ok(Self {
            events: config::queue(sqs, "EVENTS_QUEUE_URL")?,
            deliveries: config::queue(sqs, "DELIVERIES_QUEUE_URL")?,
            turns: config::queue(sqs, "TURNS_QUEUE_URL")?,
            replay: config::queue(sqs, "REPLAY_QUEUE_URL")?,
            dead_events: config::queue(sqs, "EVENTS_DLQ_URL")?,
            dead_deliveries: config::queue(sqs, "DELIVERIES_DLQ_URL")?,
            dead_turns: config::queue(sqs, "TURNS_DLQ_URL")?,
            dead_replay: config::queue(sqs, "REPLAY_DLQ_URL")?,
            exhausted: config::queue(sqs, "EXHAUSTED_DELIVERIES_QUEUE_URL")?,
        })
    }

    pub(crate) fn work(&self, queue: WorkQueue) -> &Queue {
        match queue {
            WorkQueue::Events => &self.events,
            WorkQueue::Deliveries => &self.deliveries,
            WorkQueue::Turns => &self.turns,
            WorkQueue::Replay => &self.replay,
        }
    }

    pub(crate) fn letters(&self, queue: LetterQueue) -> &Queue {
        match queue {
            LetterQueue::Events => &self.dead_events,
            LetterQueue::Deliveries => &self.dead_deliveries,
            LetterQueue::Turns => &self.dead_turns,
            LetterQueue::Replay => &self.dead_replay,
            LetterQueue::Exhausted => &self.exhausted,
        }
    }
}
