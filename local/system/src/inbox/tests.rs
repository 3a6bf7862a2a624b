use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

async fn start() -> (Inbox, Server, String) {
    let inbox = Inbox::default();
    let (server, url) = inbox.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    (inbox, server, url.strip_prefix("http://").unwrap().to_owned())
}

/// Sends these texts on one connection, each when the one before has been answered, and returns the
/// answers.
async fn send(address: &str, texts: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answers = Vec::new();
    for text in texts {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !is_whole(&answer) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        answers.push(answer);
    }
    answers
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.unwrap().parse().unwrap()
}

fn lines(request: &Arrived) -> Vec<(&str, &str)> {
    request.header_lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn the_header_lines_are_those_that_were_sent_in_each_request_of_a_connection() {
    let (inbox, _server, address) = start().await;
    let first = "POST /inbox/mine HTTP/1.1\r\nHost: localhost\r\nX-Twice: \
        1\r\nwebhook-id:  a  \r\nx-twice: 2\r\nContent-Length: 4\r\nEmpty:\r\n\r\nB: c";
    let chunked = "POST /inbox/mine HTTP/1.1\r\ntransfer-encoding: chunked\r\nb: 1\r\nhost: \
        localhost\r\na: 2\r\nb: 3\r\n\r\n3\r\na:b\r\n0\r\n\r\n";
    send(&address, &[first, chunked, first]).await;
    let arrived = inbox.arrived("mine");
    let sent = [
        ("Host", "localhost"),
        ("X-Twice", "1"),
        ("webhook-id", "a"),
        ("x-twice", "2"),
        ("Content-Length", "4"),
        ("Empty", ""),
    ];
    assert_eq!(lines(&arrived[0]), sent);
    assert_eq!(
        (arrived[0].body.as_str(), arrived[0].headers["webhook-id"].as_str()),
        ("B: c", "a")
    );
    let sent_in_chunks = [
        ("transfer-encoding", "chunked"),
        ("b", "1"),
        ("host", "localhost"),
        ("a", "2"),
        ("b", "3"),
    ];
    assert_eq!(lines(&arrived[1]), sent_in_chunks);
    assert_eq!(lines(&arrived[2]), sent);
    let shown = serde_json::to_value(&arrived[1]).unwrap();
    assert_eq!(shown["headerLines"][0], json!(["transfer-encoding", "chunked"]));
}

#[tokio::test]
async fn requests_sent_without_waiting_lose_no_header() {
    let (inbox, _server, address) = start().await;
    let one = "POST /inbox/mine HTTP/1.1\r\nhost: localhost\r\na: 1\r\ncontent-length: 0\r\n\r\n";
    let other =
        "POST /inbox/mine HTTP/1.1\r\nhost: localhost\r\nb: 2\r\nc: 3\r\ncontent-length: 0\r\n\r\n";
    send(&address, &[&format!("{one}{other}")]).await;
    let both = |arrived: &[Arrived]| arrived.len() == 2;
    let arrived = inbox.wait("mine", both, Duration::from_secs(20)).await.unwrap();
    assert_eq!(lines(&arrived[0]), [("host", "localhost"), ("a", "1"), ("content-length", "0")]);
    assert_eq!(lines(&arrived[1]).len(), 4);
    assert!(lines(&arrived[1]).contains(&("c", "3")));
}

#[tokio::test]
async fn a_default_answer_stays_while_scripts_come_and_go() {
    let (inbox, _server, address) = start().await;
    let headers = [("content-type", "application/json"), ("x-slack-no-retry", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    inbox.respond_by_default(
        "slack",
        Some(Answer { body: "ok".to_owned(), headers, ..Answer::status(202, 1) }),
    );
    inbox.respond("slack", [Answer::status(500, 1)]);
    let request = "POST /inbox/slack HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    let answers = send(&address, &[request; 3]).await;
    assert!(answers[0].starts_with("HTTP/1.1 500 "), "{}", answers[0]);
    for answer in &answers[1..] {
        assert!(answer.starts_with("HTTP/1.1 202 ") && answer.ends_with("\r\n\r\nok"), "{answer}");
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        assert!(answer.contains("x-slack-no-retry: 1\r\n"), "{answer}");
    }
    inbox.respond_by_default("slack", None);
    assert!(send(&address, &[request]).await[0].starts_with("HTTP/1.1 200 "));
    assert_eq!(
        inbox.arrived("slack").iter().map(|request| request.answered).collect::<Vec<_>>(),
        [500, 202, 202, 200]
    );
}

#[tokio::test]
async fn a_time_of_arrival_is_in_milliseconds_and_in_microseconds() {
    let (inbox, _server, address) = start().await;
    let before = now_us();
    send(&address, &["POST /inbox/mine HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"])
        .await;
    let request = inbox.arrived("mine").remove(0);
    assert!((before..=now_us()).contains(&request.at_us));
    assert_eq!(request.at_us / 1000, request.at_ms);
    let shown = serde_json::to_value(&request).unwrap();
    assert_eq!((&shown["atUs"], &shown["atMs"]), (&json!(request.at_us), &json!(request.at_ms)));
}
