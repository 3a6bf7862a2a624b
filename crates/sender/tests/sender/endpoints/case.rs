//! An endpoint, and how it is called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use posthaste_sender::{Outcome, Sender};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch};

use crate::server::{post_body, sender, server, until_closed};

/// The time of a request that need not run out of it.
const ENOUGH: Duration = Duration::from_secs(20);

/// An endpoint that is called once, or twice.
pub(crate) struct Case {
    /// What the endpoint does, as the document says it.
    pub(crate) does: String,
    pub(crate) url: String,
    pub(crate) sender: Sender,
    /// The whole requests that the endpoint got.
    pub(crate) arrived: Arc<AtomicUsize>,
    /// True if a request that succeeds goes before.
    pub(crate) warm_up: bool,
    /// Turns true when the endpoint has closed a connection, for which the second request waits.
    pub(crate) closed: Option<watch::Receiver<bool>>,
    /// The bytes of the request's body.
    pub(crate) bytes: usize,
    pub(crate) timeout: Duration,
    /// What operators read as the cause of the failure.
    pub(crate) because: &'static str,
}

impl Case {
    pub(crate) fn new(does: impl Into<String>, url: String, sender: Sender) -> Self {
        Self {
            does: does.into(),
            url,
            sender,
            arrived: Arc::default(),
            warm_up: false,
            closed: None,
            bytes: 300,
            timeout: ENOUGH,
            because: "",
        }
    }

    /// The same, with the cause that operators have to read.
    pub(crate) fn because(self, because: &'static str) -> Self {
        Self { because, ..self }
    }

    /// The same, within three seconds.
    pub(crate) fn within_three_seconds(self) -> Self {
        Self { timeout: Duration::from_secs(3), ..self }
    }

    pub(crate) async fn send(&self) -> Outcome {
        post_body(&self.sender, &self.url, self.timeout, vec![b'x'; self.bytes]).await
    }
}

/// The end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// The endpoint closes it.
    Close,
    /// The endpoint resets it.
    Reset,
    /// The endpoint leaves it open.
    Stay,
}

impl End {
    pub(crate) async fn of(self, mut stream: TcpStream) {
        match self {
            Self::Close => {}
            Self::Reset => stream.set_zero_linger().unwrap(),
            Self::Stay => until_closed(&mut stream).await,
        }
    }
}

/// An endpoint that reads a request, answers with these bytes, and ends the connection like this.
pub(crate) async fn answers(does: impl Into<String>, bytes: impl AsRef<[u8]>, end: End) -> Case {
    let bytes: Arc<[u8]> = bytes.as_ref().into();
    handles(does, move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.write_all(&bytes).await;
            end.of(stream).await;
        }
    })
    .await
}

/// An endpoint that does something with each connection after its first request.
pub(crate) async fn handles<F>(
    does: impl Into<String>,
    then: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> Case
where
    F: Future<Output = ()> + Send + 'static,
{
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = arrived.clone();
    let address = server(move |_, stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        then(stream)
    })
    .await;
    Case { arrived, ..Case::new(does, format!("http://{address}/"), sender()) }
}

/// An answer of HTTP/1.1 with this status, these further header lines and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
