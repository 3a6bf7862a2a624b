//! `release`, and the people: whoever publishes, and the owner of a webhook.

use super::{
    actor::{Actor, Failed},
    mutations::Mutation,
    plan::{Act, MINUTE, SECOND},
    world::{World, Writer, ms},
};
use crate::endpoint::lane::{Attr, Outcome, nudge, wake};

/// `release` looks this far ahead.
const AHEAD: i64 = 75 * SECOND;

/// One tick of `release`: it wakes the lanes that are due, and sends those retries of its part that
/// are.
pub(super) async fn release(actor: Actor, part: u64) {
    let until = ms(actor.now());
    let Ok(lanes) = actor.call(|world| world.due_lanes(until + AHEAD)).await else { return };
    for webhook in lanes {
        if wake_lane(&actor, webhook).await.is_err() {
            return;
        }
    }
    let parked = |world: &mut World| {
        let due = world.parked.range(..=(until, u64::MAX)).filter(|((_, nth), _)| nth % 2 == part);
        due.map(|(key, task)| (*key, task.clone())).collect()
    };
    let Ok::<Vec<_>, Failed>(parked) = actor.call(parked).await else { return };
    for (key, task) in parked {
        if actor.call(|world| world.send_task(task.clone(), 0, 0)).await.is_err() {
            return;
        }
        let _ = actor.call(|world| world.unpark(key)).await;
    }
}

async fn wake_lane(actor: &Actor, webhook: usize) -> Result<(), Failed> {
    let lane = actor.call(|world| world.lane(webhook)).await?;
    let Some((mut write, at)) = wake(&lane, actor.now()) else { return Ok(()) };
    let mut token = lane.token.unwrap_or_default();
    if actor.world.borrow().plan.mutation == Some(Mutation::WatchdogReplacesToken) {
        token = format!("token-{}", actor.sim.next_id());
        write = write.set(Attr::Token, token.as_str());
    }
    let carry_out = |world: &mut World| {
        (world.write_lane(webhook, &write, &Writer::Release), world.watch[webhook].opening)
    };
    if let (Outcome::Done(_), opening) = actor.call(carry_out).await? {
        let delay = (ms(at) - ms(actor.now())).max(0) / SECOND * SECOND;
        actor.call(|world| world.send_turn(webhook, token.clone(), opening, delay, 0)).await?;
    }
    Ok(())
}

/// `release` is called every minute for as long as the world lasts.
pub(super) async fn clock(actor: Actor, part: u64, offset: i64) {
    let mut at = offset;
    loop {
        actor.sim.sleep_until(at).await;
        at += MINUTE;
        let tick = Actor::new(&actor.world, 55 * SECOND);
        actor.sim.spawn(tick.group, release(tick, part));
    }
}

/// All clients that publish.
pub(super) async fn publishers(actor: Actor) {
    let plan = actor.world.borrow().plan.clone();
    let mut arrivals = plan.arrivals.clone();
    arrivals.sort_by_key(|arrival| arrival.at);
    for arrival in arrivals {
        actor.sim.sleep_until(arrival.at).await;
        actor.world.borrow_mut().publish(arrival.webhook, arrival.count);
    }
}

/// The owner of the webhooks, who in the end leaves them enabled.
pub(super) async fn owner(actor: Actor) {
    let plan = actor.world.borrow().plan.clone();
    let mut acts = plan.acts.clone();
    acts.sort_by_key(|(at, ..)| *at);
    acts.extend((0..plan.webhooks.len()).map(|webhook| (plan.calm_from, webhook, Act::Enable)));
    for (at, webhook, act) in acts {
        actor.sim.sleep_until(at).await;
        // Whoever is refused asks again.
        let acting = Actor::new(&actor.world, 30 * SECOND);
        while change(&acting, webhook, act).await.is_err() {
            acting.sleep(SECOND).await;
        }
    }
}

/// Makes the change itself, and then the nudge: a change that could not nudge is made again.
async fn change(actor: &Actor, webhook: usize, act: Act) -> Result<(), Failed> {
    let is_change = actor
        .call(|world| {
            let now = world.now();
            world.note(|| format!("owner: {act:?} {webhook}"));
            let stored = &mut world.webhooks[webhook];
            match act {
                _ if stored.is_gone => return false,
                Act::Pause => stored.is_enabled = false,
                Act::Enable => stored.is_enabled = true,
                Act::Delete => stored.is_gone = true,
                Act::Limit(limit) => stored.limit = limit,
                Act::Touch => {}
            }
            let is_off = stored.is_gone || !stored.is_enabled;
            let watch = &mut world.watch[webhook];
            watch.off_since = if is_off { watch.off_since.or(Some(now)) } else { None };
            watch.expected.clear();
            true
        })
        .await?;
    if !is_change {
        return Ok(());
    }
    let write = nudge(actor.now());
    let carry_out = |world: &mut World| {
        (world.write_lane(webhook, &write, &Writer::Owner), world.watch[webhook].opening)
    };
    if let (Outcome::Done(lane), opening) = actor.call(carry_out).await? {
        let token = lane.token.unwrap_or_default();
        actor.call(|world| world.send_turn(webhook, token.clone(), opening, 0, 0)).await?;
        actor.world.borrow_mut().expect_after_nudge(webhook);
    }
    Ok(())
}
