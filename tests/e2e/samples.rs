//! The sample invocations in `events/` work, which `cargo lambda invoke` sends.

use std::{fs, path::Path};

use posthaste_tests::Posthaste;
use serde_json::Value;

/// The API key in the samples, for which README.md puts in one's own.
const SAMPLE_KEY: &str = "spk_live_0000000000000000000000000000000000000000000";

#[tokio::test]
async fn every_sample_invocation_is_understood_by_its_function() {
    let posthaste = Posthaste::start().await;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"));
    let mut seen = 0;
    for function in [
        "register", "types", "ingest", "console", "fanout", "deliver", "release", "replay",
        "simulate",
    ] {
        for file in fs::read_dir(root.join(function)).unwrap() {
            let path = file.unwrap().path();
            // With a key that there is, so that a call gets further than to the door.
            let sample = fs::read_to_string(&path)
                .unwrap()
                .replace(SAMPLE_KEY, posthaste.system.first_key());
            let answer = posthaste.system.function(function).unwrap().invoke(sample.into()).await;
            let answer: Value = serde_json::from_slice(
                &answer.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
            .unwrap();
            match function {
                "register" | "types" | "ingest" | "console" => {
                    let status = answer["statusCode"].as_u64().unwrap();
                    assert!(status < 500 && status != 401, "{}: {answer}", path.display());
                }
                "simulate" => assert!(answer.is_null() || answer["statusCode"] == 403, "{answer}"),
                "release" => assert!(answer.is_null(), "{}: {answer}", path.display()),
                _ => {
                    assert!(answer["batchItemFailures"].is_array(), "{}: {answer}", path.display())
                }
            }
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} samples");
}
