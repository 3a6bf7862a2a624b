//! The deployed system's own template is read here.

use std::collections::BTreeSet;

use super::*;

const TEMPLATE: &str = include_str!("../../../../template.yaml");

#[test]
fn the_template_loads_to_this_stack() {
    let stack = load_text(TEMPLATE).unwrap();
    insta::with_settings!({ sort_maps => true, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!("stack", stack);
    });
}

#[test]
fn parameters_reach_the_functions() {
    let overrides = [
        ("AllowedCidrs", "127.0.0.0/8,::1/128"),
        ("DeliverMaximumConcurrency", "4"),
        ("Stage", "local"),
    ];
    let overrides = overrides.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let stack = load(TEMPLATE, &overrides.into(), &context()).unwrap();
    let deliver = stack.functions.iter().find(|function| function.name == "deliver").unwrap();
    assert_eq!(deliver.environment["ALLOWED_CIDRS"], "127.0.0.0/8,::1/128");
    assert_eq!(deliver.environment["STAGE"], "local");
    assert_eq!(deliver.queues[0].max_concurrency, Some(4));
}

/// Tells if a function of the stack may make a call for an item with this partition key.
fn may(stack: &Stack, function: &str, action: &str, id: &str, key: &str) -> bool {
    let tables = stack.tables.iter().map(|table| (&table.logical_id, &table.arn));
    let queues = stack.queues.iter().map(|queue| (&queue.logical_id, &queue.arn));
    let (_, arn) = tables.chain(queues).find(|(other, _)| *other == id).unwrap();
    let function = stack.functions.iter().find(|other| other.name == function).unwrap();
    function.allows(action, arn, &[key])
}

#[test]
fn a_function_may_write_only_items_with_keys_of_its_own() {
    let stack = load_text(TEMPLATE).unwrap();
    let write = "dynamodb:UpdateItem";
    for action in ["dynamodb:PutItem", write] {
        assert!(may(&stack, "ingest", action, "Registry", "idempotency#acme#00"), "{action}");
        assert!(may(&stack, "ingest", action, "Registry", "publish#acme"), "{action}");
        assert!(!may(&stack, "ingest", action, "Registry", "key#00"), "{action}");
    }
    for action in ["dynamodb:ConditionCheckItem", "dynamodb:BatchWriteItem"] {
        assert!(may(&stack, "fanout", action, "Deliveries", "#hold#acme#1#00"), "{action}");
        assert!(may(&stack, "fanout", action, "Deliveries", "#suspect#00"), "{action}");
        assert!(!may(&stack, "fanout", action, "Deliveries", "acme#1#0"), "{action}");
    }
    assert!(may(&stack, "replay", write, "Deliveries", "#replay#acme#1"));
    assert!(!may(&stack, "replay", write, "Deliveries", "acme#1#0"));
    for key in ["workspace#acme", "count#acme"] {
        assert!(may(&stack, "types", "dynamodb:PutItem", "Registry", key), "{key}");
        assert!(!may(&stack, "types", write, "Registry", key), "{key}");
    }
    assert!(may(&stack, "types", write, "Registry", "calls#00"));
    assert!(!may(&stack, "types", "dynamodb:PutItem", "Registry", "key#00"));
    for key in ["simulations#acme~test", "simulating"] {
        assert!(may(&stack, "simulate", "dynamodb:PutItem", "Registry", key), "{key}");
    }
    assert!(!may(&stack, "simulate", "dynamodb:PutItem", "Registry", "key#00"));
    assert!(may(&stack, "setup", "dynamodb:PutItem", "Registry", "key#00"));
    assert!(!may(&stack, "setup", "dynamodb:PutItem", "Registry", "idempotency#acme#00"));
}

#[test]
fn every_function_may_do_its_own_work() {
    let stack = load_text(TEMPLATE).unwrap();
    for (function, action, id) in [
        ("register", "dynamodb:ConditionCheckItem", "Registry"),
        ("register", "dynamodb:Query", "Deliveries"),
        ("register", "dynamodb:Query", "Events"),
        ("register", "dynamodb:UpdateItem", "Deliveries"),
        ("register", "sqs:SendMessage", "ReplayQueue"),
        ("types", "dynamodb:DeleteItem", "Registry"),
        ("types", "dynamodb:PutItem", "Registry"),
        ("ingest", "dynamodb:GetItem", "Registry"),
        ("ingest", "sqs:SendMessage", "EventsQueue"),
        ("fanout", "dynamodb:BatchWriteItem", "Events"),
        ("fanout", "sqs:ChangeMessageVisibility", "EventsQueue"),
        ("fanout", "sqs:SendMessage", "DeliveriesQueue"),
        ("fanout", "dynamodb:BatchGetItem", "Deliveries"),
        ("deliver", "dynamodb:UpdateItem", "Deliveries"),
        ("register", "dynamodb:PartiQLInsert", "Deliveries"),
        ("console", "dynamodb:PartiQLInsert", "Deliveries"),
        ("deliver", "dynamodb:PartiQLInsert", "Deliveries"),
        ("drain", "dynamodb:PartiQLInsert", "Deliveries"),
        ("deliver", "sqs:SendMessage", "DeliveriesDeadLetterQueue"),
        ("deliver", "sqs:SendMessage", "ExhaustedDeliveriesQueue"),
        ("drain", "sqs:SendMessage", "ExhaustedDeliveriesQueue"),
        ("deliver", "sqs:SendMessage", "DeliveriesQueue"),
        ("deliver", "dynamodb:UpdateItem", "Registry"),
        ("deliver", "sqs:SendMessage", "EventsQueue"),
        ("release", "dynamodb:UpdateItem", "Deliveries"),
        ("release", "sqs:SendMessage", "DeliveriesQueue"),
        ("replay", "dynamodb:Query", "Deliveries"),
        ("replay", "sqs:SendMessage", "DeliveriesQueue"),
        ("replay", "sqs:ReceiveMessage", "ReplayQueue"),
        ("simulate", "dynamodb:BatchGetItem", "Registry"),
        ("simulate", "sqs:SendMessage", "EventsQueue"),
        ("setup", "dynamodb:PutItem", "Registry"),
    ] {
        assert!(may(&stack, function, action, id, "workspace#acme"), "{function} {action} {id}");
    }
}

#[test]
fn no_function_may_do_the_work_of_another() {
    let stack = load_text(TEMPLATE).unwrap();
    for (function, action, id) in [
        ("register", "dynamodb:DeleteItem", "Deliveries"),
        ("register", "dynamodb:PutItem", "Events"),
        ("register", "sqs:ReceiveMessage", "ReplayQueue"),
        ("types", "dynamodb:GetItem", "Deliveries"),
        ("types", "dynamodb:GetItem", "Events"),
        ("ingest", "dynamodb:PutItem", "Registry"),
        ("ingest", "sqs:SendMessage", "DeliveriesQueue"),
        ("fanout", "dynamodb:PutItem", "Registry"),
        ("fanout", "dynamodb:UpdateItem", "Deliveries"),
        ("fanout", "sqs:ReceiveMessage", "DeliveriesQueue"),
        ("deliver", "dynamodb:Query", "Deliveries"),
        ("deliver", "dynamodb:PutItem", "Registry"),
        ("release", "dynamodb:Query", "Deliveries"),
        ("release", "sqs:ReceiveMessage", "DeliveriesQueue"),
        ("replay", "dynamodb:PutItem", "Deliveries"),
        ("replay", "dynamodb:Query", "Registry"),
        ("replay", "sqs:ReceiveMessage", "DeliveriesQueue"),
        ("simulate", "dynamodb:PutItem", "Registry"),
        ("simulate", "dynamodb:Query", "Registry"),
        ("simulate", "dynamodb:GetItem", "Events"),
        ("simulate", "sqs:SendMessage", "DeliveriesQueue"),
        ("setup", "dynamodb:GetItem", "Registry"),
    ] {
        assert!(!may(&stack, function, action, id, "workspace#acme"), "{function} {action} {id}");
    }
}

#[test]
fn every_resource_that_a_function_is_told_of_is_one_it_may_touch() {
    let stack = load_text(TEMPLATE).unwrap();
    for function in &stack.functions {
        let told: BTreeSet<_> = function.environment.values().collect();
        let tables = stack.tables.iter().map(|table| (told.contains(&table.name), &table.arn));
        let queues = stack.queues.iter().map(|queue| (told.contains(&queue.url), &queue.arn));
        for (is_told, arn) in tables.chain(queues) {
            let may_touch =
                function.statements.iter().any(|statement| statement.resources.contains(arn));
            assert_eq!(is_told, may_touch, "{} {arn}", function.name);
        }
    }
}
