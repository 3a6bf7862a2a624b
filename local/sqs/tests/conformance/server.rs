//! Tests have a server on a free port, and an SDK client for it.

use std::{collections::HashMap, fmt::Debug, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_sqs::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use posthaste_local_sqs::{Settings, Sqs};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

pub(crate) struct Server {
    pub(crate) sqs: Sqs,
    pub(crate) client: Client,
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings {
            base_url: url.clone(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        };
        let sqs = Sqs::new(settings);
        let router = sqs.router();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&url)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self { sqs, client: Client::from_conf(config), url, task }
    }

    /// Starts a server with the queue `q`, and returns the queue's URL too.
    pub(crate) async fn with_queue(attributes: &[(QueueAttributeName, &str)]) -> (Self, String) {
        let server = Self::start().await;
        let queue = server.queue("q", attributes).await;
        (server, queue)
    }

    pub(crate) async fn queue(
        &self,
        name: &str,
        attributes: &[(QueueAttributeName, &str)],
    ) -> String {
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let created = self
            .client
            .create_queue()
            .queue_name(name)
            .set_attributes(Some(attributes))
            .send()
            .await;
        created.unwrap().queue_url.unwrap()
    }

    /// Starts a server with a dead-letter queue `dead`, and a queue `q` that gives messages up to
    /// it after `max_receives`.
    pub(crate) async fn with_dead_letters(max_receives: u32) -> (Self, String, String) {
        let server = Self::start().await;
        let dead = server.queue("dead", &[]).await;
        let policy = redrive_policy(&arn("dead"), max_receives);
        let queue =
            server.queue("q", &[(QueueAttributeName::RedrivePolicy, policy.as_str())]).await;
        (server, queue, dead)
    }

    pub(crate) async fn send(&self, queue: &str, body: &str) -> String {
        let sent = self.client.send_message().queue_url(queue).message_body(body).send().await;
        sent.unwrap().message_id.unwrap()
    }

    /// Receives up to ten messages with all their attributes, without waiting.
    pub(crate) async fn receive(&self, queue: &str) -> Vec<Message> {
        let request = self
            .client
            .receive_message()
            .queue_url(queue)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        request.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(crate) async fn receive_one(&self, queue: &str) -> Message {
        let mut messages = self.receive(queue).await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    pub(crate) async fn delete(&self, queue: &str, message: &Message) {
        let handle = message.receipt_handle().unwrap();
        self.client.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
    }

    /// Counts the messages that are visible, in flight and delayed.
    pub(crate) fn depth(&self, name: &str) -> (usize, usize, usize) {
        let depth = self.sqs.queues().into_iter().find(|queue| queue.name == name).unwrap();
        (depth.visible, depth.in_flight, depth.delayed)
    }

    pub(crate) async fn attribute(&self, queue: &str, name: QueueAttributeName) -> Option<String> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(name.clone())
            .send()
            .await;
        answer.unwrap().attributes.unwrap_or_default().remove(&name)
    }
}

pub(crate) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

pub(crate) fn redrive_policy(arn: &str, max_receives: u32) -> String {
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max_receives}}}"#)
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

pub(crate) fn system<'a>(
    message: &'a Message,
    name: &MessageSystemAttributeName,
) -> Option<&'a str> {
    message.attributes()?.get(name).map(String::as_str)
}

/// Returns the code of the error that the call must have been answered with.
pub(crate) fn code<T: Debug, E: ProvideErrorMetadata + Debug>(
    result: Result<T, SdkError<E, aws_sdk_sqs::config::http::HttpResponse>>,
) -> String {
    let error = result.unwrap_err();
    match error.code() {
        Some(code) => code.to_owned(),
        None => panic!("not an error answer: {error:?}"),
    }
}

/// Waits for a condition that other tasks bring about.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
