//! The webhooks that an event was owed to when it was last fanned out. The event's item has them, so
//! that nobody has to guess them later from the settings of then.

use std::{fmt, str::FromStr};

use crate::id::WebhookId;

/// An event that goes to more webhooks is stored without them: no item grows with a workspace.
pub const MAX_RECIPIENTS: usize = 1000;

/// The webhooks that one event is delivered to. Its text is the list of their ids, separated by
/// commas, with an `h` behind those for which the event is held until its process ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(Vec<Recipient>);

/// One of the webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// The id of the webhook.
    pub webhook: WebhookId,
    /// True if the event is held for it until its process ends.
    pub is_held: bool,
}

/// The error about a text that is no list of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no list of webhooks")]
pub struct NoRecipients;

impl Recipients {
    /// Makes the list of these webhooks, in the order of their ids. None if there are too many.
    pub fn new(webhooks: impl IntoIterator<Item = Recipient>) -> Option<Self> {
        let mut all: Vec<Recipient> = webhooks.into_iter().take(MAX_RECIPIENTS + 1).collect();
        all.sort_unstable_by_key(|recipient| recipient.webhook);
        (all.len() <= MAX_RECIPIENTS).then_some(Self(all))
    }

    /// Lists the webhooks behind this one, in the order of their ids.
    pub fn after(&self, webhook: WebhookId) -> &[Recipient] {
        let at = self.0.partition_point(|recipient| recipient.webhook <= webhook);
        &self.0[at..]
    }

    /// Finds a webhook in the list.
    pub fn find(&self, webhook: WebhookId) -> Option<Recipient> {
        let found = self.0.binary_search_by_key(&webhook, |recipient| recipient.webhook);
        found.ok().map(|at| self.0[at])
    }
}

impl fmt::Display for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Recipient { webhook, is_held }) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            write!(f, "{comma}{webhook}{}", if *is_held { "h" } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Recipients {
    type Err = NoRecipients;

    fn from_str(text: &str) -> Result<Self, NoRecipients> {
        let mut all = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let id = part.strip_suffix('h');
            let webhook = id.unwrap_or(part).parse().map_err(|_| NoRecipients)?;
            all.push(Recipient { webhook, is_held: id.is_some() });
        }
        Self::new(all).ok_or(NoRecipients)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recipient(id: u64, is_held: bool) -> Recipient {
        Recipient { webhook: WebhookId(id), is_held }
    }

    #[test]
    fn a_list_is_short_as_text_and_in_the_order_of_ids() {
        let all = Recipients::new([recipient(19, true), recipient(7, false)]).unwrap();
        assert_eq!(all.to_string(), "7,19h");
        assert_eq!(all.after(WebhookId(7)), [recipient(19, true)]);
        assert_eq!(all.find(WebhookId(7)), Some(recipient(7, false)));
        assert_eq!(all.find(WebhookId(8)), None);
        assert_eq!(Recipients::default().to_string(), "");
        assert_eq!("".parse(), Ok(Recipients::default()));
        for wrong in ["a", "1,,x", "1 2", "h"] {
            assert_eq!(wrong.parse::<Recipients>(), Err(NoRecipients), "{wrong}");
        }
    }

    #[test]
    fn an_event_of_too_many_webhooks_has_no_list() {
        let all = |count| Recipients::new((0..count).map(|id| recipient(id, false)));
        assert!(all(1000).is_some());
        assert_eq!(all(1001), None);
    }

    proptest! {
        #[test]
        fn a_list_is_read_as_it_was_written(ids in prop::collection::btree_map(0..u64::MAX, any::<bool>(), 0..20)) {
            let all = Recipients::new(ids.into_iter().map(|(id, held)| recipient(id, held))).unwrap();
            prop_assert_eq!(all.to_string().parse(), Ok(all));
        }
    }
}
