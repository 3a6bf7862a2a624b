//! Measures how much memory an endpoint can make the client take. It is alone in its binary,
//! because all that the process allocates is counted.
#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator is unsafe to write")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Request, Sender};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// The head's 400 KiB, and room for how its buffer grows.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// The bytes that an endpoint sends if nobody stops it.
const SENT_BYTES: usize = 16 * 1024 * 1024;

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST_TAKEN: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on as it is. What the default methods of the trait make of them is
// counted, too.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = TAKEN.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        MOST_TAKEN.fetch_max(taken, Ordering::SeqCst);
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promises are System's, which has given out this memory.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Answers one connection: with the beginning, and then with the same again and again, up to
/// sixteen megabytes.
async fn answer(listener: &TcpListener, beginning: &str, on: &str) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let _ = stream.read(&mut [0; 4096]).await?;
    stream.write_all(beginning.as_bytes()).await?;
    for _ in 0..SENT_BYTES / on.len() {
        stream.write_all(on.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_endpoint_makes_the_client_take_more_than_its_share() {
    let policy = UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() };
    let sender = Sender::new(policy, "Posthaste/test").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = PublicUrl::try_from(format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let filler = "x".repeat(64 * 1024);
    let lines = "x: y\r\n".repeat(10_000);
    let answers = [
        (
            "a body of its length",
            "HTTP/1.1 200 OK\r\ncontent-length: 16777216\r\n\r\n".to_owned(),
            &filler,
        ),
        ("a body of no length", "HTTP/1.1 200 OK\r\n\r\n".to_owned(), &filler),
        ("a large chunk", format!("{chunked}1000000\r\n"), &filler),
        ("small chunks", chunked.to_owned(), &"1\r\nx\r\n".repeat(10_000)),
        ("an extension of a chunk", format!("{chunked}1;"), &filler),
        ("a trailer", format!("{chunked}0\r\nx: "), &filler),
        ("many trailers", format!("{chunked}0\r\n"), &lines),
        ("a header", "HTTP/1.1 200 OK\r\nx: ".to_owned(), &filler),
        ("many headers", "HTTP/1.1 200 OK\r\n".to_owned(), &lines),
        ("a reason", "HTTP/1.1 200 ".to_owned(), &filler),
        (
            "heads before the head",
            String::new(),
            &"HTTP/1.1 103 Hints\r\nlink: <a>\r\n\r\n".repeat(2_000),
        ),
    ];
    for (what, beginning, on) in &answers {
        let timeout = Duration::from_secs(60);
        let request = Request { url: &url, headers: vec![], body: "{}".into(), timeout };
        let before = TAKEN.load(Ordering::SeqCst);
        MOST_TAKEN.store(before, Ordering::SeqCst);
        let _ = tokio::join!(sender.send(request), answer(&listener, beginning, on));
        let taken = MOST_TAKEN.load(Ordering::SeqCst) - before;
        assert!(taken <= MOST_BYTES, "{what}: {taken} bytes");
    }
}
