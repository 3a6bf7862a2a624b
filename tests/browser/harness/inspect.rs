//! A person does not see these at once: descriptions, the inside of a frame, and complaints.

use serde_json::{Value, json};

use super::page::Page;

const DESCRIPTION: &str = "const [label] = arguments; \
    const said = (text) => text.replace(/\\s+/g, ' ').trim(); \
    const control = [...document.querySelectorAll('input, select, textarea')] \
        .find((control) => [...control.labels ?? []].some((text) => said(text.textContent) === label)); \
    if (!control) throw new Error(`nothing is called ${label}`); \
    const ids = (control.getAttribute('aria-describedby') ?? '').split(' ').filter(Boolean); \
    return said(ids.map((id) => document.getElementById(id).textContent).join(' '));";

impl Page {
    /// Returns what a screen reader says of the field with this label beyond its name: the hint
    /// and the complaint.
    pub(crate) async fn description(&self, label: &str) -> String {
        let text = self.script(DESCRIPTION, vec![json!(label)]).await.unwrap();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Returns the text of the first element of a selector; null where there is none.
    pub(crate) async fn text_of(&self, selector: &str) -> Value {
        let body = "return document.querySelector(arguments[0])?.textContent ?? null";
        self.script(body, vec![json!(selector)]).await.unwrap()
    }

    /// Puts a text into the field with this label at once, as pasting does. No key types some of the
    /// characters that somebody can paste.
    pub(crate) async fn set(&self, label: &str, text: &str) {
        const SET: &str = "const [label, text] = arguments; \
            const said = (element) => element.textContent.replace(/\\s+/g, ' ').trim(); \
            const control = [...document.querySelectorAll('input, select, textarea')] \
                .find((control) => [...control.labels ?? []].some((of) => said(of) === label)); \
            control.value = text;";
        self.script(SET, vec![json!(label), json!(text)]).await.unwrap();
    }

    /// Goes into the page's first frame: what is seen and done from now on is seen and done there.
    pub(crate) async fn enter_frame(&self) {
        self.browser.enter_frame(0).await.unwrap();
    }

    /// Comes back out of a frame.
    pub(crate) async fn leave_frame(&self) {
        self.browser.enter_parent_frame().await.unwrap();
    }

    /// Opens a page, and waits until it complains of something with this text.
    pub(crate) async fn complains_at(&mut self, path: &str, text: &str) {
        self.go(path).await;
        self.until(&format!("the page complains of {text:?}"), async |page| {
            let complaints = page.complaints().await;
            let is_meant = complaints.iter().any(|complaint| complaint.contains(text));
            is_meant.then_some(()).ok_or_else(|| format!("{complaints:?}"))
        })
        .await;
        // What the browser shows in the place of a refused page is no page of the console.
        self.browser.log("performance").await.unwrap();
    }

    /// Asserts that the page's scripts have not set a global variable.
    pub(crate) async fn has_not_run(&self, global: &str) {
        let kind = self.script("return typeof window[arguments[0]]", vec![json!(global)]).await;
        assert_eq!(kind.unwrap(), "undefined", "{} runs foreign scripts", self.path().await);
    }
}
