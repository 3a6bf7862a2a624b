//! The account finds out if anything is lost: every accepted event has arrived, or is in its
//! webhook's history, which shows waiting ones too, or is on its way on a queue. Messages are only
//! counted, so a loss shows for certain when the queues are empty, and else if there are fewer
//! messages than events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context;
use serde::Serialize;
use uuid::Uuid;

use crate::{receiver::Hook, stream::Stream, system::Bench, workspace::Workspace};

/// Missing events are looked for this often, because a delivery can pass from a queue into the
/// history, or from the backlog onto a queue, while that is read.
const LOOKS: usize = 3;

/// A webhook with its endpoint and the events that were published for it.
pub(crate) struct Target {
    pub(crate) workspace: Workspace,
    pub(crate) webhook: String,
    pub(crate) hook: Arc<Hook>,
    pub(crate) stream: Arc<Stream>,
    /// The endpoint answers its requests with success.
    pub(crate) answers: bool,
    /// The format has lists, so one message of the deliveries queue can stand for any number of
    /// events.
    pub(crate) has_lists: bool,
}

/// An account says what has become of the events of some webhooks. An event counts once for each
/// webhook.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Events that were accepted.
    pub(crate) accepted: usize,
    /// Accepted events that arrived at an endpoint that answers.
    pub(crate) arrived: usize,
    /// Accepted events that did not arrive there, but are in the history, by their status.
    pub(crate) listed: BTreeMap<String, usize>,
    /// All other accepted events.
    pub(crate) elsewhere: usize,
    /// Messages on the queues that bring something. Each can be one of the other events, or several
    /// if its format has lists.
    pub(crate) messages: usize,
    /// Events that can't be among the messages either, and so are nowhere. There must be none.
    pub(crate) lost: usize,
    /// Arrivals of events that had arrived before, at endpoints that answer.
    pub(crate) repeated: usize,
    /// First arrivals there after the arrival of a later event. Order is not promised.
    pub(crate) out_of_order: usize,
}

impl Account {
    pub(crate) async fn of(bench: &Bench, targets: &[Target]) -> anyhow::Result<Self> {
        let mut account = Self::default();
        let mut missing = Vec::new();
        for target in targets {
            missing.push(account.without_arrivals(target).await);
        }
        let has_lists = targets.iter().any(|target| target.has_lists);
        for _ in 0..LOOKS {
            let before = bench.messages();
            for (target, missing) in targets.iter().zip(&mut missing) {
                account.look_up(target, missing).await?;
            }
            account.messages = before.max(bench.messages());
            account.elsewhere = missing.iter().map(BTreeSet::len).sum();
            let room =
                if has_lists && account.messages > 0 { usize::MAX } else { account.messages };
            account.lost = account.elsewhere.saturating_sub(room);
            if account.lost == 0 {
                break;
            }
        }
        Ok(account)
    }

    /// Counts arrivals, and returns the ids of the events that did not arrive.
    async fn without_arrivals(&mut self, target: &Target) -> BTreeSet<Uuid> {
        let accepted = target.stream.accepted().await;
        let requests = if target.answers { target.hook.requests() } else { Vec::new() };
        let mut seen = BTreeSet::new();
        for number in requests.into_iter().flat_map(|request| request.events) {
            self.out_of_order += usize::from(
                seen.last().is_some_and(|last| *last > number) && !seen.contains(&number),
            );
            self.repeated += usize::from(!seen.insert(number));
        }
        let ids =
            accepted.iter().enumerate().filter_map(|(number, event)| Some((number, event.id?)));
        let (arrived, missing): (Vec<_>, Vec<_>) =
            ids.partition(|(number, _)| seen.contains(number));
        self.accepted += arrived.len() + missing.len();
        self.arrived += arrived.len();
        missing.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes the events that the history lists out of the missing ones.
    async fn look_up(
        &mut self,
        target: &Target,
        missing: &mut BTreeSet<Uuid>,
    ) -> anyhow::Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        for delivery in target.workspace.history(&target.webhook).await? {
            let event = delivery["eventId"].as_str().context("a delivery has no event")?.parse()?;
            if missing.remove(&event) {
                *self
                    .listed
                    .entry(delivery["status"].as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
        }
        Ok(())
    }

    /// Puts the account into one line for people.
    pub(crate) fn line(&self) -> String {
        let listed: Vec<String> =
            self.listed.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        format!(
            "{} accepted: {} arrived, in the history {listed}, {} others with {} messages on the \
             queues; {} lost. {} arrivals repeated, {} out of order.",
            self.accepted,
            self.arrived,
            self.elsewhere,
            self.messages,
            self.lost,
            self.repeated,
            self.out_of_order
        )
    }
}
