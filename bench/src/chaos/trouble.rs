//! While events are published, endpoints change their moods, and people pause webhooks, rotate
//! secrets, ask for replays and deploy.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Build,
    cast::{Member, Team},
    clocks::Clocks,
    dice::Dice,
    receiver::{MOODS, now_us},
};
use crate::system::Bench;

/// The things that were done. What the API refused, because a fault hit the call, is not among
/// them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    pub(super) moods: usize,
    pub(super) pauses: usize,
    pub(super) rotations: usize,
    pub(super) replays: usize,
    pub(super) deploys: usize,
    pub(super) clock_steps: usize,
}

/// The trouble of a run.
pub(super) struct Trouble<'a> {
    pub(super) bench: &'a Bench,
    pub(super) teams: &'a [Team],
    pub(super) dice: Dice,
    pub(super) builds: &'a [Build],
    /// The clocks of the functions, if they can step.
    pub(super) clocks: Option<&'a Clocks>,
    /// A webhook's mood or something else changes after this time, and then again.
    pub(super) every: Duration,
    /// A build replaces the other one after this time, and then again.
    pub(super) deploys_every: Option<Duration>,
    /// A clock steps after this time, and then again.
    pub(super) clock_steps_every: Option<Duration>,
}

impl Trouble<'_> {
    /// Makes trouble until this future is dropped. What was done is in `done`.
    pub(super) async fn make(&self, done: &mut Done) {
        let mut paused = BTreeSet::new();
        let (mut deployed, mut stepped) = (Instant::now(), Instant::now());
        loop {
            sleep(self.every).await;
            if self.deploys_every.is_some_and(|every| deployed.elapsed() >= every) {
                deployed = Instant::now();
                done.deploys += 1;
                let build = &self.builds[done.deploys % self.builds.len()];
                if let Err(error) = self.bench.system().deploy(build) {
                    eprintln!("a build was not deployed: {error:#}");
                }
            }
            if let Some(clocks) = self.clocks
                && self.clock_steps_every.is_some_and(|every| stepped.elapsed() >= every)
            {
                stepped = Instant::now();
                match clocks.step(&self.dice) {
                    Ok(()) => done.clock_steps += 1,
                    Err(error) => eprintln!("a clock did not step: {error:#}"),
                }
            }
            let place = self.dice.roll(self.teams.len());
            let team = &self.teams[place];
            let member = &team.members[self.dice.roll(team.members.len())];
            match self.dice.roll(10) {
                0..6 => {
                    member.hook.feel(MOODS[self.dice.roll(MOODS.len())]);
                    done.moods += 1;
                }
                6 | 7 => self.pause_or_resume(place, &mut paused, done).await,
                8 => self.rotate(team, member, done).await,
                _ => self.replay(team, member, done).await,
            }
        }
    }

    async fn pause_or_resume(&self, place: usize, paused: &mut BTreeSet<usize>, done: &mut Done) {
        let team = &self.teams[place];
        let Some(member) = team.members.iter().find(|member| member.role.pauses) else { return };
        let enabled = paused.contains(&place);
        let path = format!("/webhooks/{}", member.webhook);
        let change = json!({ "enabled": enabled });
        if team.workspace.call(Method::PATCH, &path, change).await.is_err() {
            return;
        }
        if enabled {
            paused.remove(&place);
        } else {
            paused.insert(place);
            done.pauses += 1;
        }
    }

    /// Rotates a secret with an overlap, so that every request has a signature that is known
    /// here, also where the answer with the new secret gets lost.
    async fn rotate(&self, team: &Team, member: &Member, done: &mut Done) {
        let path = format!("/webhooks/{}/secret/rotate", member.webhook);
        let answer =
            team.workspace.call(Method::POST, &path, json!({ "overlapSeconds": 86_400 })).await;
        if let Ok(webhook) = answer
            && let Some(secret) = webhook["secret"].as_str()
        {
            member.hook.trust(secret);
            done.rotations += 1;
        }
    }

    /// Replays what failed, or one delivery that succeeded.
    async fn replay(&self, team: &Team, member: &Member, done: &mut Done) {
        let webhook = format!("/webhooks/{}", member.webhook);
        let replayed = if self.dice.roll(2) == 0 {
            let since = json!({ "since": "2020-01-01T00:00:00Z" });
            team.workspace.call(Method::POST, &format!("{webhook}/replay"), since).await.is_ok()
        } else {
            let path = format!("{webhook}/deliveries?limit=1&status=succeeded");
            let page = team.workspace.call(Method::GET, &path, Value::Null).await;
            let newest =
                page.ok().and_then(|page| page["items"][0]["id"].as_str().map(str::to_owned));
            match newest {
                Some(delivery) => {
                    let path = format!("{webhook}/deliveries/{delivery}/replay");
                    team.workspace.call(Method::POST, &path, Value::Null).await.is_ok()
                }
                None => false,
            }
        };
        done.replays += usize::from(replayed);
    }
}

/// Notes the time of every crash of a function that sends requests, until it is dropped.
pub(super) async fn watch_crashes(bench: &Bench, crashes: &mut Vec<i64>) {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut known = 0;
    loop {
        let functions = bench.metrics().functions;
        let ended: u64 = ["deliver", "drain"]
            .iter()
            .filter_map(|name| functions.get(*name))
            .map(|figures| figures.crashes + figures.timeouts)
            .sum();
        for _ in known..ended {
            crashes.push(now_us());
        }
        known = ended;
        sleep(LOOK_EVERY).await;
    }
}
