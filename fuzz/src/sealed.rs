//! Sealed texts: secrets, headers and URLs in the table, and cookies that browsers send back.

use std::sync::LazyLock;

use posthaste_domain::{
    access::workspace::Workspace,
    id::WebhookId,
    webhook::{key::WebhookKey, secret::Sealed},
};
use posthaste_store::{KeyRing, NONCE_BYTES, Purpose};

use crate::choices::Choices;

const TEXT: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZab";
const COOKIE: &str = "session";

static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::derive([TEXT]).expect("a key"));

/// What is sealed opens at its own place and unchanged, and nothing else opens.
pub(crate) fn opens_only_unchanged(input: &[u8]) -> bool {
    let presented = Sealed(String::from_utf8_lossy(input).into_owned());
    assert!(RING.open_cookie(COOKIE, &presented).is_err(), "it was never sealed");
    let webhook =
        WebhookKey { workspace: Workspace::parse("acme").expect("a name"), id: WebhookId(1) };
    assert!(RING.open(&webhook, Purpose::Secret, &presented).is_err(), "it was never sealed");

    let mut choices = Choices::new(input);
    let nonce: [u8; NONCE_BYTES] = choices.bytes();
    let (at, to) = (usize::from(choices.byte()), choices.byte());
    let text = String::from_utf8_lossy(choices.rest()).into_owned();
    let cookie = RING.seal_cookie(COOKIE, &text, nonce).expect("it is sealed");
    assert_eq!(RING.open_cookie(COOKIE, &cookie).as_deref(), Ok(text.as_str()));
    assert!(RING.open_cookie("other", &cookie).is_err(), "a cookie has its name");
    assert!(RING.open(&webhook, Purpose::Url, &cookie).is_err(), "a cookie is no URL");

    let mut bytes = cookie.0.clone().into_bytes();
    let at = at % bytes.len();
    let is_changed = bytes[at] != to;
    bytes[at] = to;
    let Ok(changed) = String::from_utf8(bytes) else { return false };
    let opened = RING.open_cookie(COOKIE, &Sealed(changed));
    assert_eq!(opened.is_ok(), !is_changed, "byte {at} of {} became {to}", cookie.0);
    is_changed
}
