//! Reading the parameters of a query one by one, so that every complaint names its parameter.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    marker::PhantomData,
    str::FromStr,
};

use jiff::Timestamp;

use super::shape::{Documented, Time};
use crate::Invalid;

/// The number of items that a list answers when the caller does not say.
const DEFAULT_LIMIT: u16 = 50;
/// The most that it answers.
const MAX_LIMIT: u16 = 100;

/// A query of a call. Each of its parameters may be absent.
pub trait Asked: Sized {
    /// Takes the parameters. The OpenAPI document learns of them here, too: to it nothing is given,
    /// and it notes what is asked for.
    fn read(query: &mut impl Source) -> Result<Self, Invalid>;

    /// Reads all parameters of a call. None may be given twice, and none be unknown.
    fn of(parameters: Vec<(String, String)>) -> Result<Self, Invalid> {
        let mut query = Query::new(parameters)?;
        let asked = Self::read(&mut query)?;
        query.finish()?;
        Ok(asked)
    }
}

/// The type of a parameter says how its text is read.
pub trait Parameter: Documented {
    /// The value that is read.
    type Value;

    /// Reads the text of the parameter of this name.
    fn read(name: &str, text: String) -> Result<Self::Value, Invalid>;
}

/// A source of parameters: the query of a call, or the OpenAPI document.
pub trait Source {
    /// Takes a parameter. `about` describes it in the OpenAPI document.
    fn take<P: Parameter>(
        &mut self,
        name: &'static str,
        about: &'static str,
    ) -> Result<Option<P::Value>, Invalid>;
}

/// The parameters of a call that have not been taken yet.
struct Query(BTreeMap<String, String>);

impl Query {
    fn new(parameters: Vec<(String, String)>) -> Result<Self, Invalid> {
        let mut query = Self(BTreeMap::new());
        for (name, value) in parameters {
            match query.0.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(entry) => {
                    let name = entry.key();
                    return Err(Invalid::field(
                        name,
                        "repeated_parameter",
                        format!("{name} is given twice"),
                    ));
                }
            }
        }
        Ok(query)
    }

    /// Says that all parameters have been taken.
    fn finish(self) -> Result<(), Invalid> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Invalid::field(
                name,
                "unknown_parameter",
                format!("{name} is not a known parameter"),
            )),
        }
    }
}

impl Source for Query {
    fn take<P: Parameter>(
        &mut self,
        name: &'static str,
        _: &'static str,
    ) -> Result<Option<P::Value>, Invalid> {
        self.0.remove(name).map(|text| P::read(name, text)).transpose()
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<C> {
    /// The page has at most this many items: 1 to 100.
    pub limit: u16,
    /// The page begins after this item; none at the beginning of the list.
    pub after: Option<C>,
}

impl<C: FromStr> Asked for Page<C> {
    fn read(query: &mut impl Source) -> Result<Self, Invalid> {
        let limit =
            query.take::<Limit>("limit", "The most items that a page has. 50 unless given.")?;
        let about = "The `next` of an earlier answer. The page begins behind it.";
        Ok(Self {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            after: query.take::<Cursor<C>>("cursor", about)?,
        })
    }
}

/// The size of a page.
struct Limit;

/// A cursor says where an earlier answer ended.
pub struct Cursor<C>(PhantomData<C>);

/// A text of any kind.
pub struct AnyText;

/// The order of a list, which begins with the oldest or with the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The oldest first.
    #[default]
    Ascending,
    /// The newest first.
    Descending,
}

impl Parameter for Limit {
    type Value = u16;

    fn read(name: &str, text: String) -> Result<u16, Invalid> {
        let limit: u16 = text.parse().map_err(|_| has_to_be(name, "a number from 1 to 100"))?;
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(limit);
        }
        Err(Invalid::field(name, "invalid_parameter", format!("{name} is 1 to {MAX_LIMIT}")))
    }
}

impl<C: FromStr> Parameter for Cursor<C>
where
    Self: Documented,
{
    type Value = C;

    fn read(name: &str, text: String) -> Result<C, Invalid> {
        text.parse().map_err(|_| has_to_be(name, "the next of an earlier answer"))
    }
}

impl Parameter for Time {
    type Value = Timestamp;

    fn read(name: &str, text: String) -> Result<Timestamp, Invalid> {
        text.parse().map_err(|_| {
            // A `+` that was not encoded has arrived as a space.
            let is_decoded =
                text.contains(' ') && text.replace(' ', "+").parse::<Timestamp>().is_ok();
            let hint = if is_decoded {
                ": the + of its offset arrived as a space, so write it as %2B"
            } else {
                ""
            };
            has_to_be(name, &format!("an RFC 3339 time{hint}"))
        })
    }
}

impl Parameter for AnyText {
    type Value = String;

    fn read(_: &str, text: String) -> Result<String, Invalid> {
        Ok(text)
    }
}

impl Parameter for bool {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        text.parse().map_err(|_| has_to_be(name, "true or false"))
    }
}

impl Parameter for Order {
    type Value = Self;

    fn read(name: &str, text: String) -> Result<Self, Invalid> {
        match text.as_str() {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err(has_to_be(name, "asc or desc")),
        }
    }
}

/// The complaint about a parameter; `shape` completes "… has to be".
pub fn has_to_be(name: &str, shape: &str) -> Invalid {
    Invalid::field(name, "invalid_parameter", format!("{name} has to be {shape}"))
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{PartialSchema, ToSchema};

    use super::{AnyText, Cursor, Limit, MAX_LIMIT, Order};
    use crate::input::openapi::{Described, integer, text};

    impl PartialSchema for Limit {
        fn schema() -> Described {
            integer().minimum(Some(1)).maximum(Some(MAX_LIMIT)).into()
        }
    }

    /// A cursor is a text in every list, whatever it is made of: what is answered fits where it is
    /// sent.
    impl<C> PartialSchema for Cursor<C> {
        fn schema() -> Described {
            text().into()
        }
    }

    impl PartialSchema for AnyText {
        fn schema() -> Described {
            text().into()
        }
    }

    impl PartialSchema for Order {
        fn schema() -> Described {
            text().enum_values(Some(["asc", "desc"])).into()
        }
    }

    impl ToSchema for Limit {}
    impl<C> ToSchema for Cursor<C> {}
    impl ToSchema for AnyText {}
    impl ToSchema for Order {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Everything {
        page: Page<u8>,
        since: Option<Timestamp>,
        order: Option<Order>,
    }

    impl Asked for Everything {
        fn read(query: &mut impl Source) -> Result<Self, Invalid> {
            let page = Page::read(query)?;
            Ok(Self {
                page,
                since: query.take::<Time>("since", "")?,
                order: query.take::<Order>("order", "")?,
            })
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Everything, Invalid> {
        Everything::of(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn a_parameter_that_is_given_twice_is_refused_even_with_one_value() {
        for second in ["5", "6"] {
            let refused = read(&[("limit", "5"), ("order", "asc"), ("limit", second)]);
            assert_eq!(
                refused,
                Err(Invalid::field("limit", "repeated_parameter", "limit is given twice"))
            );
        }
    }

    #[test]
    fn a_plus_that_arrived_as_a_space_is_explained() {
        let time = |text| read(&[("since", text)]).map(|read| read.since);
        assert_eq!(time("2026-01-15T00:00:00+02:00"), Ok("2026-01-14T22:00:00Z".parse().ok()));
        let message = "since has to be an RFC 3339 time: the + of its offset arrived as a space, \
            so write it as %2B";
        let refused = Invalid::field("since", "invalid_parameter", message);
        assert_eq!(time("2026-01-15T00:00:00 02:00"), Err(refused));
        for other in ["yesterday", "next week", ""] {
            let refused =
                Invalid::field("since", "invalid_parameter", "since has to be an RFC 3339 time");
            assert_eq!(time(other), Err(refused), "{other}");
        }
    }

    #[test]
    fn limits_are_1_to_100_and_50_unless_given() {
        let limit = |pairs: &[(&str, &str)]| read(pairs).map(|read| read.page.limit);
        assert_eq!(limit(&[]), Ok(50));
        assert_eq!(limit(&[("limit", "1")]), Ok(1));
        assert_eq!(limit(&[("limit", "100")]), Ok(100));
        for bad in ["0", "101", "-1", "x", ""] {
            assert_eq!(
                limit(&[("limit", bad)]).unwrap_err().field.as_deref(),
                Some("limit"),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let nothing =
            Everything { page: Page { limit: 50, after: None }, since: None, order: None };
        assert_eq!(read(&[]), Ok(nothing));
        assert_eq!(read(&[("stauts", "x")]).unwrap_err().field.as_deref(), Some("stauts"));
    }
}
