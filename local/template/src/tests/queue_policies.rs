//! Policies of queues are checked: the one that EventBridge needs to send to a queue loads, and an
//! error names what is wrong in one.

use super::*;

const POLICY: &str = r#"  Allowed:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Sid: EventBridge
            Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
            Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}
"#;

/// Replaces `from` by `to` in [`SMALL`] with the policy.
fn with_policy(from: &str, to: &str) -> String {
    assert!(POLICY.contains(from), "{from}");
    format!("{SMALL}{}", POLICY.replacen(from, to, 1))
}

#[test]
fn a_policy_for_eventbridge_loads_and_changes_nothing() {
    let without = load_text(SMALL).unwrap();
    assert_eq!(load_text(&with_policy("", "")).unwrap(), without);
    let lists =
        with_policy("Action: sqs:SendMessage", "Action: [sqs:SendMessage, sqs:GetQueueUrl]");
    assert_eq!(load_text(&lists).unwrap(), without);
}

#[test]
fn what_is_wrong_in_a_policy_is_named() {
    const PATH: &str = "Resources.Allowed.Properties";
    let statement = format!("{PATH}.PolicyDocument.Statement.0");
    let zombies = "arn:aws:sqs:us-east-1:000000000000:posthaste-Zombies";
    let cases = [
        (
            "Queues:",
            "Topics: []\n      Queues:",
            format!("{PATH}.Topics: not supported by the local system"),
        ),
        ("[!Ref Queue]", "[!Ref Qeueu]", format!("{PATH}.Queues.0.Ref: there is no Qeueu")),
        (
            "[!Ref Queue]",
            "[!Ref Table]",
            format!("{PATH}.Queues.0: the template has no queue with the URL posthaste-Table"),
        ),
        ("[!Ref Queue]", "!Ref Queue", format!("{PATH}.Queues: has to be a list")),
        ("[!Ref Queue]", "[]", format!("{PATH}.Queues: names no queue")),
        (
            "[!Ref Queue]",
            "[!Ref Queue, !Ref Queue]",
            format!("{PATH}.Queues: Queue has the policy Allowed already"),
        ),
        (
            "Version:",
            "Versio:",
            format!("{PATH}.PolicyDocument.Versio: not supported by the local system"),
        ),
        (
            "Effect: Allow",
            "Effect: Permit",
            format!("{statement}.Effect: Permit is neither Allow nor Deny"),
        ),
        (
            "{Service: events.amazonaws.com}",
            "all",
            format!("{statement}.Principal: has to be an object"),
        ),
        (
            "{Service: events.amazonaws.com}",
            "{Federated: x}",
            format!("{statement}.Principal: names neither a Service nor an AWS principal"),
        ),
        (
            "Action: sqs",
            "Action: sns",
            format!("{statement}.Action: sns:SendMessage is no action of SQS"),
        ),
        ("Action:", "NotAction:", format!("{statement}.Action: is missing")),
        (
            "!GetAtt Queue.Arn",
            "!GetAtt Zombies.Arn",
            format!("{statement}.Resource: {zombies} is none of the policy's queues"),
        ),
        (
            "{StringEquals:",
            "{StringEqual:",
            format!("{statement}.Condition.StringEqual: is none of "),
        ),
        (
            "!Ref AWS::AccountId",
            "[]",
            format!("{statement}.Condition.StringEquals.aws:SourceAccount: is missing"),
        ),
    ];
    for (from, to, expected) in cases {
        let error = load_text(&with_policy(from, to)).expect_err(to).to_string();
        assert!(error.starts_with(&expected), "{from} → {to}: {error}");
    }
}

#[test]
fn a_queue_has_one_policy() {
    let second = POLICY.replace("Allowed:", "Second:");
    let error = load_text(&format!("{SMALL}{POLICY}{second}")).unwrap_err().to_string();
    assert_eq!(error, "Resources.Second.Properties.Queues: Queue has the policy Allowed already");
}
