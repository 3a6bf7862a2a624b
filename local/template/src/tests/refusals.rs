//! What is not understood, and what AWS refuses, is an error that names it.

use super::*;

/// Each case replaces a part of [`SMALL`] and expects an error.
fn check(cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        let error = load_text(&small(from, to)).expect_err(to).to_string();
        assert_eq!(error, *expected, "{from} → {to}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_path() {
    check(&[
        ("Globals:", "Mappings: {A: {B: {C: d}}}\nGlobals:", "Mappings: not supported by the local system"),
        (
            "AWS::Serverless-2016-10-31",
            "AWS::LanguageExtensions",
            "Transform: the local system supports only AWS::Serverless-2016-10-31, not AWS::LanguageExtensions",
        ),
        ("Transform: AWS::Serverless-2016-10-31", "", "Transform: is missing"),
        ("  Function:\n", "  Api: {}\n  Function:\n", "Globals.Api: not supported by the local system"),
        (
            "Type: AWS::Serverless::HttpApi",
            "Type: AWS::S3::Bucket",
            "Resources.Api.Type: AWS::S3::Bucket is not supported by the local system",
        ),
        ("Type: AWS::Serverless::HttpApi", "Properties: {}", "Resources.Api.Type: is missing"),
        (
            "Type: AWS::Serverless::HttpApi",
            "Type: AWS::Serverless::HttpApi\n    CreationPolicy: {}",
            "Resources.Api.CreationPolicy: not supported by the local system",
        ),
        (
            "Type: AWS::Serverless::HttpApi",
            "Type: AWS::Serverless::HttpApi\n    Properties: {Auth: {}}",
            "Resources.Api.Properties.Auth: not supported by the local system",
        ),
        (
            "Type: AWS::Serverless::HttpApi",
            "Type: AWS::Serverless::HttpApi\n  Api2:\n    Type: AWS::Serverless::HttpApi",
            "Resources.Api2: the local system has only one HTTP API",
        ),
        (
            "Type: AWS::Serverless::HttpApi",
            "Type: AWS::Serverless::HttpApi\n    Properties: {DefaultRouteSettings: {ThrottlingRateLimit: 500}}",
            "Resources.Api.Properties.DefaultRouteSettings: needs both ThrottlingRateLimit and ThrottlingBurstLimit, or neither",
        ),
        (
            "CodeUri: functions/worker/",
            "SnapStart: {ApplyOn: PublishedVersions}",
            "Resources.Worker.Properties.SnapStart: not supported by the local system",
        ),
        (
            "Runtime: provided.al2023",
            "Runtime: python3.13",
            "Resources.Worker.Properties.Runtime: the local system supports only provided.al2023, not python3.13",
        ),
        (
            "BuildMethod: rust-cargolambda",
            "BuildMethod: makefile",
            "Resources.Worker.Metadata.BuildMethod: the local system supports only rust-cargolambda, not makefile",
        ),
        ("{Binary: worker}", "{}", "Resources.Worker.Metadata.BuildProperties.Binary: is missing"),
        (
            "BatchSize: 10",
            "FilterCriteria: {Filters: []}",
            "Resources.Worker.Properties.Events.Queue.Properties.FilterCriteria: not supported by the local system",
        ),
        (
            "BatchSize: 10",
            "ScalingConfig: {Minimum: 1}",
            "Resources.Worker.Properties.Events.Queue.Properties.ScalingConfig.Minimum: not supported by the local system",
        ),
        (
            "Type: SQS\n",
            "Type: SNS\n",
            "Resources.Worker.Properties.Events.Queue.Type: SNS is not supported by the local system",
        ),
        (
            "Method: get,",
            "Method: get, Auth: {},",
            "Resources.Worker.Properties.Events.Get.Properties.Auth: not supported by the local system",
        ),
        (
            "Method: get,",
            "Method: get, PayloadFormatVersion: '1.0',",
            "Resources.Worker.Properties.Events.Get.Properties.PayloadFormatVersion: the local system supports only 2.0, not 1.0",
        ),
        (
            "{ScheduleExpression: rate(1 minute)}",
            "{ScheduleExpression: rate(1 minute), RetryPolicy: {}}",
            "Resources.Worker.Properties.Events.Tick.Properties.RetryPolicy: not supported by the local system",
        ),
        (
            "      CodeUri:",
            "      EventInvokeConfig: {DestinationConfig: {}}\n      CodeUri:",
            "Resources.Worker.Properties.EventInvokeConfig.DestinationConfig: not supported by the local system",
        ),
        (
            "rate(1 minute)",
            "cron(0 12 * * ? *)",
            "Resources.Worker.Properties.Events.Tick.Properties.ScheduleExpression: cron(0 12 * * ? *): the local system supports only rate(…) schedules",
        ),
        (
            "Type: ScheduleV2\n          Properties: {ScheduleExpression: rate(1 minute)}",
            "Type: Schedule\n          Properties: {Schedule: rate(1 minutes)}",
            "Resources.Worker.Properties.Events.Tick.Properties.Schedule: rate(1 minutes): a rate has the form rate(1 minute) or rate(5 minutes), with minutes, hours or days",
        ),
        (
            "      Policies:\n",
            "      ManagedPolicyArns: [x]\n      Policies:\n",
            "Resources.Role.Properties.ManagedPolicyArns: not supported by the local system",
        ),
        (
            "Action: sqs:*\n",
            "Action: sqs:*\n                Condition: {Bool: {a: b}}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.Bool: not supported by the local system",
        ),
        (
            "Action: sqs:*\n",
            "Action: sqs:*\n                Condition: {}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.ForAllValues:StringLike.dynamodb:LeadingKeys: is missing",
        ),
        (
            "Action: sqs:*\n",
            "Action: dynamodb:Scan\n                Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': 'a#*'}}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.ForAllValues:StringLike.dynamodb:LeadingKeys: the local system supports it only for dynamodb:BatchGetItem, dynamodb:BatchWriteItem, dynamodb:ConditionCheckItem, dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:UpdateItem, not dynamodb:Scan",
        ),
        (
            "Action: sqs:*\n",
            "NotAction: sqs:*\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Action: is missing",
        ),
        (
            "QueueName: work",
            "FifoQueue: true",
            "Resources.Queue.Properties.FifoQueue: not supported by the local system",
        ),
        (
            "BillingMode: PAY_PER_REQUEST",
            "BillingMode: PROVISIONED",
            "Resources.Table.Properties.BillingMode: the local system supports only PAY_PER_REQUEST",
        ),
        (
            "BillingMode: PAY_PER_REQUEST",
            "BillingMode: PAY_PER_REQUEST\n      StreamSpecification: {}",
            "Resources.Table.Properties.StreamSpecification: not supported by the local system",
        ),
        (
            "{PasswordLength: 20}",
            "{IncludeSpace: true}",
            "Resources.Secret.Properties.GenerateSecretString.IncludeSpace: not supported by the local system",
        ),
        (
            "GenerateSecretString: {PasswordLength: 20}",
            "SecretString: x",
            "Resources.Secret.Properties.GenerateSecretString: is missing",
        ),
        (
            "Copies: 5",
            "Key: '{{resolve:secretsmanager:x}}'",
            "Resources.Custom.Properties.Key: {{resolve:secretsmanager:x}}: dynamic references are not supported by the local system",
        ),
    ]);
}

#[test]
fn what_aws_refuses_is_refused() {
    let over_ten = "Resources.Worker.Properties.Events.Queue.Properties.BatchSize: over 10 needs a MaximumBatchingWindowInSeconds of at least 1";
    check(&[
        (
            "Timeout: 10",
            "Timeout: 61",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the queue's visibility timeout of 60s is below the function's timeout of 61s",
        ),
        (
            "      VisibilityTimeout: 60\n",
            "      VisibilityTimeout: 9\n",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the queue's visibility timeout of 9s is below the function's timeout of 10s",
        ),
        ("Timeout: 10", "Timeout: 901", "Resources.Worker.Properties.Timeout: 901 is no whole number from 1 to 900"),
        (
            "      CodeUri:",
            "      RecursiveLoop: Stop\n      CodeUri:",
            "Resources.Worker.Properties.RecursiveLoop: has to be Allow or Terminate, not Stop",
        ),
        ("BatchSize: 10", "BatchSize: 11", over_ten),
        (
            "BatchSize: 10",
            "ScalingConfig: {MaximumConcurrency: 1}",
            "Resources.Worker.Properties.Events.Queue.Properties.ScalingConfig.MaximumConcurrency: 1 is no whole number from 2 to 1000",
        ),
        (
            "BatchSize: 10",
            "FunctionResponseTypes: [ReportBatchItemFailure]",
            "Resources.Worker.Properties.Events.Queue.Properties.FunctionResponseTypes: has to be [ReportBatchItemFailures]",
        ),
        (
            "BatchSize: 10",
            "Enabled: maybe",
            "Resources.Worker.Properties.Events.Queue.Properties.Enabled: maybe is neither true nor false",
        ),
        (
            "Queue: !GetAtt Queue.Arn",
            "Queue: !GetAtt Qeueu.Arn",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue.Fn::GetAtt: there is no Qeueu",
        ),
        (
            "Queue: !GetAtt Queue.Arn",
            "Queue: !Ref Queue",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the template has no queue http://127.0.0.1:4566/000000000000/work",
        ),
        (
            "Action: sqs:*",
            "Action: [sqs:ReceiveMessage, sqs:GetQueueAttributes]",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the poller needs sqs:DeleteMessage, which the function's role does not allow",
        ),
        (
            "Service: lambda.amazonaws.com",
            "Service: ecs.amazonaws.com",
            "Resources.Role.Properties.AssumeRolePolicyDocument: lambda.amazonaws.com can't assume the role",
        ),
        (
            "Role: !GetAtt Role.Arn",
            "Role: arn:aws:iam::1:role/x",
            "Resources.Worker.Properties.Role: the template has no role arn:aws:iam::1:role/x",
        ),
        (
            "ApiId: !Ref Api",
            "ApiId: x",
            "Resources.Worker.Properties.Events.Get.Properties.ApiId: the template has no AWS::Serverless::HttpApi x",
        ),
        (
            "Path: \"/things/{id}\"",
            "Path: things",
            "Resources.Worker.Properties.Events.Get.Properties: the path things has to begin with /",
        ),
        (
            ", Path: \"/things/{id}\"",
            "",
            "Resources.Worker.Properties.Events.Get.Properties: needs both Method and Path, or neither for the $default route",
        ),
        (
            "Method: get,",
            "Method: fetch,",
            "Resources.Worker.Properties.Events.Get.Properties: FETCH is none of ANY, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        ),
        (
            "        Tick:\n",
            "        Same:\n          Type: HttpApi\n          Properties: {ApiId: !Ref Api, Method: GET, Path: '/things/{key}'}\n        Tick:\n",
            "Resources.Worker.Properties.Events.Same: route GET /things/{key} is used twice: there is GET /things/{id} already",
        ),
        (
            "maxReceiveCount: 5",
            "maxReceiveCount: 0",
            "Resources.Queue.Properties.RedrivePolicy.maxReceiveCount: 0 is no whole number from 1 to 1000",
        ),
        (
            "deadLetterTargetArn: !GetAtt Zombies.Arn",
            "deadLetterTargetArn: arn:x",
            "Resources.Queue.Properties.RedrivePolicy: the template has no queue arn:x",
        ),
        (
            "deadLetterTargetArn: !GetAtt Zombies.Arn",
            "deadLetterTargetArn: !GetAtt Queue.Arn",
            "Resources.Queue.Properties.RedrivePolicy: its dead-letter queues form a circle",
        ),
        (
            "${AWS::AccountId}:work",
            "${AWS::AccountId}:play",
            "Resources.Queue.Properties.RedrivePolicy: the RedriveAllowPolicy of arn:aws:sqs:us-east-1:000000000000:posthaste-Zombies does not allow it",
        ),
        (
            "redrivePermission: byQueue",
            "redrivePermission: some",
            "Resources.Zombies.Properties.RedriveAllowPolicy.redrivePermission: some is none of allowAll, denyAll, byQueue",
        ),
        (
            "[{AttributeName: pk, KeyType: HASH}]",
            "[{AttributeName: id, KeyType: HASH}]",
            r#"Resources.Table.Properties.AttributeDefinitions: defines {"pk"}, but the keys use {"id"}"#,
        ),
        (
            "KeyType: HASH",
            "KeyType: RANGE",
            "Resources.Table.Properties.KeySchema: has to be a HASH key and perhaps a RANGE key",
        ),
        (
            "AttributeType: S",
            "AttributeType: SS",
            "Resources.Table.Properties.AttributeDefinitions.0.AttributeType: SS is none of S, N, B",
        ),
        (
            "{PasswordLength: 20}",
            "{GenerateStringKey: a}",
            "Resources.Secret.Properties.GenerateSecretString: SecretStringTemplate and GenerateStringKey go together",
        ),
        (
            "ServiceToken: !GetAtt Worker.Arn",
            "ServiceToken: arn:x",
            "Resources.Custom.Properties.ServiceToken: the template has no function arn:x",
        ),
        (
            "Copies: 5",
            "ServiceTimeout: 3601",
            "Resources.Custom.Properties.ServiceTimeout: 3601 is no whole number from 1 to 3600",
        ),
        (
            "Type: Custom::Thing",
            "Type: Custom::Thing\n    DependsOn: Wrker",
            "Resources.Custom.DependsOn: there is no Wrker",
        ),
        (
            "Type: Custom::Thing",
            "Type: Custom::Thing\n    Condition: C",
            "Resources.Custom.Condition: there is no condition C",
        ),
    ]);
}

#[test]
fn two_functions_cannot_have_one_binary() {
    let other = "  Role:\n    Type: AWS::IAM::Role";
    let second = "  Zorker:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: worker}}
    Properties: {Role: !GetAtt Role.Arn}
  Role:\n    Type: AWS::IAM::Role";
    check(&[(
        other,
        second,
        "Resources.Zorker.Metadata.BuildProperties.Binary: worker is the binary of Worker already",
    )]);
}

#[test]
fn what_has_the_wrong_shape_is_named() {
    check(&[
        (
            "Environment: {Variables: {QUEUE_URL: !Ref Queue}}",
            "Environment: [a]",
            "Resources.Worker.Properties.Environment: has to be an object",
        ),
        (
            "QUEUE_URL: !Ref Queue",
            "QUEUE_URL: [a]",
            "Resources.Worker.Properties.Environment.Variables.QUEUE_URL: has to be a text",
        ),
        ("[{AttributeName: pk, KeyType: HASH}]", "pk", "Resources.Table.Properties.KeySchema: has to be a list"),
        ("QueueName: work", "QueueName: [work]", "Resources.Queue.Properties.QueueName: has to be a text"),
        (
            "Effect: Allow\n",
            "Effect: Maybe\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Effect: Maybe is neither Allow nor Deny",
        ),
        ("Copies: 5", "Copies:", "Resources.Custom.Properties.Copies: is empty; CloudFormation takes no null"),
    ]);
}
