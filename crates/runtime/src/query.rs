//! Query parameters: read one by one, so that every complaint names its parameter.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    str::FromStr,
};

use posthaste_domain::{Invalid, Timestamp};

/// The parameters of a call that have not been taken yet.
#[derive(Debug)]
pub struct Query(BTreeMap<String, String>);

/// How many items a list answers when the caller does not say.
const DEFAULT_LIMIT: u16 = 50;
/// The most that it answers.
const MAX_LIMIT: u16 = 100;

impl Query {
    /// All parameters, none of which may be given twice.
    pub fn new(parameters: Vec<(String, String)>) -> Result<Self, Invalid> {
        let mut once = BTreeMap::new();
        for (name, value) in parameters {
            match once.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(entry) => {
                    let name = entry.key();
                    return Err(Invalid::field(name, "repeated_parameter", format!("{name} is given twice")));
                }
            }
        }
        Ok(Self(once))
    }

    /// A parameter that may be absent. `shape` completes "has to be".
    pub fn optional<T: FromStr>(&mut self, name: &str, shape: &str) -> Result<Option<T>, Invalid> {
        let unreadable = |_| Invalid::field(name, "invalid_parameter", format!("{name} has to be {shape}"));
        self.0.remove(name).map(|text| text.parse().map_err(|_| ()).map_err(unreadable)).transpose()
    }

    /// A time that may be absent. A `+` that was not encoded has arrived as a space.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Invalid> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let is_decoded = text.contains(' ') && text.replace(' ', "+").parse::<Timestamp>().is_ok();
            let hint = if is_decoded { ": the + of its offset arrived as a space, so write it as %2B" } else { "" };
            Invalid::field(name, "invalid_parameter", format!("{name} has to be an RFC 3339 time{hint}"))
        })
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

    fn read(pairs: &[(&str, &str)]) -> Result<Query, Invalid> {
        Query::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn query(pairs: &[(&str, &str)]) -> Query {
        read(pairs).unwrap()
    }

    #[test]
    fn a_parameter_that_is_given_twice_is_refused_even_with_one_value() {
        for second in ["5", "6"] {
            let refused = read(&[("limit", "5"), ("order", "asc"), ("limit", second)]).unwrap_err();
            assert_eq!(refused, Invalid::field("limit", "repeated_parameter", "limit is given twice"));
        }
    }

    #[test]
    fn a_plus_that_arrived_as_a_space_is_explained() {
        let time = |text| query(&[("since", text)]).time("since");
        assert_eq!(query(&[]).time("since"), Ok(None));
        assert_eq!(time("2026-01-15T00:00:00+02:00"), Ok("2026-01-14T22:00:00Z".parse().ok()));
        let message = "since has to be an RFC 3339 time: the + of its offset arrived as a space, so write it as %2B";
        let refused = Invalid::field("since", "invalid_parameter", message);
        assert_eq!(time("2026-01-15T00:00:00 02:00"), Err(refused));
        for other in ["yesterday", "next week", ""] {
            let refused = Invalid::field("since", "invalid_parameter", "since has to be an RFC 3339 time");
            assert_eq!(time(other), Err(refused), "{other}");
        }
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
