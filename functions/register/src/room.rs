//! The room that the answers of a page have.

use posthaste_api::DeliveryAnswer;

/// The answers of one source of a page take at most so many bytes: a page has two sources at most,
/// and Lambda hands 6 MB back.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The bytes that answers have taken.
#[derive(Debug, Default)]
pub(crate) struct Room(usize);

impl Room {
    /// Takes the room of an answer. Says no where there is no room left; the first answer fits in
    /// any case.
    pub(crate) fn has(&mut self, answer: &DeliveryAnswer) -> bool {
        let bytes = serde_json::to_vec(answer).map_or(0, |json| json.len());
        let is_first = self.0 == 0;
        self.0 += bytes;
        is_first || self.0 <= MAX_BYTES
    }
}
