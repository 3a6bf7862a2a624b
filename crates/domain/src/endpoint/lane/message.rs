//! The message of the turns queue is a hint that a webhook's turn may go on. The truth is in the
//! lane's item.

use serde::{Deserialize, Serialize};

use crate::{
    message::version::{self, Unreadable},
    webhook::key::WebhookKey,
};

/// A message of the turns queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnMessage {
    /// The webhook whose turn it is.
    #[serde(flatten)]
    pub webhook: WebhookKey,
    /// The token of the opening that the message belongs to.
    pub token: String,
}

impl TurnMessage {
    /// Reads a message of the turns queue.
    pub fn parse(message: &str) -> Result<Self, Unreadable> {
        version::read(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_travels_as_json() {
        let webhook = crate::testing::webhook_key(42);
        let message = TurnMessage { webhook, token: "0123456789abcdef".to_owned() };
        let json = serde_json::to_string(&message).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(TurnMessage::parse(&json).unwrap(), message);
    }
}
