//! The page of the built-in types, `docs/event-types.md`, is made from the catalogue.

use std::{fmt::Write, fs, path::Path};

use posthaste_domain::event::catalogue;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/event-types.md");
const WIDTH: usize = 135;

const HEAD: &str = "\
<!-- Made from events/catalogue by: UPDATE_OPENAPI=1 cargo test -p posthaste-api -->
# Built-in event types

These types are in the catalogue of every workspace. `GET /event-types` answers them with their JSON Schemas and samples, and with
what is said here. The documents call some types by other names too. Whoever publishes or subscribes can use such a name. Events,
answers and the bodies of requests have the one name.

| type | other names | | from | status |
|---|---|---|---|---|
";

const NOTES: &str = "
## Where the documents leave a choice

The documents contradict themselves in places, and each other. This is what was chosen, by type.
";

/// Adds a text to a list, in lines that are not too long.
fn point(page: &mut String, text: &str) {
    let mut line = "-".to_owned();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            page.push_str(&line);
            page.push('\n');
            line = " ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for built_in in catalogue::all() {
        let aliases: Vec<String> =
            built_in.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            built_in.name,
            aliases.join(", "),
            built_in.description,
            built_in.document,
            built_in.status
        )
        .unwrap();
    }
    page.push_str(NOTES);
    for built_in in catalogue::all().iter().filter(|built_in| !built_in.notes.is_empty()) {
        writeln!(page, "\n### `{}`\n", built_in.name).unwrap();
        for note in built_in.notes {
            point(&mut page, note);
        }
    }
    page
}

#[test]
fn the_page_of_the_built_in_types_is_what_the_catalogue_says() {
    let produced = page();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(Path::new(FILE), &produced).unwrap();
    }
    let kept = fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        kept == produced,
        "docs/event-types.md is not what the catalogue says: UPDATE_OPENAPI=1 cargo test -p \
         posthaste-api"
    );
}
