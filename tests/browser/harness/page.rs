//! A page as a person has it before them: they open it, read it, click and type.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_tests::SOON;
use serde_json::{Value, json};

use super::{
    loads::Loads,
    web_driver::{Cookie, Element, Key, WebDriver},
};

const FIND: &str = include_str!("find.js");
const CLICKABLE: &str = "a[href], button, summary, [role=button], [role=tab], \
                         input[type=submit], input[type=checkbox], input[type=radio]";
/// Marks the page, and says whether a click on an element leads to another one.
const LEADS_ON: &str = "const [element] = arguments; window.isLookedAt = true; \
                        const path = element.getAttribute('href'); \
                        return path ? !path.startsWith('#') && !element.target \
                            : element.type === 'submit' && Boolean(element.form?.checkValidity());";
const FILLABLE: &str = "textarea, input:not([type=submit], [type=checkbox], [type=radio])";

/// A browser with a page.
pub(crate) struct Page {
    pub(super) browser: WebDriver,
    pub(super) loads: Loads,
    base: String,
}

impl Page {
    /// Takes a browser to the pages of a server.
    pub(crate) fn new(browser: WebDriver, base: &str) -> Self {
        Self { browser, loads: Loads::default(), base: base.to_owned() }
    }

    /// Returns the same browser before the pages of another server.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self::new(self.browser.clone(), base)
    }

    /// Opens the page at a path, as the address bar does.
    pub(crate) async fn open(&mut self, path: &str) {
        self.go(path).await;
        self.settle().await;
    }

    /// Leads the browser to a path.
    pub(super) async fn go(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.browser.goto(&url).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Loads the page again.
    pub(crate) async fn reload(&mut self) {
        self.browser.refresh().await.unwrap();
        self.settle().await;
    }

    /// Clicks the link, button, summary, checkbox or radio button with this name.
    pub(crate) async fn click(&mut self, name: &str) {
        self.click_one(name, None).await;
    }

    /// Clicks the one with this name in the row, item, form or section that has a text.
    pub(crate) async fn click_beside(&mut self, text: &str, name: &str) {
        self.click_one(name, Some(text)).await;
    }

    async fn click_one(&mut self, name: &str, beside: Option<&str>) {
        let leads_on = self
            .until(&format!("{name:?} can be clicked"), async |page| {
                let found = page.find(CLICKABLE, name, beside).await?;
                let leads_on = page.script(LEADS_ON, vec![found.reference()]).await?;
                found.click().await.map_err(|error| error.to_string())?;
                Ok(leads_on == true)
            })
            .await;
        if leads_on {
            self.is_left(name).await;
        }
        self.settle().await;
    }

    /// Waits until the browser has left a page that was marked: the click or the key itself may be
    /// over before.
    async fn is_left(&self, by: &str) {
        self.until(&format!("{by:?} leads on"), async |page| {
            let is_left = page.script("return window.isLookedAt === undefined", vec![]).await?;
            (is_left == true).then_some(()).ok_or_else(String::new)
        })
        .await;
    }

    /// Replaces the text of the field with this label.
    pub(crate) async fn fill(&mut self, label: &str, text: &str) {
        self.until(&format!("{label:?} can be filled"), async |page| {
            let field = page.find(FILLABLE, label, None).await?;
            field.clear().await.map_err(|error| error.to_string())?;
            field.send_keys(text).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Chooses an option of the list with this label.
    pub(crate) async fn choose(&mut self, label: &str, option: &str) {
        let wanted = format!(".//option[normalize-space(.)={option:?}]");
        self.until(&format!("{option:?} of {label:?} can be chosen"), async |page| {
            let list = page.find("select", label, None).await?;
            let option = list.find(&wanted).await.map_err(|error| error.to_string())?;
            option.click().await.map_err(|error| error.to_string())
        })
        .await;
        self.settle().await;
    }

    /// Returns the text or the choice in the field with this label.
    pub(crate) async fn value(&self, label: &str) -> String {
        self.until(&format!("there is {label:?}"), async |page| {
            let field = page.find("input, select, textarea", label, None).await?;
            let value = field.property("value").await.map_err(|error| error.to_string())?;
            Ok(value.as_str().unwrap_or_default().to_owned())
        })
        .await
    }

    /// Tells whether the checkbox or radio button with this label is checked.
    pub(crate) async fn is_checked(&self, label: &str) -> bool {
        self.until(&format!("there is {label:?}"), async |page| {
            let field = page.find("input", label, None).await?;
            let checked = field.property("checked").await;
            Ok(checked.map_err(|error| error.to_string())? == true)
        })
        .await
    }

    /// Waits until the page shows a text. White space counts as one space.
    pub(crate) async fn sees(&mut self, text: &str) {
        self.until(&format!("the page shows {text:?}"), async |page| {
            page.text().await?.contains(text).then_some(()).ok_or_else(String::new)
        })
        .await;
        self.settle().await;
    }

    /// Opens a path again and again until the page shows a text.
    pub(crate) async fn sees_at(&mut self, path: &str, text: &str) {
        let began = Instant::now();
        self.open(path).await;
        while !self.text().await.is_ok_and(|shown| shown.contains(text)) {
            assert!(began.elapsed() < SOON, "{path} never shows {text:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.open(path).await;
        }
    }

    /// Returns the path, query included, of the page.
    pub(crate) async fn path(&self) -> String {
        let url = self.browser.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.base).unwrap_or(url.as_str()).to_owned()
    }

    /// Returns the status with which the page was served.
    pub(crate) fn status(&mut self) -> u64 {
        self.loads.last().expect("no page was opened").status
    }

    /// Presses a key, such as `Key::Tab`.
    pub(crate) async fn press(&mut self, key: Key) {
        self.browser.press(&key.letter().to_string()).await.unwrap();
        self.settle().await;
    }

    /// Presses the enter key in a field, and waits until the form has led on.
    pub(crate) async fn enter(&mut self) {
        self.script("window.isLookedAt = true", vec![]).await.unwrap();
        self.browser.press(&Key::Enter.letter().to_string()).await.unwrap();
        self.is_left("enter").await;
        self.settle().await;
    }

    /// Presses a key while another one, such as `Key::Control`, is held.
    pub(crate) async fn chord(&mut self, held: Key, key: Key) {
        let letters: String = [held, key].map(Key::letter).into_iter().collect();
        self.browser.press(&letters).await.unwrap();
        self.settle().await;
    }

    /// Types a text where the focus is.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.browser.press(text).await.unwrap();
    }

    /// Presses the tab key until the focus is on what has this name.
    pub(crate) async fn tab_to(&mut self, name: &str) {
        let mut passed = Vec::new();
        for _ in 0..200 {
            self.browser.press(&Key::Tab.letter().to_string()).await.unwrap();
            let focused = self.focused().await;
            if focused == name {
                return;
            }
            passed.push(focused);
        }
        panic!("the tab key does not lead to {name:?}, but to {passed:?}");
    }

    /// Returns the name of what has the focus.
    pub(crate) async fn focused(&self) -> String {
        let name = self.script(FIND, vec![json!(":focus"), json!(""), Value::Null]).await.unwrap();
        name.as_str().unwrap_or_default().to_owned()
    }

    /// Gives the window a size.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        // Chromium's windows are at least 500 px wide, but the screen that a page has can be less.
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Prefers the dark colours, or the light ones.
    pub(crate) async fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Lets no script of a page run, from the next page on.
    pub(crate) async fn forbid_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    /// Returns the cookies that the browser has for the page.
    pub(crate) async fn cookies(&self) -> Vec<Cookie> {
        self.browser.cookies().await.unwrap()
    }

    /// Gives the browser cookies, for example those of another one. It needs a page of the server.
    pub(crate) async fn take_cookies(&self, cookies: Vec<Cookie>) {
        for cookie in cookies {
            self.browser.add_cookie(&cookie).await.unwrap();
        }
    }

    /// Returns the HTML that was served, before any script changed it.
    pub(crate) fn html(&mut self) -> &str {
        let page = self.loads.last().expect("no page was opened");
        page.html.as_deref().expect("the page is not HTML")
    }

    /// Returns the roles and names that assistive technology gets, a line each, such as
    /// `heading: Webhooks`.
    pub(crate) async fn outline(&self) -> Vec<String> {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap();
        let heard = nodes.iter().filter(|node| node["ignored"] != true);
        heard
            .map(|node| {
                let of = |field: &str| node[field]["value"].as_str().unwrap_or_default();
                format!("{}: {}", of("role"), of("name"))
            })
            .collect()
    }

    /// Asserts that nothing is cut off: the page is no wider than the window.
    pub(crate) async fn fits(&self) {
        const WIDE: &str = "const edge = document.documentElement.clientWidth; \
            const width = document.documentElement.scrollWidth; \
            return width <= edge ? [] : [`${width} px`, ...[...document.querySelectorAll('body *')] \
                .filter((element) => element.scrollWidth > edge + 1) \
                .map((element) => element.outerHTML.slice(0, 120))];";
        let wide = self.script(WIDE, vec![]).await.unwrap();
        assert_eq!(wide, json!([]), "{} is wider than its window", self.path().await);
    }

    /// Writes a picture of the whole page.
    pub(crate) async fn screenshot(&self, file: &Path) {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await["cssContentSize"].take();
        let (width, height) = (&size["width"], &size["height"]);
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.devtools("Page.captureScreenshot", options).await;
        let picture = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, picture).unwrap();
    }

    /// Calls a command of Chromium's protocol for developer tools.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.browser.devtools(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Runs the body of a JavaScript function.
    pub(crate) async fn script(&self, body: &str, arguments: Vec<Value>) -> Result<Value, String> {
        let ran = self.browser.execute(body, arguments).await;
        ran.map_err(|error| error.to_string())
    }

    /// Returns the text that the page shows, with single spaces.
    pub(crate) async fn text(&self) -> Result<String, String> {
        let text = self.script("return document.body.innerText", vec![]).await?;
        let words: Vec<&str> = text.as_str().unwrap_or_default().split_whitespace().collect();
        Ok(words.join(" "))
    }

    async fn find(
        &self,
        selector: &str,
        name: &str,
        beside: Option<&str>,
    ) -> Result<Element, String> {
        let arguments = vec![json!(selector), json!(name), json!(beside)];
        let found = self.browser.execute(FIND, arguments).await;
        found.and_then(|found| self.browser.element(&found)).map_err(|error| error.to_string())
    }

    /// Looks until there is something to see. It panics with the text of the page when that takes
    /// too long.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Self) -> Result<T, String>,
    ) -> T {
        let began = Instant::now();
        loop {
            let why = match look(self).await {
                Ok(seen) => return seen,
                Err(why) => why,
            };
            if began.elapsed() > SOON {
                let (path, text) = (self.path().await, self.text().await);
                panic!("it did not come true that {what}: {why}\n{path} shows: {text:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the page is loaded, takes down what was loaded, and asserts that the page's
    /// scripts failed nowhere and its content security policy refused nothing.
    pub(crate) async fn settle(&mut self) {
        self.until("the page is loaded", async |page| {
            let state = page.script("return document.readyState", vec![]).await?;
            (state == "complete").then_some(()).ok_or_else(|| state.to_string())
        })
        .await;
        for entry in self.browser.log("performance").await.unwrap() {
            if self.loads.take(&entry.message) {
                self.keep_html().await;
            }
        }
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{} complains: {complaints:#?}", self.path().await);
    }

    /// Keeps the HTML of the document that was loaded last. It is gone where another document has
    /// followed at once.
    async fn keep_html(&mut self) {
        let Some(document) = self.loads.last() else { return };
        let request = json!({ "requestId": document.request });
        let body = self.browser.devtools("Network.getResponseBody", request).await;
        document.html = body.ok().and_then(|body| body["body"].as_str().map(str::to_owned));
    }

    /// Returns the errors on the browser's console. That a page itself was served with an error's
    /// status is none.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.browser.log("browser").await.unwrap();
        let pages: Vec<&str> =
            self.loads.documents().iter().map(|page| page.url.as_str()).collect();
        let errors = log.into_iter().filter(|entry| entry.level == "SEVERE").filter(|entry| {
            let url = entry.message.split(' ').next().unwrap_or_default();
            entry.source.as_deref() != Some("network") || !pages.contains(&url)
        });
        errors.map(|entry| entry.message).collect()
    }
}
