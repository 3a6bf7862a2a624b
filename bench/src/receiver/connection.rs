//! A connection brings HTTP/1.1 requests with a content-length, one after the other.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{Behaviour, Hooks, Request, lock};
use crate::clock;

const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const FAILURE: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";
const UNKNOWN: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const DRIP_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const DRIP: &[u8] = b"1\r\nx\r\n";
const DRIP_EVERY: Duration = Duration::from_millis(300);

/// The number of an event in a body comes after these bytes.
const NUMBER: &[u8] = br#""n":"#;

/// Serves a connection to its end. A client that goes away is none of our business.
pub(super) async fn serve(mut stream: TcpStream, hooks: Hooks) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(path)) = next(&mut stream, &mut buffer, &hooks).await {
        let hook = lock(&hooks).get(&path).cloned();
        let answered = match hook.map(|hook| hook.current_behaviour()) {
            None => stream.write_all(UNKNOWN).await,
            Some(Behaviour::Well) => stream.write_all(WELL).await,
            Some(Behaviour::Fail) => stream.write_all(FAILURE).await,
            Some(Behaviour::Slow(time)) => {
                sleep(time).await;
                stream.write_all(WELL).await
            }
            Some(Behaviour::Hang) => return hang(&mut stream).await,
            Some(Behaviour::Drip) => return drip(&mut stream).await,
            Some(Behaviour::Reset) => {
                let _ = stream.set_zero_linger();
                return;
            }
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Reads a request, notes it with its hook, and returns its path. It returns nothing at the end of
/// the connection.
async fn next(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    hooks: &Hooks,
) -> io::Result<Option<String>> {
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let end = head_end + content_length(&head);
    while buffer.len() < end {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let at_us = clock::now_us();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    if let Some(hook) = lock(hooks).get(&path) {
        hook.note(Request { at_us, events: numbers(&buffer[head_end..end]) }, end);
    }
    buffer.drain(..end);
    Ok(Some(path))
}

fn content_length(head: &str) -> usize {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// Finds the numbers of all events in a body, in their order.
fn numbers(body: &[u8]) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut rest = body;
    while let Some(at) = find(rest, NUMBER) {
        rest = &rest[at + NUMBER.len()..];
        let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
        numbers.extend(String::from_utf8_lossy(&digits).parse::<usize>());
    }
    numbers
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Waits until the client gives up.
async fn hang(stream: &mut TcpStream) {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

async fn drip(stream: &mut TcpStream) {
    let mut sent = stream.write_all(DRIP_HEAD).await;
    while sent.is_ok() {
        sleep(DRIP_EVERY).await;
        sent = stream.write_all(DRIP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_the_numbers_of_its_events() {
        assert_eq!(numbers(br#"{"type":"order.created","timestamp":"x","data":{"n":17}}"#), [17]);
        assert_eq!(numbers(br#"{"results":[{"data":{"n":3}},{"data":{"n":40}}]}"#), [3, 40]);
        assert_eq!(numbers(b"{}"), [0; 0]);
    }

    #[test]
    fn the_length_of_a_body_is_found_in_any_spelling() {
        assert_eq!(
            content_length("POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\n\r\n"),
            12
        );
        assert_eq!(content_length("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), 0);
    }
}
