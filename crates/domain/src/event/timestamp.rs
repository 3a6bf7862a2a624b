//! The time of an event, as its producer writes it.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{Invalid, input::Shape};

/// The earliest time in milliseconds that is accepted, 2001-01-01T00:00:00Z. Smaller numbers are
/// refused, because they are probably seconds: today's time in seconds is a smaller number. An
/// older time can be written as RFC 3339.
pub const FIRST_MILLISECOND: i64 = 978_307_200_000;

/// RFC 3339, or Unix milliseconds as the Spektr documents write them.
pub(crate) struct Moment;

impl Shape for Moment {
    type Value = Timestamp;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Timestamp, Invalid> {
        let refused = |message| Invalid::field(at, "invalid_timestamp", message);
        let timestamp = match (
            serde_json::from_str::<String>(json.get()),
            json.get().parse::<i64>(),
        ) {
            (Ok(text), _) => text.parse().ok(),
            (Err(_), Ok(number @ 0..FIRST_MILLISECOND)) => {
                return Err(refused(format!(
                    "{at} is in milliseconds, and {number} would be a time before 2001: if it is \
                     in seconds, multiply it by 1000; \
                     if it is that old, write it as RFC 3339"
                )));
            }
            (Err(_), Ok(ms)) => Timestamp::from_millisecond(ms).ok(),
            (Err(_), Err(_)) => None,
        };
        let in_range = timestamp.filter(|timestamp| *timestamp >= Timestamp::UNIX_EPOCH);
        in_range.ok_or_else(|| {
            refused(format!("{at} has to be an RFC 3339 time or Unix milliseconds, from 1970 on"))
        })
    }
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{PartialSchema, ToSchema, openapi::OneOfBuilder};

    use super::{FIRST_MILLISECOND, Moment};
    use crate::input::openapi::{Described, formatted, integer};

    impl PartialSchema for Moment {
        fn schema() -> Described {
            let milliseconds = integer().minimum(Some(FIRST_MILLISECOND));
            OneOfBuilder::new().item(formatted("date-time")).item(milliseconds).into()
        }
    }

    impl ToSchema for Moment {}
}
