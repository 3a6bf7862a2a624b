//! Answers that end too early, and answers that are not HTTP.

use std::{net::SocketAddr, sync::Arc};

use posthaste_sender::code;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::server::{answering, code_of, post, read_request, sender, server, taken_port};

/// A server that answers with these bytes and then resets the connection.
async fn resetting(bytes: &'static str) -> SocketAddr {
    server(move |_, mut stream| async move {
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_none() {
    for part in [
        "",
        "H",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ] {
        for address in [answering(part).await, resetting(part).await] {
            let error =
                post(&sender(), &format!("http://{address}/")).await.result.expect_err(part);
            assert_eq!((error.code, error.ours), (code::CONNECTION_CLOSED, false), "{part}");
        }
    }
    let nobody = taken_port();
    assert_eq!(code_of(post(&sender(), &format!("http://{nobody}/")).await), code::CONNECT_FAILED);
}

#[tokio::test]
async fn what_is_not_http_is_said() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "220 mail.example.com ESMTP\r\n",
        "-ERR unknown command 'POST'\r\n",
        "\x15\x03\x03\x00\x02\x02\x28",
        "<html>hello</html>\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/3 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nspace : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ncontent-length: 0x1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\nx\n0\n\n",
    ] {
        let address = answering(answer).await;
        let error = post(&sender(), &format!("http://{address}/")).await.result.expect_err(answer);
        assert_eq!(
            (error.code, error.ours),
            (code::INVALID_RESPONSE, false),
            "{answer:?}: {}",
            error.detail
        );
    }
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_is_not_taken() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 204 Planted\r\n\r\n";
    let address = server(move |_, mut stream| async move {
        stream.write_all(smuggled.as_bytes()).await.unwrap();
        while read_request(&mut stream).await.is_some() {
            let _ = stream.write_all(smuggled.as_bytes()).await;
        }
    })
    .await;
    let sender = sender();
    for _ in 0..3 {
        assert_eq!(post(&sender, &format!("http://{address}/")).await.result.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_switch_to_another_protocol_is_an_answer_and_ends_the_connection() {
    let (ended, mut endings) = tokio::sync::mpsc::unbounded_channel();
    let ended = Arc::new(ended);
    let address = server(move |_, mut stream: TcpStream| {
        let ended = ended.clone();
        async move {
            let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: \
                h2c\r\n\r\nhello";
            stream.write_all(head).await.unwrap();
            let _ = ended.send(read_request(&mut stream).await);
        }
    })
    .await;
    let response = post(&sender(), &format!("http://{address}/")).await.result.unwrap();
    assert_eq!((response.status, response.body.len()), (101, 0));
    assert_eq!(endings.recv().await, Some(None));
}
