//! The wire has more than the SDKs show.

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::Server;

async fn respond(server: &Server, action: &str, body: &'static [u8]) -> (Response<Bytes>, Value) {
    let response = server.sqs.respond(action, Bytes::from_static(body)).await;
    let body = serde_json::from_slice(response.body()).unwrap();
    (response, body)
}

#[tokio::test]
async fn an_answer_is_aws_json_with_a_request_id() {
    let server = Server::start().await;
    let (response, body) = respond(&server, "CreateQueue", br#"{"QueueName":"q"}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    assert_eq!(response.headers()["x-amzn-requestid"].len(), 36);
    assert_eq!(body, json!({"QueueUrl": format!("{}/000000000000/q", server.url)}));
}

#[tokio::test]
async fn an_error_has_the_codes_of_both_protocols() {
    let server = Server::start().await;
    let (response, body) = respond(&server, "GetQueueUrl", br#"{"QueueName":"none"}"#).await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.headers()["x-amzn-query-error"],
        "AWS.SimpleQueueService.NonExistentQueue;Sender"
    );
    assert_eq!(
        body,
        json!({
            "__type": "com.amazonaws.sqs#QueueDoesNotExist",
            "message": "The specified queue does not exist.",
        })
    );
}

#[tokio::test]
async fn what_is_no_action_or_no_json_is_refused() {
    let server = Server::start().await;
    let (response, body) = respond(&server, "Nonsense", b"{}").await;
    assert_eq!(
        (response.status().as_u16(), &body["__type"]),
        (400, &json!("com.amazonaws.sqs#UnknownOperationException"))
    );
    let (response, _) = respond(&server, "AddPermission", b"{}").await;
    let header = &response.headers()["x-amzn-query-error"];
    assert_eq!(header, "AWS.SimpleQueueService.UnsupportedOperation;Sender");
    for bad in [b"nonsense".as_slice(), br#"{"QueueName":7}"#] {
        let (response, body) = respond(&server, "CreateQueue", bad).await;
        assert_eq!(response.status(), 400);
        assert_eq!(body["__type"], "com.amazonaws.sqs#SerializationException");
    }
    let (response, _) = respond(&server, "ListQueues", b"").await;
    assert_eq!(response.status(), 200, "an empty body is an empty request");
}

#[tokio::test]
async fn an_empty_receive_has_no_message_list() {
    let server = Server::start().await;
    respond(&server, "CreateQueue", br#"{"QueueName":"q"}"#).await;
    let (_, body) =
        respond(&server, "ReceiveMessage", br#"{"QueueUrl":"http://x/000000000000/q"}"#).await;
    assert_eq!(body, json!({}));
}

#[tokio::test]
async fn a_post_without_an_action_is_an_unknown_operation() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("x-amzn-query-error: InvalidAction;Sender"), "{answer}");
}
