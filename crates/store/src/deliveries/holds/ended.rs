//! Whether runs have ended, looked up for several webhooks at once.

use posthaste_domain::webhook::key::WebhookKey;

use super::{ENDED, Holding, Holds, key};
use crate::{
    StoreError,
    batch::{self, Found, Reading},
    item::{EXPIRES_AT, Item},
};

impl Holds {
    /// Finds those of these webhooks that know the end of a run, with one call for up to 100:
    /// nothing is held for them any more.
    pub async fn ended(
        &self,
        webhooks: impl IntoIterator<Item = WebhookKey>,
        context: &str,
    ) -> Found<WebhookKey, ()> {
        let reading =
            Reading { table: &self.table, consistent: true, attributes: &[EXPIRES_AT], read };
        let keys = webhooks.into_iter().map(|webhook| {
            let marker = key(Holding { webhook: &webhook, context }.partition(), ENDED);
            (webhook, marker)
        });
        batch::get(reading, keys).await
    }
}

/// The marker of an end says all by being there.
#[expect(clippy::unnecessary_wraps, reason = "items are read by functions that can fail")]
fn read(_: &Item) -> Result<(), StoreError> {
    Ok(())
}
