//! The time.

use std::time::{SystemTime, UNIX_EPOCH};

use posthaste_domain::Timestamp;

/// Now, in whole milliseconds: what ids hold, and what is shown to people.
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
