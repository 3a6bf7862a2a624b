//! Keeping webhooks from calling Posthaste's own API in circles.
//!
//! A webhook's URL and headers are its owner's, so a webhook can lead to Posthaste's own API, with a valid key: each delivery of an
//! event would publish the event again, or begin a replay, and with two such webhooks twice as many each time. But a webhook can
//! neither remove nor replace the signatures of its requests, so a call that carries one is refused.

use crate::Invalid;

/// The headers that sign a webhook's request, in lower case. Every request has all of them, whatever its format.
pub const SIGNATURE_HEADERS: [&str; 2] = ["webhook-signature", "x-webhook-signature"];
/// The code of the refusal.
pub const CODE: &str = "loop_detected";

/// Refuses a call whose headers have these names, in lower case, if a webhook makes it.
pub fn check<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), Invalid> {
    match names.into_iter().find(|name| SIGNATURE_HEADERS.contains(name)) {
        None => Ok(()),
        Some(header) => {
            let message =
                format!("the call carries {header}, so a webhook makes it, and a webhook can't call this API");
            Err(Invalid::field(header, CODE, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_carries_a_signature_is_refused() {
        assert!(check(["authorization", "webhook-id"]).is_ok());
        for header in SIGNATURE_HEADERS {
            let refused = check(["authorization", header]).unwrap_err();
            assert_eq!((refused.field.as_deref(), refused.code), (Some(header), CODE));
        }
    }
}
