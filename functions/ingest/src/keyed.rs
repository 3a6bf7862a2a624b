//! A call with an `Idempotency-Key`; what the key promises is in
//! [`posthaste_domain::event::idempotency`].
//!
//! The way of a call: it is validated, written down as started (one conditional put), its events
//! are sent, it is written down as sent. Whichever call finds the key taken goes on with what was
//! written down first, so that wherever one dies, and whoever runs at the same time, all come to
//! the same events. A call that is refused takes no key.

use axum::http::HeaderMap;
use posthaste_domain::{
    Invalid, Timestamp,
    access::workspace::Workspace,
    event::idempotency::{HEADER, IdempotencyKey, KeyedCall},
};
use posthaste_runtime::{api::ApiError, random};
use posthaste_store::Registry;

/// The key of a call.
pub(crate) struct Keyed<'a> {
    key: IdempotencyKey,
    workspace: &'a Workspace,
    registry: &'a Registry,
}

impl<'a> Keyed<'a> {
    /// The call's key, if it has one.
    pub(crate) fn of(
        headers: &HeaderMap,
        registry: &'a Registry,
        workspace: &'a Workspace,
    ) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        // Which of two is meant, nobody can say.
        let value = if values.next().is_none() { value.as_bytes() } else { b"" };
        Ok(Some(Self { key: IdempotencyKey::parse(value)?, workspace, registry }))
    }

    /// The call that has the key: this one, which has then started, or an earlier one with the same
    /// body.
    ///
    /// Types change: a call that was accepted and does not fit its types any more is still
    /// accepted.
    pub(crate) async fn start(
        &self,
        body: &[u8],
        checked: Result<(), Invalid>,
        now: Timestamp,
    ) -> Result<KeyedCall, ApiError> {
        let seed = random::bytes()?;
        let this = KeyedCall::start(body, now, seed);
        let hash = this.body.clone();
        let call = match checked {
            Ok(()) => self.registry.calls.start(self.workspace, &self.key, this, now).await?,
            Err(refusal) => {
                let earlier = self.registry.calls.started(self.workspace, &self.key, now).await?;
                earlier.ok_or(refusal)?
            }
        };
        call.repeated_with(&hash)?;
        Ok(call)
    }

    /// All events of the call are sent. If that can't be written down, a repeat sends them again,
    /// under the same ids.
    pub(crate) async fn sent(&self, call: &KeyedCall) {
        if let Err(error) = self.registry.calls.mark_sent(self.workspace, &self.key, call).await {
            tracing::warn!(
                %error, "a sent call could not be marked: a repeat will send its events again"
            );
        }
    }
}
