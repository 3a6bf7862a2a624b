//! The envelope of every failure.

use serde::Serialize;

/// The API's answer to every call that fails.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure<'a> {
    /// Always false.
    #[cfg_attr(feature = "openapi", schema(schema_with = super::openapi::always_false))]
    pub success: bool,
    /// The reason of the failure.
    pub error: Complaint<'a>,
}

/// The description of what is wrong with a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
pub struct Complaint<'a> {
    /// A stable word for programs, such as `invalid_url`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9_]+$"))]
    pub code: &'a str,
    /// A sentence for people.
    pub message: String,
    /// The path of the field, or the name of the parameter, at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub field: Option<&'a str>,
    /// The id by which the call is found in the log.
    pub request_id: &'a str,
}
