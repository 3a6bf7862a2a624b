//! The message of the turns queue is a hint that a webhook's turn may go on. The truth is in the
//! lane's item.

use serde::{Deserialize, Serialize};

use crate::{
    access::workspace::Workspace,
    id::WebhookId,
    message::version::{self, Unreadable},
};

/// A message of the turns queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnMessage {
    /// The workspace that owns the webhook.
    pub workspace: Workspace,
    /// The webhook whose turn it is.
    pub webhook: WebhookId,
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
        let workspace = Workspace::parse("acme").unwrap();
        let message =
            TurnMessage { workspace, webhook: WebhookId(42), token: "0123456789abcdef".to_owned() };
        let json = serde_json::to_string(&message).unwrap();
        insta::assert_snapshot!(json);
        assert_eq!(TurnMessage::parse(&json).unwrap(), message);
    }
}
