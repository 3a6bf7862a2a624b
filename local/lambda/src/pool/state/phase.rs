//! Each process is in a phase of its life, and the phase says what can happen next.
//!
//! ```text
//!  Init ──▶ Idle ──▶ Busy ──▶ Answered
//!            ▲                   │
//!            └───────────────────┘        from any phase: Ending, when the process is killed
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{ErrorBody, InvokeError};
use crate::pool::Work;
use crate::process::Process;

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) phase: Phase,
    pub(super) started: Instant,
    /// The process is missing while it is being forked.
    pub(super) process: Option<Arc<Process>>,
    /// The process was killed, or will be as soon as it is forked. It gets no invocation any more.
    pub(super) doomed: bool,
    /// Another version of the function has been deployed since the process was started.
    pub(super) retired: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// The process hasn't asked for an invocation yet.
    Init { deadline: Instant, error: Option<ErrorBody> },
    /// The process waits for an invocation.
    Idle(oneshot::Sender<Work>),
    /// The process has an invocation, and owes its answer.
    Busy(Running),
    /// The process has answered, and not asked for the next invocation yet. This belongs to the
    /// invoke phase and has the same deadline.
    Answered { deadline: Instant },
    /// The process is being killed, and owes nobody an answer.
    Ending,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) request_id: String,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl Instance {
    pub(super) fn starting(now: Instant, init_limit: Duration) -> Self {
        let phase = Phase::Init { deadline: now + init_limit, error: None };
        Self { phase, started: now, process: None, doomed: false, retired: false }
    }

    /// Tells if the process has an invocation and isn't being killed.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Busy(_)) && !self.doomed
    }
}

impl Phase {
    /// Tells if the process will ask for an invocation in a moment, without another one's end.
    pub(super) fn is_soon_idle(&self) -> bool {
        matches!(self, Self::Init { .. } | Self::Answered { .. })
    }

    /// Returns the time at which the process is killed, if it is still in this phase then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Init { deadline, .. } | Self::Answered { deadline } => Some(*deadline),
            Self::Busy(running) => Some(running.deadline),
            Self::Idle(_) | Self::Ending => None,
        }
    }
}
