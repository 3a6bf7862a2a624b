//! The client against real sockets on loopback.
#![cfg(test)]

mod bounds;
mod dns;
mod endpoints;
mod malformed;
mod rebinding;
mod send;
mod server;
mod tls;
