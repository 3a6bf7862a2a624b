//! The two parts of a webhook's settings that decide about an event: what subscribes to it, and the
//! cell of the matrix that is about it.

use super::{EVERY_OTHER, Filters, NO_PROCESS, Row, Rule};
use crate::event::{
    catalogue,
    event_type::{EventPattern, EventType},
    process::Process,
};

/// A cell of the matrix, and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'f> {
    /// The row: a process type, `*` or `no_process`.
    pub row: &'f str,
    /// The column: an event type, a prefix or `*`.
    pub column: &'f EventPattern,
    /// The rule in the cell.
    pub rule: Rule,
}

/// The closest of the patterns that subscribe to events of this type; none if none does.
///
/// `*` asks for everything that is published, and not for the news of how its delivery went.
pub(crate) fn subscribed_by<'p>(
    subscribed: &'p [EventPattern],
    event_type: &EventType,
) -> Option<&'p EventPattern> {
    let is_operational = catalogue::is_operational(event_type);
    let naming = subscribed.iter().filter(|pattern| {
        pattern.matches(event_type) && !(is_operational && **pattern == EventPattern::All)
    });
    naming.max_by_key(|pattern| pattern.closeness())
}

impl Filters {
    /// The cell that decides about events of this type and process: the closest one of their row.
    /// None if no cell is about them.
    pub fn cell(&self, process: &Process, event_type: &EventType) -> Option<Cell<'_>> {
        let (row, cells) = self.row(process)?;
        let matching = cells.iter().filter(|(pattern, _)| pattern.matches(event_type));
        let (column, rule) = matching.max_by_key(|(pattern, _)| pattern.closeness())?;
        Some(Cell { row, column, rule: *rule })
    }

    /// The row that applies to the events of a process. None applies where nobody knows the type of
    /// the process: then nothing is taken away.
    fn row(&self, process: &Process) -> Option<(&String, &Row)> {
        let Self(rows) = self;
        match &process.process_type {
            Some(process_type) => {
                rows.get_key_value(process_type).or_else(|| rows.get_key_value(EVERY_OTHER))
            }
            None if process.is_none() => rows.get_key_value(NO_PROCESS),
            None => None,
        }
    }
}
