//! The two signatures on every request. One stored secret serves both.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::webhook::secret::Secret;

/// `X-Webhook-Signature` of the Spectra document: `sha256=` and the hex HMAC-SHA256 of the body,
/// keyed with the bytes of the shown text (`whsec_…`), as the document's Express handler keys it.
pub fn spectra(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac(secret.reveal().as_bytes(), &[body])))
}

/// `webhook-signature` of Standard Webhooks: for each valid secret `v1,` and the base64 HMAC-SHA256
/// of `id.timestamp.body`, keyed with the secret's decoded bytes. Several are separated by spaces.
pub fn standard<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    unix_seconds: i64,
    body: &[u8],
) -> String {
    let timestamp = unix_seconds.to_string();
    let mut signatures = Vec::new();
    for secret in secrets {
        let mac = hmac(secret.bytes(), &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        signatures.push(format!("v1,{}", STANDARD.encode(mac)));
    }
    signatures.join(" ")
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // An HMAC takes a key of any length (RFC 2104, section 2), so the error can't occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_webhooks_specification() {
        let mut key = [0; 32];
        key[..24].copy_from_slice(&STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        // The specification's key has 24 bytes; HMAC pads keys with zeroes, so 32 bytes of the same
        // beginning sign alike.
        let signature = standard(
            [&Secret::new(key)],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn test_case_1_of_rfc_4231() {
        assert_eq!(
            hex::encode(hmac(&[0x0b; 20], &[b"Hi ", b"There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn the_spectra_signature_is_keyed_with_the_shown_text() {
        let secret = Secret::new([7; 32]);
        let expected = hmac(b"whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", &[b"{}"]);
        assert_eq!(spectra(&secret, b"{}"), format!("sha256={}", hex::encode(expected)));
    }

    #[test]
    fn each_valid_secret_signs() {
        let (new, old) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let both = standard([&new, &old], "id", 5, b"x");
        assert_eq!(
            both,
            format!("{} {}", standard([&new], "id", 5, b"x"), standard([&old], "id", 5, b"x"))
        );
    }
}
