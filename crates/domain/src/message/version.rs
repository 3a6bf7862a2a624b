//! Reading messages of our own queues across versions.
//!
//! The rule: a version understands the messages and items of the version before it, and writes what
//! that one understands. A field may be added where ignoring it does no harm, and every field that
//! was added may be absent. Where ignoring would do harm, the new version first learns to read the
//! new form, and writes it, with a higher `v`, one release later. A message with an unknown `v`
//! comes from a version that is being rolled out, or was rolled back: it is tried again for an hour
//! before it becomes a dead letter.

use serde::{Deserialize, de::DeserializeOwned};

/// The number of the form that this version reads and writes. A message without `v` has version 1.
const VERSION: u32 = 1;

/// The reason why a message can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It was written by a version that this one does not know.
    #[error("the message has version {0}, which this version does not know")]
    Newer(u32),
    /// It is no such message.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    v: Option<u32>,
}

/// Reads a message, unless a newer version wrote it in a form that this one does not know.
pub fn read<T: DeserializeOwned>(message: &str) -> Result<T, Unreadable> {
    match serde_json::from_str::<Versioned>(message) {
        Ok(Versioned { v: Some(v) }) if v > VERSION => Err(Unreadable::Newer(v)),
        _ => Ok(serde_json::from_str(message)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_told_from_nonsense() {
        #[derive(Debug, Deserialize)]
        struct Message {
            n: u8,
        }
        assert_eq!(read::<Message>(r#"{"n": 1}"#).unwrap().n, 1);
        assert_eq!(read::<Message>(r#"{"v": 1, "n": 1, "later": true}"#).unwrap().n, 1);
        assert!(matches!(read::<Message>(r#"{"v": 2, "m": 1}"#), Err(Unreadable::Newer(2))));
        assert!(matches!(read::<Message>(r#"{"v": "2"}"#), Err(Unreadable::Malformed(_))));
        assert!(matches!(read::<Message>(""), Err(Unreadable::Malformed(_))));
    }
}
