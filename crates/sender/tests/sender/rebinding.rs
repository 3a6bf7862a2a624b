//! A name that leads elsewhere at the next look-up. 127.0.0.1 stands for an address that may be
//! reached, 127.0.0.2 for one that may not, and somebody listens at both.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::join_all;
use posthaste_sender::{Sender, code};
use rustls::RootCertStore;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    dns::NameServer,
    server::{LAST_OK, OK, accepting, allowing, code_of, local, post, read_request},
};

/// Two servers with one port, which count their connections.
struct Doors {
    port: u16,
    good: Arc<AtomicUsize>,
    bad: Arc<AtomicUsize>,
}

impl Doors {
    /// Doors that answer this many requests on a connection before they close it.
    async fn answering(requests: usize) -> Self {
        for _ in 0..10 {
            let (good, bad) = (Arc::default(), Arc::default());
            let port = counting("127.0.0.1:0", requests, &good).await.port();
            let bad_address = format!("127.0.0.2:{port}");
            if TcpListener::bind(&bad_address).await.is_ok() {
                counting(&bad_address, requests, &bad).await;
                return Self { port, good, bad };
            }
        }
        panic!("no port is free on both 127.0.0.1 and 127.0.0.2");
    }

    fn url(&self) -> String {
        format!("http://rebind.example.com:{}/", self.port)
    }

    fn opened(&self) -> (usize, usize) {
        (self.good.load(Ordering::SeqCst), self.bad.load(Ordering::SeqCst))
    }
}

async fn counting(address: &str, requests: usize, count: &Arc<AtomicUsize>) -> SocketAddr {
    let count = count.clone();
    accepting(address, move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            for left in (0..requests).rev() {
                let answer = if left == 0 { LAST_OK } else { OK };
                if read_request(&mut stream).await.is_none()
                    || stream.write_all(answer).await.is_err()
                {
                    break;
                }
            }
        }
    })
    .await
}

fn guarded(names: &NameServer) -> Sender {
    Sender::with(allowing("127.0.0.1/32"), "Posthaste/test", RootCertStore::empty(), names.lookup())
        .unwrap()
}

#[tokio::test]
async fn a_name_that_turns_inside_is_refused_at_the_second_connection() {
    let doors = Doors::answering(1).await;
    let names = NameServer::answering(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1"]]).await;
    let sender = guarded(&names);
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
    assert_eq!(
        names.look_ups(),
        1,
        "what was vetted is dialled, and the name is not looked up again for that"
    );
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::ADDRESS_NOT_ALLOWED);
    assert_eq!(names.look_ups(), 2, "no answer is kept, whatever its time to live");
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200, "nor is a refusal");
    assert_eq!(doors.opened(), (2, 0));
}

#[tokio::test]
async fn a_name_that_was_refused_may_turn_outside() {
    let doors = Doors::answering(1).await;
    let names = NameServer::answering(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2"]]).await;
    let sender = guarded(&names);
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::ADDRESS_NOT_ALLOWED);
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::ADDRESS_NOT_ALLOWED);
    assert_eq!((names.look_ups(), doors.opened()), (3, (1, 0)));
}

#[tokio::test]
async fn the_address_that_is_dialled_is_the_one_that_was_vetted() {
    let doors = Doors::answering(1).await;
    let names = NameServer::answering(&[&["127.0.0.2"], &["127.0.0.1"]]).await;
    let sender =
        Sender::with(local(), "Posthaste/test", RootCertStore::empty(), names.lookup()).unwrap();
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
    assert_eq!(
        (names.look_ups(), doors.opened()),
        (1, (0, 1)),
        "it follows the answer, where both are allowed"
    );
}

#[tokio::test]
async fn one_bad_answer_among_good_ones_refuses_all() {
    let doors = Doors::answering(1).await;
    let mixtures: &[&[&str]] = &[
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "10.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::1"],
        &["127.0.0.1", "fd00:ec2::254"],
        &["127.0.0.1", "::ffff:127.0.0.2"],
        &["127.0.0.1", "64:ff9b::7f00:2"],
        &["127.0.0.1", "2a00:1450:4001::5efe:7f00:1"],
        &["8.8.8.8", "127.0.0.2"],
    ];
    let names = NameServer::answering(mixtures).await;
    let sender = guarded(&names);
    for mixture in mixtures {
        assert_eq!(
            code_of(post(&sender, &doors.url()).await),
            code::ADDRESS_NOT_ALLOWED,
            "{mixture:?}"
        );
    }
    assert_eq!((names.look_ups(), doors.opened()), (mixtures.len(), (0, 0)));
}

#[tokio::test]
async fn a_kept_alive_connection_leads_where_it_was_vetted_to_lead() {
    let doors = Doors::answering(3).await;
    let names = NameServer::answering(&[&["127.0.0.1"], &["127.0.0.2"]]).await;
    let sender = guarded(&names);
    for _ in 0..3 {
        assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
        assert_eq!(
            (names.look_ups(), doors.opened()),
            (1, (1, 0)),
            "the same connection, whatever the name says now"
        );
    }
    let code = code_of(post(&sender, &doors.url()).await);
    assert_eq!(code, code::ADDRESS_NOT_ALLOWED, "it has been closed, and a new one is vetted anew");
    assert_eq!((names.look_ups(), doors.opened()), (2, (1, 0)));
}

#[tokio::test]
async fn a_kept_alive_connection_serves_no_other_name() {
    let doors = Doors::answering(9).await;
    let names = NameServer::answering(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2"]]).await;
    let sender = guarded(&names);
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
    for name in ["other.example.com", "rebind.example.com."] {
        let url = format!("http://{name}:{}/", doors.port);
        assert_eq!(code_of(post(&sender, &url).await), code::ADDRESS_NOT_ALLOWED, "{name}");
    }
    assert_eq!((names.look_ups(), doors.opened()), (3, (1, 0)));
}

#[tokio::test]
async fn requests_at_the_same_time_are_vetted_each() {
    let doors = Doors::answering(1).await;
    let answers: Vec<&[&str]> =
        (0..20).map(|n| if n % 2 == 0 { &["127.0.0.1"][..] } else { &["127.0.0.2"] }).collect();
    let names = NameServer::answering(&answers).await;
    let (sender, url) = (guarded(&names), doors.url());
    let outcomes = join_all((0..20).map(|_| post(&sender, &url))).await;
    let answered = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    assert!(
        outcomes
            .into_iter()
            .filter(|outcome| outcome.result.is_err())
            .all(|outcome| { code_of(outcome) == code::ADDRESS_NOT_ALLOWED })
    );
    assert!(answered > 0);
    assert_eq!(doors.opened().1, 0);
}

#[tokio::test]
async fn of_many_addresses_a_few_are_dialled() {
    let doors = Doors::answering(1).await;
    let nobody = ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.8"];
    let fourth = [&nobody[..3], &["127.0.0.1"]].concat();
    let fifth = [&nobody[..4], &["127.0.0.1"]].concat();
    let names = NameServer::answering(&[&fourth, &fifth]).await;
    let sender =
        Sender::with(local(), "Posthaste/test", RootCertStore::empty(), names.lookup()).unwrap();
    assert_eq!(post(&sender, &doors.url()).await.result.unwrap().status, 200);
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::CONNECT_FAILED);
    assert_eq!(doors.opened(), (1, 0));
}

#[tokio::test]
async fn a_name_without_answer_or_address_is_not_called() {
    let doors = Doors::answering(1).await;
    let names = NameServer::answering(&[&[]]).await;
    let sender = guarded(&names);
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::DNS_FAILED, "no address");
    assert_eq!(code_of(post(&sender, &doors.url()).await), code::DNS_FAILED, "no such name");
    assert_eq!(doors.opened(), (0, 0));
}
