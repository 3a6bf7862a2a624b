//! Cursors and ids, which clients send back as they got them, or otherwise.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use posthaste_domain::{
    delivery::log,
    fanout::delivered,
    id::{BatchId, DeliveryId, EventId, JobId, KeyId, PortalLinkId, SimulationId, WebhookId},
    input::{Asked, Page},
};

/// A cursor that is taken names one place: it is printed and read as the same one, a page begins
/// behind it, and no other cursor of its length names the same place.
pub(crate) fn names_one_place(input: &[u8]) -> bool {
    let [at, by, text @ ..] = input else { return false };
    let Ok(text) = str::from_utf8(text) else { return false };
    let change = Change { at: usize::from(*at), to: *by };
    let taken = [
        holds::<delivered::Cursor>(text, &change),
        holds::<log::Cursor>(text, &change),
        holds::<EventId>(text, &change),
        holds::<DeliveryId>(text, &change),
        holds::<WebhookId>(text, &change),
        holds::<KeyId>(text, &change),
        holds::<PortalLinkId>(text, &change),
        holds::<JobId>(text, &change),
        holds::<SimulationId>(text, &change),
        holds::<BatchId>(text, &change),
    ];
    taken.contains(&true)
}

/// A change of one byte of a text.
struct Change {
    at: usize,
    to: u8,
}

impl Change {
    /// The changed text; none if it would be the same one, or none at all.
    fn of(&self, text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let at = self.at % bytes.len().max(1);
        let byte = bytes.get_mut(at)?;
        *byte = self.to;
        let changed = String::from_utf8(bytes).ok()?;
        // Hex digits mean the same in capitals.
        (!changed.eq_ignore_ascii_case(text)).then_some(changed)
    }
}

fn holds<C>(text: &str, change: &Change) -> bool
where
    C: FromStr + Display + PartialEq + Debug + Clone,
{
    let read = text.parse::<C>().ok();
    let asked = Page::<C>::of(vec![("cursor".to_owned(), text.to_owned())]);
    let Some(cursor) = read else {
        let refused = asked.expect_err("what is no cursor is refused");
        assert_eq!(refused.field.as_deref(), Some("cursor"));
        return false;
    };
    assert_eq!(asked.ok().and_then(|page| page.after), Some(cursor.clone()));
    let printed = cursor.to_string();
    assert_eq!(printed.parse::<C>().ok().as_ref(), Some(&cursor), "{printed}");
    if let Some(changed) = change.of(&printed) {
        let other = changed.parse::<C>().ok();
        assert_ne!(other.as_ref(), Some(&cursor), "{printed} and {changed} are one place");
    }
    true
}
