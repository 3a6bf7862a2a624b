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
    /// The record has no room for it. So much of its attempts can stay, as the table has them.
    Full(Vec<AttributeValue>),
}

pub(super) fn refused(old: &Item, new: NewAttempt<'_>) -> Result<Refused, StoreError> {
    let NewAttempt { attempt, id, known, .. } = new;
    let attempts = old.list("attempts");
    let count = counted(old, new.counter())?;
    let last = old.text("lastAttempt").ok();
    if last == Some(id) {
        return Ok(Refused::For(Recorded::Counted(count)));
    }
    // The last one has another name, even if a copy of its message began in the same millisecond.
    let others = attempts.len().saturating_sub(usize::from(last.is_some()));
    if attempts[..others].iter().any(|kept| is_same(kept, attempt)) {
        return Ok(Refused::For(Recorded::Overtaken));
    }
    if !attempt.succeeded()
        && old.text("status").is_ok_and(|status| status == Status::Succeeded.name())
    {
        return Ok(Refused::For(Recorded::AlreadySucceeded));
    }
    if count != known {
        return Ok(Refused::For(Recorded::Stale(count)));
    }
    let first = attempts.len().saturating_sub(MAX_KEPT_ATTEMPTS - 1);
    Ok(Refused::Full(attempts[first..].to_vec()))
}

fn is_same(kept: &AttributeValue, attempt: &Attempt) -> bool {
    let kept = kept.as_s().ok().and_then(|json| serde_json::from_str::<Attempt>(json).ok());
    kept.is_some_and(|kept| kept.is_that_of(attempt))
}
