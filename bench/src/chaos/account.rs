//! The account says of every pair of an event and a webhook that wants it what has become of it,
//! and holds the history against what the receiver saw.
//!
//! A request names the attempt that it was made for by the step in its `traceparent`, which derives
//! from its first delivery and the nanosecond at which the attempt began. The history has both. So
//! each attempt of the history is matched with exactly one request, and what is left over on either
//! side has to be explained.

mod requests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use uuid::Uuid;

use super::{
    cast::{Member, Team},
    event::{Mark, Published},
    history::Listed,
    publish::Book,
    receiver::Seen,
};
pub(super) use requests::Conditions;
use requests::Matched;

/// So many pairs that are wrong are named.
const MOST_NAMED: usize = 40;

/// The account of a run. The fields in `Wrong` have to be 0.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    /// Events that were accepted.
    pub(super) events: usize,
    /// Pairs of an event and a webhook that wants it.
    pub(super) pairs: usize,
    pub(super) delivered_once: usize,
    pub(super) delivered_more_than_once: usize,
    pub(super) exhausted: usize,
    /// Skipped pairs by the reason that the history gives.
    pub(super) skipped: BTreeMap<String, usize>,
    /// Deliveries that were made because somebody asked for them again.
    pub(super) replays: usize,
    /// Requests that the receivers read to their end.
    pub(super) requests: usize,
    /// Successful requests for a pair beyond one for each of its deliveries.
    pub(super) copies: usize,
    /// Those of them that began more than a second after the first success was answered.
    pub(super) late_copies: usize,
    /// Successful answers that came too late, so that the history rightly has a failure.
    pub(super) unheard: usize,
    /// Requests that no attempt of the history is about, because their function was killed.
    pub(super) unrecorded_at_kills: usize,
    /// Failed copies that came after the success, which the history leaves out.
    pub(super) failed_copies: usize,
    /// Pairs that arrived although the history, which lost that attempt with its function, says
    /// exhausted or skipped.
    pub(super) arrived_unknown: usize,
    pub(super) wrong: Wrong,
    /// Some of what is wrong, with ids.
    pub(super) named: Vec<String>,
}

/// Everything that must not be.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wrong {
    /// Pairs that did not arrive and have no record.
    pub(super) lost: usize,
    /// Requests with another workspace's event, or without a signature of their own webhook.
    pub(super) wrong_workspace: usize,
    /// Pairs that are to go on and don't, and what is left in queues and tables.
    pub(super) stuck: usize,
    /// Webhooks that got more requests in some second than their limit and its burst.
    pub(super) limit_broken: usize,
    /// Contradictions between the history and what the receiver saw.
    pub(super) history_untrue: usize,
    /// Requests whose data is not the published bytes.
    pub(super) altered: usize,
    /// Requests with events that the webhook does not want.
    pub(super) uninvited: usize,
}

impl Wrong {
    pub(super) fn all(&self) -> usize {
        self.lost
            + self.wrong_workspace
            + self.stuck
            + self.limit_broken
            + self.history_untrue
            + self.altered
            + self.uninvited
    }
}

/// A webhook, with what the receiver saw and what the history says of it.
struct Case<'a> {
    /// The place of the webhook's team.
    place: usize,
    member: &'a Member,
    page: &'a [Published],
    seen: &'a [Seen],
    /// The webhook's deliveries by their events.
    deliveries: HashMap<Mark, Vec<Listed>>,
}

impl Account {
    /// Reads the histories of all webhooks and draws up the account.
    pub(super) async fn draw_up(
        teams: &[Team],
        book: &Book,
        conditions: &Conditions,
    ) -> anyhow::Result<Self> {
        let mut account = Self::default();
        for (place, team) in teams.iter().enumerate() {
            let page = book.page(place);
            let numbers: HashMap<Uuid, Mark> =
                page.iter().filter_map(|event| Some((event.id?, event.mark))).collect();
            account.events += numbers.len();
            let mut statuses = BTreeSet::new();
            for member in &team.members {
                let path = format!("/webhooks/{}/deliveries", member.webhook);
                let listed = Listed::all(&team.workspace, &path).await?;
                statuses.extend(listed.iter().map(Row::of));
                let seen = member.hook.seen();
                let mut deliveries = HashMap::<Mark, Vec<Listed>>::new();
                for delivery in listed {
                    match numbers.get(&delivery.event_id) {
                        Some(mark) => deliveries.entry(*mark).or_default().push(delivery),
                        None => account.untrue(format!(
                            "{} has a delivery of the unknown event {}",
                            member.hook.url(),
                            delivery.event_id
                        )),
                    }
                }
                let case = Case { place, member, page: &page, seen: &seen, deliveries };
                account.examine(&case, conditions);
            }
            account.compare_lists(team, &statuses).await?;
        }
        Ok(account)
    }

    fn examine(&mut self, case: &Case<'_>, conditions: &Conditions) {
        self.requests += case.seen.len();
        self.look_at_requests(case);
        let matched = Matched::of(case, conditions);
        self.unheard += matched.unheard.len();
        self.unrecorded_at_kills += matched.at_kills;
        self.failed_copies += matched.failed_copies;
        self.late_copies += matched.late_copies;
        for problem in &matched.problems {
            self.untrue(problem.clone());
        }
        if let Some(limit) = case.member.role.limit
            && let Some(problem) =
                requests::broken_limit(limit, &matched.begun_ms, conditions.clocks_step)
        {
            self.wrong.limit_broken += 1;
            self.name(format!("{}: {problem}", case.member.hook.url()));
        }
        for event in case.page.iter().filter(|event| case.member.role.wants(event.kind)) {
            self.judge(case, &matched, event);
        }
    }

    /// Looks whether each request belongs here.
    fn look_at_requests(&mut self, case: &Case<'_>) {
        for seen in case.seen {
            let is_ours = |mark: &Mark| mark.workspace == case.place;
            if !seen.signed || seen.marks.is_empty() || !seen.marks.iter().all(is_ours) {
                self.wrong.wrong_workspace += 1;
                self.name(format!("{} got {seen:?}, which is not its own", case.member.hook.url()));
                continue;
            }
            if !seen.intact {
                self.wrong.altered += 1;
                self.name(format!("{} got {seen:?} with other data", case.member.hook.url()));
            }
            let is_wanted = |mark: &Mark| {
                case.page.get(mark.number).is_some_and(|event| case.member.role.wants(event.kind))
            };
            if !seen.marks.iter().all(is_wanted) {
                self.wrong.uninvited += 1;
                self.name(format!("{} does not want {seen:?}", case.member.hook.url()));
            }
        }
    }

    /// Compares the list over all webhooks with the lists of the single ones.
    async fn compare_lists(&mut self, team: &Team, single: &BTreeSet<Row>) -> anyhow::Result<()> {
        let together = Listed::all(&team.workspace, "/deliveries").await?;
        let together: BTreeSet<_> = together.iter().map(Row::of).collect();
        for row in single.symmetric_difference(&together) {
            let Row { delivery, webhook, status } = row;
            self.untrue(format!(
                "delivery {delivery} of webhook {webhook} is {status} in one of two lists alone"
            ));
        }
        Ok(())
    }

    fn untrue(&mut self, problem: String) {
        self.wrong.history_untrue += 1;
        self.name(problem);
    }

    fn name(&mut self, problem: String) {
        if self.named.len() < MOST_NAMED {
            self.named.push(problem);
        }
    }
}

/// A delivery as two lists have to show it alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    delivery: Uuid,
    webhook: u64,
    status: String,
}

impl Row {
    fn of(listed: &Listed) -> Self {
        Self { delivery: listed.id, webhook: listed.webhook_id, status: listed.status.clone() }
    }
}
