//! The harness itself is tested here: its checks find what they are for. The pages are this file's
//! own.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::{Page, site, visit};

const GOOD: &str = "<!doctype html><html lang=en><title>Good</title><main><h1>Good</h1>\
    <form action=/next><label>Your name <input name=name></label><button>Go</button></form></main>";

async fn serve(pages: &[(&str, &str)]) -> String {
    site::serve(pages, "default-src 'self'").await
}

/// Returns what a page that opens `/` is failed for.
async fn failure(page: &mut Page, check: impl AsyncFnOnce(&mut Page)) -> String {
    let panic = AssertUnwindSafe(check(page)).catch_unwind().await.expect_err("it was not found");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_form_is_filled_by_its_labels_and_a_missing_page_is_no_error_of_scripts() {
    visit("harness-form", async |visit| {
        let base = serve(&[("/", GOOD)]).await;
        let page = &mut visit.page.at(&base);
        page.open("/").await;
        assert_eq!(page.status(), 200);
        assert_eq!(page.html(), GOOD);
        page.passes_axe().await;
        page.fits().await;
        page.fill("Your name", "Ada").await;
        assert_eq!(page.value("Your name").await, "Ada");
        page.tab_to("Go").await;
        page.press(crate::harness::web_driver::Key::Enter).await;
        page.sees("Good").await;
        assert_eq!((page.path().await.as_str(), page.status()), ("/next?name=Ada", 404));
        assert!(page.outline().await.contains(&"heading: Good".to_owned()));
    });
}

#[test]
fn a_page_works_by_name_without_scripts() {
    visit("harness-no-scripts", async |visit| {
        let base = serve(&[("/", GOOD)]).await;
        let page = &mut visit.page.at(&base);
        page.forbid_scripts().await;
        page.open("/").await;
        page.fill("Your name", "Ada").await;
        page.click("Go").await;
        assert_eq!(page.path().await, "/next?name=Ada");
    });
}

#[test]
fn things_of_the_same_name_are_told_apart_by_what_is_beside_them() {
    const ROWS: &str = "<table><tr><th>one<td><a href=/1>Edit</a><tr><th>two<td><a href=/2>Edit</a>\
        </table><form><label><input type=checkbox> Paused</label>\
        <label>Colour <select><option>Red<option>Blue</select></label></form></main>";
    visit("harness-rows", async |visit| {
        let html = GOOD.replace("</main>", ROWS);
        let base = serve(&[("/", &html), ("/2", GOOD)]).await;
        let page = &mut visit.page.at(&base);
        page.open("/").await;
        page.choose("Colour", "Blue").await;
        assert_eq!(page.value("Colour").await, "Blue");
        page.click("Paused").await;
        assert!(page.is_checked("Paused").await);
        page.click_beside("two", "Edit").await;
        assert_eq!(page.path().await, "/2");
        page.reload().await;
        assert_eq!((page.path().await.as_str(), page.status()), ("/2", 200));
    });
}

#[test]
fn what_the_policy_of_a_page_refuses_fails_the_test() {
    visit("harness-policy", async |visit| {
        let html = format!("{GOOD}<script>document.title = 'run'</script>");
        let base = serve(&[("/", &html)]).await;
        let page = &mut visit.page.at(&base);
        let why = failure(page, async |page| page.open("/").await).await;
        assert!(why.contains("Content Security Policy"), "{why}");
    });
}

#[test]
fn a_file_of_a_page_that_is_missing_fails_the_test() {
    visit("harness-file", async |visit| {
        let html = format!("{GOOD}<link rel=stylesheet href=/missing.css>");
        let base = serve(&[("/", &html)]).await;
        let page = &mut visit.page.at(&base);
        let why = failure(page, async |page| page.open("/").await).await;
        assert!(why.contains("missing.css"), "{why}");
    });
}

#[test]
fn a_field_without_a_label_violates_axes_rules_and_a_wide_line_fits_no_phone() {
    visit("harness-axe", async |visit| {
        let html =
            GOOD.replace("<form", &format!("<input name=x><pre>{}</pre><form", "w".repeat(200)));
        let base = serve(&[("/", &html)]).await;
        let page = &mut visit.page.at(&base);
        page.resize(360, 800).await;
        page.open("/").await;
        let why = failure(page, async |page| page.fits().await).await;
        assert!(why.contains("<pre>www"), "{why}");
        if super::programs::axe().is_ok() {
            let why = failure(page, async |page| page.passes_axe().await).await;
            assert!(why.contains("label: "), "{why}");
        }
    });
}
