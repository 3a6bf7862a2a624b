//! Versions of HTTP, and how an answer says where it ends.

use crate::endpoints::case::{Case, End, answers};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// The frames of HTTP/2 by which a server begins, and then complains about what is no preface:
/// SETTINGS, and GOAWAY with PROTOCOL_ERROR.
pub(crate) const HTTP_2: &[u8] =
    &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

pub(crate) async fn cases() -> Vec<Case> {
    let mut cases = versions().await;
    cases.extend(lengths().await);
    cases
}

async fn versions() -> Vec<Case> {
    let old = "HTTP/1.0 200 OK\r\n";
    vec![
        answers("HTTP/1.0, without a length, and closes", format!("{old}\r\nok"), End::Close).await,
        answers(
            "HTTP/1.0 with a length, and `connection: keep-alive`",
            format!("{old}connection: keep-alive\r\ncontent-length: 2\r\n\r\nok"),
            End::Stay,
        )
        .await,
        answers("HTTP/0.9: a body and nothing else", "ok", End::Close)
            .await
            .because("invalid HTTP version"),
        answers("HTTP/2, though it was asked in HTTP/1.1", HTTP_2, End::Close)
            .await
            .because("invalid HTTP version"),
        answers("a status line that says HTTP/2", "HTTP/2 200 \r\n\r\n", End::Close)
            .await
            .because("invalid HTTP version"),
        answers("a status line that says ICY", "ICY 200 OK\r\n\r\n", End::Close)
            .await
            .because("invalid HTTP version"),
        answers("the greeting of a mail server", "220 mx.example.com ESMTP\r\n", End::Stay)
            .await
            .because("invalid HTTP version"),
    ]
}

async fn lengths() -> Vec<Case> {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunks = |chunks: &str| format!("{CHUNKED}{chunks}");
    vec![
        answers("HTTP/1.1 without a length, and closes", format!("{head}\r\nok"), End::Close).await,
        answers("chunks", chunks("2\r\nok\r\n0\r\n\r\n"), End::Stay).await,
        answers(
            "chunks with extensions and trailers",
            chunks("2;a=b\r\nok\r\n0\r\nx-trailer: y\r\n\r\n"),
            End::Stay,
        )
        .await,
        answers("a chunk whose size is not a number", chunks("x\r\nok\r\n"), End::Stay)
            .await
            .because("Invalid chunk size line"),
        answers("a chunk that is longer than its size", chunks("1\r\nok\r\n0\r\n\r\n"), End::Stay)
            .await
            .because("Invalid chunk body CR"),
        answers("chunks that end before the last one", chunks("2\r\nok\r\n"), End::Close).await,
        answers(
            "chunks and a length, which contradict each other",
            format!("{head}content-length: 100\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            End::Stay,
        )
        .await,
        answers(
            "two lengths that differ",
            format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\nok"),
            End::Close,
        )
        .await
        .because("invalid content-length parsed"),
        answers(
            "a length and more bytes than that",
            format!("{head}content-length: 2\r\n\r\nok and more"),
            End::Stay,
        )
        .await,
    ]
}
