//! The key of a webhook is its workspace and its id. Ids are unique over all workspaces. All the
//! same, whatever is stored or sealed for a webhook has its workspace in its key too, so that the
//! id of another workspace's webhook finds nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{access::workspace::Workspace, id::WebhookId};

/// A webhook key names one webhook of one workspace. A message that is about a webhook has the two
/// fields beside its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WebhookKey {
    /// The workspace that owns the webhook.
    pub workspace: Workspace,
    /// The id of the webhook.
    #[serde(rename = "webhook")]
    pub id: WebhookId,
}

impl WebhookKey {
    /// Reads a key as [`fmt::Display`] writes it; none if the text is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (workspace, id) = text.split_once('#')?;
        Some(Self { workspace: Workspace::parse(workspace).ok()?, id: id.parse().ok()? })
    }
}

/// The text is `<workspace>#<id>`, as it stands in the keys of the Deliveries table.
impl fmt::Display for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.workspace, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key =
            WebhookKey { workspace: Workspace::parse("A.b_c-9").unwrap(), id: WebhookId(u64::MAX) };
        assert_eq!(key.to_string(), "A.b_c-9#18446744073709551615");
        assert_eq!(WebhookKey::parse(&key.to_string()), Some(key));
        for other in ["", "acme", "acme#", "#7", "acme#x", "acme#7#0", "a b#7"] {
            assert_eq!(WebhookKey::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_key_is_two_fields_of_a_message() {
        let key = crate::testing::webhook_key(7);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(json, r#"{"workspace":"acme","webhook":7}"#);
        assert_eq!(serde_json::from_str::<WebhookKey>(&json).unwrap(), key);
    }
}
