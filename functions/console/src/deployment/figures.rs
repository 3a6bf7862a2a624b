//! The figures of the deployment: its queues, what waits and why, and how many dead letters there
//! are.

use axum::response::Response;
use maud::{Markup, html};
use posthaste_domain::{Timestamp, deployment::LetterQueue};
use serde::Deserialize;

use super::{
    PATH, about, letters_page, or_switch,
    redrives::{Redrive, Redrives},
};
use crate::{
    layout::Section,
    parts::{Tone, badge, time, visible},
    trouble::Trouble,
    visitor::Visitor,
};

/// The figures are read again so often, in seconds. SQS's own are up to a minute late.
const READ_AGAIN: &str = "15";

/// The figures, as the API answers them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    version: String,
    stage: String,
    queues: Vec<Queue>,
    exhausted: u64,
    oldest_due: Option<OldestDue>,
    waiting: Waiting,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    name: String,
    waiting: u64,
    in_flight: u64,
    delayed: u64,
    dead_letters: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldestDue {
    due_at: Timestamp,
    late_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    retries: Count,
    process_end: Count,
    limited: Backlogs,
    slow: Backlogs,
    sick: Backlogs,
    recovering: Backlogs,
}

#[derive(Debug, Deserialize)]
struct Backlogs {
    webhooks: Count,
    tasks: Count,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    count: u64,
    at_least: bool,
}

impl Count {
    fn shown(self) -> String {
        if self.at_least { format!("at least {}", self.count) } else { self.count.to_string() }
    }
}

impl Figures {
    /// The number of dead letters on a queue of them.
    fn letters(&self, queue: LetterQueue) -> u64 {
        if queue == LetterQueue::Exhausted {
            return self.exhausted;
        }
        let of_queue = self.queues.iter().find(|one| one.name == queue.name());
        of_queue.map_or(0, |one| one.dead_letters)
    }

    /// The state of the deployment, in a sentence.
    fn verdict(&self) -> String {
        let late = match self.oldest_due {
            Some(_) => "A delivery is late",
            None => "No delivery is late",
        };
        let with_letters = LetterQueue::ALL.into_iter().filter(|queue| self.letters(*queue) > 0);
        let names: Vec<&str> = with_letters.map(LetterQueue::name).collect();
        if names.is_empty() {
            format!("{late}, and there are no dead letters.")
        } else {
            format!("{late}, and there are dead letters: {}.", names.join(", "))
        }
    }
}

/// Shows the figures.
pub(super) async fn show(visitor: Visitor) -> Result<Response, Trouble> {
    let page = page(&visitor).await;
    or_switch(&visitor, page)
}

async fn page(visitor: &Visitor) -> Result<Response, Trouble> {
    let figures: Figures = visitor.get("/deployment").await?;
    let Redrives { items: redrives } = visitor.get("/deployment/redrives").await?;
    Ok(visitor.show(Section::Deployment, "Deployment", content(&figures, &redrives)))
}

/// The page's content. Only the sentence at its top is read out when it changes: the numbers below
/// change all the time.
fn content(figures: &Figures, redrives: &[Redrive]) -> Markup {
    html! {
        div.heading {
            h1 { "Deployment" }
            p.quiet {
                "Version " (visible(&figures.version)) ", stage " code { (visible(&figures.stage)) }
            }
        }
        div id="figures" data-live=(READ_AGAIN) {
            p id="verdict" data-said { (figures.verdict()) }
            section.card id="oldest-due" aria-labelledby="oldest-due-title" {
                h2 id="oldest-due-title" { "Oldest due" }
                (oldest_due(figures.oldest_due.as_ref()))
            }
            section id="dead-letters" aria-labelledby="dead-letters-title" {
                h2 id="dead-letters-title" { "Dead letters" }
                (dead_letters(figures, redrives))
            }
            section id="queues" aria-labelledby="queues-title" {
                h2 id="queues-title" { "Queues" }
                (queues(&figures.queues))
            }
            section id="waiting" aria-labelledby="waiting-title" {
                h2 id="waiting-title" { "What waits, and why" }
                (waiting(&figures.waiting))
            }
        }
    }
}

fn oldest_due(oldest: Option<&OldestDue>) -> Markup {
    html! {
        @match oldest {
            None => {
                p {
                    (badge(Tone::Good, "on time")) " No parked retry and no held delivery is late."
                }
            }
            Some(OldestDue { due_at, late_seconds }) => {
                p {
                    (badge(Tone::Bad, "late")) " A parked retry or a held delivery has been due "
                    "for " strong { (span(*late_seconds)) } ", since " (time(*due_at)) "."
                }
            }
        }
    }
}

/// A length of time in its two largest units.
fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut words = Vec::new();
    for (size, unit) in &units[first..] {
        let count = left / size;
        left %= size;
        if words.len() < 2 && (count > 0 || words.is_empty()) {
            words.push(format!("{count} {unit}"));
        } else {
            break;
        }
    }
    words.join(" ")
}

fn dead_letters(figures: &Figures, redrives: &[Redrive]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Dead letters by their queues" {
            table {
                thead {
                    tr {
                        th scope="col" { "Queue" }
                        th.number scope="col" { "Letters" }
                        th scope="col" { "What they are" }
                        th scope="col" { "Latest redrive" }
                    }
                }
                tbody {
                    @for queue in LetterQueue::ALL {
                        @let latest = redrives.iter().find(|redrive| redrive.queue == queue);
                        tr {
                            th scope="row" {
                                a href=(letters_page(queue)) {
                                    (queue.name()) span.sr { " dead letters" }
                                }
                            }
                            td.number { (figures.letters(queue)) }
                            td { (about(queue)) }
                            td {
                                @match latest {
                                    Some(redrive) => { (redrive.badge()) " " (redrive.progress()) }
                                    None => span.quiet { "none" },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn queues(queues: &[Queue]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Messages on the queues" {
            table {
                caption { "SQS knows these figures approximately, and up to a minute late." }
                thead {
                    tr {
                        th scope="col" { "Queue" }
                        th.number scope="col" { "Waiting" }
                        th.number scope="col" { "In flight" }
                        th.number scope="col" { "Delayed" }
                    }
                }
                tbody {
                    @for queue in queues {
                        tr {
                            th scope="row" { (queue.name) }
                            td.number { (queue.waiting) }
                            td.number { (queue.in_flight) }
                            td.number { (queue.delayed) }
                        }
                    }
                }
            }
        }
    }
}

fn waiting(waiting: &Waiting) -> Markup {
    let Waiting { retries, process_end, limited, slow, sick, recovering } = waiting;
    let rows = [
        ("Retries that are parked until they are due", None, retries),
        ("Deliveries that are held for the end of a process run", None, process_end),
        ("Webhooks whose rate limit makes them wait", Some(&limited.webhooks), &limited.tasks),
        ("Webhooks whose endpoints are slow", Some(&slow.webhooks), &slow.tasks),
        ("Webhooks whose endpoints keep timing out", Some(&sick.webhooks), &sick.tasks),
        (
            "Webhooks that are quick again, and whose backlogs are being sent",
            Some(&recovering.webhooks),
            &recovering.tasks,
        ),
    ];
    html! {
        div.scroll tabindex="0" role="region" aria-label="What waits, by the reason" {
            table {
                caption {
                    "Deliveries of paused webhooks are not among it: they are skipped. A task has "
                    "one delivery, or those that share a request."
                }
                thead {
                    tr {
                        th scope="col" { "Reason" }
                        th.number scope="col" { "Webhooks" }
                        th.number scope="col" { "Tasks" }
                    }
                }
                tbody {
                    @for (reason, webhooks, tasks) in rows {
                        tr {
                            th scope="row" { (reason) }
                            td.number {
                                @match webhooks {
                                    Some(webhooks) => (webhooks.shown()),
                                    None => {
                                        span aria-hidden="true" { "–" } span.sr { "not counted" }
                                    }
                                }
                            }
                            td.number { (tasks.shown()) }
                        }
                    }
                }
            }
        }
        p { a href=(PATH) { "Read the figures again" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(events: u64, exhausted: u64, is_late: bool) -> Figures {
        let count = |count: u64| json!({ "count": count, "atLeast": count > 100 });
        let backlogs = |tasks| json!({ "webhooks": count(2), "tasks": count(tasks) });
        let queue = |name: &str, dead_letters: u64| {
            json!({
                "name": name, "waiting": 3, "inFlight": 2, "delayed": 1,
                "deadLetters": dead_letters,
            })
        };
        let late = json!({ "dueAt": "2026-01-15T08:00:00Z", "lateSeconds": 3_700 });
        let figures = json!({
            "version": "1.0.0",
            "stage": "<b>",
            "queues": [queue("events", events), queue("deliveries", 0), queue("turns", 0)],
            "exhausted": exhausted,
            "oldestDue": is_late.then_some(late),
            "waiting": {
                "retries": count(7), "processEnd": count(0), "limited": backlogs(9),
                "slow": backlogs(200), "sick": backlogs(0), "recovering": backlogs(1),
            },
        });
        serde_json::from_value(figures).unwrap()
    }

    #[test]
    fn a_sentence_says_what_an_operator_should_look_at() {
        assert_eq!(
            figures(0, 0, false).verdict(),
            "No delivery is late, and there are no dead letters."
        );
        assert_eq!(
            figures(2, 1, true).verdict(),
            "A delivery is late, and there are dead letters: events, exhausted."
        );
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_700, "1 h 1 min"),
            (7_205, "2 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }

    #[test]
    fn the_figures_stand_in_tables() {
        let shown = content(&figures(2, 40_000, true), &[]).into_string();
        insta::assert_snapshot!(shown.replace("<section", "\n<section").replace("<tr>", "\n<tr>"));
    }
}
