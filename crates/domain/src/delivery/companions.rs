//! The deliveries with which another one can share its next request.

use crate::id::{BatchId, DeliveryId};

/// The deliveries that a delivery can share its next request with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Companions {
    /// All that are due together with it.
    #[default]
    Any,
    /// Those of the same half of a request that was too large.
    Half(BatchId),
    /// None: it is a half by itself.
    Alone,
}

impl Companions {
    /// The half that these deliveries are.
    pub(super) fn of_half(ids: &[DeliveryId]) -> Self {
        match BatchId::derive(ids) {
            Some(half) if ids.len() > 1 => Self::Half(half),
            _ => Self::Alone,
        }
    }

    /// The id of the request that is shared, as the record keeps it.
    pub fn batch(self) -> Option<BatchId> {
        match self {
            Self::Half(half) => Some(half),
            Self::Any | Self::Alone => None,
        }
    }
}
