//! The receiver of the chaos verifies what arrives, and answers as badly as it is told.
//!
//! Each webhook has a hook of its own. The hook notes every request that came whole: which events
//! it brought, whether it is signed with a secret of this webhook, and which answer it got. It
//! runs on a thread of its own, so that the local system's work delays no answer.

mod connection;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{net::TcpListener, sync::oneshot};

use super::{dice::Dice, event::Mark};

/// A hook answers in one of these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// All goes well.
    Well,
    /// Each request meets something else, and every second one goes well.
    Mixed,
    /// Every answer is a 500.
    Failing,
    /// No request is answered.
    Hanging,
}

/// The moods that a hook can be put into, those of working endpoints more often than others.
pub(super) const MOODS: [Mood; 8] = [
    Mood::Well,
    Mood::Well,
    Mood::Mixed,
    Mood::Mixed,
    Mood::Mixed,
    Mood::Mixed,
    Mood::Failing,
    Mood::Hanging,
];

/// A request that a hook has read to its end.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The time of arrival in Unix microseconds.
    pub(super) at_us: i64,
    /// The time of the answer, once its head is written.
    pub(super) answered_us: Option<i64>,
    /// The step in the trace, which tells the attempt that the request was made for.
    pub(super) span: u64,
    pub(super) marks: Vec<Mark>,
    /// A secret of this webhook has signed the request.
    pub(super) signed: bool,
    /// The data of every event is in the body byte for byte.
    pub(super) intact: bool,
    /// The status of the answer, once its head is written.
    pub(super) status: Option<u16>,
    /// The answer was a whole one that says success by the webhook's profile.
    pub(super) succeeded: bool,
}

/// The receiver has to know this of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    /// Requests have the data of their events byte for byte. Slack's show parts of it.
    pub(super) has_data: bool,
    /// 200 alone is a success, and no other 2xx.
    pub(super) only_200: bool,
    /// A success has the body `ok`.
    pub(super) wants_ok: bool,
}

/// A hook is the endpoint of one webhook.
#[derive(Debug)]
pub(super) struct Hook {
    url: String,
    manners: Manners,
    mood: Mutex<Mood>,
    secrets: Mutex<Vec<String>>,
    seen: Mutex<Vec<Seen>>,
}

impl Hook {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn feel(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    /// Adds a secret that signs this webhook's requests.
    pub(super) fn trust(&self, secret: &str) {
        lock(&self.secrets).push(secret.to_owned());
    }

    /// Returns all requests so far, in the order of their arrival.
    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    fn note(&self, seen: Seen) -> usize {
        let mut all = lock(&self.seen);
        all.push(seen);
        all.len() - 1
    }

    /// Notes the answer to a request.
    fn answered(&self, request: usize, status: u16, succeeded: bool) {
        if let Some(seen) = lock(&self.seen).get_mut(request) {
            (seen.status, seen.succeeded) = (Some(status), succeeded);
            seen.answered_us = Some(now_us());
        }
    }
}

/// All connections share this.
struct Shared {
    hooks: Mutex<BTreeMap<String, Arc<Hook>>>,
    dice: Dice,
    is_calm: AtomicBool,
    /// Requests to paths that no webhook has.
    strays: Mutex<Vec<String>>,
}

/// The running receiver. It ends when this is dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _end: oneshot::Sender<()>,
}

impl Receiver {
    pub(super) fn start(seed: u64) -> anyhow::Result<Self> {
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).context("the receiver found no port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            hooks: Mutex::default(),
            dice: Dice::new(seed),
            is_calm: AtomicBool::new(false),
            strays: Mutex::default(),
        });
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let known = shared.clone();
        std::thread::Builder::new().name("chaos-receiver".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, known) => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { address, shared, _end: end })
    }

    /// Makes the hook of this name.
    pub(super) fn hook(&self, name: &str, manners: Manners) -> Arc<Hook> {
        let path = format!("/{name}");
        let url = format!("http://{}{path}", self.address);
        let hook = Arc::new(Hook {
            url,
            manners,
            mood: Mutex::new(Mood::Well),
            secrets: Mutex::default(),
            seen: Mutex::default(),
        });
        lock(&self.shared.hooks).insert(path, hook.clone());
        hook
    }

    /// Lets every request go well from now on, and those that hang end.
    pub(super) fn calm(&self) {
        self.shared.is_calm.store(true, Ordering::SeqCst);
    }

    /// Lists the paths of requests that no webhook was registered for.
    pub(super) fn strays(&self) -> Vec<String> {
        lock(&self.shared.strays).clone()
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("the receiver does not listen: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection::serve(stream, shared.clone()));
            }
            Err(error) => {
                eprintln!("the receiver can't accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The time in Unix microseconds.
pub(super) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
