//! Writes the OpenAPI document, so that the function has the document and not the code that makes
//! it.

use std::{env, error::Error, fs, path::Path};

use posthaste_api::openapi;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let document = serde_json::to_vec(&openapi::document())?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("openapi.json"), document)?;
    Ok(())
}
