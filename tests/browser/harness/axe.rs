//! axe-core looks for what keeps people with disabilities from using a page.

use serde_json::{Value, json};

use super::{
    page::Page,
    programs::{axe, leave_out},
};

/// WCAG 2.2 at level AA and what axe-core calls best practices.
const RULES: [&str; 7] =
    ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];

/// Runs axe-core, and returns a line for each violation.
const RUN: &str = "const [tags, done] = arguments; \
    const line = (rule) => `${rule.id}: ${rule.help}: \
        ${rule.nodes.map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`; \
    axe.run(document, { runOnly: { type: 'tag', values: tags } }) \
        .then((found) => done(found.violations.map(line)), (error) => done([`${error}`]));";

impl Page {
    /// Asserts that axe-core finds no violation. It needs a page that may run scripts.
    pub(crate) async fn passes_axe(&mut self) {
        let violations = match axe() {
            Ok(script) => self.violations(script).await,
            Err(why) => return leave_out("axe-core's look at a page", &why),
        };
        assert_eq!(violations, json!([]), "{} violates axe-core's rules", self.path().await);
    }

    async fn violations(&self, script: String) -> Value {
        self.script("return typeof axe", vec![]).await.unwrap();
        self.script(&script, vec![]).await.unwrap();
        let ran = self.browser.execute_async(RUN, vec![json!(RULES)]).await;
        ran.expect("axe-core can run")
    }
}
