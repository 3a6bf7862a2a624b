//! The lists of a portal link.

use serde_json::value::RawValue;

use super::look::FrameOrigin;
use crate::{
    Invalid,
    id::WebhookId,
    input::{Shape, Whole, parsed},
};

/// A link names at most this many webhooks.
pub const MAX_WEBHOOKS: usize = 100;
/// A link names at most this many origins of frames.
pub const MAX_FRAME_ORIGINS: usize = 10;

/// A shape that takes a list of ids of webhooks.
pub(crate) struct WebhookIds;

impl Shape for WebhookIds {
    type Value = Vec<WebhookId>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<WebhookId>, Invalid> {
        let items = items(at, json, "a list of ids of webhooks")?;
        if items.is_empty() || items.len() > MAX_WEBHOOKS {
            let message = format!("{at} takes 1 to {MAX_WEBHOOKS} ids of webhooks");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        let mut ids = Vec::with_capacity(items.len());
        for (nth, item) in items.into_iter().enumerate() {
            let at = format!("{at}[{nth}]");
            let number: Whole = parsed(&at, item, "the id of a webhook, a whole number")?;
            let id = number.within(0..=i64::MAX).and_then(|id| u64::try_from(id).ok());
            let id = id.ok_or_else(|| {
                Invalid::field(&at, "out_of_range", format!("{at} is no id of a webhook"))
            })?;
            ids.push(WebhookId(id));
        }
        Ok(ids)
    }
}

/// A shape that takes a list of origins.
pub(crate) struct FrameOrigins;

impl Shape for FrameOrigins {
    type Value = Vec<FrameOrigin>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<Vec<FrameOrigin>, Invalid> {
        let items = items(at, json, "a list of origins")?;
        if items.len() > MAX_FRAME_ORIGINS {
            let message = format!("{at} takes at most {MAX_FRAME_ORIGINS} origins");
            return Err(Invalid::field(at, "wrong_count", message));
        }
        let origins = items.into_iter().enumerate();
        origins.map(|(nth, item)| FrameOrigin::read(&format!("{at}[{nth}]"), item)).collect()
    }
}

fn items<'a>(at: &str, json: &'a RawValue, shape: &str) -> Result<Vec<&'a RawValue>, Invalid> {
    parsed(at, json, shape)
}

#[cfg(feature = "openapi")]
mod document {
    use utoipa::{PartialSchema, ToSchema, openapi::ArrayBuilder};

    use super::{FrameOrigin, FrameOrigins, MAX_FRAME_ORIGINS, MAX_WEBHOOKS, WebhookIds};
    use crate::input::openapi::{Described, integer, list_described};

    list_described!(FrameOrigins, FrameOrigin, 0, MAX_FRAME_ORIGINS);

    impl PartialSchema for WebhookIds {
        fn schema() -> Described {
            let ids = ArrayBuilder::new().items(integer().minimum(Some(0)));
            ids.min_items(Some(1)).max_items(Some(MAX_WEBHOOKS)).into()
        }
    }

    impl ToSchema for WebhookIds {}
}
