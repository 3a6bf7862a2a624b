use std::fmt;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// A line of more bytes comes in pieces, because an event of CloudWatch Logs has no more.
const LINE_LIMIT: u64 = 256 * 1024;

/// A line that a process wrote, without its line break.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The name of the function that wrote it.
    pub function: &'a str,
    /// The number of the function's process.
    pub instance: u64,
    /// The stream that the process wrote to.
    pub stream: LogStream,
    /// The text of the line. Bytes that are not UTF-8 are replaced.
    pub text: &'a str,
}

/// A process has two streams for its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output, where the functions log.
    Stdout,
    /// Standard error, where a panic is written.
    Stderr,
}

/// A sink takes the lines that functions write.
#[derive(Clone)]
pub struct LogSink(Arc<dyn Fn(LogLine<'_>) + Send + Sync>);

impl LogSink {
    /// Makes a sink that calls `take` with each line, in the order of each stream. `take` must not
    /// block.
    pub fn new(take: impl Fn(LogLine<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Makes a sink that writes each line as a `tracing` event of the target `lambda`, with the
    /// fields `function` and `instance`.
    pub fn tracing() -> Self {
        Self::new(|line| {
            tracing::info!(
                target: "lambda", function = line.function, instance = line.instance, "{}",
                line.text
            )
        })
    }

    /// Hands a line to the sink.
    pub fn take(&self, line: LogLine<'_>) {
        (self.0)(line);
    }

    /// Passes on every line of `stream` until its end.
    pub(crate) async fn forward(
        &self,
        function: &str,
        instance: u64,
        stream: LogStream,
        source: impl AsyncRead + Unpin,
    ) -> std::io::Result<()> {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            if (&mut source).take(LINE_LIMIT).read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
            self.take(LogLine { function, instance, stream, text: &text });
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn each_line_is_passed_on_as_it_is_and_the_last_needs_no_end() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = LogSink::new({
            let lines = Arc::clone(&lines);
            move |line| {
                lines.lock().unwrap().push((line.instance, line.stream, line.text.to_owned()))
            }
        });
        sink.forward("echo", 3, LogStream::Stderr, &b"one\n\n {\"two\":2} \nthr\xffee"[..])
            .await
            .unwrap();
        assert_eq!(
            *lines.lock().unwrap(),
            ["one", "", " {\"two\":2} ", "thr\u{fffd}ee"].map(|text| (
                3,
                LogStream::Stderr,
                text.to_owned()
            ))
        );
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces() {
        let lengths = Arc::new(Mutex::new(Vec::new()));
        let sink = LogSink::new({
            let lengths = Arc::clone(&lengths);
            move |line| lengths.lock().unwrap().push(line.text.len())
        });
        sink.forward("echo", 1, LogStream::Stdout, &vec![b'x'; 300 * 1024][..]).await.unwrap();
        assert_eq!(*lengths.lock().unwrap(), [256 * 1024, 44 * 1024]);
    }
}
