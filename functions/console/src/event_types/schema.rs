//! A JSON Schema as a table for people: what `data` can have, and what it has to have.

use maud::{Markup, html};
use serde_json::{Value, value::RawValue};

use crate::{json::Members, parts::visible};

/// A table has so many rows at most, and looks so deep.
const MOST_ROWS: usize = 300;
const MOST_LEVELS: usize = 12;
/// A row names so many values of an `enum`.
const MOST_VALUES: usize = 20;

/// The facts that a schema states about one property.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// The number of properties that it stands in.
    level: usize,
    /// The path in `data`, such as `items[].sku`.
    path: String,
    /// The JSON types that it takes.
    types: String,
    is_required: bool,
    /// The description and the bounds, each a sentence or a few words.
    about: Vec<String>,
}

/// The table of a schema. There is none where the schema names no properties.
pub(super) fn table(schema: &RawValue) -> Option<Markup> {
    let rows = rows(schema);
    if rows.is_empty() {
        return None;
    }
    let is_cut = rows.len() >= MOST_ROWS;
    Some(html! {
        div.scroll tabindex="0" role="region" aria-label="The properties of the data" {
            table.schema {
                thead { tr {
                    th scope="col" { "Property" }
                    th scope="col" { "Type" }
                    th scope="col" { "Required" }
                    th scope="col" { "About it" }
                } }
                tbody { @for row in &rows { (line(row)) } }
            }
        }
        @if is_cut { p.quiet { "The schema has more properties than the table shows." } }
    })
}

fn line(row: &Row) -> Markup {
    html! {
        tr {
            th.{ "level-" (row.level.min(6)) } scope="row" { code { (visible(&row.path)) } }
            td { (row.types) }
            td { @if row.is_required { "required" } @else { span.quiet { "optional" } } }
            td { @for sentence in &row.about { p { (visible(sentence)) } } }
        }
    }
}

fn rows(schema: &RawValue) -> Vec<Row> {
    let root = Members::of(schema);
    let mut table = Table { root: &root, rows: Vec::new() };
    table.inside(&root, "", 0, 0);
    table.rows
}

struct Table<'s> {
    /// The whole schema, which has the definitions that its parts refer to.
    root: &'s Members,
    rows: Vec<Row>,
}

impl Table<'_> {
    /// Adds the rows of what a value of this schema can have in it. `depth` counts schemas, and
    /// `level` the properties around the value.
    fn inside(&mut self, schema: &Members, path: &str, level: usize, depth: usize) {
        if depth > MOST_LEVELS {
            return;
        }
        let required: Vec<String> = schema.read("required").unwrap_or_default();
        for (name, property) in schema.read::<Members>("properties").unwrap_or_default().0 {
            let is_required = required.contains(&name);
            self.add(&property, join(path, &name), level, depth, is_required);
        }
        let patterns = schema.read::<Members>("patternProperties").unwrap_or_default().0;
        for (pattern, property) in patterns {
            self.add(&property, join(path, &format!("/{pattern}/")), level, depth, false);
        }
        if let Some(others) = schema.get("additionalProperties").filter(|any| is_object(any)) {
            self.add(others, join(path, "*"), level, depth, false);
        }
        if let Some(items) = schema.get("items").filter(|items| is_object(items)) {
            // A list is told apart from its items only where the items have something in them.
            let items = self.resolved(items);
            self.inside(&items, &format!("{path}[]"), level, depth + 1);
        }
        for together in ["allOf", "anyOf", "oneOf"] {
            let parts: Vec<Box<RawValue>> = schema.read(together).unwrap_or_default();
            for part in parts {
                let part = self.resolved(&part);
                self.inside(&part, path, level, depth + 1);
            }
        }
    }

    fn add(
        &mut self,
        property: &RawValue,
        path: String,
        level: usize,
        depth: usize,
        is_required: bool,
    ) {
        if self.rows.len() >= MOST_ROWS || self.rows.iter().any(|row| row.path == path) {
            return;
        }
        let schema = self.resolved(property);
        let (types, about) = (self.types(&schema), about(&schema));
        self.rows.push(Row { level, path: path.clone(), types, is_required, about });
        self.inside(&schema, &path, level + 1, depth + 1);
    }

    /// The schema itself, or the definition that it refers to with what stands beside the
    /// reference.
    fn resolved(&self, schema: &RawValue) -> Members {
        let mut own = Members::of(schema);
        let mut at: Option<String> = own.read("$ref");
        for _ in 0..MOST_LEVELS {
            let Some(name) = at.as_deref().and_then(|at| at.strip_prefix("#/$defs/")) else {
                break;
            };
            let definitions = self.root.read::<Members>("$defs").unwrap_or_default();
            let Some(definition) = definitions.get(name) else { break };
            let mut found = Members::of(definition);
            at = found.read("$ref");
            found.0.append(&mut own.0);
            own = found;
        }
        own
    }

    fn types(&self, schema: &Members) -> String {
        let named = match schema.read::<Value>("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => {
                several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        if named.is_empty() {
            return "any".to_owned();
        }
        let items = schema.get("items").filter(|items| is_object(items));
        let of_items = items.map(|items| self.types(&self.resolved(items)));
        let shown = named.into_iter().map(|name| match (&of_items, name.as_str()) {
            (Some(items), "array") if items != "any" => format!("array of {items}"),
            _ => name,
        });
        shown.collect::<Vec<_>>().join(" or ")
    }
}

/// The rest of a schema beside the type, in words.
fn about(schema: &Members) -> Vec<String> {
    let mut about: Vec<String> = Vec::new();
    about.extend(schema.read("description").or_else(|| schema.read("title")));
    if let Some(values) = schema.read::<Vec<Box<RawValue>>>("enum") {
        let shown: Vec<&str> = values.iter().take(MOST_VALUES).map(|value| value.get()).collect();
        let rest = if values.len() > MOST_VALUES { " …" } else { "" };
        about.push(format!("One of {}{rest}", shown.join(", ")));
    }
    let mut bounds = Vec::new();
    for (name, words) in BOUNDS {
        if let Some(value) = schema.get(name) {
            bounds.push(format!("{words} {}", shown(value)));
        }
    }
    if !bounds.is_empty() {
        about.push(bounds.join(", "));
    }
    if schema.read::<bool>("deprecated") == Some(true) {
        about.push("Deprecated".to_owned());
    }
    about
}

/// The keywords that bound a value, with the words for each.
const BOUNDS: [(&str, &str); 13] = [
    ("const", "always"),
    ("format", "format"),
    ("pattern", "pattern"),
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
    ("multipleOf", "multiple of"),
    ("minLength", "length at least"),
    ("maxLength", "length at most"),
    ("minItems", "items at least"),
    ("maxItems", "items at most"),
    ("default", "default"),
];

/// A text without its quotation marks, and other JSON as it stands there.
fn shown(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

#[cfg(test)]
mod tests {
    use posthaste_domain::event::catalogue;

    use super::*;

    fn of(json: &str) -> Vec<Row> {
        rows(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn nested_properties_follow_what_they_stand_in() {
        let schema = r##"{
            "$defs": {"money": {"type": "object", "description": "An amount",
                "required": ["currency"], "properties": {
                    "currency": {"enum": ["EUR", "USD"]},
                    "amount": {"type": "number", "minimum": 0}}}},
            "type": "object", "required": ["items", "total"],
            "properties": {
                "total": {"$ref": "#/$defs/money"},
                "items": {"type": "array", "minItems": 1, "items": {"type": "object",
                    "properties": {"sku": {"type": ["string", "null"], "maxLength": 20}}}},
                "tags": {"type": "array", "items": {"type": "string"}},
                "extra": true
            },
            "additionalProperties": {"type": "string"}
        }"##;
        insta::assert_debug_snapshot!(of(schema));
    }

    #[test]
    fn what_is_no_schema_of_an_object_has_no_table() {
        for none in ["{}", r#"{"type":"object","properties":{}}"#, r#"{"properties":[]}"#] {
            assert_eq!(of(none), [], "{none}");
        }
    }

    #[test]
    fn circles_and_very_large_schemas_end() {
        let circle = r##"{
            "$defs":{"a":{"$ref":"#/$defs/a","properties":{"b":{"$ref":"#/$defs/a"}}}},
            "$ref":"#/$defs/a","properties":{"a":{"$ref":"#/$defs/a"}}}"##;
        assert!(of(circle).len() <= MOST_LEVELS + 1);
        let many: Vec<String> = (0..1000).map(|nth| format!(r#""p{nth}":{{}}"#)).collect();
        assert_eq!(of(&format!(r#"{{"properties":{{{}}}}}"#, many.join(","))).len(), MOST_ROWS);
    }

    #[test]
    fn hostile_names_are_escaped() {
        let schema = r#"{"properties":{"<script>":{"description":"<img src=x>"}}}"#;
        let schema = RawValue::from_string(schema.to_owned()).unwrap();
        let shown = table(&schema).unwrap().into_string();
        assert!(!shown.contains("<script>") && !shown.contains("<img"), "{shown}");
    }

    #[test]
    fn schemas_of_the_catalogue_are_read() {
        for built_in in catalogue::all() {
            let schema = RawValue::from_string(built_in.schema.to_owned()).unwrap();
            let named = built_in.schema.contains("\"description\"");
            assert_eq!(table(&schema).is_some(), named, "{}", built_in.name);
        }
    }
}
