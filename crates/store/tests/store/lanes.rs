//! A lane's writes mean the same to DynamoDB as to the model test, which carries them out on a map.

use posthaste_domain::{
    endpoint::lane::{Attr, Attributes, Condition, Outcome, Value, Write},
    testing,
};
use posthaste_store::Deliveries;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::table;

const WRITES: usize = 300;

/// Attributes of both types, few enough for conditions to meet.
const TEXTS: [Attr; 3] = [Attr::Token, Attr::Turn, Attr::Holder];
const NUMBERS: [Attr; 3] = [Attr::WakeAt, Attr::LeaseUntil, Attr::Quick];

fn text() -> impl Strategy<Value = (Attr, Value)> {
    (prop::sample::select(&TEXTS[..]), "[ab]")
        .prop_map(|(attribute, text)| (attribute, Value::Text(text)))
}

fn number() -> impl Strategy<Value = (Attr, Value)> {
    (prop::sample::select(&NUMBERS[..]), 0..3_i64)
        .prop_map(|(attribute, number)| (attribute, Value::Number(number)))
}

fn attribute() -> impl Strategy<Value = Attr> {
    prop_oneof![prop::sample::select(&TEXTS[..]), prop::sample::select(&NUMBERS[..])]
}

fn simple() -> impl Strategy<Value = Condition> {
    prop_oneof![
        attribute().prop_map(Condition::Absent),
        attribute().prop_map(Condition::Present),
        prop_oneof![text(), number()]
            .prop_map(|(attribute, value)| Condition::Is(attribute, value)),
        (prop::sample::select(&NUMBERS[..]), 0..3_i64)
            .prop_map(|(attribute, most)| Condition::AtMost(attribute, most)),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![simple(), prop::collection::vec(simple(), 1..3).prop_map(Condition::Any)]
}

fn write() -> impl Strategy<Value = Write> {
    let set = prop::collection::vec(prop_oneof![text(), number()], 1..4);
    let remove = prop::collection::vec(attribute(), 0..3);
    (prop::collection::vec(condition(), 0..3), set, remove).prop_map(|(conditions, set, remove)| {
        let write = conditions.into_iter().fold(Write::default(), Write::only_if);
        let write = set.into_iter().fold(write, |write, (attribute, value)| match value {
            Value::Text(text) => write.set(attribute, text.as_str()),
            Value::Number(number) => write.set(attribute, number),
        });
        remove.into_iter().fold(write, Write::remove)
    })
}

#[tokio::test]
async fn a_write_means_the_same_to_dynamodb_as_to_the_model() {
    let deliveries = Deliveries::new(table::create().await, table::NAME);
    let webhook = testing::webhook_key(7);
    let mut runner = TestRunner::deterministic();
    let mut model = Attributes::default();
    let mut carried_out = 0;
    for _ in 0..WRITES {
        let write = write().new_tree(&mut runner).unwrap().current();
        let outcome = deliveries.lanes.write(&webhook, &write).await.unwrap();
        let before = model.lane().unwrap();
        if write.applies_to(&model) {
            assert_eq!(outcome, Outcome::Done(before), "{write:?}");
            model = write.apply(&model);
            carried_out += 1;
        } else {
            assert_eq!(outcome, Outcome::Refused(before), "{write:?}");
        }
        assert_eq!(
            deliveries.lanes.get(&webhook).await.unwrap(),
            model.lane().unwrap(),
            "{write:?}"
        );
    }
    assert!(
        (WRITES / 10..WRITES * 9 / 10).contains(&carried_out),
        "{carried_out} of {WRITES} were carried out"
    );
}
