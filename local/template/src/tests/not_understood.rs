//! The local system names a part of a template that it does not understand.

use super::*;

#[test]
fn what_is_not_understood_of_the_template_or_its_api_is_named_with_its_path() {
    check(&[
        (
            "Globals:",
            "Mappings: {A: {B: {C: d}}}\nGlobals:",
            "Mappings: not supported by the local system",
        ),
        (
            "AWS::Serverless-2016-10-31",
            "AWS::LanguageExtensions",
            "Transform: the local system supports only AWS::Serverless-2016-10-31, not \
             AWS::LanguageExtensions",
        ),
        ("Transform: AWS::Serverless-2016-10-31", "", "Transform: is missing"),
        (
            "  Function:\n",
            "  Api: {}\n  Function:\n",
            "Globals.Api: not supported by the local system",
        ),
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
            "Type: AWS::Serverless::HttpApi\n    Properties: {DefaultRouteSettings: \
             {ThrottlingRateLimit: 500}}",
            "Resources.Api.Properties.DefaultRouteSettings: needs both ThrottlingRateLimit and \
             ThrottlingBurstLimit, or neither",
        ),
    ]);
}

#[test]
fn what_is_not_understood_of_a_function_is_named_with_its_path() {
    check(&[
        (
            "CodeUri: functions/worker/",
            "SnapStart: {ApplyOn: PublishedVersions}",
            "Resources.Worker.Properties.SnapStart: not supported by the local system",
        ),
        (
            "Runtime: provided.al2023",
            "Runtime: python3.13",
            "Resources.Worker.Properties.Runtime: the local system supports only provided.al2023, \
             not python3.13",
        ),
        (
            "BuildMethod: rust-cargolambda",
            "BuildMethod: makefile",
            "Resources.Worker.Metadata.BuildMethod: the local system supports only \
             rust-cargolambda, not makefile",
        ),
        ("{Binary: worker}", "{}", "Resources.Worker.Metadata.BuildProperties.Binary: is missing"),
        (
            "      CodeUri:",
            "      EventInvokeConfig: {DestinationConfig: {}}\n      CodeUri:",
            "Resources.Worker.Properties.EventInvokeConfig.DestinationConfig: not supported by the \
             local system",
        ),
    ]);
}

#[test]
fn what_is_not_understood_of_an_event_is_named_with_its_path() {
    check(&[
        (
            "BatchSize: 10",
            "FilterCriteria: {Filters: []}",
            "Resources.Worker.Properties.Events.Queue.Properties.FilterCriteria: not supported by \
             the local system",
        ),
        (
            "BatchSize: 10",
            "ScalingConfig: {Minimum: 1}",
            "Resources.Worker.Properties.Events.Queue.Properties.ScalingConfig.Minimum: not \
             supported by the local system",
        ),
        (
            "Type: SQS\n",
            "Type: SNS\n",
            "Resources.Worker.Properties.Events.Queue.Type: SNS is not supported by the \
             local system",
        ),
        (
            "Method: get,",
            "Method: get, Auth: {},",
            "Resources.Worker.Properties.Events.Get.Properties.Auth: not supported by the \
             local system",
        ),
        (
            "Method: get,",
            "Method: get, PayloadFormatVersion: '1.0',",
            "Resources.Worker.Properties.Events.Get.Properties.PayloadFormatVersion: the local \
             system supports only 2.0, not 1.0",
        ),
        (
            "{ScheduleExpression: rate(1 minute)}",
            "{ScheduleExpression: rate(1 minute), RetryPolicy: {}}",
            "Resources.Worker.Properties.Events.Tick.Properties.RetryPolicy: not supported by the \
             local system",
        ),
        (
            "rate(1 minute)",
            "cron(0 12 * * ? *)",
            "Resources.Worker.Properties.Events.Tick.Properties.ScheduleExpression: cron(0 12 * * \
             ? *): the local system supports only rate(…) schedules",
        ),
        (
            "Type: ScheduleV2\n          Properties: {ScheduleExpression: rate(1 minute)}",
            "Type: Schedule\n          Properties: {Schedule: rate(1 minutes)}",
            "Resources.Worker.Properties.Events.Tick.Properties.Schedule: rate(1 minutes): a rate \
             has the form rate(1 minute) or rate(5 minutes), with minutes, hours or days",
        ),
    ]);
}

#[test]
fn what_is_not_understood_of_a_role_is_named_with_its_path() {
    check(&[
        (
            "      Policies:\n",
            "      ManagedPolicyArns: [x]\n      Policies:\n",
            "Resources.Role.Properties.ManagedPolicyArns: not supported by the local system",
        ),
        (
            "Action: sqs:*\n",
            "Action: sqs:*\n                Condition: {Bool: {a: b}}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.Bool: not \
             supported by the local system",
        ),
        (
            "Action: sqs:*\n",
            "Action: sqs:*\n                Condition: {}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.ForAllValues:StringLike.dynamodb:LeadingKeys: is missing",
        ),
        (
            "Action: sqs:*\n",
            "Action: dynamodb:Scan\n                Condition: {'ForAllValues:StringLike': \
             {'dynamodb:LeadingKeys': 'a#*'}}\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Condition.ForAllValues:StringLike.dynamodb:LeadingKeys: the local system supports it only for dynamodb:BatchGetItem, dynamodb:BatchWriteItem, dynamodb:ConditionCheckItem, dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:UpdateItem, not dynamodb:Scan",
        ),
        (
            "Action: sqs:*\n",
            "NotAction: sqs:*\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Action: is missing",
        ),
    ]);
}

#[test]
fn what_is_not_understood_of_a_queue_table_or_secret_is_named_with_its_path() {
    check(&[
        (
            "QueueName: work",
            "FifoQueue: true",
            "Resources.Queue.Properties.FifoQueue: not supported by the local system",
        ),
        (
            "BillingMode: PAY_PER_REQUEST",
            "BillingMode: PROVISIONED",
            "Resources.Table.Properties.BillingMode: the local system supports only \
             PAY_PER_REQUEST",
        ),
        (
            "BillingMode: PAY_PER_REQUEST",
            "BillingMode: PAY_PER_REQUEST\n      StreamSpecification: {}",
            "Resources.Table.Properties.StreamSpecification: not supported by the local system",
        ),
        (
            "{PasswordLength: 20}",
            "{IncludeSpace: true}",
            "Resources.Secret.Properties.GenerateSecretString.IncludeSpace: not supported by the \
             local system",
        ),
        (
            "GenerateSecretString: {PasswordLength: 20}",
            "SecretString: x",
            "Resources.Secret.Properties.GenerateSecretString: is missing",
        ),
        (
            "Copies: 5",
            "Key: '{{resolve:secretsmanager:x}}'",
            "Resources.Custom.Properties.Key: {{resolve:secretsmanager:x}}: dynamic references are \
             not supported by the local system",
        ),
    ]);
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
        (
            "[{AttributeName: pk, KeyType: HASH}]",
            "pk",
            "Resources.Table.Properties.KeySchema: has to be a list",
        ),
        (
            "QueueName: work",
            "QueueName: [work]",
            "Resources.Queue.Properties.QueueName: has to be a text",
        ),
        (
            "Effect: Allow\n",
            "Effect: Maybe\n",
            "Resources.Role.Properties.Policies.0.PolicyDocument.Statement.0.Effect: Maybe is \
             neither Allow nor Deny",
        ),
        (
            "Copies: 5",
            "Copies:",
            "Resources.Custom.Properties.Copies: is empty; CloudFormation takes no null",
        ),
    ]);
}
