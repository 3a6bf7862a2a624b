//! Chains of sends can lead back to a function. Lambda invokes it sixteen times and no more, unless
//! the template allows it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::*;

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
  Ping:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: ping}}
    Properties:
      RecursiveLoop: Terminate
      CodeUri: functions/ping/
      Role: !GetAtt Role.Arn
      Events: {Queue: {Type: SQS, Properties: {Queue: !GetAtt Pings.Arn, BatchSize: 10}}}
  Pong:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: pong}}
    Properties:
      CodeUri: functions/pong/
      Role: !GetAtt Role.Arn
      Events: {Queue: {Type: SQS, Properties: {Queue: !GetAtt Pongs.Arn, BatchSize: 10}}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: queues
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: sqs:*, Resource: [!GetAtt Pings.Arn, !GetAtt Pongs.Arn]}]
  Pings:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: pings
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Lost.Arn, maxReceiveCount: 2}
  Pongs:
    Type: AWS::SQS::Queue
    Properties: {QueueName: pongs, VisibilityTimeout: 60}
  Lost:
    Type: AWS::SQS::Queue
    Properties: {QueueName: lost}
  FirstKey:
    Type: AWS::SecretsManager::Secret
    Properties: {GenerateSecretString: {PasswordLength: 43, ExcludePunctuation: true}}
Outputs:
  FirstKeySecretArn: {Value: !Ref FirstKey}
"#;

const SOON: Duration = Duration::from_secs(20);

/// The functions send nothing more after this many invocations.
const ENOUGH: u64 = 60;

/// The functions `ping` and `pong` each answer an invocation with a message to a queue.
struct Chain {
    system: System,
    _invoke_api: Server,
}

impl Chain {
    /// Starts the functions. `next` names the queue that each of them sends to.
    async fn start(template: String, next: &'static [(&'static str, &'static str)]) -> Self {
        let (aws, begun) = (Arc::<OnceLock<String>>::default(), Arc::<AtomicU64>::default());
        let known = aws.clone();
        let invoke_api = Server::start(bind(0).await.unwrap(), move |request| {
            let (aws, begun) = (known.clone(), begun.clone());
            async move {
                let function = request.uri().path().split('/').nth(3).unwrap_or_default();
                let (_, queue) = next.iter().find(|(name, _)| *name == function).unwrap();
                if begun.fetch_add(1, Ordering::Relaxed) + 1 < ENOUGH {
                    let trace_header = request.headers()["x-amzn-trace-id"].to_str().unwrap();
                    send(aws.get().unwrap(), function, queue, trace_header).await;
                }
                Some(answer(false))
            }
        })
        .unwrap();
        let system = System::start(options(template, &invoke_api, None)).await.unwrap();
        aws.set(system.urls().sqs.clone()).unwrap();
        Self { system, _invoke_api: invoke_api }
    }

    /// Sends a message as a developer's tool does.
    async fn begin(&self) {
        let message = json!({
            "QueueUrl": format!("{}/000000000000/pings", self.system.urls().sqs),
            "MessageBody": "go",
        });
        self.system.sqs().call("SendMessage", message.to_string().as_bytes()).await.unwrap();
    }

    /// Counts the invocations of a function, and those that Lambda dropped.
    fn counts(&self, function: &str) -> (u64, u64) {
        let stats = &self.system.metrics().functions[function];
        (stats.invocations, stats.recursion_dropped)
    }

    async fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + SOON;
        while !is_true() {
            assert!(tokio::time::Instant::now() < deadline, "it never came true that {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Sends a message as a function's SDK does.
async fn send(aws: &str, function: &str, queue: &str, trace_header: &str) {
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={function}.1/20260101/us-east-1/sqs/aws4_request");
    let entry = json!({ "Id": "0", "MessageBody": "on" });
    let request = reqwest::Client::new()
        .post(aws)
        .header("x-amz-target", "AmazonSQS.SendMessageBatch")
        .header("authorization", authorization)
        .header("x-amzn-trace-id", trace_header)
        .body(
            json!({ "QueueUrl": format!("{aws}/000000000000/{queue}"), "Entries": [entry] })
                .to_string(),
        );
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_17th_invocation_in_a_chain_fails_until_its_message_is_a_dead_letter() {
    let chain = Chain::start(TEMPLATE.to_owned(), &[("ping", "pings")]).await;
    chain.begin().await;
    for dropped in 1..=2 {
        chain.until("an invocation is dropped", || chain.counts("ping").1 == dropped).await;
        chain.system.sqs().expire_in_flight("pings");
    }
    let lost = chain.system.sqs().receive("lost", 1, SOON).await.unwrap();
    assert_eq!(lost[0].body, "on");
    assert!(
        lost[0].attributes["AWSTraceHeader"].ends_with("Lineage=ping:16"),
        "{:?}",
        lost[0].attributes
    );
    assert_eq!(chain.counts("ping"), (16, 2));
    let metrics = reqwest::get(format!("{}/metrics", chain.system.urls().admin))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["functions"]["ping"]["recursion_dropped"], 2);

    chain.begin().await;
    chain.until("another chain begins anew", || chain.counts("ping") == (32, 3)).await;
    chain.system.stop().await;
}

#[tokio::test]
async fn a_chain_that_its_template_allows_goes_on() {
    let template = TEMPLATE.replace("RecursiveLoop: Terminate", "RecursiveLoop: Allow");
    let chain = Chain::start(template, &[("ping", "pings")]).await;
    chain.begin().await;
    chain.until("there have been enough invocations", || chain.counts("ping") == (ENOUGH, 0)).await;
    chain
        .until("all messages are deleted", || {
            chain.system.metrics().queues["pings"] == Depth::default()
        })
        .await;
    // What is billed: each message was sent by the function, but for the first, and received and
    // deleted by the poller.
    let expected = [("ping".to_owned(), ENOUGH - 1), ("poller of pings".to_owned(), 2 * ENOUGH)];
    assert_eq!(chain.system.usage().await.unwrap().sqs_requests, expected.into());
    chain.system.stop().await;
}

#[tokio::test]
async fn a_chain_over_two_functions_is_counted_for_each() {
    let next = &[("ping", "pongs"), ("pong", "pings")];
    let chain = Chain::start(TEMPLATE.to_owned(), next).await;
    chain.begin().await;
    let counts = || (chain.counts("ping"), chain.counts("pong"));
    chain
        .until("the first to be invoked too often is dropped", || counts() == ((16, 1), (16, 0)))
        .await;
    chain.system.stop().await;

    let chain =
        Chain::start(TEMPLATE.replace("RecursiveLoop: Terminate", "RecursiveLoop: Allow"), next)
            .await;
    chain.begin().await;
    let counts = || (chain.counts("ping"), chain.counts("pong"));
    chain.until("what one allows, another does not", || counts() == ((17, 0), (16, 1))).await;
    chain.system.stop().await;
}
