//! The rules of Posthaste: what an event, a webhook and a delivery are, who gets what, how it is
//! written, signed and retried.
//!
//! Everything here is pure. There is no clock, no randomness, no AWS and no HTTP: time and chance
//! come in as arguments, decisions go out as values, and the shells in `functions/` carry them out.

pub mod address;
pub mod api_key;
pub mod attempt;
pub mod backlog;
pub mod catalogue;
pub mod dead_letter;
pub mod delivered;
pub mod event;
pub mod event_type;
pub mod filter;
pub mod format;
pub mod headers;
pub mod health;
pub mod history;
pub mod id;
pub mod idempotency;
pub mod input;
pub mod known_keys;
pub mod lane;
pub mod loops;
pub mod made;
pub mod metrics;
mod nearest;
pub mod operational;
pub mod own_type;
pub mod parked;
pub mod process;
pub mod profile;
pub mod rate_limit;
pub mod release;
pub mod replay;
pub mod request;
pub mod retry;
pub mod rotation;
pub mod routing;
pub mod sample;
pub mod schema;
pub mod secret;
pub mod sequence;
pub mod share;
pub mod signature;
pub mod subscription;
pub mod success;
pub mod suspect;
pub mod task;
pub mod tokens;
pub mod trace;
pub mod url;
pub mod version;
pub mod webhook;
pub mod workspace;

#[cfg(test)]
mod testing;

pub use input::Invalid;
pub use jiff::Timestamp;
