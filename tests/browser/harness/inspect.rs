//! What a person does not see at once: descriptions, the inside of a frame, and complaints.

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

    /// Returns the text that the page's frame shows. A frame that was refused shows nothing of what
    /// it was for.
    pub(crate) async fn text_in_frame(&self) -> String {
        self.browser.enter_frame(0).await.unwrap();
        let text = self.text().await.unwrap_or_default();
        self.browser.enter_parent_frame().await.unwrap();
        text
    }

    /// Opens a page that may complain, and returns what the browser's console has of it.
    pub(crate) async fn complaints_at(&mut self, path: &str) -> Vec<String> {
        self.go(path).await;
        self.complaints().await
    }

    /// Asserts that the page's scripts have not set a global variable.
    pub(crate) async fn has_not_run(&self, global: &str) {
        let kind = self.script("return typeof window[arguments[0]]", vec![json!(global)]).await;
        assert_eq!(kind.unwrap(), "undefined", "{} runs foreign scripts", self.path().await);
    }
}
