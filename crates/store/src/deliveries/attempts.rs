//! A record that refused an attempt says why.

use aws_sdk_dynamodb::types::AttributeValue;
use posthaste_domain::delivery::{
    attempt::{Attempt, MAX_KEPT_ATTEMPTS, Status},
    sequence::Recorded,
};

use super::{record::counted, records::NewAttempt};
use crate::{StoreError, item::Item};

/// The reason that a record refused an update.
pub(super) enum Refused {
    /// The attempt is not to be recorded like this.
    For(Recorded),
    /// It can be recorded if this stays as it is.
    Unless(Kept),
}

/// The things that an attempt leaves as they are in a record that has refused it.
#[derive(Default)]
pub(super) struct Kept {
    /// The last attempts of a record that has no room for more, as the table has them.
    pub(super) attempts: Option<Vec<AttributeValue>>,
    /// The end of the delivery, which another copy of its message has recorded.
    pub(super) end: Option<Status>,
}

pub(super) fn refused(old: &Item, new: NewAttempt<'_>) -> Result<Refused, StoreError> {
    let NewAttempt { attempt, id, known, .. } = new;
    let attempts = old.list("attempts");
    let since = old.optional("updatedAt", Item::parsed)?;
    let status = old.text("status").ok().and_then(Status::by_name);
    let end = status.filter(|status| new.leaves(*status, since));
    let count = counted(old, new.counter())?;
    let last = old.text("lastAttempt").ok();
    if last == Some(id) {
        let recorded = if end.is_some() { Recorded::AlreadyOver } else { Recorded::Counted(count) };
        return Ok(Refused::For(recorded));
    }
    // The last one has another name, even if a copy of its message began in the same millisecond.
    let others = attempts.len().saturating_sub(usize::from(last.is_some()));
    if attempts[..others].iter().any(|kept| is_same(kept, attempt)) {
        return Ok(Refused::For(Recorded::Overtaken));
    }
    if end == Some(Status::Succeeded) {
        return Ok(Refused::For(Recorded::AlreadyOver));
    }
    if count != known {
        return Ok(Refused::For(Recorded::Stale(count)));
    }
    let first = (attempts.len() + 1).checked_sub(MAX_KEPT_ATTEMPTS).filter(|first| *first > 0);
    let last = first.map(|first| attempts[first..].to_vec());
    Ok(Refused::Unless(Kept { attempts: last, end }))
}

fn is_same(kept: &AttributeValue, attempt: &Attempt) -> bool {
    let kept = kept.as_s().ok().and_then(|json| serde_json::from_str::<Attempt>(json).ok());
    kept.is_some_and(|kept| kept.is_that_of(attempt))
}
