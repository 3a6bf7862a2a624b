use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// The reasons for which an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function reported an error of its own.
    #[error("{error_type}: {message}")]
    FunctionError {
        /// The `errorType` of the report, or `Runtime.UnknownError` if it has none.
        error_type: String,
        /// The `errorMessage` of the report.
        message: String,
    },
    /// The function didn't answer before its deadline, and so its process was killed.
    #[error("Sandbox.Timedout: Task timed out after {:.2} seconds", after.as_secs_f64())]
    Timeout {
        /// The timeout in the function's configuration.
        after: Duration,
    },
    /// The process ended in the middle of the invocation.
    #[error("Runtime.ExitError: Runtime exited with error: {status}")]
    Crashed {
        /// The end of the process, as `exit status: 1` or `signal: 9 (SIGKILL)`.
        status: String,
    },
    /// No process of the function became ready for the invocation.
    #[error("{error_type}: {message}")]
    InitFailed {
        /// The type that the function reported for its failed init, or `Runtime.ExitError`.
        error_type: String,
        /// The message of that report, or the end of the process.
        message: String,
    },
    /// The payload is over Lambda's limit for a synchronous invocation, 6 MB.
    #[error(
        "RequestTooLargeException: {bytes} bytes are over the limit of an invocation's payload"
    )]
    RequestTooLarge {
        /// The payload's length in bytes.
        bytes: usize,
    },
    /// Lambda's recursive loop detection dropped the invocation before it began.
    #[error(
        "RecursiveInvocationException: {function} has been invoked {allowed} times in this chain \
         already, and its RecursiveLoop is not Allow"
    )]
    RecursiveLoop {
        /// The name of the function that the chain led to.
        function: String,
        /// A function may be invoked this often in one chain.
        allowed: u64,
    },
    /// The function was stopped, and takes no invocations any more.
    #[error("the function was stopped")]
    Stopped,
}

/// The reasons for which a function can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file does not exist, or can't be executed.
    #[error("{}: not an executable file", .0.display())]
    Binary(PathBuf),
    /// Lambda sets this variable itself and refuses it in a function's configuration.
    #[error("{0} is reserved by Lambda and can't be in a function's environment")]
    ReservedVariable(String),
    /// A function needs room for at least one process.
    #[error("the concurrency must be at least 1")]
    NoConcurrency,
    /// Invocations can't be sent to this address.
    #[error("{0}: not an http address")]
    InvokeUrl(String),
}

/// An error in the form that the Runtime API and the Invoke API give it.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    #[serde(default)]
    pub(crate) error_message: String,
    #[serde(default)]
    pub(crate) error_type: Option<String>,
}

impl ErrorBody {
    /// Reads a function's report. A body that is no report is taken as the message.
    pub(crate) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            error_message: String::from_utf8_lossy(body).into_owned(),
            error_type: None,
        })
    }

    pub(crate) fn error_type(&self) -> String {
        self.error_type.clone().unwrap_or_else(|| "Runtime.UnknownError".to_owned())
    }
}
