//! These tests run a whole system whose only function is played by the test, over Lambda's Invoke
//! API.

mod loops;
mod schedules;
mod tables;
mod units;

use std::sync::Mutex;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{start::bind, *};
use crate::{metrics::Depth, serve};

const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String}
  AllowHttp: {Type: String}
  AllowedCidrs: {Type: String}
  FanoutMaximumConcurrency: {Type: Number}
  DeliverMaximumConcurrency: {Type: Number}
  DrainMaximumConcurrency: {Type: Number}
  ReplayMaximumConcurrency: {Type: Number}
Globals: {Function: {Runtime: provided.al2023, Handler: bootstrap, Timeout: 10}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
  Worker:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: worker}}
    Properties:
      CodeUri: functions/worker/
      Role: !GetAtt Role.Arn
      EventInvokeConfig: {MaximumRetryAttempts: 0}
      Events:
        Tick:
          Type: Schedule
          Properties: {Schedule: rate(1 day)}
        Own:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 day), State: DISABLED, Input: '{"own": true}'}
  Idle:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: idle}}
    Properties: {CodeUri: functions/idle/, Role: !GetAtt Role.Arn}
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
              - {Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Things.Arn}
              - Effect: Allow
                Action: [dynamodb:Query, dynamodb:Scan]
                Resource: [!Sub "${Things.Arn}/index/due", !Sub "${Things.Arn}/index/owner"]
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: place, AttributeType: S}
        - {AttributeName: dueAt, AttributeType: N}
        - {AttributeName: ownedBy, AttributeType: S}
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: due
          KeySchema: [{AttributeName: place, KeyType: HASH}, {AttributeName: dueAt, KeyType: RANGE}]
          Projection: {ProjectionType: KEYS_ONLY}
        - IndexName: owner
          KeySchema: [{AttributeName: ownedBy, KeyType: HASH}]
          Projection: {ProjectionType: KEYS_ONLY}
  Others:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
  FirstKey:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 43, ExcludePunctuation: true}}
Outputs:
  FirstKeySecretArn: {Value: !Ref FirstKey}
"#;

/// The function `worker` keeps its events, and succeeds until it is told otherwise.
struct Worker {
    system: System,
    events: Arc<Mutex<Vec<Value>>>,
    fails: Arc<Mutex<bool>>,
    _invoke_api: Server,
}

impl Worker {
    async fn start() -> Self {
        Self::with(TEMPLATE.to_owned(), None).await
    }

    async fn with(template: String, data: Option<std::path::PathBuf>) -> Self {
        let (events, fails) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<bool>>::default());
        let (taken, failing) = (events.clone(), fails.clone());
        let invoke_api = Server::start(bind(0).await.unwrap(), move |request| {
            taken.lock().unwrap().push(serde_json::from_slice(request.body()).unwrap());
            std::future::ready(Some(answer(*failing.lock().unwrap())))
        })
        .unwrap();
        let system = System::start(options(template, &invoke_api, data)).await.unwrap();
        Self { system, events, fails, _invoke_api: invoke_api }
    }

    fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }

    /// Calls DynamoDB with the function's credentials, and returns the answer, or the error's type
    /// and message.
    async fn call(&self, operation: &str, body: Value) -> Result<Value, (String, String)> {
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=worker.1/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
            Signature=0";
        let request = reqwest::Client::new()
            .post(&self.system.urls().dynamodb)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", authorization)
            .header("content-type", "application/x-amz-json-1.0");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let succeeded = answer.status().is_success();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        if succeeded { Ok(answer) } else { Err((text("__type"), text("message"))) }
    }
}

/// Makes the options of a system whose functions are played behind this Invoke API.
fn options(template: String, invoke_api: &Server, data: Option<std::path::PathBuf>) -> Options {
    Options { data, ..Options::new(template, Functions::External(invoke_api.url())) }
}

fn answer(fails: bool) -> Response<Bytes> {
    if !fails {
        return serve::json(StatusCode::OK, &json!({}));
    }
    serve::json(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({"errorType": "Teapot", "errorMessage": "short and stout"}),
    )
}
