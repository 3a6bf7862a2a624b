//! A name server of the tests' own, with as much of RFC 1035 as it takes: A and AAAA, over UDP,
//! without compression but for the answers' name.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use posthaste_sender::Lookup;
use tokio::net::UdpSocket;

const A: u16 = 1;
const AAAA: u16 = 28;
const HEADER_BYTES: usize = 12;
const NO_SUCH_NAME: u8 = 3;

/// A running name server.
pub(crate) struct NameServer {
    address: SocketAddr,
    look_ups: Arc<AtomicUsize>,
}

impl NameServer {
    /// One whose answers to each look-up, of whatever name, follow these. What is asked beyond them
    /// has no such name. Every answer may be kept for five minutes, which nobody should do.
    pub(crate) async fn answering(look_ups: &[&[&str]]) -> Self {
        let answers: Vec<Vec<IpAddr>> = look_ups
            .iter()
            .map(|addresses| addresses.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: socket.local_addr().unwrap(), look_ups: Arc::default() };
        let a_queries = server.look_ups.clone();
        tokio::spawn(async move {
            let (mut query, aaaa_queries) = ([0; 512], AtomicUsize::new(0));
            while let Ok((length, client)) = socket.recv_from(&mut query).await {
                let query = &query[..length];
                let queries = if kind_of(query) == A { &*a_queries } else { &aaaa_queries };
                let nth = queries.fetch_add(1, Ordering::SeqCst);
                let _ = socket.send_to(&answer(query, answers.get(nth)), client).await;
            }
        });
        server
    }

    /// The number of times that a name was looked up.
    pub(crate) fn look_ups(&self) -> usize {
        self.look_ups.load(Ordering::SeqCst)
    }

    /// A resolver that asks this server for both families and keeps nothing.
    pub(crate) fn lookup(&self) -> Lookup {
        let server = self.address;
        Arc::new(move |name| {
            Box::pin(async move {
                let socket = UdpSocket::bind("127.0.0.1:0").await?;
                socket.connect(server).await?;
                let mut addresses = ask(&socket, &name, AAAA).await?;
                addresses.extend(ask(&socket, &name, A).await?);
                Ok(addresses)
            })
        })
    }
}

/// The type of a query's question, which ends the query but for its class.
fn kind_of(query: &[u8]) -> u16 {
    let kind = query.len() - 4;
    u16::from_be_bytes([query[kind], query[kind + 1]])
}

fn answer(query: &[u8], addresses: Option<&Vec<IpAddr>>) -> Vec<u8> {
    let wants_v4 = kind_of(query) == A;
    let of_kind = addresses.into_iter().flatten().filter(|ip| ip.is_ipv4() == wants_v4);
    let records: Vec<_> = of_kind.map(|ip| record(*ip)).collect();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | if addresses.is_none() { NO_SUCH_NAME } else { 0 }]);
    answer.extend([0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(&query[HEADER_BYTES..]);
    answer.extend(records.concat());
    answer
}

/// A record of the name in the question.
fn record(ip: IpAddr) -> Vec<u8> {
    let (kind, data) = match ip {
        IpAddr::V4(ip) => (A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
    };
    let [kind_high, kind_low] = kind.to_be_bytes();
    let mut record =
        vec![0xc0, HEADER_BYTES as u8, kind_high, kind_low, 0, 1, 0, 0, 1, 44, 0, data.len() as u8];
    record.extend(data);
    record
}

async fn ask(socket: &UdpSocket, name: &str, kind: u16) -> io::Result<Vec<IpAddr>> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 0, kind as u8, 0, 1]);
    socket.send(&query).await?;
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).await?;
    let answer = &answer[..length];
    if answer[3] & 0x0f == NO_SUCH_NAME {
        return Err(io::Error::other("no such name"));
    }
    let mut rest = &answer[query.len()..];
    let mut addresses = Vec::new();
    while let [_, _, _, _, _, _, _, _, _, _, _, length, tail @ ..] = rest {
        let (data, tail) = tail.split_at(usize::from(*length));
        addresses.push(match data.len() {
            4 => Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()).into(),
            _ => Ipv6Addr::from(<[u8; 16]>::try_from(data).unwrap()).into(),
        });
        rest = tail;
    }
    Ok(addresses)
}
