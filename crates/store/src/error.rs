use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The reason that the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused or did not answer, after the SDK's own retries.
    #[error("{operation} failed: {code}")]
    Call {
        /// The API operation.
        operation: &'static str,
        /// DynamoDB's error code, or what kept the call from it.
        code: String,
        /// The whole of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Others changed the same item again and again.
    #[error("{operation} was overtaken by others too often")]
    Contended {
        /// The API operation.
        operation: &'static str,
    },
    /// An item is not what this version writes.
    #[error("the item {key} has no readable {attribute}")]
    Corrupt {
        /// Its sort key.
        key: String,
        /// The attribute at fault.
        attribute: &'static str,
    },
    /// Nobody knows whether an item exists. The log says why.
    #[error("the item {key} could not be read")]
    Unread {
        /// Its sort key.
        key: String,
    },
    /// A value could not be written as JSON.
    #[error("a value can't be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl StoreError {
    /// Says whether the same call will fail in the same way.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Call { code, .. } => code == "ValidationException",
            Self::Contended { .. } | Self::Unread { .. } => false,
            Self::Corrupt { .. } | Self::Json(_) => true,
        }
    }

    /// A request that the SDK could not build.
    pub(crate) fn incomplete(
        operation: &'static str,
        error: aws_sdk_dynamodb::error::BuildError,
    ) -> Self {
        Self::Call { operation, code: "incomplete".to_owned(), source: Box::new(error) }
    }

    pub(crate) fn call<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        move |error| {
            let without_code = match &error {
                SdkError::TimeoutError(_) => "no answer in time",
                SdkError::DispatchFailure(_) => "the call did not get through",
                _ => "no error code",
            };
            let code = error.code().unwrap_or(without_code).to_owned();
            Self::Call { operation, code, source: Box::new(error) }
        }
    }
}
