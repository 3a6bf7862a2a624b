use posthaste_domain::{
    delivery::log,
    fanout::delivered::{self, Delivered, Partly},
    id::{DeliveryId, EventId, WebhookId},
    input::{Asked, Page},
};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = EventId> {
    any::<[u8; 16]>().prop_map(EventId::of_bytes)
}

fn of_events() -> impl Strategy<Value = delivered::Cursor> {
    let known = [Delivered::Unwanted, Delivered::Yes, Delivered::Unknown, Delivered::No];
    let partly = (event(), any::<u64>(), prop::sample::select(known.to_vec()));
    let within = partly.prop_map(|(event, webhook, so_far)| {
        delivered::Cursor::Within(Partly { event, webhook: WebhookId(webhook), so_far })
    });
    prop_oneof![event().prop_map(delivered::Cursor::After), within]
}

fn of_deliveries() -> impl Strategy<Value = log::Cursor> {
    let owed = prop::option::of((event(), any::<u64>().prop_map(WebhookId)));
    let late = prop::option::of(any::<[u8; 16]>().prop_map(DeliveryId::of_bytes));
    (owed, late).prop_map(|(owed, late)| log::Cursor { owed, late })
}

/// Puts a character in place of the one at this place.
fn changed(text: &str, at: usize, to: char) -> String {
    let at = at % text.len();
    format!("{}{to}{}", &text[..at], &text[at + 1..])
}

proptest! {
    #[test]
    fn the_cursor_of_an_answer_is_taken_back_as_it_was(
        events in of_events(), deliveries in of_deliveries()
    ) {
        let asked = |cursor: String| vec![("cursor".to_owned(), cursor)];
        let page = Page::<delivered::Cursor>::of(asked(events.to_string())).unwrap();
        prop_assert_eq!((page.after, page.limit), (Some(events), 50));
        let page = Page::<log::Cursor>::of(asked(deliveries.to_string())).unwrap();
        prop_assert_eq!(page.after, Some(deliveries));
    }

    #[test]
    fn a_cursor_of_which_one_character_was_changed_is_refused_or_another_place(
        events in of_events(), deliveries in of_deliveries(), at: usize, to in "[ -~]"
    ) {
        let to = to.chars().next().unwrap();
        let (was, now) = (events.to_string(), changed(&events.to_string(), at, to));
        if !now.eq_ignore_ascii_case(&was) {
            prop_assert_ne!(now.parse(), Ok(events));
        }
        let (was, now) = (deliveries.to_string(), changed(&deliveries.to_string(), at, to));
        if !now.eq_ignore_ascii_case(&was) {
            prop_assert_ne!(now.parse(), Ok(deliveries));
        }
    }

    #[test]
    fn a_part_of_a_cursor_is_refused(cursor in of_deliveries(), at: usize) {
        let text = cursor.to_string();
        let cut = &text[..at % text.len()];
        // A webhook's number is as long as it is, and so may a part of it be one.
        prop_assume!(cut.matches('.').count() < 2);
        prop_assert_eq!(cut.parse::<log::Cursor>(), Err(log::NoCursor));
        let pages = Page::<log::Cursor>::of(vec![("cursor".to_owned(), cut.to_owned())]);
        let refused = pages.unwrap_err();
        prop_assert_eq!(refused.field.as_deref(), Some("cursor"));
    }

    #[test]
    fn any_other_text_is_refused(text in "\\PC{0,60}") {
        prop_assume!(text.parse::<EventId>().is_err() && text != "-.-.-");
        prop_assert_eq!(text.parse::<delivered::Cursor>(), Err(delivered::NoCursor));
        prop_assert_eq!(text.parse::<log::Cursor>(), Err(log::NoCursor));
    }
}
