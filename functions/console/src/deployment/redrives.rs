//! Redrives: dead letters on their way back. A queue has one at a time.

use axum::{
    extract::Path,
    http::{Method, StatusCode},
    response::Response,
};
use maud::{Markup, html};
use posthaste_domain::{Timestamp, deployment::LetterQueue};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{PATH, letters, letters_page, or_switch};
use crate::{
    control::Entered,
    form::{Fields, Posted},
    layout::post_form,
    parts::{Tone, badge, time, visible},
    trouble::Trouble,
    visitor::Visitor,
};

/// The field of the form that the API's complaints can be about.
const RATE: &str = "maxPerSecond";

/// The latest redrives of all queues, as the API answers them: for each the newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Redrives {
    pub(super) items: Vec<Redrive>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Redrive {
    pub(super) queue: LetterQueue,
    to: String,
    status: Status,
    moved: u64,
    to_move: Option<u64>,
    max_per_second: Option<u32>,
    started_at: Timestamp,
    failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Completed,
    Cancelling,
    Cancelled,
    Failed,
}

impl Redrive {
    /// Says whether messages are still moved.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.status, Status::Running | Status::Cancelling)
    }

    pub(super) fn badge(&self) -> Markup {
        match self.status {
            Status::Running => badge(Tone::Waiting, "running"),
            Status::Completed => badge(Tone::Good, "completed"),
            Status::Cancelling => badge(Tone::Waiting, "being cancelled"),
            Status::Cancelled => badge(Tone::Plain, "cancelled"),
            Status::Failed => badge(Tone::Bad, "failed"),
        }
    }

    /// The number of letters that were moved, as far as SQS knows it.
    pub(super) fn progress(&self) -> String {
        match self.to_move {
            Some(all) => format!("{} of about {all} moved", self.moved),
            None => format!("about {} moved", self.moved),
        }
    }
}

/// The latest redrives of a queue. They change as long as one is under way, of which there is a
/// button to cancel it.
pub(super) fn latest(visitor: &Visitor, queue: LetterQueue, redrives: &[Redrive]) -> Markup {
    let is_cancellable = redrives.iter().any(|redrive| redrive.status == Status::Running);
    html! {
        @if !redrives.is_empty() {
            section id="redrives" aria-labelledby="redrives-title" {
                h2 id="redrives-title" { "Latest redrives" }
                ul.rows { @for redrive in redrives { (row(redrive)) } }
            }
        }
        @if is_cancellable {
            details id="redrive-cancel" {
                summary { "Cancel the redrive" }
                (post_form(visitor, &format!("{PATH}/redrives/{}/cancel", queue.name()), html! {
                    p { "What was moved stays moved. It takes a moment until nothing moves." }
                    button.danger type="submit" { "Cancel the redrive" }
                }))
            }
        }
    }
}

fn row(redrive: &Redrive) -> Markup {
    html! {
        li.row {
            div.main {
                h3 data-said { "To the queue " code { (redrive.to) } " " (redrive.badge()) }
                p {
                    (redrive.progress())
                    @if redrive.is_under_way() {
                        " "
                        progress aria-label="The redrive is under way"
                            max=[redrive.to_move.filter(|all| *all > 0)]
                            value=[redrive.to_move.filter(|all| *all > 0)
                                .map(|all| redrive.moved.min(all))] {}
                    }
                }
                @if let Some(failure) = &redrive.failure {
                    p { "SQS says: " bdi { (visible(failure)) } }
                }
                p.quiet {
                    "Begun " (time(redrive.started_at))
                    @match redrive.max_per_second {
                        Some(rate) => { ", at most " (rate) " a second" }
                        None => { ", at a rate that SQS chose" }
                    }
                }
            }
        }
    }
}

/// The form that sends all letters of a queue back.
pub(super) fn form(visitor: &Visitor, queue: LetterQueue, entered: &Entered) -> Markup {
    html! {
        section.card id="redrive" aria-labelledby="redrive-title" {
            h2 id="redrive-title" { "Send them back" }
            p { (effect(queue)) }
            (post_form(visitor, &format!("{PATH}/redrives"), html! {
                input type="hidden" name="queue" value=(queue.name());
                (entered.control(
                    RATE,
                    "Letters a second, at most",
                    "From 1 to 500. Left empty, SQS chooses a rate by how many there are.",
                ).number(1, 500))
                button.primary type="submit" {
                    "Send all back" span.sr { " from the dead letters of " (queue.name()) }
                }
            }))
        }
    }
}

/// A sentence or two about the effect of a redrive of the queue.
fn effect(queue: LetterQueue) -> &'static str {
    match queue {
        LetterQueue::Events => {
            "All dead letters of events, also those that are not shown here, go back to the events \
                queue, and are fanned out. What is still no event becomes a dead letter again."
        }
        LetterQueue::Deliveries => {
            "All dead letters of deliveries, also those that are not shown here, go back to the \
                deliveries queue, for one more attempt each. Mend first what kept them."
        }
        LetterQueue::Turns => {
            "All dead letters of turns, also those that are not shown here, go back to the turns \
                queue. Backlogs go on by themselves, so this only clears the queue."
        }
        LetterQueue::Replay => {
            "All dead letters of replay, also those that are not shown here, go back to the replay \
                queue, and their replays go on."
        }
        LetterQueue::Exhausted => {
            "All exhausted deliveries of all workspaces, also those that are not shown here, go to \
                the deliveries queue, for one more attempt each. What fails again, or has a paused \
                webhook, becomes a dead letter again. For one webhook alone, start a replay on its \
                page instead."
        }
    }
}

/// Sends the letters of a queue back.
pub(super) async fn start(Posted { visitor, fields }: Posted) -> Result<Response, Trouble> {
    let queue = LetterQueue::by_name(fields.text("queue")).ok_or(Trouble::NotFound)?;
    let body = body(queue, &fields);
    let started =
        visitor.send::<IgnoredAny>(Method::POST, "/deployment/redrives", Some(&body)).await?;
    match started {
        Ok(_) => {
            let text = format!("The redrive of {} has begun.", queue.name());
            visitor.go(&letters_page(queue), text).await
        }
        Err(refusal) if refusal.status == StatusCode::FORBIDDEN => {
            or_switch(&visitor, Err(Trouble::Refused(refusal)))
        }
        Err(refusal) => {
            let entered = Entered::refused(fields, refusal, &[RATE]);
            letters::page(&visitor, queue, "", &entered).await
        }
    }
}

/// The body of the call. What is no number goes as it is, for the API to refuse it.
fn body(queue: LetterQueue, fields: &Fields) -> Value {
    let rate = fields.text(RATE);
    if rate.is_empty() {
        return json!({ "queue": queue });
    }
    let rate = rate.parse::<i64>().map_or_else(|_| json!(rate), |rate| json!(rate));
    json!({ "queue": queue, RATE: rate })
}

/// Stops a redrive. It may have ended by itself before.
pub(super) async fn cancel(
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Trouble> {
    let queue = LetterQueue::by_name(&name).ok_or(Trouble::NotFound)?;
    let path = format!("/deployment/redrives/{}", queue.name());
    let text = match visitor.send::<IgnoredAny>(Method::DELETE, &path, None).await? {
        Ok(_) => "The redrive was cancelled. What was moved stays moved.",
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            "The redrive had ended before it could be cancelled."
        }
        Err(refusal) => return or_switch(&visitor, Err(Trouble::Refused(refusal))),
    };
    visitor.go(&letters_page(queue), text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_becomes_the_body_of_the_call() {
        let of = |form: &str| body(LetterQueue::Turns, &Fields::parse(form.as_bytes()));
        assert_eq!(of("maxPerSecond="), json!({ "queue": "turns" }));
        assert_eq!(of("maxPerSecond=+25+"), json!({ "queue": "turns", "maxPerSecond": 25 }));
        assert_eq!(of("maxPerSecond=1.5"), json!({ "queue": "turns", "maxPerSecond": "1.5" }));
    }

    fn redrive(status: &str, to_move: Option<u64>) -> Redrive {
        let redrive = json!({
            "queue": "exhausted", "to": "deliveries", "status": status, "moved": 12,
            "toMove": to_move, "maxPerSecond": 5, "startedAt": "2026-01-15T08:00:00Z",
            "failure": (status == "failed").then_some("<b>AccessDenied\u{202e}"), "handle": null,
        });
        serde_json::from_value(redrive).unwrap()
    }

    #[test]
    fn a_redrive_says_how_far_it_is() {
        assert_eq!(redrive("running", Some(40)).progress(), "12 of about 40 moved");
        assert_eq!(redrive("running", None).progress(), "about 12 moved");
        let under_way = ["running", "completed", "cancelling", "cancelled", "failed"]
            .map(|status| redrive(status, None).is_under_way());
        assert_eq!(under_way, [true, false, true, false, false]);
    }

    #[test]
    fn the_bar_of_a_redrive_stays_within_its_bounds() {
        let shown = row(&redrive("running", Some(10))).into_string();
        assert!(shown.contains(r#"max="10" value="10""#), "{shown}");
        let shown = row(&redrive("running", Some(0))).into_string();
        assert!(shown.contains("<progress") && !shown.contains("max="), "{shown}");
    }

    #[test]
    fn the_words_of_sqs_are_harmless() {
        let shown = row(&redrive("failed", None)).into_string();
        assert!(shown.contains("&lt;b&gt;AccessDenied[U+202E]"), "{shown}");
    }
}
