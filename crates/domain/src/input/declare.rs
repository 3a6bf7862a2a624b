//! The declaration of a body: the one place that says which fields it has.

use std::borrow::Cow;

/// Declares a body, or an object in one, as a struct whose fields clients send.
///
/// From the declaration come the reader ([`Shape::read`](crate::input::Shape), with complaints that
/// name their field) and the schema of the OpenAPI document, which has the doc comments as its
/// descriptions. The name of a field is that of the struct in camel case.
///
/// - `name: Type` reads the type by its own [`Shape`](crate::input::Shape), and
///   `name: Type as Shape` by another one.
/// - A field with `= value` may be absent or `null`, and is the value then. This does not reach
///   serde: a body that is stored says its own default, and needs a test that compares the two.
/// - An answer that has the same fields has the first paragraph of each doc comment. What follows
///   it is said of requests alone.
/// - Fields within `given` are sent too, and described as the shape behind `as`. They are not read
///   here, but given to `take` by someone who knows more than the body. So such a body has no
///   [`Shape`](crate::input::Shape).
/// - Fields after `beside` are not sent: they begin as their type's default.
macro_rules! body {
    (
        $(#[doc = $about:literal])+
        #[derive($($derive:path),+ $(,)?)]
        $(#[serde($($container:tt)+)])?
        $visibility:vis struct $Body:ident {
            $(given {
                $(
                    $(#[doc = $told:literal])+
                    pub $given:ident: $Given:ty as $GivenShape:ty,
                )+
            })?
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                pub $field:ident: $Type:ty $(as $Shape:ty)? $(= $default:expr)?,
            )+
        }
        $(beside { $($(#[$attribute:meta])+ pub $further:ident: $Further:ty,)+ })?
    ) => {
        $(#[doc = $about])+
        #[derive($($derive),+)]
        $(#[serde($($container)+)])?
        $visibility struct $Body {
            $($($(#[doc = $told])+ pub $given: $Given,)+)?
            $($(#[doc = $doc])+ $(#[serde($($serde)+)])? pub $field: $Type,)+
            $($($(#[$attribute])+ pub $further: $Further,)+)?
        }

        impl $Body {
            /// Takes the fields of a body. Where one is absent, that of `old` holds, if there is an
            /// old one.
            pub(crate) fn take(
                fields: &mut $crate::input::Fields<'_>,
                old: Option<&Self>,
                $($($given: $Given,)+)?
            ) -> Result<Self, $crate::Invalid> {
                Ok(Self {
                    $($($given,)+)?
                    $($field: fields.take_or::<$crate::input::body!(@shape $Type $(, $Shape)?)>(
                        $crate::input::json_name(stringify!($field)),
                        old.map(|old| &old.$field),
                        $crate::input::body!(@default $($default)?),
                    )?,)+
                    $($($further: Default::default(),)+)?
                })
            }
        }

        impl $Body {
            /// Complains about a field that is there and can't be taken, whatever held before.
            #[allow(dead_code, reason = "only changes are looked at before it is known of what")]
            pub(crate) fn check_fields(
                fields: &mut $crate::input::Fields<'_>
            ) -> Result<(), $crate::Invalid> {
                $(fields.check::<$crate::input::body!(@shape $Type $(, $Shape)?)>(
                    $crate::input::json_name(stringify!($field)),
                    $crate::input::body!(@is_optional $($default)?),
                )?;)+
                Ok(())
            }
        }

        $crate::input::body!(@whole $Body $(given $($given)+)?);

        #[cfg(feature = "openapi")]
        impl $crate::input::openapi::Body for $Body {
            const ABOUT: &str = concat!($($about, "\n"),+);

            fn fields() -> Vec<$crate::input::openapi::Field> {
                vec![$($($crate::input::openapi::Field::of::<$GivenShape>(
                    $crate::input::json_name(stringify!($given)),
                    concat!($($told, "\n"),+),
                    false,
                ),)+)? $($crate::input::openapi::Field::of::<$crate::input::body!(
                    @shape $Type $(, $Shape)?
                )>(
                    $crate::input::json_name(stringify!($field)),
                    concat!($($doc, "\n"),+),
                    $crate::input::body!(@is_optional $($default)?),
                )),+]
            }

            fn add_fields_to(named: &mut $crate::input::openapi::Named) {
                $($(<$GivenShape as $crate::input::Shape>::add_to(named);)+)?
                $(<$crate::input::body!(
                    @shape $Type $(, $Shape)?
                ) as $crate::input::Shape>::add_to(named);)+
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $Body {
            fn schema() -> $crate::input::openapi::Described {
                use $crate::input::openapi::{Body, sent};
                sent(Self::ABOUT, Self::fields())
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $Body {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($Body).into()
            }

            fn schemas(named: &mut $crate::input::openapi::Named) {
                <Self as $crate::input::openapi::Body>::add_fields_to(named);
            }
        }
    };
    (@whole $Body:ident given $($given:ident)+) => {};
    (@whole $Body:ident) => {
        impl $Body {
            /// Reads a whole body, which has these fields and no others.
            #[allow(dead_code, reason = "what stands within another body is not read by itself")]
            pub(crate) fn of_fields(
                mut fields: $crate::input::Fields<'_>
            ) -> Result<Self, $crate::Invalid> {
                let body = Self::take(&mut fields, None)?;
                fields.finish()?;
                Ok(body)
            }
        }

        impl $crate::input::Shape for $Body {
            type Value = Self;

            fn read(at: &str, json: &serde_json::value::RawValue) -> Result<Self, $crate::Invalid> {
                Self::of_fields($crate::input::Fields::of_object(json, at)?)
            }
        }
    };
    (@shape $Type:ty) => { $Type };
    (@shape $Type:ty, $Shape:ty) => { $Shape };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@is_optional) => { false };
    (@is_optional $default:expr) => { true };
}

pub(crate) use body;

/// The name of a struct's field in JSON: `timeout_seconds` is `timeoutSeconds`, and `r#type` is
/// `type`.
pub(crate) fn json_name(field: &'static str) -> Cow<'static, str> {
    let field = field.strip_prefix("r#").unwrap_or(field);
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default();
    if first.len() == field.len() {
        return Cow::Borrowed(field);
    }
    let mut name = first.to_owned();
    for word in words {
        let (initial, rest) = word.split_at(1);
        name.push_str(&initial.to_ascii_uppercase());
        name.push_str(rest);
    }
    Cow::Owned(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Invalid,
        input::{Fields, Number, Optional, Text},
    };

    body! {
        /// Something to buy.
        #[derive(Debug, Clone, PartialEq)]
        struct Purchase {
            /// The article.
            pub article_name: String as Text<5>,
            /// A note.
            pub note: Option<String> as Optional<Text<5>>,
            /// The number of pieces.
            pub r#type: u8 as Number<u8, 1, 9> = 1,
        }
        beside {
            /// Not for clients.
            pub is_paid: bool,
        }
    }

    fn take(body: &str, old: Option<&Purchase>) -> Result<Purchase, Invalid> {
        let mut fields = Fields::of_body(body.as_bytes())?;
        let purchase = Purchase::take(&mut fields, old)?;
        fields.finish().map(|()| purchase)
    }

    fn purchase(article: &str, note: Option<&str>, number: u8) -> Purchase {
        Purchase {
            article_name: article.to_owned(),
            note: note.map(str::to_owned),
            r#type: number,
            is_paid: false,
        }
    }

    #[test]
    fn names_are_in_camel_case() {
        for (field, name) in [
            ("url", "url"),
            ("r#type", "type"),
            ("retry_schedule", "retrySchedule"),
            ("a_b_c", "aBC"),
        ] {
            assert_eq!(json_name(field), name);
        }
    }

    #[test]
    fn what_is_absent_is_old_and_what_is_null_is_the_default() {
        let old = take(r#"{"articleName":"book","note":"soon","type":7}"#, None).unwrap();
        assert_eq!(old, purchase("book", Some("soon"), 7));
        assert_eq!(take(r#"{"articleName":"pen"}"#, None), Ok(purchase("pen", None, 1)));
        assert_eq!(take("{}", Some(&old)), Ok(old.clone()));
        assert_eq!(take(r#"{"note":null,"type":null}"#, Some(&old)), Ok(purchase("book", None, 1)));
        let missing =
            Err(Invalid::field("articleName", "missing_field", "articleName is required"));
        assert_eq!(
            (take("{}", None), take(r#"{"articleName":null}"#, Some(&old))),
            (missing.clone(), missing)
        );
        let unknown = Invalid::field("isPaid", "unknown_field", "isPaid is not a known field");
        assert_eq!(take(r#"{"articleName":"pen","isPaid":true}"#, None), Err(unknown));
    }
}
