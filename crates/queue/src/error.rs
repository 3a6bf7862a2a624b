use std::{error::Error, sync::Arc};

use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};

/// The reason that a call of SQS failed. One failed call fails all its messages alike, so it
/// can be cloned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The whole call failed, after the SDK's own retries.
    #[error("{operation} failed: {code}")]
    Call {
        /// The API operation.
        operation: &'static str,
        /// SQS's error code, or what kept the call from it.
        code: String,
        /// The whole of it.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// SQS refused this entry of a batch, after our own retries.
    #[error("an entry of {operation} was refused: {code}")]
    Entry {
        /// The API operation.
        operation: &'static str,
        /// SQS's error code.
        code: String,
    },
    /// The answer lacks something that it has to have.
    #[error("the answer of {operation} can't be read")]
    Unreadable {
        /// The API operation.
        operation: &'static str,
    },
}

impl QueueError {
    /// An entry that the SDK could not build.
    pub(crate) fn incomplete(operation: &'static str, error: BuildError) -> Self {
        Self::Entry { operation, code: error.to_string() }
    }

    pub(crate) fn call<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or("no answer").to_owned();
        Self::Call { operation, code, source: Arc::new(error) }
    }
}
