//! A tour of every page: each is accessible, fits a phone and is pictured.

use std::{env, fs, path::PathBuf};

use crate::{
    harness::{Page, Visit, sign_in, visit},
    scenery::Scenery,
};

/// The parts of the tour, which are made side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    number: usize,
    of: usize,
}

/// Leads a visit past every page of a part.
async fn tour(visit: &mut Visit, part: Part, look: impl AsyncFn(&mut Page, &str)) {
    let scenery = Scenery::build(visit).await;
    let mine = |pages: Vec<(&'static str, String)>| {
        let numbered = pages.into_iter().enumerate();
        let chosen = numbered.filter(move |(number, _)| number % part.of == part.number);
        chosen.map(|(_, page)| page).collect::<Vec<_>>()
    };
    let outside = vec![
        ("sign-in", "/console/sign-in".to_owned()),
        ("link-refused", "/console/enter?link=plk_none".to_owned()),
        ("portal", scenery.portal),
    ];
    stroll(&mut visit.page, mine(outside), &look).await;
    let operator = visit.posthaste().api.key().to_owned();
    let (own, test) = (visit.api.key().to_owned(), scenery.test_key.key().to_owned());
    for (key, pages) in [(own, scenery.live), (operator, scenery.operator), (test, scenery.test)] {
        let pages = mine(pages);
        if !pages.is_empty() {
            sign_in(&mut visit.page, &key).await;
            stroll(&mut visit.page, pages, &look).await;
        }
    }
}

async fn stroll(
    page: &mut Page,
    pages: Vec<(&'static str, String)>,
    look: &impl AsyncFn(&mut Page, &str),
) {
    for (name, path) in pages {
        page.open(&path).await;
        look(page, name).await;
    }
}

async fn is_accessible_and_fits(page: &mut Page, _name: &str) {
    page.prefer_dark(false).await;
    page.resize(1280, 800).await;
    page.passes_axe().await;
    page.prefer_dark(true).await;
    page.resize(360, 740).await;
    page.fits().await;
    page.passes_axe().await;
}

#[test]
fn every_page_is_accessible_and_fits_a_phone_1() {
    let part = Part { number: 0, of: 3 };
    visit("tour-1", async |visit| tour(visit, part, is_accessible_and_fits).await);
}

#[test]
fn every_page_is_accessible_and_fits_a_phone_2() {
    let part = Part { number: 1, of: 3 };
    visit("tour-2", async |visit| tour(visit, part, is_accessible_and_fits).await);
}

#[test]
fn every_page_is_accessible_and_fits_a_phone_3() {
    let part = Part { number: 2, of: 3 };
    visit("tour-3", async |visit| tour(visit, part, is_accessible_and_fits).await);
}

/// `cargo screenshots` runs it.
#[test]
#[ignore = "it makes pictures, and asserts nothing"]
fn screenshots_of_every_page() {
    let default = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let folder = env::var_os("POSTHASTE_SCREENSHOTS").map_or(default, PathBuf::from);
    fs::create_dir_all(&folder).unwrap();
    visit("acme", async |visit| {
        let all = Part { number: 0, of: 1 };
        tour(visit, all, async |page, name| {
            for (edition, is_dark, width) in
                [("light", false, 1280), ("dark", true, 1280), ("narrow", false, 360)]
            {
                page.prefer_dark(is_dark).await;
                page.resize(width, 800).await;
                page.screenshot(&folder.join(format!("{name}-{edition}.png"))).await;
            }
        })
        .await;
    });
    println!("The screenshots are in {}", folder.display());
}
