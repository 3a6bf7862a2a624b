//! The local system is the whole of AWS that Posthaste uses, on one machine, made from
//! `template.yaml`.
//!
//! ```text
//!  client ──▶ gateway ──▶ register, types, ingest ─┐
//!             poller  ──▶ fanout, deliver ─────────┼──▶ front ──▶ DynamoDB (embedded), SQS (in memory), Secrets Manager
//!          scheduler  ──▶ release ─────────────────┘      │ counts every call, checks the function's IAM policy, injects faults
//!
//!              deliver ──▶ inbox              admin ──▶ metrics, faults, schedules
//! ```
//!
//! The functions are the real binaries, run as processes that speak the Lambda Runtime API; they
//! reach DynamoDB and SQS over the real wire protocols. Everything listens on loopback addresses,
//! and refuses what web pages of elsewhere send.

mod admin;
pub mod bill;
pub mod binaries;
pub mod faults;
mod front;
mod gateway;
pub mod inbox;
mod metrics;
mod poller;
pub mod private;
mod scheduler;
mod secrets;
mod serve;
mod setup;
mod system;

pub use faults::{Action, Aim, Aimed, FaultSpec, Faults};
pub use inbox::Inbox;
pub use metrics::{Calls, Depth, Metrics};
pub use posthaste_local_lambda::{Function, InvokeError, LogLine, LogSink, LogStream};
pub use posthaste_local_sqs::{Received, Sqs};
pub use posthaste_local_template::Stack;
pub use scheduler::TickError;
pub use system::{DynamoDb, DynamoDbError, Functions, Options, System, Urls};
