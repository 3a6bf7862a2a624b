//! The event types that a webhook's settings name: in its subscriptions, filters and Slack
//! templates.

use std::{borrow::Cow, collections::BTreeSet};

use super::Settings;
use crate::{
    Invalid,
    event::{
        catalogue,
        event_type::{EventPattern, EventType},
    },
};

/// A pattern, and the field that has it.
type Named<'a> = (String, Cow<'a, EventPattern>);

impl Settings {
    /// Complains about every subscription, filter and template that is not in `old` and names no
    /// event type that is known. `own` are the known types of the workspace: those that
    /// [`Self::new_patterns`] match are enough. One of `similar` may be what was meant.
    pub fn unknown_types<'a>(
        &'a self,
        old: Option<&'a Self>,
        own: &'a [EventType],
        similar: &'a [EventType],
    ) -> impl Iterator<Item = Invalid> {
        let unknown =
            self.added(old).filter(move |(_, pattern)| !catalogue::is_known(pattern, own));
        unknown.map(move |(field, pattern)| catalogue::unknown(&field, &pattern, similar))
    }

    /// Returns the patterns of the subscriptions, filters and templates that are not in `old` and
    /// that match neither a built-in type nor one of these.
    pub fn new_patterns(&self, old: Option<&Self>, own: &[EventType]) -> BTreeSet<EventPattern> {
        let added = self.added(old).map(|(_, pattern)| pattern);
        added.filter(|pattern| !catalogue::is_known(pattern, own)).map(Cow::into_owned).collect()
    }

    /// The subscriptions, filters and templates that are not in `old`, with their fields.
    fn added<'a>(&'a self, old: Option<&'a Self>) -> impl Iterator<Item = Named<'a>> {
        let events = self.events.iter().enumerate();
        let events = events.map(|(at, pattern)| (format!("events[{at}]"), Cow::Borrowed(pattern)));
        let filters = self.filters.0.iter().flat_map(|(process, row)| {
            row.keys().map(move |pattern| {
                (format!("filters.{process}.{pattern}"), Cow::Borrowed(pattern))
            })
        });
        let templates = self.templates().map(|event_type| {
            let pattern = EventPattern::Exactly(event_type.clone());
            (format!("slackTemplates.{event_type}"), Cow::Owned(pattern))
        });
        let all = events.chain(filters).chain(templates);
        all.filter(move |(_, pattern)| old.is_none_or(|old| !old.names(pattern)))
    }

    fn templates(&self) -> impl Iterator<Item = &EventType> {
        self.slack_templates.iter().flat_map(|templates| templates.types())
    }

    fn names(&self, pattern: &EventPattern) -> bool {
        self.events.contains(pattern)
            || self.filters.patterns().any(|other| other == pattern)
            || self
                .templates()
                .any(|other| matches!(pattern, EventPattern::Exactly(name) if name == other))
    }
}
