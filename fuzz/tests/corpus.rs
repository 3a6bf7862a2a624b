//! Every input that the fuzzer has found worth keeping, tried again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is only for tests")]

use std::{fs, panic, path::PathBuf};

use posthaste_fuzz::{PROPERTIES, Property};

/// A property whose corpus has fewer inputs has not been fuzzed.
const FEWEST: usize = 8;
/// All of the corpora together: a repository is no store of data.
const MOST_BYTES: usize = 200 * 1024;

fn folder(kind: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(kind).join(name)
}

/// The inputs of a property, with their names: those that cover most, and those that it once did
/// not hold for.
fn inputs(property: &Property) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for kind in ["corpus", "crashes"] {
        let Ok(files) = fs::read_dir(folder(kind, property.name)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            inputs.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    inputs
}

#[test]
fn every_property_holds_for_its_corpus() {
    let mut broken = Vec::new();
    for property in &PROPERTIES {
        let inputs = inputs(property);
        let (mut taken, mut refused) = (0, 0);
        for (path, input) in &inputs {
            match panic::catch_unwind(|| (property.holds_for)(input)) {
                Ok(true) => taken += 1,
                Ok(false) => refused += 1,
                Err(_) => broken.push(path.clone()),
            }
        }
        let name = property.name;
        assert!(inputs.len() >= FEWEST, "{name} has {} inputs", inputs.len());
        assert!(taken > 0 && refused > 0, "{name}: {taken} inputs are taken, {refused} refused");
    }
    assert!(broken.is_empty(), "these inputs break a property: {broken:#?}");
}

#[test]
fn every_folder_is_of_a_property_and_the_corpora_are_small() {
    let mut bytes = 0;
    for kind in ["corpus", "crashes"] {
        let Ok(folders) = fs::read_dir(folder(kind, "")) else { continue };
        for entry in folders {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(posthaste_fuzz::by_name(&name).is_some(), "{kind}/{name} is of no property");
        }
    }
    for property in &PROPERTIES {
        bytes += inputs(property).iter().map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(bytes <= MOST_BYTES, "the corpora have {bytes} bytes together");
}
