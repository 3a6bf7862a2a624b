//! A dead letter on the page of its queue.

use maud::{Markup, html};
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    id::{EventId, WebhookId},
    message::dead_letter::DeadLetterReason,
};
use serde::Deserialize;

use super::reason;
use crate::parts::{Tone, badge, code_block, indented, time, time_or, visible};

/// A letter, as the API answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    message_id: String,
    reason: Option<String>,
    detail: Option<String>,
    workspace: Option<String>,
    webhook_id: Option<WebhookId>,
    event_ids: Vec<EventId>,
    deliveries: Option<usize>,
    sent_at: Timestamp,
    dead_since: Option<Timestamp>,
    body: String,
    body_bytes: usize,
}

impl Letter {
    /// The part of the text that is shown.
    fn extent(&self) -> String {
        let (shown, all) = (self.body.len(), self.body_bytes);
        if shown < all {
            format!("the first {shown} of {all} bytes")
        } else {
            format!("{all} bytes")
        }
    }
}

/// A row of the list. Webhooks and events of the visitor's own workspace lead to their pages.
pub(super) fn row(own: &Workspace, nth: usize, letter: &Letter) -> Markup {
    let is_own = letter.workspace.as_deref() == Some(own.as_str());
    let reason = letter.reason.as_deref();
    html! {
        li.row {
            div.main {
                h3 {
                    "Letter " (nth) " "
                    (badge(Tone::Bad, short_reason(reason)))
                }
                p { (reason::about(reason)) }
                (facts(letter, is_own))
                details {
                    summary {
                        "Text of the message, " (letter.extent()) span.sr { " of letter " (nth) }
                    }
                    (code_block(&format!("Text of letter {nth}"), &indented(&letter.body)))
                }
            }
        }
    }
}

/// The reason in a word or two. A badge does not break, so it has no text of somebody else.
fn short_reason(reason: Option<&str>) -> &'static str {
    match reason {
        None => "no reason",
        Some(name) => reason::find(name).map_or("unknown reason", DeadLetterReason::name),
    }
}

fn facts(letter: &Letter, is_own: bool) -> Markup {
    // A delivery is of an event that is stored. A message of the events queue may be of none.
    let has_event = is_own && letter.webhook_id.is_some();
    let reason = letter.reason.as_deref().filter(|name| reason::find(name).is_none());
    html! {
        dl.facts {
            @if let Some(reason) = reason {
                dt { "Reason" } dd { bdi { (visible(reason)) } }
            }
            @if let Some(detail) = &letter.detail {
                dt { "Detail" } dd { bdi { (visible(detail)) } }
            }
            dt { "Workspace" }
            dd {
                @match &letter.workspace {
                    Some(workspace) => bdi { (visible(workspace)) },
                    None => span.quiet { "the message does not say it" },
                }
            }
            @if let Some(id) = letter.webhook_id {
                dt { "Webhook" }
                dd {
                    @if is_own { a href={ "/console/webhooks/" (id) } { (id) } } @else { (id) }
                }
            }
            @if !letter.event_ids.is_empty() {
                dt { @if letter.event_ids.len() == 1 { "Event" } @else { "Events" } }
                dd {
                    @for id in &letter.event_ids {
                        @if has_event { a href={ "/console/events/" (id) } { (id) } } @else { (id) }
                        br;
                    }
                }
            }
            @if let Some(count) = letter.deliveries { dt { "Deliveries" } dd { (count) } }
            dt { "Sent" } dd { (time(letter.sent_at)) }
            dt { "Dead since" } dd { (time_or(letter.dead_since, "SQS does not say it")) }
            dt { "Message id" } dd { code { (visible(&letter.message_id)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn letter(workspace: Option<&str>, body: &str, body_bytes: usize) -> Letter {
        let event = "01896b5d-3648-7000-8000-000000000001";
        let letter = json!({
            "messageId": "m-1", "reason": "<i>new\u{202e}",
            "detail": "</p><script>alert(1)</script>",
            "workspace": workspace, "webhookId": 42, "eventIds": [event], "deliveries": 1,
            "sentAt": "2026-01-15T08:00:00Z", "deadSince": null, "body": body,
            "bodyBytes": body_bytes,
        });
        serde_json::from_value(letter).unwrap()
    }

    #[test]
    fn a_hostile_letter_is_harmless() {
        let own = Workspace::parse("acme").unwrap();
        let body = "</code></pre><script>alert(1)</script>\u{0}";
        let shown = row(&own, 1, &letter(Some("<b>"), body, 9_000)).into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<b>"), "{shown}");
        assert!(shown.contains("the first 39 of 9000 bytes"), "{shown}");
        assert!(shown.contains("unknown reason") && shown.contains("&lt;i&gt;new[U+202E]"));
        assert!(shown.contains("This version does not know the reason."), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn only_what_is_of_the_own_workspace_has_a_page() {
        let own = Workspace::parse("acme").unwrap();
        for (workspace, has_page) in [
            (Some("acme"), true),
            (Some("acme~test"), false),
            (Some("other"), false),
            (None, false),
        ] {
            let shown = row(&own, 1, &letter(workspace, "{}", 2)).into_string();
            assert_eq!(shown.contains("/console/webhooks/42"), has_page, "{workspace:?}");
            assert_eq!(shown.contains("/console/events/"), has_page, "{workspace:?}");
        }
    }
}
