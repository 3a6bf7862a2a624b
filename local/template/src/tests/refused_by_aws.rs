//! A template that AWS would refuse is refused here too, with the path of what is wrong.

use super::*;

#[test]
fn a_mapping_that_aws_refuses_is_refused() {
    let over_ten = "Resources.Worker.Properties.Events.Queue.Properties.BatchSize: over 10 needs a \
        MaximumBatchingWindowInSeconds of at least 1";
    check(&[
        (
            "Timeout: 10",
            "Timeout: 61",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the queue's visibility \
             timeout of 60s is below the function's timeout of 61s",
        ),
        (
            "      VisibilityTimeout: 60\n",
            "      VisibilityTimeout: 9\n",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the queue's visibility \
             timeout of 9s is below the function's timeout of 10s",
        ),
        ("BatchSize: 10", "BatchSize: 11", over_ten),
        (
            "BatchSize: 10",
            "ScalingConfig: {MaximumConcurrency: 1}",
            "Resources.Worker.Properties.Events.Queue.Properties.ScalingConfig.MaximumConcurrency: \
             1 is no whole number from 2 to 1000",
        ),
        (
            "BatchSize: 10",
            "FunctionResponseTypes: [ReportBatchItemFailure]",
            "Resources.Worker.Properties.Events.Queue.Properties.FunctionResponseTypes: has to be \
             [ReportBatchItemFailures]",
        ),
        (
            "BatchSize: 10",
            "Enabled: maybe",
            "Resources.Worker.Properties.Events.Queue.Properties.Enabled: maybe is neither true \
             nor false",
        ),
        (
            "Queue: !GetAtt Queue.Arn",
            "Queue: !GetAtt Qeueu.Arn",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue.Fn::GetAtt: there is \
             no Qeueu",
        ),
        (
            "Queue: !GetAtt Queue.Arn",
            "Queue: !Ref Queue",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the template has no queue \
             http://127.0.0.1:4566/000000000000/work",
        ),
        (
            "Action: sqs:*",
            "Action: [sqs:ReceiveMessage, sqs:GetQueueAttributes]",
            "Resources.Worker.Properties.Events.Queue.Properties.Queue: the poller needs \
             sqs:DeleteMessage, which the function's role does not allow",
        ),
    ]);
}

#[test]
fn a_route_that_aws_refuses_is_refused() {
    check(&[
        (
            "ApiId: !Ref Api",
            "ApiId: x",
            "Resources.Worker.Properties.Events.Get.Properties.ApiId: the template has no \
             AWS::Serverless::HttpApi x",
        ),
        (
            "Path: \"/things/{id}\"",
            "Path: things",
            "Resources.Worker.Properties.Events.Get.Properties: the path things has to \
             begin with /",
        ),
        (
            ", Path: \"/things/{id}\"",
            "",
            "Resources.Worker.Properties.Events.Get.Properties: needs both Method and Path, or \
             neither for the $default route",
        ),
        (
            "Method: get,",
            "Method: fetch,",
            "Resources.Worker.Properties.Events.Get.Properties: FETCH is none of ANY, DELETE, GET, \
             HEAD, OPTIONS, PATCH, POST, PUT",
        ),
        (
            "        Tick:\n",
            "        Same:\n          Type: HttpApi\n          Properties: {ApiId: !Ref Api, \
             Method: GET, Path: '/things/{key}'}\n        Tick:\n",
            "Resources.Worker.Properties.Events.Same: route GET /things/{key} is used twice: there \
             is GET /things/{id} already",
        ),
    ]);
}

#[test]
fn a_function_that_aws_refuses_is_refused() {
    check(&[
        (
            "Timeout: 10",
            "Timeout: 901",
            "Resources.Worker.Properties.Timeout: 901 is no whole number from 1 to 900",
        ),
        (
            "      CodeUri:",
            "      RecursiveLoop: Stop\n      CodeUri:",
            "Resources.Worker.Properties.RecursiveLoop: has to be Allow or Terminate, not Stop",
        ),
        (
            "Service: lambda.amazonaws.com",
            "Service: ecs.amazonaws.com",
            "Resources.Role.Properties.AssumeRolePolicyDocument: lambda.amazonaws.com can't assume \
             the role",
        ),
        (
            "Role: !GetAtt Role.Arn",
            "Role: arn:aws:iam::1:role/x",
            "Resources.Worker.Properties.Role: the template has no role arn:aws:iam::1:role/x",
        ),
    ]);
}

#[test]
fn a_queue_that_aws_refuses_is_refused() {
    check(&[
        (
            "maxReceiveCount: 5",
            "maxReceiveCount: 0",
            "Resources.Queue.Properties.RedrivePolicy.maxReceiveCount: 0 is no whole number from \
             1 to 1000",
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
            "Resources.Queue.Properties.RedrivePolicy: the RedriveAllowPolicy of \
             arn:aws:sqs:us-east-1:000000000000:posthaste-Zombies does not allow it",
        ),
        (
            "redrivePermission: byQueue",
            "redrivePermission: some",
            "Resources.Zombies.Properties.RedriveAllowPolicy.redrivePermission: some is none of \
             allowAll, denyAll, byQueue",
        ),
    ]);
}

#[test]
fn another_resource_that_aws_refuses_is_refused() {
    check(&[
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
            "Resources.Table.Properties.AttributeDefinitions.0.AttributeType: SS is none \
             of S, N, B",
        ),
        (
            "{PasswordLength: 20}",
            "{GenerateStringKey: a}",
            "Resources.Secret.Properties.GenerateSecretString: SecretStringTemplate and \
             GenerateStringKey go together",
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
