//! A connection brings HTTP/1.1 requests with a content-length, one after the other.

use std::{collections::BTreeMap, io, sync::Arc, sync::atomic::Ordering, time::Duration};

use posthaste_local::inbox::verify;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{Hook, Manners, Mood, Seen, Shared, lock, now_us};
use crate::chaos::event::{Kind, Mark, Published, marks};

/// The receiver does one of these things with a request that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Answers with this status, after this many milliseconds.
    Status { status: u16, after_ms: u64 },
    /// Answers 429 and asks for a second's wait.
    Busy,
    /// Closes the connection with RST.
    Reset,
    /// Never answers.
    Hang,
    /// Sends the head of a 200, and then a byte of the body every 300 ms without end.
    Drip,
    /// Says 200 and promises more of a body than it sends before it closes the connection.
    CutShort,
    /// Says something that looks like success and is none, where the profile knows such a thing.
    Lie,
}

const WELL: Answer = Answer::Status { status: 200, after_ms: 0 };
const DRIP_EVERY: Duration = Duration::from_millis(300);
/// A hanging connection looks this often whether it is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A request as it came.
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Serves a connection to its end. A client that goes away is none of our business.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = next(&mut stream, &mut buffer).await {
        let hook = lock(&shared.hooks).get(&request.path).cloned();
        let Some(hook) = hook else {
            lock(&shared.strays).push(request.path);
            return;
        };
        let noted = hook.note(seen(&hook, &request));
        let answer = choose(&hook, &shared);
        if !matches!(give(&mut stream, answer, &hook, noted, &shared).await, Ok(true)) {
            return;
        }
    }
}

/// Chooses the answer to a request by the hook's mood.
fn choose(hook: &Hook, shared: &Shared) -> Answer {
    if shared.is_calm.load(Ordering::SeqCst) {
        return WELL;
    }
    let mood = *lock(&hook.mood);
    match mood {
        Mood::Well => WELL,
        Mood::Failing => Answer::Status { status: 500, after_ms: 0 },
        Mood::Hanging => Answer::Hang,
        Mood::Mixed => match shared.dice.roll(100) {
            0..50 => WELL,
            50..60 => Answer::Status { status: 200, after_ms: 150 },
            60..70 => Answer::Status { status: 500, after_ms: 0 },
            70..75 => Answer::Status { status: 413, after_ms: 0 },
            75..80 => Answer::Busy,
            80..86 => Answer::Reset,
            86..90 => Answer::CutShort,
            90..95 => Answer::Lie,
            95..97 => Answer::Status { status: 200, after_ms: 1200 },
            97..99 => Answer::Hang,
            _ => Answer::Drip,
        },
    }
}

/// Gives the answer and notes it. True if the connection can bring another request.
async fn give(
    stream: &mut TcpStream,
    answer: Answer,
    hook: &Hook,
    noted: usize,
    shared: &Shared,
) -> io::Result<bool> {
    match answer {
        Answer::Status { status, after_ms } => {
            sleep(Duration::from_millis(after_ms)).await;
            hook.answered(noted, status, status == 200);
            stream.write_all(&whole(status, "ok", "")).await?;
        }
        Answer::Busy => {
            hook.answered(noted, 429, false);
            stream.write_all(&whole(429, "no", "retry-after: 1\r\n")).await?;
        }
        Answer::Lie => {
            let (status, body, succeeded) = lie(hook.manners);
            hook.answered(noted, status, succeeded);
            stream.write_all(&whole(status, body, "")).await?;
        }
        Answer::CutShort => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nok").await?;
            stream.shutdown().await?;
            return Ok(false);
        }
        Answer::Reset => {
            let _ = stream.set_zero_linger();
            return Ok(false);
        }
        Answer::Hang => {
            hang(stream, shared).await;
            return Ok(false);
        }
        Answer::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            while !shared.is_calm.load(Ordering::SeqCst) {
                sleep(DRIP_EVERY).await;
                stream.write_all(b"1\r\nx\r\n").await?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the status and the body of an answer that looks like a success, and whether it is one.
fn lie(manners: Manners) -> (u16, &'static str, bool) {
    match manners {
        Manners { wants_ok: true, .. } => (200, "not ok", false),
        Manners { only_200: true, .. } => (202, "ok", false),
        _ => (202, "", true),
    }
}

fn whole(status: u16, body: &str, header: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Said\r\n{header}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Waits until the client gives up, or the calm comes.
async fn hang(stream: &mut TcpStream, shared: &Shared) {
    let mut ignored = [0; 64];
    while !shared.is_calm.load(Ordering::SeqCst) {
        tokio::select! {
            read = stream.read(&mut ignored) => {
                if !read.is_ok_and(|read| read > 0) {
                    return;
                }
            }
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Reads a request, or nothing at the end of the connection.
async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let end = head_end + length;
    while buffer.len() < end {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end..end].to_vec();
    buffer.drain(..end);
    Ok(Some(Request { path, headers, body }))
}

/// Reads off a request what the account needs of it.
fn seen(hook: &Hook, request: &Request) -> Seen {
    let marks = marks(&request.body);
    let signed = lock(&hook.secrets)
        .iter()
        .any(|secret| verify(secret, &request.headers, &request.body).standard);
    let intact = !hook.manners.has_data || marks.iter().all(|mark| has_data(&request.body, *mark));
    let span = request.headers.get("traceparent").map_or(0, |header| span(header));
    Seen {
        at_us: now_us(),
        answered_us: None,
        span,
        marks,
        signed,
        intact,
        status: None,
        succeeded: false,
    }
}

/// Tells if a body has the data of an event byte for byte. Data of a run ends with the run's name,
/// which the account knows and the receiver does not, so it is compared up to there.
fn has_data(body: &[u8], mark: Mark) -> bool {
    let data = Published { mark, kind: Kind::Plain(0), id: None }.data();
    let begin = &data.as_bytes()[..data.len() - 1];
    body.windows(begin.len()).any(|window| window == begin)
}

/// Reads the step of a `traceparent`: its third part.
fn span(header: &str) -> u64 {
    header.split('-').nth(2).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_of_a_trace_is_read() {
        assert_eq!(
            span("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"),
            0xf067aa0ba902b7
        );
        assert_eq!(span("nonsense"), 0);
    }

    #[test]
    fn changed_data_is_not_intact() {
        let mark = Mark { workspace: 1, number: 5 };
        let data = Published { mark, kind: Kind::Step { run: 2 }, id: None }.data();
        assert!(has_data(data.as_bytes(), mark));
        assert!(!has_data(data.replace("1.50", "1.5").as_bytes(), mark));
        assert!(!has_data(data.as_bytes(), Mark { workspace: 1, number: 55 }));
    }

    #[test]
    fn only_profiles_that_take_any_2xx_believe_a_202() {
        let manners = Manners { has_data: true, only_200: false, wants_ok: false };
        assert!(lie(manners).2);
        assert!(!lie(Manners { only_200: true, ..manners }).2);
        assert!(!lie(Manners { wants_ok: true, ..manners }).2);
    }
}
