use std::collections::BTreeMap;

use super::*;

mod intrinsics;
mod not_understood;
mod queue_policies;
mod refused_by_aws;
mod resources;
mod template;

fn context() -> Context {
    Context {
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        partition: "aws".to_owned(),
        stack_name: "posthaste".to_owned(),
        sqs_base_url: "http://127.0.0.1:4566".to_owned(),
        api_url: "http://127.0.0.1:8080".to_owned(),
    }
}

fn load_text(template: &str) -> Result<Stack> {
    load(template, &BTreeMap::new(), &context())
}

/// Loads `sections` as a SAM template.
fn load_sections(sections: &str) -> Result<Stack> {
    load_text(&format!("Transform: AWS::Serverless-2016-10-31\n{sections}"))
}

/// Returns the error of loading `sections`.
fn refusal(sections: &str) -> String {
    load_sections(sections).expect_err(sections).to_string()
}

/// A template that loads, with one function, one role, two queues and an API. Tests change a part
/// of it.
const SMALL: &str = r#"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: provided.al2023
    Handler: bootstrap
    Timeout: 10
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
  Worker:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: worker}}
    Properties:
      CodeUri: functions/worker/
      Role: !GetAtt Role.Arn
      Environment: {Variables: {QUEUE_URL: !Ref Queue}}
      Events:
        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Queue.Arn
            BatchSize: 10
        Get:
          Type: HttpApi
          Properties: {ApiId: !Ref Api, Method: get, Path: "/things/{id}"}
        Tick:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 minute)}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: worker
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: sqs:*
                Resource: !GetAtt Queue.Arn
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: work
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Zombies.Arn, maxReceiveCount: 5}
  Zombies:
    Type: AWS::SQS::Queue
    Properties:
      RedriveAllowPolicy:
        redrivePermission: byQueue
        sourceQueueArns: [!Sub "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:work"]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  Secret:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString: {PasswordLength: 20}
  Custom:
    Type: Custom::Thing
    Properties:
      ServiceToken: !GetAtt Worker.Arn
      Copies: 5
"#;

/// Replaces `from`, which has to be in [`SMALL`], by `to`.
fn small(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// Replaces a part of [`SMALL`] in each case, and expects this error of loading it.
fn check(cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        let error = load_text(&small(from, to)).expect_err(to).to_string();
        assert_eq!(error, *expected, "{from} → {to}");
    }
}
