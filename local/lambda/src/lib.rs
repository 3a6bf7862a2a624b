//! AWS Lambda on one machine, for real function binaries.
//!
//! These are the parts, and this is what each of them does:
//! - A [`Function`] takes invocations. It starts the binary as often as its concurrency allows,
//!   hands each invocation to the process that was used last, and queues what finds no process
//!   free.
//! - Each process talks to a Runtime API of its own on a loopback port, so that a request says
//!   which process sent it.
//! - [`route`] and [`http_event`] are API Gateway's part for an HTTP API: which function a request
//!   goes to, and how it looks there (payload format 2.0).
//! - [`sqs_event`] is the event source mapping's part: the event of a batch, and the verdict on the
//!   function's answer.
//! - [`Lineage`] is what Lambda's recursive loop detection counts.
//! - [`schedule_event`] is EventBridge's part: the event of a schedule.
//! - [`loopback`] says which requests a loopback address answers: none that a web page of elsewhere
//!   has made.
//!
//! What it guarantees: an invocation gets exactly one result, and no process outlives its
//! [`Function`] or this process, even when this one is killed. What it doesn't do: it isolates
//! nothing (no memory limit, no file system of its own).

#[cfg(not(target_os = "linux"))]
compile_error!(
    "this crate asks the Linux kernel to end the functions with their parent, and for what \
     they used"
);

mod environment;
mod error;
mod external;
mod function;
pub mod http_event;
mod ids;
mod lineage;
mod log;
pub mod loopback;
mod pool;
mod process;
pub mod route;
mod runtime_api;
pub mod schedule_event;
pub mod sqs_event;
mod stats;

pub use error::{InvokeError, StartError};
pub use function::{Function, FunctionSpec, Runner};
pub use lineage::Lineage;
pub use log::{LogLine, LogSink, LogStream};
pub use stats::Stats;

/// The region of everything that runs here.
pub const REGION: &str = "us-east-1";
/// The account that everything here belongs to.
pub const ACCOUNT_ID: &str = "000000000000";
