//! The time of an event, as its producer writes it.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::{
    Invalid,
    input::{Shape, Whole},
};

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
        let timestamp = match serde_json::from_str::<String>(json.get()) {
            Ok(text) => text.parse().ok(),
            Err(_) => milliseconds(at, json)?,
        };
        let in_range = timestamp.filter(|timestamp| *timestamp >= Timestamp::UNIX_EPOCH);
        in_range.ok_or_else(|| {
            refused(
                at,
                format!("{at} has to be an RFC 3339 time or Unix milliseconds, from 1970 on"),
            )
        })
    }
}

/// Reads a number of milliseconds; none where there is no such time.
fn milliseconds(at: &str, json: &RawValue) -> Result<Option<Timestamp>, Invalid> {
    let Ok(number) = serde_json::from_str::<Whole>(json.get()) else { return Ok(None) };
    if let Some(number) = number.within(0..=FIRST_MILLISECOND - 1) {
        return Err(refused(
            at,
            format!(
                "{at} is in milliseconds, and {number} would be a time before 2001: if it is in \
                 seconds, multiply it by 1000; if it is that old, write it as RFC 3339"
            ),
        ));
    }
    let number = number.within(FIRST_MILLISECOND..=i64::MAX);
    Ok(number.and_then(|number| Timestamp::from_millisecond(number).ok()))
}

fn refused(at: &str, message: String) -> Invalid {
    Invalid::field(at, "invalid_timestamp", message)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Timestamp, Invalid> {
        Moment::read("timestamp", serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_number_is_the_same_time_however_it_is_written() {
        let time = Timestamp::from_millisecond(1_690_000_000_000).unwrap();
        for json in ["1690000000000", "1690000000000.0", "1.69e12", "\"2023-07-22T04:26:40Z\""] {
            assert_eq!(read(json), Ok(time), "{json}");
        }
    }

    #[test]
    fn seconds_fractions_and_times_that_there_are_not_are_refused() {
        for json in ["1690000000", "1.69e9", "0", "-1", "1690000000000.5", "1e999", "null", "[]"] {
            assert_eq!(read(json).unwrap_err().code, "invalid_timestamp", "{json}");
        }
    }
}
