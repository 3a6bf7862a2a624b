//! `console` measures what a page of the console weighs, and what it costs to make one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use clap::Args;
use reqwest::{Client, header, redirect::Policy};
use serde_json::json;

use crate::{
    options::Subject,
    report::{Report, Table},
    spent::Spent,
    system::Bench,
    workspace::Workspace,
};

/// So many webhooks have so many events each before the pages are opened.
const WEBHOOKS: usize = 10;
const EVENTS: usize = 50;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// The function that is measured.
const FUNCTION: &str = "console";

/// The options of this measurement.
#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// Opens each page so often.
    #[arg(long, default_value_t = 30)]
    times: u32,
}

/// A browser, as far as it loads pages: it keeps its session and takes compressed files.
struct Visitor {
    http: Client,
    base: String,
    cookie: String,
}

pub(crate) async fn run(
    args: &ConsoleArgs,
    subject: &Subject,
    done: &mut impl FnMut(Report),
) -> anyhow::Result<()> {
    let bench = Bench::start(subject).await?;
    let measured = measure(args, subject, &bench).await;
    bench.stop().await;
    done(measured?);
    Ok(())
}

async fn measure(args: &ConsoleArgs, subject: &Subject, bench: &Bench) -> anyhow::Result<Report> {
    let workspace = bench.workspace("pages").await?;
    let paths = fill(bench, &workspace).await?;
    let visitor = Visitor::sign_in(&workspace).await?;
    let mut table = Table::new(&["page", "bytes", "first load", "CPU ms", "AWS calls"]);
    let mut figures = BTreeMap::new();
    for (name, path) in paths {
        let (page, first_load) = visitor.first_load(&path).await?;
        let before = bench.metrics();
        for _ in 0..args.times {
            visitor.load(&path).await?;
        }
        let spent = Spent::between(&before, &bench.metrics());
        let times = f64::from(args.times.max(1));
        let cpu_ms = spent.cpu_ms.get(FUNCTION).map_or(0.0, |ms| *ms as f64 / times);
        let calls = spent.calls_of(FUNCTION) as f64 / times;
        table.row(vec![
            name.to_owned(),
            page.to_string(),
            first_load.to_string(),
            format!("{cpu_ms:.1}"),
            format!("{calls:.1}"),
        ]);
        let figure = json!({
            "bytes": page, "firstLoadBytes": first_load, "cpuMs": cpu_ms, "calls": calls,
        });
        figures.insert(name, figure);
    }
    let own = vec![("times", args.times.to_string())];
    let mut report = Report::new("console".to_owned(), subject, bench, own);
    report.table(&table);
    report.line(format!(
        "{WEBHOOKS} webhooks have {EVENTS} events each. Bytes are as sent, compressed; the first \
         load has the style sheet, the script and the icon too."
    ));
    report.figure("pages", figures)?;
    Ok(report)
}

/// Fills a workspace, and returns the pages to open.
async fn fill(bench: &Bench, workspace: &Workspace) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut webhooks = Vec::new();
    for number in 0..WEBHOOKS {
        let (_, url) = bench.inbox(&format!("pages-{number}"));
        webhooks.push(workspace.register(&url, json!({ "profile": "spektr" })).await?);
    }
    let data = json!({ "orderId": 1042, "status": "created", "items": [{ "sku": "PHONE-128" }] });
    let event = json!({ "type": "order.created", "subject": "customer-1", "data": data });
    let events = json!({ "events": vec![event; EVENTS] });
    let accepted = workspace.call(reqwest::Method::POST, "/events", events).await?;
    bench.empty(PATIENCE).await?;
    let webhook = webhooks.first().context("there is no webhook")?;
    let history = workspace.history(webhook).await?;
    let delivery = history.first().and_then(|newest| newest["id"].as_str());
    let delivery = delivery.context("nothing was delivered")?;
    let event = accepted["events"][0]["id"].as_str().context("no event was accepted")?;
    let one = format!("/console/webhooks/{webhook}");
    Ok(vec![
        ("webhooks", "/console/webhooks".to_owned()),
        ("webhook", one.clone()),
        ("settings of a webhook", format!("{one}/settings")),
        ("matrix", format!("{one}/matrix")),
        ("send test", format!("{one}/test")),
        ("deliveries of a webhook", format!("{one}/deliveries")),
        ("delivery", format!("{one}/deliveries/{delivery}")),
        ("all deliveries", "/console/deliveries".to_owned()),
        ("events", "/console/events".to_owned()),
        ("event", format!("/console/events/{event}")),
        ("publish", "/console/events/publish?type=order.created".to_owned()),
        ("event types", "/console/event-types".to_owned()),
        ("event type", "/console/event-types/order.created".to_owned()),
        ("settings", "/console/settings".to_owned()),
    ])
}

impl Visitor {
    async fn sign_in(workspace: &Workspace) -> anyhow::Result<Self> {
        let http = Client::builder().redirect(Policy::none()).build()?;
        let base = workspace.api.trim_end_matches("/api/v1").to_owned();
        let answer = http
            .post(format!("{base}/console/sign-in"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("key={}", workspace.key))
            .send()
            .await?;
        let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
        let pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        // The answer also takes back the cookie of a session in a frame.
        let cookie = pairs.map(str::to_owned).find(|pair| !pair.ends_with('='));
        let cookie = cookie.context("there is no session")?;
        Ok(Self { http, base, cookie })
    }

    /// Loads a file, and returns its bytes as they were sent.
    async fn load(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.load_as(path, "gzip").await
    }

    async fn load_as(&self, path: &str, coding: &str) -> anyhow::Result<Vec<u8>> {
        let request = self.http.get(format!("{}{path}", self.base));
        let request = request.header(header::COOKIE, &self.cookie);
        let answer = request.header(header::ACCEPT_ENCODING, coding).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.bytes().await?.to_vec())
    }

    /// Loads a page and every file that it names. Returns the bytes of the page, and of all.
    async fn first_load(&self, path: &str) -> anyhow::Result<(usize, usize)> {
        let page = self.load(path).await?.len();
        let html = String::from_utf8(self.load_as(path, "identity").await?)?;
        let named = html.split('"').filter(|part| part.starts_with("/console/assets/"));
        let mut all = page;
        for file in named.collect::<BTreeSet<_>>() {
            all += self.load(file).await?.len();
        }
        Ok((page, all))
    }
}
