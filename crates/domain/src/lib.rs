//! The rules of Posthaste: what an event, a webhook and a delivery are, who gets what, how it is
//! written, signed and retried.
//!
//! Everything here is pure. There is no clock, no randomness, no AWS and no HTTP: time and chance
//! come in as arguments, decisions go out as values, and the shells in `functions/` carry them out.

pub mod access;
pub mod delivery;
pub mod deployment;
pub mod endpoint;
pub mod event;
pub mod fanout;
pub mod id;
pub mod input;
pub mod message;
pub mod metrics;
pub mod simulation;
pub mod trace;
pub mod webhook;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use input::Invalid;
pub use jiff::Timestamp;
