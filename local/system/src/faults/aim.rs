use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

/// The things that can go wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The calling process is killed, and the call is not carried out.
    KillBefore,
    /// The call is carried out, and then the calling process is killed.
    KillAfter,
    /// The call is refused as throttled; the SDK tries again.
    Fail,
    /// The call is refused as one that the role may not make, as in the seconds after a role was
    /// made.
    Forbid,
    /// The call is carried out, and the connection closed without an answer; the SDK tries again.
    Lose,
    /// The entries at these places of a batch call are left undone, and the answer reports them so.
    FailEntries(Vec<usize>),
    /// The call is carried out after this time.
    Delay(Duration),
    /// The call waits until its [`Aimed::release`].
    Pause,
}

/// An aim says which calls are hit, and how.
#[derive(Debug, Clone)]
pub struct Aim {
    function: String,
    operations: Vec<String>,
    containing: Option<String>,
    skip: u32,
    times: u32,
    action: Action,
}

impl Aim {
    /// Aims at the first call of `operation`, for example `dynamodb:UpdateItem`, by `function`.
    pub fn at(function: &str, operation: &str, action: Action) -> Self {
        Self {
            function: function.to_owned(),
            operations: vec![operation.to_owned()],
            containing: None,
            skip: 0,
            times: 1,
            action,
        }
    }

    /// Aims at the calls of another operation, too.
    #[must_use]
    pub fn or(mut self, operation: &str) -> Self {
        self.operations.push(operation.to_owned());
        self
    }

    /// Narrows the aim to calls whose JSON body contains this text.
    pub fn containing(self, text: &str) -> Self {
        Self { containing: Some(text.to_owned()), ..self }
    }

    /// Lets this many calls pass first.
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Hits this many calls in a row.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// The handle of an aimed fault. Clones share one state.
#[derive(Debug, Clone)]
pub struct Aimed(Arc<State>);

#[derive(Debug)]
struct State {
    aim: Aim,
    seen: AtomicU32,
    hits: AtomicU32,
    is_over: AtomicBool,
    hit: Notify,
    released: Semaphore,
}

impl Aimed {
    pub(super) fn new(aim: Aim) -> Self {
        let (seen, hits) = (AtomicU32::new(0), AtomicU32::new(0));
        let (is_over, hit, released) = (AtomicBool::new(false), Notify::new(), Semaphore::new(0));
        Self(Arc::new(State { aim, seen, hits, is_over, hit, released }))
    }

    /// Counts the calls that were hit.
    pub fn hits(&self) -> u32 {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// Ends the aim: it hits no further call.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }

    /// Waits until a call has been hit.
    pub async fn hit(&self) {
        loop {
            let notified = self.0.hit.notified();
            if self.hits() > 0 {
                return;
            }
            notified.await;
        }
    }

    /// Lets a paused call go on, and every later one that this aim hits.
    pub fn release(&self) {
        self.0.released.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits until [`Aimed::release`] is called.
    pub(crate) async fn released(&self) {
        if let Ok(permit) = self.0.released.acquire().await {
            permit.forget();
        }
    }

    pub(super) fn take(
        &self,
        function: &str,
        operation: &str,
        body: &Value,
    ) -> Option<(Action, Self)> {
        let State { aim, seen, hits, is_over, hit, .. } = &*self.0;
        let is_meant = aim.function == function && aim.operations.iter().any(|it| it == operation);
        if is_over.load(Ordering::SeqCst) || !is_meant {
            return None;
        }
        if aim.containing.as_ref().is_some_and(|text| !body.to_string().contains(text)) {
            return None;
        }
        let nth = seen.fetch_add(1, Ordering::SeqCst);
        if nth < aim.skip || nth >= aim.skip + aim.times {
            return None;
        }
        hits.fetch_add(1, Ordering::SeqCst);
        hit.notify_waiters();
        Some((aim.action.clone(), self.clone()))
    }
}
