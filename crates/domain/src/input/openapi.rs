//! The schemas of the declared bodies in the OpenAPI document.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat,
        Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use crate::Invalid;

use super::{
    query::{Asked, Parameter, Source},
    shape::{Absent, JsonObject, Number, Shape, Text, Time},
};

/// Says what a type looks like whose schema can't be derived: its name in the document, its
/// description and its schema.
macro_rules! described {
    ($Type:ty, $name:literal, $about:expr, $schema:expr $(, refers to $Other:ty)?) => {
        impl utoipa::PartialSchema for $Type {
            fn schema() -> $crate::input::openapi::Described {
                $schema.description(Some($about)).into()
            }
        }

        impl utoipa::ToSchema for $Type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schemas(_named: &mut $crate::input::openapi::Named) {
                $(<$Other as $crate::input::Shape>::add_to(_named);)?
            }
        }
    };
}

pub(crate) use described;

/// The schema of a value, or a reference to one.
pub type Described = RefOr<Schema>;

/// Schemas by their names.
pub type Named = Vec<(String, Described)>;

/// A declared body.
pub trait Body {
    /// The doc comment of the body.
    const ABOUT: &str;

    /// The fields of the body, in their order.
    fn fields() -> Vec<Field>;

    /// Adds the schemas that the fields refer to.
    fn add_fields_to(named: &mut Named);
}

/// A field of a body.
pub struct Field {
    name: Cow<'static, str>,
    about: String,
    is_required: bool,
    sent: Described,
    answered: Described,
}

impl Field {
    /// A field of this shape, with its doc comment. One that `is_optional` has a value of its own
    /// where it is absent.
    pub fn of<S: Shape>(name: Cow<'static, str>, about: &str, is_optional: bool) -> Self {
        Self {
            name,
            about: unindented(about),
            is_required: S::REQUIRED && !is_optional,
            sent: if is_optional { or_null(S::sent()) } else { S::sent() },
            answered: S::answered(),
        }
    }

    /// The same field where it need not be there.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }
}

/// A parameter of a query.
pub struct KnownParameter {
    /// The name of the parameter.
    pub name: &'static str,
    /// The description of the parameter.
    pub about: &'static str,
    /// The schema of its value.
    pub schema: Described,
}

/// Returns the parameters that a call can be asked for.
pub fn parameters<A: Asked>() -> Vec<KnownParameter> {
    let mut known = Known(Vec::new());
    // Every parameter may be absent, so there is nothing to complain about.
    let _ = A::read(&mut known);
    known.0
}

/// A query without parameters, which notes those that are asked for.
struct Known(Vec<KnownParameter>);

impl Source for Known {
    fn take<P: Parameter>(
        &mut self,
        name: &'static str,
        about: &'static str,
    ) -> Result<Option<P::Value>, Invalid> {
        self.0.push(KnownParameter { name, about, schema: P::schema() });
        Ok(None)
    }
}

/// The schema of a body that is sent: an unknown field is refused.
pub fn sent(about: &str, fields: impl IntoIterator<Item = Field>) -> Described {
    let mut object = ObjectBuilder::new().description(Some(unindented(about)));
    for field in fields {
        object = object.property(field.name.clone(), with_description(field.sent, &field.about));
        if field.is_required {
            object = object.required(field.name);
        }
    }
    object.additional_properties(Some(AdditionalProperties::FreeForm(false))).into()
}

/// The same fields as an answer has them: all of them, and none of them left to a default.
pub fn answered<B: Body>(mut object: ObjectBuilder) -> ObjectBuilder {
    for field in B::fields() {
        let about = field.about.split("\n\n").next().unwrap_or_default();
        object = object
            .property(field.name.clone(), with_description(field.answered, about))
            .required(field.name);
    }
    object
}

/// Refers to the schema of a type by its name.
pub fn reference<T: ToSchema + ?Sized>() -> Described {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// The same value, or null.
pub fn or_null(described: Described) -> Described {
    match described {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Type(only) = object.schema_type {
                object.schema_type = SchemaType::from_iter([only, Type::Null]);
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut choices)) => {
            choices.items.push(null());
            RefOr::T(Schema::OneOf(choices))
        }
        other => OneOfBuilder::new().item(other).item(null()).into(),
    }
}

fn null() -> Described {
    ObjectBuilder::new().schema_type(Type::Null).into()
}

/// A description stands at the value itself, or at the reference to it.
fn with_description(mut described: Described, about: &str) -> Described {
    let about = about.replace("\n\n", "\n");
    match &mut described {
        RefOr::Ref(reference) => reference.description = about,
        RefOr::T(Schema::Object(object)) => object.description = Some(about),
        RefOr::T(Schema::Array(array)) => array.description = Some(about),
        RefOr::T(Schema::OneOf(choices)) => match choices.items.first_mut() {
            Some(RefOr::Ref(first)) => first.description = about,
            _ => choices.description = Some(about),
        },
        RefOr::T(_) => {}
    }
    described
}

/// A doc comment as it was written: each line begins with the space behind its slashes.
fn unindented(about: &str) -> String {
    let lines: Vec<&str> = about.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

/// A text in one of the formats of JSON Schema.
pub fn formatted(format: &str) -> ObjectBuilder {
    text().format(Some(SchemaFormat::Custom(format.to_owned())))
}

/// A text.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A list of such items.
pub fn list_of<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(reference::<T>())
}

impl<N: TryFrom<i64>, const LEAST: i64, const MOST: i64> PartialSchema for Number<N, LEAST, MOST> {
    fn schema() -> Described {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
        number.minimum(Some(LEAST)).maximum(Some(MOST)).into()
    }
}

impl<const BYTES: usize> PartialSchema for Text<BYTES> {
    fn schema() -> Described {
        text().max_length(Some(BYTES)).into()
    }
}

impl PartialSchema for Time {
    fn schema() -> Described {
        formatted("date-time").into()
    }
}

impl<S: Shape, const IN_ANSWERS: bool> PartialSchema for Absent<S, IN_ANSWERS> {
    fn schema() -> Described {
        Self::sent()
    }
}

described!(JsonObject, "JsonObject", "An object in JSON, whatever its members.", open_object());

impl<N: TryFrom<i64>, const LEAST: i64, const MOST: i64> ToSchema for Number<N, LEAST, MOST> {}
impl<const BYTES: usize> ToSchema for Text<BYTES> {}
impl ToSchema for Time {}
impl<S: Shape, const IN_ANSWERS: bool> ToSchema for Absent<S, IN_ANSWERS> {}

/// An object whose names fit one schema and whose values fit another one.
pub fn map_of(names: ObjectBuilder, values: impl Into<Described>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(Schema::from(names)))
        .additional_properties(Some(AdditionalProperties::RefOr(values.into())))
}

/// An object that says nothing of its members. It has to say that, or generated clients take it for
/// one that has none.
pub fn open_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
}

/// The value false and no other.
pub(super) fn always_false() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false]))
}

/// A whole number.
pub fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// Says that a shape is a list of so many of these.
macro_rules! list_described {
    ($List:ty, $Item:ty, $least:expr $(, $most:expr)?) => {
        impl utoipa::PartialSchema for $List {
            fn schema() -> $crate::input::openapi::Described {
                $crate::input::openapi::list_of::<$Item>().min_items(Some($least))$(.max_items(Some($most)))?.into()
            }
        }

        impl utoipa::ToSchema for $List {
            fn schemas(named: &mut $crate::input::openapi::Named) {
                let schema = <$Item as utoipa::PartialSchema>::schema();
                named.push((<$Item as utoipa::ToSchema>::name().into_owned(), schema));
                <$Item as utoipa::ToSchema>::schemas(named);
            }
        }
    };
}

pub(crate) use list_described;
