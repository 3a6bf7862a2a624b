//! Header lines are kept as they came. hyper's map of headers forgets the place of a repeated name
//! and the spelling of all, so a connection's bytes are recorded up to the end of each head.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The names and values of a request's headers, in the order and spelling in which they were sent.
/// Every request has this as an extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderLines(pub(crate) Vec<(String, String)>);

/// The bytes of the head that a connection reads, or has read last. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Arc<Mutex<Head>>);

#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Record {
    /// Begins anew: the next bytes belong to another request.
    pub(super) fn begin(&self) {
        *self.lock() = Head::default();
    }

    /// Returns the lines of the head that hyper has read as these headers. The head of a request
    /// that came before the last one was answered is not recorded, so its lines are made from the
    /// map.
    pub(super) fn header_lines(&self, headers: &HeaderMap) -> HeaderLines {
        match lines(&self.lock().bytes) {
            Some(lines) if are_the_same(&lines, headers) => HeaderLines(lines),
            _ => {
                let of_map = headers.iter();
                HeaderLines(
                    of_map
                        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                        .collect(),
                )
            }
        }
    }

    fn read(&self, bytes: &[u8]) {
        let mut head = self.lock();
        if !head.is_whole {
            let from = head.bytes.len().saturating_sub(3);
            head.bytes.extend_from_slice(bytes);
            head.is_whole = head.bytes[from..].windows(4).any(|end| end == b"\r\n\r\n");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(head: &[u8]) -> Option<Vec<(String, String)>> {
    let head = text(head);
    let fields = head.trim_start().lines().skip(1).take_while(|line| !line.is_empty());
    fields
        .map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn are_the_same(lines: &[(String, String)], headers: &HeaderMap) -> bool {
    lines.len() == headers.len()
        && lines.iter().all(|(name, value)| {
            headers.get_all(name.as_str()).iter().any(|other| text(other.as_bytes()) == *value)
        })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A connection whose bytes are recorded as they are read.
pub(super) struct Recorded {
    stream: TcpStream,
    record: Record,
}

impl Recorded {
    pub(super) fn new(stream: TcpStream, record: Record) -> Self {
        Self { stream, record }
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.record.read(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
