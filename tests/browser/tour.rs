//! A tour of every page: each is accessible, fits a phone and is pictured.

use std::{env, fs, path::PathBuf};

use crate::harness::{Visit, visit};

/// The pages that anybody can open, by the name of their picture.
const OUTSIDE: [(&str, &str); 1] = [("sign-in", "/console/sign-in")];

/// The pages of somebody who is signed in.
async fn inside(_visit: &Visit) -> Vec<(&'static str, String)> {
    vec![("webhooks", "/console/webhooks".to_owned())]
}

/// Leads a visit past every page.
async fn tour(visit: &mut Visit, look: impl AsyncFn(&mut Visit, &str)) {
    for (name, path) in OUTSIDE {
        visit.page.open(path).await;
        look(visit, name).await;
    }
    visit.sign_in().await;
    for (name, path) in inside(visit).await {
        visit.page.open(&path).await;
        look(visit, name).await;
    }
}

#[test]
fn every_page_is_accessible_and_fits_a_phone() {
    visit("tour", async |visit| {
        tour(visit, async |visit, _name| {
            let page = &mut visit.page;
            for is_dark in [false, true] {
                page.prefer_dark(is_dark).await;
                page.resize(1280, 800).await;
                page.passes_axe().await;
                page.resize(360, 740).await;
                page.fits().await;
                page.passes_axe().await;
            }
        })
        .await;
    });
}

/// `cargo screenshots` runs it.
#[test]
#[ignore = "it makes pictures, and asserts nothing"]
fn screenshots_of_every_page() {
    let default = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let folder = env::var_os("POSTHASTE_SCREENSHOTS").map_or(default, PathBuf::from);
    fs::create_dir_all(&folder).unwrap();
    visit("acme", async |visit| {
        tour(visit, async |visit, name| {
            let page = &mut visit.page;
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
