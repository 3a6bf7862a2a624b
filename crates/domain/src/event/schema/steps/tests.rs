use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The number of steps that a check takes.
fn steps(schema: Value, data: Value) -> u64 {
    let prices = super::super::patterns::check(&schema).unwrap().prices;
    let mut budget = Budget::default();
    budget.take(&schema, &prices, &data).expect("the data is not too large for the schema");
    MAX_STEPS_OF_CALL - budget.of_call
}

fn refused(schema: Value, data: Value) -> Option<TooCostly> {
    let prices = super::super::patterns::check(&schema).unwrap().prices;
    Budget::default().take(&schema, &prices, &data).err()
}

#[test]
fn what_people_write_is_far_from_the_bound() {
    // An order with 4,000 items, which is about as much as an event may have.
    let item = json!({ "type": "object", "required": ["sku", "count", "price"], "properties": {
        "sku": { "type": "string", "pattern": "^[A-Z]{3}-[0-9]{6}$" },
        "count": { "type": "integer", "minimum": 1 },
        "price": { "$ref": "#/$defs/price" }, "note": { "type": ["string", "null"], "maxLength": 200 } } });
    let price = json!({
        "anyOf": [
            { "type": "number" },
            {
                "type": "object", "required": ["amount"],
                "properties": { "amount": { "type": "string" } },
            }
        ],
    });
    let schema = json!({ "type": "object", "required": ["items"], "additionalProperties": false, "$defs": { "price": price },
        "properties": { "items": { "type": "array", "items": item, "maxItems": 10_000 } } });
    let data = json!({ "items": vec![json!({
        "sku": "ABC-123456", "count": 3, "price": { "amount": "3" }, "note": null,
    }); 4_000] });
    let taken = steps(schema, data);
    assert!(taken < MAX_STEPS / 2, "{taken}");
}

#[test]
fn parts_count_for_each_value_that_they_may_apply_to() {
    let parts =
        |count: usize| json!({ "items": { "allOf": vec![json!({ "minimum": 0 }); count] } });
    let list = |count: usize| Value::from(vec![1; count]);
    let one = steps(parts(1), list(1));
    let (more_parts, more_values) =
        (steps(parts(11), list(1)) - one, steps(parts(1), list(11)) - one);
    assert!(more_parts >= 10 && more_values >= 10, "{more_parts} {more_values}");
    assert!(steps(parts(100), list(1_000)) >= 100 * 1_000);
    assert_eq!(refused(parts(450), list(20_000)), Some(TooCostly::Event));
}

#[test]
fn what_a_keyword_compares_counts() {
    let items = vec![json!({}); 10_000];
    let names: Vec<String> = (0..1_000).map(|at| format!("n{at}")).collect();
    assert_eq!(
        refused(json!({ "items": { "required": names } }), items.clone().into()),
        Some(TooCostly::Event)
    );
    assert_eq!(
        refused(json!({ "items": { "enum": names } }), items.into()),
        Some(TooCostly::Event)
    );
    let text = "a".repeat(70_000);
    let pattern = json!({ "properties": { "const": { "pattern": "(a{0,20}){0,20}b" } } });
    assert_eq!(refused(pattern, json!({ "const": text })), Some(TooCostly::Event));
    assert!(steps(json!({ "pattern": "^[a-z]*$" }), json!(text)) < MAX_STEPS / 2);
    // A complaint names the place of its value, level by level.
    let at_level = |level: usize| {
        let schema =
            (0..level).fold(json!({ "type": "string" }), |inner, _| json!({ "items": inner }));
        steps(schema, (1..level).fold(Value::from(vec![1; 1_000]), |inner, _| json!([inner])))
    };
    assert!(at_level(17) >= at_level(1) + 2 * 1_000);
}

#[test]
fn the_quadratic_parts_of_unique_items_count() {
    let unique = json!({ "uniqueItems": true });
    let texts: Vec<String> = (0..20_000).map(|at| at.to_string()).collect();
    assert!(
        steps(unique.clone(), texts.into()) < MAX_STEPS / 4,
        "texts are told apart by their hashes"
    );
    // These have one hash each, and a validator compares each with each.
    let lists: Vec<Value> = (0..5_000).map(|_| json!([[], [[]]])).collect();
    let numbers: Vec<u64> = (0..5_000).map(|at| u64::MAX - at).collect();
    for alike in [Value::from(lists), Value::from(numbers)] {
        assert_eq!(refused(unique.clone(), alike), Some(TooCostly::Event));
    }
    let large: Vec<Value> = (0..20).map(|_| Value::from(vec![1; 12_000])).collect();
    assert_eq!(refused(unique, large.into()), Some(TooCostly::Event));
}

#[test]
fn a_call_is_refused_for_what_its_events_take_together() {
    let schema = json!({ "items": { "minimum": 0 } });
    let prices = super::super::patterns::check(&schema).unwrap().prices;
    let data = Value::from(vec![1; 50_000]);
    let mut budget = Budget::default();
    let mut taken = 0;
    let refused = loop {
        match budget.take(&schema, &prices, &data) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
    };
    assert_eq!(refused, TooCostly::Call);
    assert!(taken * MAX_STEPS >= MAX_STEPS_OF_CALL, "{taken} events of at most {MAX_STEPS} steps");
}

/// A part with the name of a keyword counts as one with any other name.
#[test]
fn names_are_no_keywords() {
    for name in ["const", "default", "$ref", "properties", "items", "title", "$defs"] {
        let of = |name: &str| {
            let schema = json!({
                "properties": { name: { "allOf": [{ "type": "integer" }, { "minimum": 1 }] } },
            });
            steps(schema, json!({ name: 7 }))
        };
        assert_eq!(of(name), of("x"), "{name}");
    }
}

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i32>().prop_map(Value::from),
        "[a-c]{0,9}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({ "type": "string" })),
        Just(json!({ "minimum": 3 })),
        Just(json!(true))
    ];
    leaf.prop_recursive(4, 40, 3, |inner| {
        const PLACES: [&str; 8] = [
            "items",
            "contains",
            "not",
            "if",
            "then",
            "additionalProperties",
            "propertyNames",
            "unevaluatedItems",
        ];
        let one = (prop::sample::select(&PLACES[..]), inner.clone())
            .prop_map(|(place, part)| json!({ place: part }));
        let many = (
            prop::sample::select(&["allOf", "anyOf", "oneOf", "prefixItems"][..]),
            prop::collection::vec(inner.clone(), 1..4),
        )
            .prop_map(|(place, parts)| json!({ place: parts }));
        let named = (
            prop::sample::select(&["properties", "dependentSchemas"][..]),
            prop::collection::btree_map("[a-c]", inner, 1..4),
        )
            .prop_map(|(place, parts)| json!({ place: parts }));
        prop_oneof![one, many, named]
    })
}

proptest! {
    #[test]
    fn more_data_never_costs_less(schema in schema(), data in data()) {
        let twice = steps(json!({ "items": schema }), json!([data, data]));
        let once = steps(json!({ "items": schema }), json!([data]));
        prop_assert!(once < twice);
    }

    #[test]
    fn each_part_that_applies_to_the_value_itself_counts(schema in schema(), data in data()) {
        let once = steps(json!({ "allOf": [schema] }), data.clone());
        let twice = steps(json!({ "allOf": [schema, schema] }), data.clone());
        prop_assert_eq!(twice - once, steps(schema, data));
    }
}
