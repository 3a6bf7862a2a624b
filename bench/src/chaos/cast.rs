//! The cast: three workspaces, each with a webhook of every profile and some with further settings.

use std::sync::Arc;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    event::{END, Kind, STEP, plain_type},
    receiver::{Hook, Manners, Receiver},
};
use crate::{system::Bench, workspace::Workspace};

/// The cast has this many workspaces.
pub(super) const WORKSPACES: usize = 3;

/// A webhook of each of these roles is in every workspace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub(super) name: &'static str,
    profile: &'static str,
    /// The plain types that it subscribes to.
    plain: &'static [u8],
    /// It waits for the ends of process runs.
    waits_for_runs: bool,
    /// Its requests in a second at most.
    pub(super) limit: Option<u32>,
    /// It is paused from time to time.
    pub(super) pauses: bool,
}

const PLAIN: Role = Role {
    name: "standard",
    profile: "standard",
    plain: &[0, 1],
    waits_for_runs: false,
    limit: None,
    pauses: false,
};

/// All roles. Most events are for two webhooks of their workspace.
const ROLES: [Role; 10] = [
    PLAIN,
    Role { name: "spektr", profile: "spektr", plain: &[1, 2], ..PLAIN },
    Role { name: "spektr-v1", profile: "spektr-v1", plain: &[2], ..PLAIN },
    Role { name: "spectra", profile: "spectra", plain: &[3], ..PLAIN },
    Role { name: "dataspike", profile: "dataspike", plain: &[4], ..PLAIN },
    Role { name: "cloudevents", profile: "cloudevents", plain: &[4, 5], ..PLAIN },
    Role { name: "slack", profile: "slack", plain: &[5], limit: Some(5), ..PLAIN },
    Role { name: "limited", plain: &[6], limit: Some(LIMIT), ..PLAIN },
    Role { name: "runs", plain: &[], waits_for_runs: true, ..PLAIN },
    Role { name: "paused", plain: &[3, 6], pauses: true, ..PLAIN },
];

/// The requests that the role `limited` allows in a second.
const LIMIT: u32 = 10;

impl Role {
    /// Tells if the webhook subscribes to events of this kind.
    pub(super) fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain(number) => self.plain.contains(&number),
            Kind::Step { .. } | Kind::End { .. } => self.waits_for_runs,
        }
    }

    /// Tells if deliveries to the webhook wait for the end of a run.
    pub(super) fn waits(&self) -> bool {
        self.waits_for_runs
    }

    fn manners(&self) -> Manners {
        Manners {
            has_data: self.profile != "slack",
            only_200: matches!(self.profile, "spektr" | "spektr-v1" | "dataspike" | "slack"),
            wants_ok: self.profile == "slack",
        }
    }

    /// The settings of its webhook. Every wait is short, so that a run ends, and `spectra` keeps
    /// that it never tries again.
    fn settings(&self) -> Value {
        let mut events: Vec<String> = self.plain.iter().map(|number| plain_type(*number)).collect();
        let mut settings = json!({ "profile": self.profile, "timeoutSeconds": 2 });
        if self.waits_for_runs {
            events.extend([STEP.to_owned(), END.to_owned()]);
            settings["timing"] = "process_end".into();
        }
        settings["events"] = events.into();
        if self.profile != "spectra" {
            settings["retrySchedule"] = json!([1, 1, 2]);
        }
        if let Some(requests) = self.limit {
            settings["rateLimit"] = json!({ "requests": requests, "per": "second" });
        }
        settings
    }
}

/// A registered webhook with its endpoint.
pub(super) struct Member {
    pub(super) role: Role,
    pub(super) webhook: String,
    pub(super) hook: Arc<Hook>,
}

/// A workspace with its webhooks.
pub(super) struct Team {
    pub(super) workspace: Workspace,
    pub(super) members: Vec<Member>,
}

/// Makes the workspaces and registers their webhooks, before anything goes wrong.
pub(super) async fn assemble(bench: &Bench, receiver: &Receiver) -> anyhow::Result<Vec<Team>> {
    let mut teams = Vec::new();
    for number in 0..WORKSPACES {
        let workspace = bench.workspace(&format!("chaos-{number}")).await?;
        let mut members = Vec::new();
        for role in ROLES {
            let hook = receiver.hook(&format!("{}/{}", workspace.name, role.name), role.manners());
            let mut settings = role.settings();
            settings["url"] = hook.url().into();
            let webhook = workspace.call(Method::POST, "/webhooks", settings).await?;
            hook.trust(webhook["secret"].as_str().context("a webhook has no secret")?);
            members.push(Member { role, webhook: webhook["id"].to_string(), hook });
        }
        teams.push(Team { workspace, members });
    }
    Ok(teams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::event::PLAIN_TYPES;

    #[test]
    fn every_kind_is_wanted_and_every_profile_is_there() {
        let kinds = (0..PLAIN_TYPES).map(Kind::Plain);
        for kind in kinds.chain([Kind::Step { run: 0 }, Kind::End { run: 0 }]) {
            assert!(ROLES.iter().any(|role| role.wants(kind)), "nobody wants {kind:?}");
        }
        let profiles =
            ["standard", "spektr", "spektr-v1", "spectra", "dataspike", "cloudevents", "slack"];
        for profile in profiles {
            assert!(ROLES.iter().any(|role| role.profile == profile), "{profile} is missing");
        }
    }
}
