//! The table of `docs/endpoints.md` is made of what these endpoints give. Each of them is a real
//! server, and is called by the real client. The rules say what follows.

mod case;
mod certificates;
mod endings;
mod framing;
mod headers;
mod protocols;

use std::{fmt::Write, fs, sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use posthaste_domain::{
    Timestamp,
    delivery::attempt::{Attempt, Failure, Next, after_failure, asked_wait},
    endpoint::{
        health::{Consequence, Health},
        url::PublicUrl,
    },
    testing,
    webhook::Webhook,
};
use posthaste_sender::Outcome;

use case::Case;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/endpoints.md");
const BEGIN: &str =
    "<!-- Made by: UPDATE_ENDPOINTS=1 cargo test -p posthaste-sender --test sender endpoints -->\n";
/// The time of nothing but failures after which a deployment disables a webhook.
const FIVE_DAYS: Duration = Duration::from_secs(5 * 24 * 60 * 60);
const END: &str = "<!-- The end of what the tests make. -->\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_says_what_each_endpoint_gives() {
    let (mut produced, mut wrong) = (String::new(), Vec::new());
    for (title, column, cases) in [
        (
            "Names, addresses and connections",
            "the URL or the endpoint",
            endings::connections().await,
        ),
        ("TLS", "the endpoint", protocols::cases().await),
        ("Certificates", "a certificate", certificates::cases().await),
        ("Versions and framing", "the answer", framing::cases().await),
        ("Statuses", "the status", headers::statuses().await),
        ("Headers and bodies", "the answer", headers::cases().await),
        ("Endings and waiting", "the endpoint", endings::cases().await),
    ] {
        writeln!(produced, "\n### {title}\n\n| {column} | the attempt | then |\n|---|---|---|")
            .unwrap();
        for row in join_all(cases.into_iter().map(row)).await {
            match row {
                Ok(line) => produced.push_str(&line),
                Err(complaint) => wrong.push(complaint),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    produced.push('\n');
    let kept = fs::read_to_string(FILE).unwrap();
    let (before, rest) = kept.split_once(BEGIN).expect("the document has the beginning");
    let (_, after) = rest.split_once(END).expect("the document has the end");
    let produced = format!("{before}{BEGIN}{produced}{END}{after}");
    if std::env::var_os("UPDATE_ENDPOINTS").is_some() {
        fs::write(FILE, &produced).unwrap();
        return;
    }
    let differing = produced.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert!(produced == kept, "docs/endpoints.md is not what endpoints give: {differing:?}");
}

/// A line of the table, or what the endpoint did against the expectation.
async fn row(case: Case) -> Result<String, String> {
    let does = case.does.clone();
    if case.warm_up {
        let first = case.send().await.result;
        first.map_err(|error| format!("{does}: the first request failed: {error}"))?;
        if let Some(mut closed) = case.closed.clone() {
            closed.wait_for(|closed| *closed).await.unwrap();
        }
    }
    let outcome = case.send().await;
    let arrived = case.arrived.load(Ordering::SeqCst);
    if arrived > 1 + usize::from(case.warm_up) {
        return Err(format!("{does}: the request came {arrived} times"));
    }
    if let Err(error) = &outcome.result
        && (error.ours || !error.detail.contains(case.because))
    {
        return Err(format!("{does}: {error}"));
    }
    let webhook = testing::webhook("{}".parse().unwrap());
    let (attempt, asked) = recorded(&webhook, &case.url, outcome);
    Ok(format!("| {does} | {} | {} |\n", result(&attempt), follows(&webhook, &attempt, asked)))
}

/// The attempt as `deliver` records it, and the wait that the answer asks for.
fn recorded(webhook: &Webhook, url: &str, outcome: Outcome) -> (Attempt, Option<Duration>) {
    let url = PublicUrl::try_from(url.to_owned()).unwrap();
    let (at, duration) = (Timestamp::UNIX_EPOCH, outcome.duration);
    match outcome.result {
        Ok(answer) => {
            let asked = asked_wait(webhook, answer.status, answer.retry_after.as_deref(), at);
            (Attempt::answered(webhook, &url, at, duration, answer.status, &answer.body), asked)
        }
        Err(error) => {
            let failure = Failure { code: error.code.to_owned(), message: error.message };
            (Attempt::unanswered(webhook, at, duration, failure), None)
        }
    }
}

fn result(attempt: &Attempt) -> String {
    let body = attempt.response_body.as_ref().map_or(0, String::len);
    match (&attempt.error, attempt.http_status) {
        (None, Some(status)) if body > 0 => format!("succeeds: {status}, {body} bytes are kept"),
        (None, Some(status)) => format!("succeeds: {status}"),
        (Some(failure), _) => format!("fails: `{}`, “{}”", failure.code, failure.message),
        (None, None) => panic!("a success without an answer"),
    }
}

/// What the rules decide after this first attempt of a delivery.
fn follows(webhook: &Webhook, attempt: &Attempt, asked: Option<Duration>) -> String {
    if attempt.succeeded() {
        return "delivered".to_owned();
    }
    let health = Health { failures: 1, failing_since: Some(attempt.at), ..Health::default() };
    let consequences =
        health.consequences(attempt.http_status, webhook.policing(FIVE_DAYS), attempt.at);
    match after_failure(&webhook.retry_schedule(), 1, "seed", asked) {
        _ if matches!(consequences[..], [Consequence::Disable(_)]) => "the webhook is disabled",
        Next::RetryIn(wait) if asked == Some(wait) => "retried, not before it asked for",
        Next::RetryIn(_) => "retried",
        Next::Exhausted => "given up",
    }
    .to_owned()
}
