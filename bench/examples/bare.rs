//! This function does one small thing as often as it is told, and nothing else. `floor` measures it.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use posthaste_runtime::aws;
use serde::Deserialize;

/// An invocation says how often each thing is to be done.
#[derive(Deserialize)]
struct Asked {
    /// Messages that are sent, each with a call.
    sends: u32,
    queue: String,
    /// Items that are read, each with a call.
    reads: u32,
    table: String,
    /// Requests to the endpoint.
    posts: u32,
    endpoint: String,
    /// The body of a message, or of a request.
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sdk = aws::load()?;
    let (sqs, dynamodb) = (aws::sqs(&sdk), aws::dynamodb(&sdk));
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let work = async |asked: LambdaEvent<Asked>| {
        let asked = asked.payload;
        for _ in 0..asked.sends {
            let message = SendMessageBatchRequestEntry::builder();
            let message = message.id("0").message_body(&asked.body).build()?;
            sqs.send_message_batch().queue_url(&asked.queue).entries(message).send().await?;
        }
        for _ in 0..asked.reads {
            let key = |value: &str| AttributeValue::S(value.to_owned());
            let read = dynamodb.get_item().table_name(&asked.table);
            read.key("pk", key("none")).key("sk", key("none")).send().await?;
        }
        for _ in 0..asked.posts {
            let request = http.post(&asked.endpoint).body(asked.body.clone());
            request.send().await?.error_for_status()?.bytes().await?;
        }
        Ok::<_, Error>("done")
    };
    lambda_runtime::run(service_fn(work)).await
}
