//! The cause of `customer_status_changed` in the two versions of the Spektr events. Version 1 has
//! it as `userId` or `processId` of `data`, version 2 as `method`. A producer gives one of them,
//! and each version shows its own.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    event::{
        Event,
        data::{Member, with_members},
    },
    input,
};

const TYPE: &str = "customer_status_changed";

/// Returns the `data` of an event as version 1 has it: with the `userId` and the `processId` of its
/// `method`.
pub(super) fn in_first<'a>(
    event: &Event,
    data: &'a RawValue,
) -> serde_json::Result<Cow<'a, RawValue>> {
    if event.event_type.as_str() != TYPE {
        return Ok(Cow::Borrowed(data));
    }
    let Some(method) = member(data, "method") else { return Ok(Cow::Borrowed(data)) };
    let mut causes = Vec::new();
    for name in ["userId", "processId"] {
        if let Some(id) = member(method, name) {
            causes.push(Member { name, json: Cow::Borrowed(id.get()) });
        }
    }
    with_members(data, &causes)
}

/// Returns the `data` of an event as version 2 has it: with a `method` that has its `userId`, or
/// else its `processId`.
pub(super) fn in_second<'a>(
    event: &Event,
    data: &'a RawValue,
) -> serde_json::Result<Cow<'a, RawValue>> {
    if event.event_type.as_str() != TYPE {
        return Ok(Cow::Borrowed(data));
    }
    let method = match (member(data, "userId"), member(data, "processId")) {
        (Some(user), _) => format!(r#"{{"type":"user","userId":{user}}}"#),
        (None, Some(process)) => format!(r#"{{"type":"process","processId":{process}}}"#),
        (None, None) => return Ok(Cow::Borrowed(data)),
    };
    with_members(data, &[Member { name: "method", json: Cow::Owned(method) }])
}

/// Returns a member that is not `null`. The last one of repeated members counts, as in most JSON
/// readers.
fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let members = input::members(object);
    let (_, value) = members.into_iter().rfind(|(other, _)| other == name)?;
    (value.get() != "null").then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn each_version_has_the_cause_where_its_document_prints_it() {
        for (published, first, second) in [
            (
                r#"{"method":{"type":"user","userId":"u"}}"#,
                r#"{"method":{"type":"user","userId":"u"},"userId":"u"}"#,
                r#"{"method":{"type":"user","userId":"u"}}"#,
            ),
            (
                r#"{"userId":null,"processId":"p"}"#,
                r#"{"userId":null,"processId":"p"}"#,
                r#"{"userId":null,"processId":"p","method":{"type":"process","processId":"p"}}"#,
            ),
            (
                r#"{"userId":"u","processId":"p"}"#,
                r#"{"userId":"u","processId":"p"}"#,
                r#"{"userId":"u","processId":"p","method":{"type":"user","userId":"u"}}"#,
            ),
            (
                r#"{"userId":null,"method":{"type":"user","userId":"u"}}"#,
                r#"{"userId":"u","method":{"type":"user","userId":"u"}}"#,
                r#"{"userId":null,"method":{"type":"user","userId":"u"}}"#,
            ),
            (
                r#"{"method":null,"processId":"p"}"#,
                r#"{"method":null,"processId":"p"}"#,
                r#"{"method":{"type":"process","processId":"p"},"processId":"p"}"#,
            ),
            ("{}", "{}", "{}"),
        ] {
            let event = testing::event(1, TYPE, published);
            assert_eq!(in_first(&event, &event.data).unwrap().get(), first);
            assert_eq!(in_second(&event, &event.data).unwrap().get(), second);
        }
        let other = testing::event(1, "customer_status_change", r#"{"userId":"u"}"#);
        assert_eq!(in_second(&other, &other.data).unwrap().get(), other.data.get());
    }
}
