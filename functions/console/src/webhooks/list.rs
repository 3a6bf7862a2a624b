//! The list of webhooks, with their states and how their last requests went.

use axum::{extract::Query, response::Response};
use futures::{StreamExt, stream};
use maud::{Markup, html};
use posthaste_domain::Timestamp;
use serde::Deserialize;

use super::Webhook;
use crate::{
    layout::Section,
    parts::{Bar, List, chart, heading, pager, time, with_query},
    trouble::Trouble,
    visitor::Visitor,
};

/// So many webhooks are on a page.
const ON_A_PAGE: usize = 20;
/// A search looks at so many pages of the API's list at most, of a hundred webhooks each.
const SEARCHED_PAGES: usize = 100;
/// A chart has so many bars.
const BARS: usize = 12;
/// So many of a webhook's newest deliveries are counted.
const COUNTED: usize = 100;
/// The charts of so many webhooks are read at once.
const AT_ONCE: usize = 10;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

/// A delivery, as far as a chart needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    attempts: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    at: Timestamp,
    error: Option<String>,
}

/// How the newest attempts of a webhook went.
#[derive(Debug, Default, PartialEq)]
struct Recent {
    good: u32,
    bad: u32,
    since: Option<Timestamp>,
    bars: [Bar; BARS],
}

pub(crate) async fn show(
    visitor: Visitor,
    Query(Asked { q, cursor }): Query<Asked>,
) -> Result<Response, Trouble> {
    let found = if q.trim().is_empty() {
        let limit = ON_A_PAGE.to_string();
        visitor.get(&with_query("/webhooks", &[("limit", &limit), ("cursor", &cursor)], &[])).await?
    } else {
        search(&visitor, q.trim(), &cursor).await?
    };
    let List { items, next }: List<Webhook> = found;
    let ids: Vec<u64> = items.iter().map(|webhook| webhook.id).collect();
    let recent: Vec<Option<Recent>> = stream::iter(ids)
        .map(|id| recent(&visitor, id))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let content = html! {
        (heading("Webhooks", html! {
            a.button.primary href="/console/webhooks/new" { "Register a webhook" }
        }))
        (search_form(&q))
        @if items.is_empty() && q.trim().is_empty() {
            p { "There is no webhook yet." }
        } @else if items.is_empty() {
            p { "No webhook has " code { (q) } " in its id, its URL or its description." }
        } @else {
            ul.rows {
                @for (webhook, recent) in items.iter().zip(&recent) { (row(webhook, recent.as_ref())) }
            }
            (pager("/console/webhooks", &[("q", &q)], next.as_deref()))
        }
    };
    Ok(visitor.show(Section::Webhooks, "Webhooks", content))
}

fn search_form(q: &str) -> Markup {
    html! {
        form.search role="search" action="/console/webhooks" {
            label for="q" { "Search" }
            input id="q" name="q" type="search" value=(q) placeholder="id, URL or description";
            button type="submit" { "Search" }
        }
    }
}

fn row(webhook: &Webhook, recent: Option<&Recent>) -> Markup {
    let (_, _, why) = webhook.state();
    html! {
        li.row id={ "webhook-" (webhook.id) } {
            div.main {
                h2 { a href=(webhook.page()) { (webhook.name()) } " " (webhook.badge()) }
                p.url { (webhook.url) }
                @if let Some(why) = why { p.quiet { (why) } }
                @if let Some(since) = webhook.health.failing_since {
                    p.quiet { "It has been failing since " (time(since)) "." }
                }
            }
            div.recent { (recent_part(recent)) }
        }
    }
}

fn recent_part(recent: Option<&Recent>) -> Markup {
    html! {
        @match recent {
            Some(Recent { good, bad, since: Some(since), bars }) => {
                (chart(&format!("{good} attempts succeeded and {bad} failed"), bars))
                p.quiet {
                    (percent(*good, *bad)) " of " (good + bad)
                    @if good + bad == 1 { " attempt" } @else { " attempts" }
                    " since " (time(*since))
                }
            }
            Some(_) => p.quiet { "no attempts yet" },
            None => p.quiet { "its attempts can't be read now" },
        }
    }
}

fn percent(good: u32, bad: u32) -> String {
    let all = f64::from(good + bad).max(1.0);
    // What is not all is never shown as all.
    let share = (f64::from(good) * 1000.0 / all).floor() / 10.0;
    format!("{share}%")
}

/// The newest attempts of a webhook; none if they can't be read, which spoils only its own row.
async fn recent(visitor: &Visitor, webhook: u64) -> Option<Recent> {
    let path = format!("/webhooks/{webhook}/deliveries?limit={COUNTED}");
    let List::<Delivery> { items, .. } = visitor.get(&path).await.ok()?;
    Some(Recent::of(items.iter().flat_map(|delivery| &delivery.attempts)))
}

impl Recent {
    fn of<'a>(attempts: impl Iterator<Item = &'a Attempt> + Clone) -> Self {
        let times = attempts.clone().map(|attempt| attempt.at.as_millisecond());
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Self::default();
        };
        let span = (last - first + 1).max(1);
        let mut bars = [Bar::default(); BARS];
        for attempt in attempts {
            let place = (attempt.at.as_millisecond() - first) * BARS as i64 / span;
            let Some(bar) = usize::try_from(place).ok().and_then(|place| bars.get_mut(place)) else {
                continue;
            };
            if attempt.error.is_none() { bar.good += 1 } else { bar.bad += 1 }
        }
        let (good, bad) =
            bars.iter().fold((0, 0), |(good, bad), bar| (good + bar.good, bad + bar.bad));
        Self { good, bad, since: Timestamp::from_millisecond(first).ok(), bars }
    }
}

/// The webhooks that have the text in their id, URL or description, from the cursor on.
async fn search(visitor: &Visitor, text: &str, cursor: &str) -> Result<List<Webhook>, Trouble> {
    let text = text.to_lowercase();
    let mut items = Vec::new();
    let mut cursor = cursor.to_owned();
    for _ in 0..SEARCHED_PAGES {
        let path = with_query("/webhooks", &[("limit", "100"), ("cursor", &cursor)], &[]);
        let page: List<Webhook> = visitor.get(&path).await?;
        for webhook in page.items.into_iter().filter(|webhook| has(webhook, &text)) {
            if items.len() == ON_A_PAGE {
                let next = items.last().map(|last: &Webhook| last.id.to_string());
                return Ok(List { items, next });
            }
            items.push(webhook);
        }
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(List { items, next: None }),
        }
    }
    Ok(List { items, next: Some(cursor) })
}

fn has(webhook: &Webhook, text: &str) -> bool {
    let description = webhook.description.as_deref().unwrap_or_default();
    webhook.id.to_string() == text
        || webhook.url.to_lowercase().contains(text)
        || description.to_lowercase().contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(second: i64, error: Option<&str>) -> Attempt {
        let at = Timestamp::from_second(second).unwrap();
        Attempt { at, error: error.map(str::to_owned) }
    }

    #[test]
    fn attempts_are_counted_where_they_lie() {
        let attempts: Vec<_> =
            (0..24).map(|hour| attempt(hour * 3600, (hour == 23).then_some("timeout"))).collect();
        let recent = Recent::of(attempts.iter());
        assert_eq!((recent.good, recent.bad), (23, 1));
        assert_eq!(recent.bars[0], Bar { good: 2, bad: 0 });
        assert_eq!(recent.bars[11], Bar { good: 1, bad: 1 });
        assert_eq!(Recent::of([].iter()), Recent::default());
    }

    #[test]
    fn what_is_not_all_is_not_a_hundred_percent() {
        assert_eq!(percent(9_999, 1), "99.9%");
        assert_eq!((percent(3, 0), percent(0, 3)), ("100%".to_owned(), "0%".to_owned()));
    }
}
