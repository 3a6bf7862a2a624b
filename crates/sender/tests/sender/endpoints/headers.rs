//! Statuses, headers and bodies.

use crate::endpoints::case::{Case, End, answer, answers};

pub(crate) async fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    for informational in ["100 Continue", "102 Processing", "103 Early Hints"] {
        let early = format!("HTTP/1.1 {informational}\r\nlink: </a>\r\n\r\n");
        let does = format!("`{informational}`, and then 200");
        cases.push(answers(does, early + &answer("200 OK", "", ""), End::Stay).await);
    }
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    cases.push(answers("101, which switches to another protocol", switch, End::Stay).await);
    for (does, status, headers) in [
        ("201", "201 Created", ""),
        ("202", "202 Accepted", ""),
        ("299", "299 Odd", ""),
        ("301, with a `location`", "301 Moved", "location: /elsewhere\r\n"),
        ("307, with a `location`", "307 Moved", "location: /elsewhere\r\n"),
        ("304", "304 Not Modified", ""),
        ("400", "400 Bad Request", ""),
        ("401", "401 Unauthorized", "www-authenticate: Basic\r\n"),
        ("410", "410 Gone", ""),
        ("413, for a single event", "413 Content Too Large", ""),
        ("429", "429 Too Many Requests", ""),
        ("429, with `retry-after: 600`", "429 Slow", "retry-after: 600\r\n"),
        ("503, with `retry-after: 600`", "503 Later", "retry-after: 600\r\n"),
        ("500, with `retry-after: 600`", "500 No", "retry-after: 600\r\n"),
        (
            "503, with a `retry-after` that is neither a date nor a number",
            "503 Later",
            "retry-after: soon\r\n",
        ),
        ("600", "600 Odd", ""),
        ("999", "999 Denied", ""),
    ] {
        cases.push(answers(does, answer(status, headers, ""), End::Stay).await);
    }
    for (does, status) in [("000", "000 None"), ("099", "099 Low"), ("1000", "1000 High")] {
        cases.push(answers(does, answer(status, "", ""), End::Close).await.because("status"));
    }
    cases.push(answers("200, without a reason", answer("200", "", ""), End::Stay).await);
    cases.push(
        answers(
            "200, with a reason that is not ASCII",
            answer("200 sch\u{f6}n", "", ""),
            End::Stay,
        )
        .await,
    );
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    cases.push(answers("204", no_content, End::Stay).await);
    cases.push(answers("204, with a body", answer("204 No Content", "", "ok"), End::Stay).await);
    cases.push(answers("205, with a body", answer("205 Reset", "", "ok"), End::Stay).await);
    cases
}

pub(crate) async fn cases() -> Vec<Case> {
    let mut cases = heads().await;
    cases.extend(bodies().await);
    cases
}

async fn heads() -> Vec<Case> {
    // One of the headers is the length.
    let many = |count: usize| answer("200 OK", &"x: y\r\n".repeat(count - 1), "");
    let long = |kib: usize| answer("200 OK", &format!("x: {}\r\n", "y".repeat(kib * 1024)), "");
    let latin: &[u8] = b"HTTP/1.1 200 OK\r\nx-city: K\xf6ln\r\ncontent-length: 0\r\n\r\n";
    let zero = answer("200 OK", "x: a\0b\r\n", "");
    vec![
        answers("a header that is not UTF-8", latin, End::Stay).await,
        answers("a header with a zero byte", zero, End::Close).await.because("header"),
        answers(
            "a header that goes on in the next line",
            answer("200 OK", "x: a\r\n b\r\n", ""),
            End::Close,
        )
        .await
        .because("header"),
        answers("a space before a header's colon", answer("200 OK", "x : a\r\n", ""), End::Close)
            .await
            .because("header"),
        answers("100 headers", many(100), End::Stay).await,
        answers("101 headers", many(101), End::Stay).await.because("too large"),
        answers("a head of 300 KiB", long(300), End::Stay).await,
        answers("a head of 500 KiB", long(500), End::Stay).await.because("too large"),
    ]
}

async fn bodies() -> Vec<Case> {
    let text = |bytes: usize| "x".repeat(bytes);
    vec![
        answers("200, with a body of 1 MiB", answer("200 OK", "", &text(1 << 20)), End::Stay).await,
        answers("500, with a body of 1 MiB", answer("500 No", "", &text(1 << 20)), End::Stay).await,
        answers(
            "200, with 16 KiB of a body that is said to have 1 GiB",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n{}", text(16 << 10)),
            End::Stay,
        )
        .await,
        answers(
            "a body that is compressed, which nobody asked for",
            answer("200 OK", "content-encoding: gzip\r\n", "not even gzip"),
            End::Stay,
        )
        .await,
        answers(
            "a body that is a page, with status 200",
            answer("200 OK", "content-type: text/html\r\n", "<h1>Error</h1>"),
            End::Stay,
        )
        .await,
    ]
}
