//! The shapes of what clients send. Each reads its values, and says in the OpenAPI document what
//! they look like.

use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Invalid, Whole};

/// The shape of a field of a [`body`](super::body!) says how its value is read, and how the OpenAPI
/// document describes it.
///
/// A type that is read as itself is its own shape. The others of this file exist only as shapes.
pub trait Shape: Documented {
    /// The value that is read.
    type Value;
    /// It says whether the document describes the shape once and refers to it by its name.
    const NAMED: bool = true;
    /// It says whether a field of this shape has to be there.
    const REQUIRED: bool = true;

    /// Reads JSON that stands at the path `at` and is not `null`.
    fn read(at: &str, json: &RawValue) -> Result<Self::Value, Invalid>;

    /// Returns the value of a field that is absent or `null`.
    fn absent(at: &str) -> Result<Self::Value, Invalid> {
        Err(missing(at))
    }

    /// Describes a value that is sent.
    #[cfg(feature = "openapi")]
    fn sent() -> super::openapi::Described {
        if Self::NAMED { super::openapi::reference::<Self>() } else { Self::schema() }
    }

    /// Describes the same value in an answer.
    #[cfg(feature = "openapi")]
    fn answered() -> super::openapi::Described {
        Self::sent()
    }

    /// Adds the schemas that [`Shape::sent`] refers to.
    #[cfg(feature = "openapi")]
    fn add_to(named: &mut super::openapi::Named) {
        if Self::NAMED {
            named.push((Self::name().into_owned(), Self::schema()));
        }
        Self::schemas(named);
    }
}

/// The document knows everything that can be sent. The feature `openapi` adds the schemas, which
/// only `posthaste-api` asks for: a function that does not answer calls is built without them.
#[cfg(feature = "openapi")]
pub trait Documented: utoipa::ToSchema {}
#[cfg(feature = "openapi")]
impl<T: utoipa::ToSchema> Documented for T {}
/// Without the feature `openapi` there is no document.
#[cfg(not(feature = "openapi"))]
pub trait Documented {}
#[cfg(not(feature = "openapi"))]
impl<T> Documented for T {}

/// A value that may be absent from a request. `IN_ANSWERS` says whether an answer can be without
/// it, too.
pub struct Absent<S, const IN_ANSWERS: bool>(PhantomData<S>);

/// A value that may be absent, in requests and in answers.
pub type Optional<S> = Absent<S, true>;

/// A value that a webhook may have of its own. Without one it has its profile's, so that an answer
/// always has one.
pub type Own<S> = Absent<S, false>;

impl<S: Shape, const IN_ANSWERS: bool> Shape for Absent<S, IN_ANSWERS>
where
    Self: Documented,
{
    type Value = Option<S::Value>;
    const REQUIRED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self::Value, Invalid> {
        S::read(at, json).map(Some)
    }

    fn absent(_: &str) -> Result<Self::Value, Invalid> {
        Ok(None)
    }

    #[cfg(feature = "openapi")]
    fn sent() -> super::openapi::Described {
        super::openapi::or_null(S::sent())
    }

    #[cfg(feature = "openapi")]
    fn answered() -> super::openapi::Described {
        if IN_ANSWERS { Self::sent() } else { S::answered() }
    }

    #[cfg(feature = "openapi")]
    fn add_to(named: &mut super::openapi::Named) {
        S::add_to(named);
    }
}

/// A whole number in a range.
pub struct Number<N, const LEAST: i64, const MOST: i64>(PhantomData<N>);

impl<N: TryFrom<i64>, const LEAST: i64, const MOST: i64> Shape for Number<N, LEAST, MOST>
where
    Self: Documented,
{
    type Value = N;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<N, Invalid> {
        let number: Whole = parsed(at, json, "a whole number")?;
        let in_range = number.within(LEAST..=MOST).and_then(|number| N::try_from(number).ok());
        in_range
            .ok_or_else(|| Invalid::field(at, "out_of_range", format!("{at} is {LEAST} to {MOST}")))
    }
}

/// A text of at most so many bytes.
pub struct Text<const BYTES: usize>;

impl<const BYTES: usize> Shape for Text<BYTES>
where
    Self: Documented,
{
    type Value = String;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<String, Invalid> {
        let text = text(at, json)?;
        if text.len() > BYTES {
            return Err(Invalid::field(
                at,
                "too_long",
                format!("{at} takes at most {BYTES} bytes"),
            ));
        }
        Ok(text)
    }
}

/// A time in RFC 3339.
pub struct Time;

impl Shape for Time {
    type Value = Timestamp;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Timestamp, Invalid> {
        parsed(at, json, "an RFC 3339 time")
    }
}

/// An object in JSON, whatever its members. It is kept byte for byte.
pub struct JsonObject;

impl Shape for JsonObject {
    type Value = Box<RawValue>;

    fn read(at: &str, json: &RawValue) -> Result<Box<RawValue>, Invalid> {
        if json.get().starts_with('{') {
            Ok(json.to_owned())
        } else {
            Err(wrong_type(at, "an object"))
        }
    }
}

impl Shape for bool {
    type Value = Self;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Self, Invalid> {
        parsed(at, json, "true or false")
    }
}

/// Reads what serde can read; `shape` completes "… has to be".
pub(crate) fn parsed<'a, T: Deserialize<'a>>(
    at: &str,
    json: &'a RawValue,
    shape: &str,
) -> Result<T, Invalid> {
    serde_json::from_str(json.get()).map_err(|_| wrong_type(at, shape))
}

/// Reads a text.
pub(crate) fn text(at: &str, json: &RawValue) -> Result<String, Invalid> {
    parsed(at, json, "a text")
}

/// Reads one of some names. The complaint about another one has this code, and lists those that are
/// known.
pub(crate) fn one_of<V: Copy>(
    at: &str,
    json: &RawValue,
    names: &[(&str, V)],
    code: &'static str,
) -> Result<V, Invalid> {
    let wanted = text(at, json)?;
    if let Some((_, value)) = names.iter().find(|(name, _)| *name == wanted) {
        return Ok(*value);
    }
    let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    Err(Invalid::field(
        at,
        code,
        format!("{wanted:?} is not a {at}; known are {}", known.join(", ")),
    ))
}

pub(crate) fn wrong_type(at: &str, shape: &str) -> Invalid {
    Invalid::field(at, "wrong_type", format!("{at} has to be {shape}"))
}

/// The complaint about a field that is not there.
pub(crate) fn missing(at: &str) -> Invalid {
    Invalid::field(at, "missing_field", format!("{at} is required"))
}
