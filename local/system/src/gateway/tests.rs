//! Some answers are API Gateway's own. The function here takes every invocation and never answers.

use http::{Method, header::CONTENT_TYPE};
use posthaste_local_lambda::{FunctionSpec, LogSink, Runner};
use posthaste_local_template::Throttling;
use tokio::net::TcpListener;

use super::*;

/// Lambda takes an event of at most this many bytes.
const LAMBDA_LIMIT: usize = 6 * 1024 * 1024;

/// Makes a gateway with the route `POST /events`, and the listener that accepts its invocations.
async fn gateway(throttling: Option<Throttling>, faults: &str) -> (Gateway, TcpListener) {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let spec = FunctionSpec {
        name: "silent".to_owned(),
        runner: Runner::External {
            invoke_url: format!("http://{}/", silent.local_addr().unwrap()),
        },
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(35),
        memory_mb: 256,
        max_concurrency: 1,
        allows_recursion: false,
    };
    let function = Function::start(spec, LogSink::tracing()).unwrap();
    let routes = Routes::new([("POST /events".to_owned(), "silent".to_owned())]).unwrap();
    let functions = BTreeMap::from([("silent".to_owned(), function)]);
    let gateway = Gateway {
        routes,
        functions,
        throttles: Throttles::new(throttling),
        faults: Faults::default(),
    };
    gateway.faults.set(faults.parse().unwrap());
    (gateway, silent)
}

async fn answer(gateway: &Gateway, content_type: &str, body: impl Into<Bytes>) -> (u16, String) {
    let request =
        Request::builder().method(Method::POST).uri("/events").header(CONTENT_TYPE, content_type);
    let response = gateway.answer(request.body(body.into()).unwrap()).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

fn own(status: u16, message: &str) -> (u16, String) {
    (status, format!(r#"{{"message":"{message}"}}"#))
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_answer_within_30_seconds_is_a_503() {
    let (gateway, _silent) = gateway(None, "").await;
    let began = Instant::now();
    assert_eq!(answer(&gateway, "application/json", "{}").await, own(503, "Service Unavailable"));
    let waited = began.elapsed();
    assert!(
        (INTEGRATION_TIMEOUT..INTEGRATION_TIMEOUT + Duration::from_secs(1)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_function_that_lambda_has_no_room_for_is_a_503() {
    let (gateway, _silent) = gateway(None, "busy=100%").await;
    assert_eq!(answer(&gateway, "application/json", "{}").await, own(503, "Service Unavailable"));
}

#[tokio::test]
async fn a_route_that_is_called_too_often_is_a_429() {
    let (gateway, _silent) = gateway(Some(Throttling { rate: 1, burst: 2 }), "busy=100%").await;
    for _ in 0..2 {
        assert_eq!(answer(&gateway, "application/json", "{}").await.0, 503);
    }
    assert_eq!(answer(&gateway, "application/json", "{}").await, own(429, "Too Many Requests"));
}

#[tokio::test]
async fn a_request_that_api_gateway_or_lambda_does_not_take_is_a_413() {
    let (gateway, _silent) = gateway(None, "").await;
    let too_large = own(413, "Request Entity Too Large");
    assert_eq!(
        answer(&gateway, "application/json", vec![b' '; 10 * 1024 * 1024 + 1]).await,
        too_large
    );
    // The event has the head of the request beside its body, which is in base64 or escaped as a
    // text.
    assert_eq!(answer(&gateway, "application/json", vec![b' '; LAMBDA_LIMIT]).await, too_large);
    assert_eq!(
        answer(&gateway, "application/octet-stream", vec![b' '; LAMBDA_LIMIT / 4 * 3]).await,
        too_large
    );
    assert_eq!(answer(&gateway, "application/json", vec![b'"'; LAMBDA_LIMIT / 2]).await, too_large);
}

#[tokio::test]
async fn what_has_no_route_is_a_404() {
    let (gateway, _silent) = gateway(None, "").await;
    let request = Request::builder().uri("/nowhere").body(Bytes::new()).unwrap();
    let response = gateway.answer(request).await;
    assert_eq!(
        (response.status().as_u16(), response.body().as_ref()),
        (404, br#"{"message":"Not Found"}"#.as_slice())
    );
}
