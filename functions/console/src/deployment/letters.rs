//! The dead letters of a queue, and sending them back.

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use posthaste_domain::deployment::LetterQueue;
use serde::Deserialize;

use super::{
    PATH, about,
    letter::{self, Letter},
    letters_page, or_switch,
    redrives::{self, Redrive, Redrives},
};
use crate::{
    control::Entered,
    layout::Section,
    parts::{complaint, heading, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// A look shows so many letters at most. The first one holds unless another is chosen.
const LIMITS: [&str; 3] = ["10", "25", "50"];

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    queue: String,
    #[serde(default)]
    limit: String,
}

/// Some letters of a queue, as the API answers them.
#[derive(Debug, Deserialize)]
struct Letters {
    items: Vec<Letter>,
}

/// Shows some letters of a queue.
pub(super) async fn show(
    visitor: Visitor,
    Query(Asked { queue, limit }): Query<Asked>,
) -> Result<Response, Trouble> {
    let queue = if queue.is_empty() {
        LetterQueue::Exhausted
    } else {
        LetterQueue::by_name(&queue).ok_or(Trouble::NotFound)?
    };
    let page = page(&visitor, queue, &limit, &Entered::default()).await;
    or_switch(&visitor, page)
}

/// The page with this form. While letters are moved nobody looks at them: a look hides them from
/// the redrive.
pub(super) async fn page(
    visitor: &Visitor,
    queue: LetterQueue,
    limit: &str,
    entered: &Entered,
) -> Result<Response, Trouble> {
    let Redrives { items } = visitor.get("/deployment/redrives").await?;
    let redrives: Vec<Redrive> = items.into_iter().filter(|one| one.queue == queue).collect();
    let is_moving = redrives.iter().any(Redrive::is_under_way);
    let letters = if is_moving {
        None
    } else {
        let query = [("queue", queue.name()), ("limit", limit)];
        let path = with_query("/deployment/dead-letters", &query, &[]);
        Some(visitor.get::<Letters>(&path).await?.items)
    };
    let title = title(queue);
    let content = html! {
        p.crumbs { a href=(PATH) { "Deployment" } }
        (heading(&title, html! {}))
        (tabs(queue))
        p { (about(queue)) }
        @if let Some(refusal) = &entered.refusal { (complaint(refusal)) }
        div id="letters-live" data-live=[is_moving.then_some("3")] {
            (redrives::latest(visitor, queue, &redrives))
            (part(visitor, queue, letters.as_deref(), limit))
            @if letters.is_some_and(|letters| !letters.is_empty()) {
                (redrives::form(visitor, queue, entered))
            }
        }
    };
    Ok((entered.status(), visitor.show(Section::Deployment, &title, content)).into_response())
}

fn title(queue: LetterQueue) -> String {
    match queue {
        LetterQueue::Exhausted => "Exhausted deliveries".to_owned(),
        _ => format!("Dead letters of {}", queue.name()),
    }
}

fn tabs(shown: LetterQueue) -> Markup {
    html! {
        nav aria-label="Queues of dead letters" {
            ul.tabs {
                @for queue in LetterQueue::ALL {
                    li {
                        a href=(letters_page(queue))
                            aria-current=[(queue == shown).then_some("page")] { (queue.name()) }
                    }
                }
            }
        }
    }
}

fn part(visitor: &Visitor, queue: LetterQueue, letters: Option<&[Letter]>, limit: &str) -> Markup {
    html! {
        section id="letters" aria-labelledby="letters-title" {
            h2 id="letters-title" { "Some of the letters" }
            @match letters {
                None => {
                    p { "They are shown when the redrive is over: a look would keep them from it." }
                }
                Some([]) => {
                    p {
                        "No dead letter was found. Letters that somebody else is looking at at "
                        "this moment are hidden for some seconds. "
                        a href=(letters_page(queue)) { "Look again" }
                    }
                }
                Some(letters) => {
                    (look_again(queue, limit))
                    ul.rows {
                        @for (nth, letter) in letters.iter().enumerate() {
                            (letter::row(&visitor.caller.workspace, nth + 1, letter))
                        }
                    }
                }
            }
        }
    }
}

fn look_again(queue: LetterQueue, limit: &str) -> Markup {
    html! {
        p.quiet {
            "SQS has no list of messages. This is a look at some of them, in no order, and two "
            "looks can show different ones."
        }
        form.filters action={ (PATH) "/dead-letters" } {
            input type="hidden" name="queue" value=(queue.name());
            div.field {
                label for="limit" { "Letters at most" }
                select id="limit" name="limit" {
                    @for choice in LIMITS {
                        option value=(choice) selected[choice == limit] { (choice) }
                    }
                }
            }
            button type="submit" { "Look again" span.sr { " at the dead letters" } }
        }
    }
}
