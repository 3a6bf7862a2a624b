//! The items of the backlog that a turn reads, sends, pours or skips.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use super::{Drain, Ended};
use crate::{
    delivery::{attempt::Status, task::Task},
    endpoint::{
        backlog::is_forgotten,
        lane::{
            Turn,
            model::{
                actor::{Actor, Failed},
                deliver::look_up,
                request::{Again, Reply, UnderWay, record, send_again},
                world::{Stored, World},
            },
        },
    },
    id::BatchId,
};

impl Drain {
    /// The number that an item counts for a turn: its deliveries for a list, one request for other
    /// formats.
    pub(super) fn weight(&self, task: &Task<'_>) -> usize {
        if self.full_request() > 1 { task.deliveries.len() } else { 1 }
    }

    pub(super) fn full_request(&self) -> usize {
        self.actor.world.borrow().plan.webhooks[self.webhook].full_request
    }

    pub(super) async fn read(&mut self, turn: &mut Turn, count: usize) -> Result<(), Failed> {
        let (webhook, at_hand) = (self.webhook, &self.at_hand);
        let (mut items, is_end) = self
            .actor
            .call(|world| {
                let mut left =
                    world.backlog[webhook].iter().filter(|(key, _)| !at_hand.contains(*key));
                let items: Vec<_> = left
                    .by_ref()
                    .take(count)
                    .map(|(key, item)| (key.clone(), item.clone()))
                    .collect();
                (items, left.next().is_none())
            })
            .await?;
        self.at_hand.extend(items.iter().map(|(key, _)| key.clone()));
        let is_unclean = turn.is_unclean();
        let read: usize = items.iter().map(|(_, item)| self.weight(&item.task)).sum();
        turn.read(read, is_end, self.actor.now());
        // What a turn that died had begun may be recorded already, and so may what was received
        // more than once.
        let mut kept = VecDeque::new();
        while let Some((key, mut item)) = items.pop() {
            let is_forgotten = is_forgotten(item.since, turn.opened_at());
            if !is_unclean && !is_forgotten && !item.task.recorded {
                kept.push_front((key, item));
                continue;
            }
            let (left, not_before) = self.actor.call(|world| look_up(world, &item.task)).await?;
            let wait = not_before - self.actor.sim.now();
            if !left.is_empty() && wait <= 500 {
                let weight = self.weight(&item.task);
                item.task = Task { recorded: true, ..item.task.with(left) };
                turn.dropped(weight - self.weight(&item.task));
                kept.push_front((key, item));
                continue;
            }
            if !left.is_empty() {
                let wait = std::time::Duration::from_millis(u64::try_from(wait).unwrap());
                let task = Task { recorded: true, ..item.task.with(left) };
                send_again(&self.actor, &Again { wait, task }, self.message.depth).await?;
            }
            self.actor.call(|world| world.delete_item(webhook, &key, &item)).await?;
            turn.dropped(self.weight(&item.task));
        }
        self.ready.extend(kept);
        Ok(())
    }

    /// Begins a request for the next item, or for as many fresh ones as a list takes.
    pub(super) async fn send(&mut self, turn: &mut Turn) {
        let full = self.full_request();
        let mut items = Vec::new();
        let mut deliveries = Vec::new();
        while let Some((key, item)) = self.ready.pop_front() {
            let is_single = item.task.batch.is_none() && !item.task.recorded;
            let fits = items.is_empty() || (is_single && full > 1 && deliveries.len() < full);
            if !fits {
                self.ready.push_front((key, item));
                break;
            }
            let count =
                if full > 1 || item.task.batch.is_some() { item.task.deliveries.len() } else { 1 };
            deliveries.extend(item.task.deliveries.iter().take(count).cloned());
            items.push((key, item));
            if !is_single || full == 1 {
                break;
            }
        }
        let Some((_, first)) = items.first() else {
            // What was ready was dropped by a call that failed.
            return turn.failed();
        };
        let ids: Vec<_> = deliveries.iter().map(|due| due.id).collect();
        let batch = first.task.batch.or_else(|| BatchId::derive(&ids).filter(|_| ids.len() > 1));
        let task = Task { batch, ..first.task.with(deliveries) };
        let window = if turn.circuit_until().is_some() { 1 } else { turn.window.size() };
        let request = UnderWay::begin(&self.actor, &task, Some(window));
        turn.began(if full > 1 { task.deliveries.len() } else { 1 });
        let (actor, mailbox) = (self.actor.clone(), Rc::clone(&self.mailbox));
        let (webhook, depth, circuit) = (self.webhook, self.message.depth, turn.circuit_until());
        self.actor.sim.spawn(self.actor.group, async move {
            let reply = request.within(i64::MAX / 2).await.unwrap();
            let settled = settle(&actor, webhook, items, &task, reply, circuit, depth).await;
            let has_failed = settled.is_err();
            mailbox
                .post(&actor.sim, Ended { reply, again: settled.unwrap_or_default(), has_failed });
        });
        let cost = self.actor.world.borrow().plan.cost_of_a_request;
        self.actor.sleep(cost).await;
    }

    /// Hands items back to the deliveries queue: first the messages, then the deletes.
    pub(super) async fn pour(&mut self, turn: &mut Turn, count: usize) -> Result<(), Failed> {
        let mut count = count;
        let mut items = Vec::new();
        while let Some((_, item)) = self.ready.front()
            && (self.weight(&item.task) <= count || items.is_empty())
        {
            count = count.saturating_sub(self.weight(&item.task));
            items.extend(self.ready.pop_front());
        }
        let depth = self.message.depth + 1;
        self.actor
            .call(|world| {
                for (_, item) in &items {
                    world.send_task(item.task.clone(), 0, depth);
                }
            })
            .await?;
        self.dispose(turn, &items).await
    }

    pub(super) async fn skip(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        let items: Vec<_> = self.ready.drain(..).collect();
        for due in items.iter().flat_map(|(_, item)| &item.task.deliveries) {
            self.actor.call(|world| world.record(due.id, Status::Skipped, None)).await?;
        }
        self.dispose(turn, &items).await
    }

    pub(super) async fn dispose(
        &self,
        turn: &mut Turn,
        items: &[(String, Stored)],
    ) -> Result<(), Failed> {
        let webhook = self.webhook;
        let delete = |world: &mut World| {
            items.iter().for_each(|(key, item)| world.delete_item(webhook, key, item))
        };
        self.actor.call(delete).await?;
        turn.disposed(
            items.iter().map(|(_, item)| self.weight(&item.task)).sum(),
            self.actor.now(),
        );
        Ok(())
    }
}

/// Carries the consequences of a request out: records it, sends a retry on, and deletes the items.
/// Returns the item that is ready again.
async fn settle(
    actor: &Actor,
    webhook: usize,
    items: Vec<(String, Stored)>,
    task: &Task<'static>,
    reply: Reply,
    circuit: Option<jiff::Timestamp>,
    depth: u32,
) -> Result<Option<(String, Stored)>, Failed> {
    if let Some(again) = record(actor, task, reply, circuit).await? {
        send_again(actor, &again, depth).await?;
    }
    let carried: BTreeMap<_, ()> = task.deliveries.iter().map(|due| (due.id, ())).collect();
    let mut ready = None;
    for (key, item) in items {
        let rest: Vec<_> = item
            .task
            .deliveries
            .iter()
            .filter(|due| !carried.contains_key(&due.id))
            .cloned()
            .collect();
        if rest.is_empty() {
            actor.call(|world| world.delete_item(webhook, &key, &item)).await?;
        } else {
            let rest = Task { recorded: true, ..item.task.with(rest) };
            actor.call(|world| world.shorten(webhook, &key, &rest)).await?;
            ready = Some((key, Stored { task: rest, ..item }));
        }
    }
    Ok(ready)
}
