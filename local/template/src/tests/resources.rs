//! Resources become the types of the model.

use std::time::Duration;

use super::*;

#[test]
fn a_function_has_its_globals_its_events_and_the_defaults_of_lambda() {
    let stack = load_text(SMALL).unwrap();
    let worker = &stack.functions[0];
    assert_eq!(worker.name, "worker");
    assert_eq!(worker.arn, "arn:aws:lambda:us-east-1:000000000000:function:posthaste-Worker");
    assert_eq!(worker.timeout, Duration::from_secs(10));
    assert_eq!(worker.memory_mb, 128);
    assert_eq!(worker.environment["QUEUE_URL"], "http://127.0.0.1:4566/000000000000/work");
    let mapping = QueueMapping {
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:work".to_owned(),
        batch_size: 10,
        window: Duration::ZERO,
        max_concurrency: None,
        report_batch_item_failures: false,
        enabled: true,
    };
    assert_eq!(worker.queues, [mapping]);
    let schedule = Schedule {
        arn: "arn:aws:scheduler:us-east-1:000000000000:schedule/default/posthaste-WorkerTick"
            .to_owned(),
        period: Duration::from_secs(60),
        enabled: true,
        input: None,
    };
    assert_eq!(worker.schedules, [schedule]);
    assert_eq!(worker.async_retries, 2);
    assert!(!worker.allows_recursion);
    let route = Route {
        method: "GET".to_owned(),
        path: "/things/{id}".to_owned(),
        function: "worker".to_owned(),
        route_key: "GET /things/{id}".to_owned(),
    };
    assert_eq!(stack.routes, [route]);
}

#[test]
fn settings_of_a_queue_mapping_are_read() {
    let settings = "BatchSize: 100\n            MaximumBatchingWindowInSeconds: \
        2\n            Enabled: false
            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig: \
            {MaximumConcurrency: '7'}";
    let stack = load_text(&small("BatchSize: 10", settings)).unwrap();
    let mapping = &stack.functions[0].queues[0];
    assert_eq!(
        (mapping.batch_size, mapping.window, mapping.max_concurrency),
        (100, Duration::from_secs(2), Some(7))
    );
    assert!(mapping.report_batch_item_failures && !mapping.enabled);
}

#[test]
fn the_throttling_of_the_api_is_read() {
    assert_eq!(load_text(SMALL).unwrap().throttling, None);
    let settings = "Type: AWS::Serverless::HttpApi
    Properties: {DefaultRouteSettings: {ThrottlingRateLimit: '500', ThrottlingBurstLimit: 1000}}";
    let stack = load_text(&small("Type: AWS::Serverless::HttpApi", settings)).unwrap();
    assert_eq!(stack.throttling, Some(Throttling { rate: 500, burst: 1000 }));
}

#[test]
fn both_forms_of_a_schedule_are_read() {
    let v1 = "Type: Schedule\n          Properties: {Schedule: rate(5 minutes), Enabled: false, \
        Input: '{}', Name: x}";
    let v2 = "Type: ScheduleV2\n          Properties: {ScheduleExpression: rate(5 minutes), State: \
        DISABLED, Input: '{}', Name: x}";
    let original = "Type: ScheduleV2\n          Properties: {ScheduleExpression: rate(1 minute)}";
    for (schedule, resource) in [
        (v1, "events:us-east-1:000000000000:rule/x"),
        (v2, "scheduler:us-east-1:000000000000:schedule/default/x"),
    ] {
        let expected = Schedule {
            arn: format!("arn:aws:{resource}"),
            period: Duration::from_secs(300),
            enabled: false,
            input: Some("{}".to_owned()),
        };
        let stack = load_text(&small(original, schedule)).unwrap();
        assert_eq!(stack.functions[0].schedules, [expected]);
    }
    let rule = "Type: Schedule\n          Properties: {Schedule: rate(1 hour)}";
    let rule = load_text(&small(original, rule)).unwrap().functions.remove(0).schedules.remove(0);
    assert_eq!(rule.arn, "arn:aws:events:us-east-1:000000000000:rule/posthaste-WorkerTick");
    assert!(rule.enabled && rule.period == Duration::from_secs(3600));
}

#[test]
fn a_function_says_how_often_a_failed_invocation_is_repeated() {
    let template = small(
        "      CodeUri:",
        "      EventInvokeConfig: {MaximumRetryAttempts: 0}\n      CodeUri:",
    );
    assert_eq!(load_text(&template).unwrap().functions[0].async_retries, 0);
}

#[test]
fn a_function_says_whether_it_may_be_in_a_loop() {
    for (value, allowed) in [("Allow", true), ("Terminate", false)] {
        let template =
            small("      CodeUri:", &format!("      RecursiveLoop: {value}\n      CodeUri:"));
        assert_eq!(load_text(&template).unwrap().functions[0].allows_recursion, allowed, "{value}");
    }
}

#[test]
fn a_dead_letter_queue_comes_before_the_queue_that_names_it() {
    let stack = load_text(SMALL).unwrap();
    let names: Vec<_> = stack.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["posthaste-Zombies", "work"]);
    let attributes = &stack.queues[1].attributes;
    assert_eq!(attributes["VisibilityTimeout"], "60");
    let redrive: serde_json::Value = serde_json::from_str(&attributes["RedrivePolicy"]).unwrap();
    let target = "arn:aws:sqs:us-east-1:000000000000:posthaste-Zombies";
    assert_eq!(redrive, serde_json::json!({"deadLetterTargetArn": target, "maxReceiveCount": 5}));
}

#[test]
fn a_table_with_an_index_and_a_ttl_becomes_its_create_request() {
    let sections = r#"
Resources:
  T:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      TableName: things
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: due, AttributeType: N}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: due
          KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: due, KeyType: RANGE}]
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [a]}
      TimeToLiveSpecification: {AttributeName: expiresAt, Enabled: true}
      SSESpecification: {SSEEnabled: true}
"#;
    let table = load_sections(sections).unwrap().tables.remove(0);
    assert_eq!(table.name, "things");
    assert_eq!(table.arn, "arn:aws:dynamodb:us-east-1:000000000000:table/things");
    assert_eq!(table.ttl_attribute.as_deref(), Some("expiresAt"));
    let expected = serde_json::json!({
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "due", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"}
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
        }],
    });
    assert_eq!(table.create_request, expected);
    let off =
        load_sections(&sections.replace("Enabled: true}\n      SSE", "Enabled: false}\n      SSE"))
            .unwrap();
    assert_eq!(off.tables[0].ttl_attribute, None);
}

#[test]
fn a_custom_resource_gets_its_properties_as_texts() {
    let custom = load_text(SMALL).unwrap().custom_resources.remove(0);
    assert_eq!(
        (custom.resource_type.as_str(), custom.function.as_str()),
        ("Custom::Thing", "worker")
    );
    let token = "arn:aws:lambda:us-east-1:000000000000:function:posthaste-Worker";
    assert_eq!(custom.properties, serde_json::json!({"ServiceToken": token, "Copies": "5"}));
    assert_eq!(custom.timeout, Duration::from_secs(3600));
}

#[test]
fn a_secret_says_how_it_is_made() {
    let template = small(
        "{PasswordLength: 20}",
        "{SecretStringTemplate: '{\"a\": 1}', GenerateStringKey: b, ExcludePunctuation: true}",
    );
    let secret = load_text(&template).unwrap().secrets.remove(0);
    let expected = GenerateSecret {
        length: 32,
        exclude_punctuation: true,
        template: Some("{\"a\": 1}".to_owned()),
        key: Some("b".to_owned()),
    };
    assert_eq!(secret.generate, expected);
    assert_eq!(secret.name, "posthaste-Secret");
}

#[test]
fn what_a_condition_leaves_out_is_not_there() {
    let sections = "
Conditions:
  No: !Equals [a, b]
Resources:
  Q: {Type: AWS::SQS::Queue, Condition: No, Properties: {Unknown: !Ref Missing}}
Outputs:
  O: {Condition: No, Value: !Ref Q}
";
    let stack = load_sections(sections).unwrap();
    assert_eq!((stack.queues.len(), stack.outputs.len()), (0, 0));
}

#[test]
fn a_denial_in_a_role_is_honoured() {
    let denial = "Statement:
              - {Effect: Deny, Action: [sqs:PurgeQueue], Resource: '*'}
              - Effect: Allow
                Action: sqs:*";
    let stack = load_text(&small(
        "Statement:\n              - Effect: Allow\n                Action: sqs:*",
        denial,
    ))
    .unwrap();
    let worker = &stack.functions[0];
    assert!(worker.allows("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:work", &[]));
    assert!(!worker.allows("sqs:PurgeQueue", "arn:aws:sqs:us-east-1:000000000000:work", &[]));
    assert!(!worker.allows("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:other", &[]));
}

#[test]
fn a_permission_on_a_table_is_none_on_its_index() {
    let statement = "Statement:
              - {Effect: Allow, Action: dynamodb:Query, Resource: !Sub '${Table.Arn}/index/due'}
              - {Effect: Allow, Action: dynamodb:UpdateItem, Resource: !GetAtt Table.Arn}
              - Effect: Allow
                Action: sqs:*";
    let stack = load_text(&small(
        "Statement:\n              - Effect: Allow\n                Action: sqs:*",
        statement,
    ))
    .unwrap();
    let (worker, table) = (&stack.functions[0], &stack.tables[0].arn);
    assert!(worker.allows("dynamodb:Query", &format!("{table}/index/due"), &[]));
    assert!(!worker.allows("dynamodb:Query", table, &[]));
    assert!(!worker.allows("dynamodb:Query", &format!("{table}/index/other"), &[]));
    assert!(worker.allows("dynamodb:UpdateItem", table, &[]));
    assert!(!worker.allows("dynamodb:UpdateItem", &format!("{table}/index/due"), &[]));
}
