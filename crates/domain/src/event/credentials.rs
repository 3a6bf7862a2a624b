//! The members and addresses that a message does not show, because they look like credentials: a
//! channel has many readers.

use url::{Url, form_urlencoded};

/// Names of credentials end with one of these, written without signs and digits.
const CREDENTIALS: [&str; 17] = [
    "token",
    "tokenvalue",
    "secret",
    "password",
    "passphrase",
    "passcode",
    "pwd",
    "otp",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authorization",
    "cookie",
    "signature",
    "jwt",
    "bearer",
];
/// So are parameters of an address called that are credentials, besides those of [`CREDENTIALS`].
const PARAMETERS: [&str; 5] = ["sig", "key", "code", "auth", "access"];

/// Tells if a member or a parameter of this name is a credential: its last word says so.
pub(crate) fn is_credential(name: &str) -> bool {
    let letters = letters(name);
    CREDENTIALS.iter().any(|credential| letters.ends_with(credential))
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
}

/// Tells if a text has an address with a credential: a user, or a parameter of the query or of the
/// fragment. The address may be anywhere in the text, and without its scheme.
pub(crate) fn has_credential(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let address = word.trim_matches(|char: char| !char.is_alphanumeric() && char != '/');
        match address.contains("://") {
            true => is_open(address),
            false => address.contains('?') && is_open(&format!("https://{address}")),
        }
    })
}

/// Tells if an address has a credential.
pub(crate) fn is_open(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let fragment = url.fragment().unwrap_or_default();
    !url.username().is_empty()
        || url.password().is_some()
        || url.query_pairs().any(|(name, value)| is_open_parameter(&name, &value))
        || form_urlencoded::parse(fragment.as_bytes())
            .any(|(name, value)| is_open_parameter(&name, &value))
}

/// An address may have another one as a parameter.
fn is_open_parameter(name: &str, value: &str) -> bool {
    is_credential(name)
        || PARAMETERS.contains(&letters(name).as_str())
        || (value.contains("://") && is_open(value))
}
