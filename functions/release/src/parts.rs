//! The parts of the work that an invocation does. Pure.

use posthaste_domain::delivery::release::Part;
use serde_json::Value;

/// The part that the event names as `{"part": 3}`. An event without one, as of a schedule that is
/// older than the parts, or of a person, asks for all of them.
///
/// # Errors
/// There is no such part.
pub(crate) fn of(event: &Value) -> anyhow::Result<Vec<Part>> {
    match event.get("part") {
        None => Ok(Part::all().collect()),
        Some(part) => match part.as_u64().and_then(Part::new) {
            Some(part) => Ok(vec![part]),
            None => anyhow::bail!("there is no part {part}: parts are the numbers 0 to 7"),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_asks_for_one_part_or_for_all() {
        assert_eq!(of(&json!({ "part": 3 })).unwrap(), [Part::new(3).unwrap()]);
        assert_eq!(
            of(&json!({ "source": "aws.events", "detail": {} })).unwrap(),
            Part::all().collect::<Vec<_>>()
        );
        assert_eq!(of(&Value::Null).unwrap().len(), 8);
        for bad in [
            json!({ "part": 8 }),
            json!({ "part": -1 }),
            json!({ "part": "3" }),
            json!({ "part": null }),
        ] {
            assert!(of(&bad).is_err(), "{bad}");
        }
    }
}
