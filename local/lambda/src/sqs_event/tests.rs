use super::*;

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:posthaste-Events";

#[test]
fn a_batch_becomes_an_event() {
    let messages = [
        Message {
            message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
            receipt_handle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a".to_owned(),
            body: r#"{"type":"order.created","data":{"ä":1.0}}"#.to_owned(),
            attributes: BTreeMap::from([
                ("ApproximateReceiveCount".to_owned(), "1".to_owned()),
                ("MessageGroupId".to_owned(), "acme".to_owned()),
                ("SentTimestamp".to_owned(), "1545082649183".to_owned()),
            ]),
            message_attributes: BTreeMap::from([
                (
                    "trace".to_owned(),
                    MessageAttribute {
                        data_type: "String".to_owned(),
                        value: AttributeValue::Text("Root=1".to_owned()),
                    },
                ),
                (
                    "blob".to_owned(),
                    MessageAttribute {
                        data_type: "Binary.gzip".to_owned(),
                        value: AttributeValue::Binary(Bytes::from_static(&[0, 255])),
                    },
                ),
            ]),
            md5_of_body: "e4e68fb7bd0e697a0ae8f1bb342846b3".to_owned(),
        },
        Message {
            message_id: "2e1424d4-f796-459a-8184-9c92662be6da".to_owned(),
            receipt_handle: "AQEBzWwaftRI0KuVm4tP".to_owned(),
            body: String::new(),
            attributes: BTreeMap::new(),
            message_attributes: BTreeMap::new(),
            md5_of_body: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        },
    ];
    let event: Value = serde_json::from_slice(&to_event(ARN, &messages)).unwrap();
    insta::assert_json_snapshot!(event);
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn judged(answer: &str) -> Verdict {
    judge(&ids(&["a", "b", "c"]), true, Ok(answer.as_bytes()))
}

#[test]
fn an_answer_that_names_no_failure_is_a_success_of_all() {
    for answer in [
        "",
        "  \n",
        "null",
        "{}",
        r#"{"other":1}"#,
        r#"{"batchItemFailures":null}"#,
        r#"{"batchItemFailures":[]}"#,
    ] {
        let all = Verdict { succeeded: ids(&["a", "b", "c"]), failed: vec![], problem: None };
        assert_eq!(judged(answer), all, "{answer:?}");
    }
}

#[test]
fn named_messages_fail_and_the_others_succeed() {
    let verdict = judged(
        r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}"#,
    );
    assert_eq!(
        verdict,
        Verdict { succeeded: ids(&["b"]), failed: ids(&["a", "c"]), problem: None }
    );
}

#[test]
fn an_answer_that_cant_be_relied_on_is_a_failure_of_all() {
    for (answer, problem) in [
        ("not JSON", "the answer isn't JSON"),
        ("\"done\"", "the answer isn't an object"),
        ("[]", "the answer isn't an object"),
        (r#"{"batchItemFailures":"a"}"#, "batchItemFailures isn't a list"),
        (r#"{"batchItemFailures":["a"]}"#, "a batch item failure has no itemIdentifier"),
        (
            r#"{"batchItemFailures":[{"itemIdentifer":"a"}]}"#,
            "a batch item failure has no itemIdentifier",
        ),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            "a batch item failure has no itemIdentifier",
        ),
        (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, "an itemIdentifier is empty"),
        (r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#, "an itemIdentifier isn't a string"),
        (
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"d"}]}"#,
            "an itemIdentifier is none of the batch's message ids",
        ),
    ] {
        let all = Verdict {
            succeeded: vec![],
            failed: ids(&["a", "b", "c"]),
            problem: Some(problem.to_owned()),
        };
        assert_eq!(judged(answer), all, "{answer}");
    }
}

#[test]
fn an_invocation_without_an_answer_is_a_failure_of_all() {
    for report_batch_item_failures in [true, false] {
        let error = InvokeError::Crashed { status: "signal: 9 (SIGKILL)".to_owned() };
        let verdict = judge(&ids(&["a"]), report_batch_item_failures, Err(&error));
        let problem =
            Some("Runtime.ExitError: Runtime exited with error: signal: 9 (SIGKILL)".to_owned());
        assert_eq!(verdict, Verdict { succeeded: vec![], failed: ids(&["a"]), problem });
    }
}

#[test]
fn without_the_report_any_answer_is_a_success() {
    for answer in ["", "not JSON", r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#] {
        let verdict = judge(&ids(&["a"]), false, Ok(answer.as_bytes()));
        assert_eq!(verdict, Verdict { succeeded: ids(&["a"]), failed: vec![], problem: None });
    }
}
