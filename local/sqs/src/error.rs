//! SQS answers with these errors, each in its form on the wire.

/// The kinds of errors of the SQS API reference, with the common errors of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Two or more batch entries have the same id.
    BatchEntryIdsNotDistinct,
    /// The messages of a batch are together longer than 1 MiB.
    BatchRequestTooLong,
    /// A batch has no entries.
    EmptyBatchRequest,
    /// The service failed. The server itself never answers this; it is there for fault injection.
    InternalFailure,
    /// A queue URL does not belong to this endpoint.
    InvalidAddress,
    /// A queue or message attribute does not exist.
    InvalidAttributeName,
    /// A queue attribute's value is out of its range.
    InvalidAttributeValue,
    /// A batch entry's id is not of `[A-Za-z0-9_-]{1,80}`.
    InvalidBatchEntryId,
    /// A body has a character outside of XML 1.0's set.
    InvalidMessageContents,
    /// A parameter's value is out of its range.
    InvalidParameterValue,
    /// The visibility of a message that is not in flight can't be changed.
    MessageNotInflight,
    /// A required parameter is missing.
    MissingParameter,
    /// 120,000 messages are in flight.
    OverLimit,
    /// The queue was purged less than 60 seconds ago.
    PurgeQueueInProgress,
    /// A queue of that name was deleted less than 60 seconds ago.
    QueueDeletedRecently,
    /// There is no queue of that name.
    QueueDoesNotExist,
    /// A queue of that name exists with other attributes.
    QueueNameExists,
    /// A text is no receipt handle, or is one of another queue.
    ReceiptHandleIsInvalid,
    /// There are too many requests. The server itself never answers this; it is there for fault
    /// injection.
    RequestThrottled,
    /// A queue or move task, named by ARN or handle, does not exist.
    ResourceNotFound,
    /// The request's body is not the JSON that the action takes.
    Serialization,
    /// A batch has more than ten entries.
    TooManyEntriesInBatchRequest,
    /// There is no action of that name.
    UnknownOperation,
    /// This server does not have the action or the feature.
    UnsupportedOperation,
}

impl ErrorKind {
    /// Returns the error's shape in the JSON protocol, its code in the older query protocol, and
    /// the HTTP status. They come from the service's API model (traits `awsQueryError` and
    /// `httpError`).
    fn wire(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::BatchEntryIdsNotDistinct => {
                ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400)
            }
            Self::BatchRequestTooLong => {
                ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400)
            }
            Self::EmptyBatchRequest => {
                ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400)
            }
            Self::InternalFailure => ("InternalFailure", "InternalFailure", 500),
            Self::InvalidAddress => ("InvalidAddress", "InvalidAddress", 404),
            Self::InvalidAttributeName => ("InvalidAttributeName", "InvalidAttributeName", 400),
            Self::InvalidAttributeValue => ("InvalidAttributeValue", "InvalidAttributeValue", 400),
            Self::InvalidBatchEntryId => {
                ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400)
            }
            Self::InvalidMessageContents => {
                ("InvalidMessageContents", "InvalidMessageContents", 400)
            }
            Self::InvalidParameterValue => {
                ("InvalidParameterValueException", "InvalidParameterValue", 400)
            }
            Self::MessageNotInflight => {
                ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400)
            }
            Self::MissingParameter => {
                ("MissingRequiredParameterException", "MissingParameter", 400)
            }
            Self::OverLimit => ("OverLimit", "OverLimit", 403),
            Self::PurgeQueueInProgress => {
                ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403)
            }
            Self::QueueDeletedRecently => {
                ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", 400)
            }
            Self::QueueDoesNotExist => {
                ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400)
            }
            Self::QueueNameExists => ("QueueNameExists", "QueueAlreadyExists", 400),
            Self::ReceiptHandleIsInvalid => {
                ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404)
            }
            Self::RequestThrottled => ("RequestThrottled", "RequestThrottled", 403),
            Self::ResourceNotFound => {
                ("ResourceNotFoundException", "ResourceNotFoundException", 404)
            }
            Self::Serialization => ("SerializationException", "SerializationException", 400),
            Self::TooManyEntriesInBatchRequest => (
                "TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            Self::UnknownOperation => ("UnknownOperationException", "InvalidAction", 400),
            Self::UnsupportedOperation => {
                ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400)
            }
        }
    }
}

/// An error with which SQS answers a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .kind.wire().1)]
pub struct SqsError {
    /// The kind decides about the shape, the code and the status.
    pub kind: ErrorKind,
    /// A sentence for the caller.
    pub message: String,
}

impl SqsError {
    /// Makes an error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Returns the name of the error's shape, which the body has as `__type`, for example
    /// `QueueDoesNotExist`.
    pub fn shape(&self) -> &'static str {
        self.kind.wire().0
    }

    /// Returns the code that SDKs report, which the header `x-amzn-query-error` has, for example
    /// `AWS.SimpleQueueService.NonExistentQueue`.
    pub fn code(&self) -> &'static str {
        self.kind.wire().1
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.kind.wire().2
    }

    /// Tells if the caller is at fault, and not the service.
    pub fn sender_fault(&self) -> bool {
        self.status() < 500
    }

    pub(crate) fn no_such_queue() -> Self {
        Self::new(ErrorKind::QueueDoesNotExist, "The specified queue does not exist.")
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            ErrorKind::MissingParameter,
            format!("The request must contain the parameter {parameter}."),
        )
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameterValue, message)
    }

    /// Makes an error such as `Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must
    /// be between 1 and 10, if provided.`
    pub(crate) fn value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Self::parameter(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }
}
