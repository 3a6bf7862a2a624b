//! Query parameters: read one by one, so that every complaint names its parameter.

use std::{collections::BTreeMap, str::FromStr};

use posthaste_domain::Invalid;

/// The parameters of a call that have not been taken yet.
#[derive(Debug)]
pub struct Query(BTreeMap<String, String>);

/// How many items a list answers when the caller does not say.
const DEFAULT_LIMIT: u16 = 50;
/// The most that it answers.
const MAX_LIMIT: u16 = 100;

impl Query {
    /// All parameters.
    pub fn new(parameters: BTreeMap<String, String>) -> Self {
        Self(parameters)
    }

    /// A parameter that may be absent. `shape` completes "has to be".
    pub fn optional<T: FromStr>(&mut self, name: &str, shape: &str) -> Result<Option<T>, Invalid> {
        let unreadable = |_| Invalid::field(name, "invalid_parameter", format!("{name} has to be {shape}"));
        self.0.remove(name).map(|text| text.parse().map_err(|_| ()).map_err(unreadable)).transpose()
    }

    /// `limit`: 1 to 100, 50 unless given.
    pub fn limit(&mut self) -> Result<u16, Invalid> {
        let limit = self.optional("limit", "a number from 1 to 100")?.unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            Ok(limit)
        } else {
            Err(Invalid::field("limit", "invalid_parameter", format!("limit is 1 to {MAX_LIMIT}")))
        }
    }

    /// Says that all parameters have been taken.
    pub fn finish(self) -> Result<(), Invalid> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Invalid::field(name, "unknown_parameter", format!("{name} is not a known parameter"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn limits_are_1_to_100_and_50_unless_given() {
        assert_eq!(query(&[]).limit(), Ok(50));
        assert_eq!(query(&[("limit", "1")]).limit(), Ok(1));
        assert_eq!(query(&[("limit", "100")]).limit(), Ok(100));
        for bad in ["0", "101", "-1", "x", ""] {
            assert_eq!(query(&[("limit", bad)]).limit().unwrap_err().field.as_deref(), Some("limit"), "{bad}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        assert_eq!(query(&[]).finish(), Ok(()));
        assert_eq!(query(&[("stauts", "x")]).finish().unwrap_err().field.as_deref(), Some("stauts"));
    }
}
