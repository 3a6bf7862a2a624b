//! The parts that every function shares: configuration, telemetry, AWS clients, the encryption key,
//! the SQS batch, and the API's answers and keys.

pub mod api;
pub mod auth;
pub mod aws;
pub mod batch;
pub mod checks;
pub mod clock;
pub mod config;
mod cors;
pub mod deadline;
pub mod door;
pub mod event_message;
pub mod keys;
pub mod limiter;
pub mod query;
pub mod random;
mod read_units;
pub mod suspects;
pub mod telemetry;
