//! The end-user whom a Spektr event is about.

use std::borrow::Cow;

use crate::{event::Event, input};

/// The name of the end-user's id in the `data` of some types of version 2.
const IN_DATA: &str = "spektr_id";

/// Returns the end-user's id: the event's subject, or else the `spektr_id` of its data. Both
/// documents print one in every event. It is only missing where the producer gave none.
pub(super) fn id(event: &Event) -> Option<Cow<'_, str>> {
    if let Some(subject) = &event.subject {
        return Some(Cow::Borrowed(subject));
    }
    let members = input::members(&event.data);
    let (_, id) = members.into_iter().rfind(|(name, _)| name == IN_DATA)?;
    serde_json::from_str::<String>(id.get()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_event_without_a_subject_is_about_the_end_user_of_its_data() {
        let data = r#"{"spektr_id":"6879"}"#;
        let about = |subject: Option<&str>, data: &str| {
            let event = testing::event(1, "ownership_ai_created", data);
            let event = Event { subject: subject.map(str::to_owned), ..event };
            id(&event).map(Cow::into_owned)
        };
        assert_eq!(about(Some("c-1"), data).as_deref(), Some("c-1"));
        assert_eq!(about(None, data).as_deref(), Some("6879"));
        assert_eq!(about(None, r#"{"spektr_id":7}"#), None);
        assert_eq!(about(None, "{}"), None);
    }
}
