//! This light receiver reads requests, notes when each arrived and which events it brought, and
//! answers as its hook behaves.
//!
//! It runs on a thread of its own, so that the local system's work delays no time of arrival.

mod connection;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{net::TcpListener, sync::oneshot};

use crate::cpu::Thread;

/// A hook treats its requests in one of these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers 200 at once.
    Well,
    /// Never answers.
    Hang,
    /// Answers 200 after a while.
    Slow(Duration),
    /// Sends the head of a 200 at once, and then a byte of the body every 300 ms without end.
    Drip,
    /// Answers 500 at once.
    Fail,
    /// Closes the connection with RST.
    Reset,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at_us: u64,
    /// The numbers of the events that the request brought.
    pub(crate) events: Vec<usize>,
}

/// A hook is one endpoint.
#[derive(Debug)]
pub(crate) struct Hook {
    url: String,
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<Request>>,
    bytes: AtomicU64,
}

impl Hook {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// Returns all requests so far, in the order of their arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// Counts the requests so far.
    pub(crate) fn count(&self) -> usize {
        lock(&self.requests).len()
    }

    /// Counts the bytes of these requests, with their heads.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lists the times at which each of the first `count` events arrived first.
    pub(crate) fn first_arrivals(&self, count: usize) -> Vec<Option<u64>> {
        let mut arrivals = vec![None; count];
        for request in lock(&self.requests).iter() {
            for number in &request.events {
                if let Some(arrival) = arrivals.get_mut(*number) {
                    arrival.get_or_insert(request.at_us);
                }
            }
        }
        arrivals
    }

    fn current_behaviour(&self) -> Behaviour {
        *lock(&self.behaviour)
    }

    fn note(&self, request: Request, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        lock(&self.requests).push(request);
    }
}

type Hooks = Arc<Mutex<BTreeMap<String, Arc<Hook>>>>;

/// The running receiver. It ends when this is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    hooks: Hooks,
    thread: Thread,
    _end: oneshot::Sender<()>,
}

impl Receiver {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).context("the receiver found no port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let hooks = Hooks::default();
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let known = hooks.clone();
        let (began, thread) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            let _ = began.send(Thread::current());
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, known) => {}
                    _ = ended => {}
                }
            });
        })?;
        let thread = thread.recv().context("the receiver's thread has failed")??;
        Ok(Self { address, hooks, thread, _end: end })
    }

    /// Reads the processor time of the receiver.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.thread.cpu()
    }

    /// Makes the hook of this name.
    pub(crate) fn hook(&self, name: &str, behaviour: Behaviour) -> Arc<Hook> {
        let path = format!("/{name}");
        let url = format!("http://{}{path}", self.address);
        let hook = Arc::new(Hook {
            url,
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            bytes: AtomicU64::default(),
        });
        lock(&self.hooks).insert(path, hook.clone());
        hook
    }
}

async fn accept(listener: std::net::TcpListener, hooks: Hooks) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("the receiver does not listen: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection::serve(stream, hooks.clone()));
            }
            Err(error) => {
                eprintln!("the receiver can't accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
