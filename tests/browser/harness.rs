//! The tests of the pages share these: a system, a browser for each test, and words for what a
//! person does and sees.

mod axe;
mod driver;
mod inspect;
mod loads;
mod page;
mod programs;
pub(crate) mod site;
mod tests;
pub(crate) mod web_driver;

use std::{
    env, fs,
    panic::{AssertUnwindSafe, resume_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use futures::FutureExt;
use posthaste_tests::{Answer, Api, Arrived, Posthaste, SOON, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};

pub(crate) use page::Page;
use {
    driver::Driver,
    programs::Programs,
    web_driver::{DriverError, WebDriver},
};

/// So many browsers run at a time: each of them is busy with half a processor or more.
const BROWSERS: usize = 4;

/// All scopes that a customer needs.
const SCOPES: [&str; 5] =
    ["webhooks:manage", "events:publish", "events:read", "events:manage", "keys:manage"];

/// The driver and the system that the tests of this process share, while any of them runs.
struct Ground {
    driver: Driver,
    browsers: Semaphore,
    /// Browsers that have ended their visits: a start takes longer than most visits.
    idle: Mutex<Vec<WebDriver>>,
    posthaste: Option<Posthaste>,
    /// Everything runs on it, so that no test's end takes a connection of another one along.
    runtime: Runtime,
}

impl Ground {
    /// Returns the ground of the other tests, or lays it.
    fn shared() -> Result<Arc<Self>, String> {
        static SHARED: Mutex<Weak<Ground>> = Mutex::new(Weak::new());
        let programs = Programs::find()?;
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ground) = shared.upgrade() {
            return Ok(ground);
        }
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let posthaste = runtime.block_on(Posthaste::start());
        let driver = Driver::start(&programs);
        let browsers = Semaphore::new(BROWSERS);
        let ground = Arc::new(Self {
            driver,
            browsers,
            idle: Mutex::default(),
            posthaste: Some(posthaste),
            runtime,
        });
        *shared = Arc::downgrade(&ground);
        Ok(ground)
    }

    /// A browser with an empty profile: a new one, or one that has forgotten its last visit.
    async fn browser(&self) -> WebDriver {
        let idle = self.idle.lock().unwrap().pop();
        if let Some(browser) = idle
            && forget(&browser).await.is_ok()
        {
            return browser;
        }
        self.driver.browser().await
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        drop(self.posthaste.take());
    }
}

/// One test's visit to the console, with a workspace of its own.
pub(crate) struct Visit {
    /// The first browser. It has an empty profile, and no page yet.
    pub(crate) page: Page,
    /// A client of the API, with a key of the workspace that has all scopes.
    pub(crate) api: Api,
    /// The name of the workspace, which is that of the visit.
    pub(crate) workspace: String,
    key_id: String,
    ground: Arc<Ground>,
    browsers: Vec<WebDriver>,
}

impl Visit {
    /// Returns the system, which is shared with the other tests.
    pub(crate) fn posthaste(&self) -> &Posthaste {
        self.ground.posthaste.as_ref().expect("the system runs until the ground is dropped")
    }

    /// Signs the first browser in with the visit's own key.
    pub(crate) async fn sign_in(&mut self) {
        let key = self.api.key().to_owned();
        sign_in(&mut self.page, &key).await;
    }

    /// Revokes the visit's own key.
    pub(crate) async fn revoke_key(&self) {
        self.api.ok(Method::DELETE, &format!("/keys/{}", self.key_id), Value::Null).await;
    }

    /// Starts a further browser, with a profile of its own.
    pub(crate) async fn another_page(&mut self) -> Page {
        let browser = self.ground.browser().await;
        self.browsers.push(browser.clone());
        Page::new(browser, self.posthaste().system.urls().api.as_str())
    }

    /// Makes a key, as the operator does, and returns its client. `workspace` is the visit's if the
    /// body names none.
    pub(crate) async fn key(&self, body: Value) -> Api {
        let mut key = json!({ "workspace": self.workspace });
        key.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.posthaste().api.with_new_key(key).await
    }

    /// Returns the name of an inbox that no other visit has.
    pub(crate) fn inbox(&self, name: &str) -> String {
        format!("{}-{name}", self.workspace)
    }

    /// Registers a webhook of the workspace to an inbox that no other visit has.
    pub(crate) async fn register(&self, inbox: &str, settings: Value) -> Value {
        let url = self.posthaste().inbox_url(&self.inbox(inbox));
        let mut body = json!({ "url": url, "events": ["*"] });
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.api.ok(Method::POST, "/webhooks", body).await
    }

    /// Tells an inbox of the visit how to answer from now on.
    pub(crate) fn answers(&self, inbox: &str, answer: Answer) {
        self.posthaste().system.inbox().respond_by_default(&self.inbox(inbox), Some(answer));
    }

    /// Waits until an inbox of the visit has this many requests, and returns them all.
    pub(crate) async fn arrived(&self, inbox: &str, count: usize) -> Vec<Arrived> {
        self.posthaste().arrived(&self.inbox(inbox), count).await
    }

    /// Waits until a webhook has this many deliveries of a status, and returns them, the newest
    /// first.
    pub(crate) async fn deliveries(
        &self,
        webhook: &Value,
        status: &str,
        count: usize,
    ) -> Vec<Value> {
        let path = format!("/webhooks/{}/deliveries?status={status}&limit=100", webhook["id"]);
        eventually(&format!("{count} deliveries are {status}"), async || {
            let page = self.api.ok(Method::GET, &path, Value::Null).await;
            Some(page["items"].as_array().unwrap().clone()).filter(|items| items.len() >= count)
        })
        .await
    }
}

/// Returns the address of a webhook's page.
pub(crate) fn page_of(webhook: &Value) -> String {
    format!("/console/webhooks/{}", webhook["id"])
}

/// Returns an answer with this status and body.
pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer { body: body.to_owned(), ..Answer::status(status, 1) }
}

/// Signs a browser in with a key.
pub(crate) async fn sign_in(page: &mut Page, key: &str) {
    page.open("/console/sign-in").await;
    until_admitted(page, async |page| {
        page.fill("API key", key).await;
        page.click("Sign in").await;
    })
    .await;
    assert_eq!(page.status(), 200, "{:?}", page.text().await);
}

/// Tries to sign in until the limit of tries admits it: the tests come from one address.
pub(crate) async fn until_admitted(page: &mut Page, mut try_once: impl AsyncFnMut(&mut Page)) {
    let began = Instant::now();
    try_once(page).await;
    while page.status() == 429 {
        assert!(began.elapsed() < SOON, "the limit of tries lets nobody in");
        tokio::time::sleep(Duration::from_millis(500)).await;
        try_once(page).await;
    }
}

/// Makes a visit to the console. The name is that of its workspace, so no two visits share one.
pub(crate) fn visit(name: &str, scene: impl AsyncFnOnce(&mut Visit)) {
    let ground = match Ground::shared() {
        Ok(ground) => ground,
        Err(why) => return programs::leave_out(name, &why),
    };
    ground.clone().runtime.block_on(async {
        let _turn = ground.browsers.acquire().await.unwrap();
        let posthaste = ground.posthaste.as_ref().unwrap();
        let key = json!({ "workspace": name, "scopes": SCOPES });
        let key = posthaste.api.ok(Method::POST, "/keys", key).await;
        let browser = ground.browser().await;
        let page = Page::new(browser.clone(), &posthaste.system.urls().api);
        let mut visit = Visit {
            page,
            api: posthaste.api.with_key(key["key"].as_str().unwrap()),
            workspace: name.to_owned(),
            key_id: key["id"].as_str().unwrap().to_owned(),
            ground: ground.clone(),
            browsers: vec![browser],
        };
        let played = AssertUnwindSafe(async {
            scene(&mut visit).await;
            visit.page.settle().await;
        });
        let ended = played.catch_unwind().await;
        if ended.is_err() {
            keep_failure(&visit).await;
        }
        for browser in visit.browsers.drain(..) {
            if ended.is_ok() {
                ground.idle.lock().unwrap().push(browser);
            } else {
                let _ = browser.quit().await;
            }
        }
        ended.unwrap_or_else(|panic| resume_unwind(panic));
        keep_pages(name, &visit.page);
    });
}

/// Makes a browser as it was when it started.
async fn forget(browser: &WebDriver) -> Result<(), DriverError> {
    browser.goto("about:blank").await?;
    for (command, parameters) in [
        ("Network.clearBrowserCookies", json!({})),
        ("Network.clearBrowserCache", json!({})),
        ("Emulation.clearDeviceMetricsOverride", json!({})),
        ("Emulation.setEmulatedMedia", json!({ "features": [] })),
        ("Emulation.setScriptExecutionDisabled", json!({ "value": false })),
    ] {
        browser.devtools(command, parameters).await?;
    }
    for log in ["browser", "performance"] {
        browser.log(log).await?;
    }
    Ok(())
}

/// Keeps a picture of where a visit failed.
async fn keep_failure(visit: &Visit) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}.png", visit.workspace));
    let taken = visit.page.browser.picture().await;
    if let Ok(picture) = taken {
        fs::write(&file, picture).unwrap();
        println!("where it failed: {}", file.display());
    }
}

/// Writes the pages of a visit and their weights into the folder that `POSTHASTE_PAGES` names, for
/// `.ci/check-console`.
fn keep_pages(name: &str, page: &Page) {
    let Some(folder) = env::var_os("POSTHASTE_PAGES").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).unwrap();
    let mut weights = Vec::new();
    for (number, document) in page.loads.documents().iter().enumerate() {
        let Some(html) = &document.html else { continue };
        let file = format!("{name}-{number:02}.html");
        fs::write(folder.join(&file), html).unwrap();
        let mut weight = page.loads.weight(document);
        weight["file"] = file.into();
        weights.push(weight);
    }
    let file = folder.join(format!("{name}.json"));
    fs::write(file, serde_json::to_vec_pretty(&weights).unwrap()).unwrap();
}
