use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_domain::{
    delivery::signature::{spectra, standard},
    webhook::secret::Secret,
};
use proptest::prelude::*;

/// Others have published this: a secret, the id, time and body of a message, and its signature.
const VECTORS: [(&str, &str, i64, &str, &str); 2] = [
    // The specification of Standard Webhooks.
    (
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    // The tests of its library for Rust.
    (
        "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
];

#[test]
fn the_published_signatures_are_ours() {
    for (secret, id, seconds, body, signature) in VECTORS {
        // The published secrets have 24 bytes and ours 32. HMAC pads both with zeroes to 64.
        let mut bytes = [0; 32];
        bytes[..24].copy_from_slice(&STANDARD.decode(secret).unwrap());
        assert_eq!(standard([&Secret::new(bytes)], id, seconds, body.as_bytes()), signature);
        let library = standardwebhooks::Webhook::new(secret).unwrap();
        assert_eq!(library.sign(id, seconds, body.as_bytes()).unwrap(), signature);
    }
}

proptest! {
    #[test]
    fn each_signature_is_what_the_library_makes_with_the_shown_secret(
        secrets in prop::collection::vec(any::<[u8; 32]>(), 1..4),
        id in "[!-~]{1,40}", seconds in 0_i64..1 << 40, body in ".{0,200}",
    ) {
        let secrets: Vec<Secret> = secrets.into_iter().map(Secret::new).collect();
        let signed = standard(&secrets, &id, seconds, body.as_bytes());
        let signatures: Vec<&str> = signed.split(' ').collect();
        prop_assert_eq!(signatures.len(), secrets.len());
        for (secret, signature) in secrets.iter().zip(signatures) {
            let library = standardwebhooks::Webhook::new(&secret.reveal()).unwrap();
            prop_assert_eq!(library.sign(&id, seconds, body.as_bytes()).unwrap(), signature);
            prop_assert_eq!(Secret::parse(&secret.reveal()), Ok(secret.clone()));
        }
    }

    #[test]
    fn whatever_is_changed_has_another_signature(
        key: [u8; 32], bit in 0..256_usize, id in "[!-~]{1,40}", seconds in 0_i64..1 << 40,
        body in prop::collection::vec(any::<u8>(), 1..200), at: usize, to: u8,
    ) {
        let secret = Secret::new(key);
        let mut other_key = key;
        other_key[bit / 8] ^= 1 << (bit % 8);
        let mut other_body = body.clone();
        let at = at % body.len();
        other_body[at] = to;
        prop_assume!(other_body != body);
        let signature = standard([&secret], &id, seconds, &body);
        for other in [
            standard([&Secret::new(other_key)], &id, seconds, &body),
            standard([&secret], &format!("{id}x"), seconds, &body),
            standard([&secret], &id, seconds + 1, &body),
            standard([&secret], &id, seconds, &other_body),
        ] {
            prop_assert_ne!(&other, &signature);
        }
        prop_assert_ne!(spectra(&secret, &body), spectra(&secret, &other_body));
        prop_assert_ne!(spectra(&secret, &body), spectra(&Secret::new(other_key), &body));
    }
}
