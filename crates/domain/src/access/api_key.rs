//! API keys: what a client shows, what is stored of it, and what it may do.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Invalid,
    access::workspace::{Environment, Workspace},
    id::KeyId,
    input::{Fields, Optional, Shape, Text, body, parsed},
};

/// The key itself, as `spk_live_…`. It is shown once, stored only as its SHA-256, and can't be
/// printed by accident.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key of 32 random bytes: 43 letters and digits after its prefix, 256 bits.
    pub fn new(environment: Environment, random: &[u8; 32]) -> Self {
        Self::with_text(environment, &base62(random))
    }

    /// The key that has this text after the prefix of its environment.
    pub fn with_text(environment: Environment, text: &str) -> Self {
        Self(format!("{}{text}", prefix(environment)))
    }

    /// Takes the text that a client sent as its key. Whether such a key exists is the Registry's to
    /// say.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text that is shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether it has the form of a key that we made: only such a one is worth a look into
    /// the Registry.
    pub fn is_well_formed(&self) -> bool {
        let random = [Environment::Live, Environment::Test]
            .into_iter()
            .find_map(|environment| self.0.strip_prefix(prefix(environment)));
        random
            .is_some_and(|text| text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric()))
    }

    /// Returns the hash that is stored and looked up: the SHA-256 in hex. A key has 256 random
    /// bits, so a plain hash can't be searched, and a look-up by the hash tells nothing by its
    /// time.
    pub fn hash(&self) -> KeyHash {
        KeyHash(hex::encode(Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The SHA-256 of an [`ApiKey`] in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyHash(String);

impl KeyHash {
    /// Returns the hex digits of the hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for KeyHash {
    fn from(hex: String) -> Self {
        Self(hex)
    }
}

/// The beginning of the keys of an environment.
fn prefix(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => "spk_live_",
        Environment::Test => "spk_test_",
    }
}

/// A permission that a key can have, which says what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// Webhooks, their history and replays.
    #[serde(rename = "webhooks:manage")]
    WebhooksManage,
    /// The key may publish events.
    #[serde(rename = "events:publish")]
    EventsPublish,
    /// Reading events and event types.
    #[serde(rename = "events:read")]
    EventsRead,
    /// A workspace's own event types.
    #[serde(rename = "events:manage")]
    EventsManage,
    /// Keys of the own workspace, with no more scopes than the caller has.
    #[serde(rename = "keys:manage")]
    KeysManage,
    /// With `keys:manage`: keys for other workspaces, which is how a workspace comes to be.
    #[serde(rename = "workspaces:manage")]
    WorkspacesManage,
}

impl Scope {
    /// All scopes that there are.
    pub const ALL: [Self; 6] = [
        Self::WebhooksManage,
        Self::EventsPublish,
        Self::EventsRead,
        Self::EventsManage,
        Self::KeysManage,
        Self::WorkspacesManage,
    ];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebhooksManage => "webhooks:manage",
            Self::EventsPublish => "events:publish",
            Self::EventsRead => "events:read",
            Self::EventsManage => "events:manage",
            Self::KeysManage => "keys:manage",
            Self::WorkspacesManage => "workspaces:manage",
        }
    }
}

/// An API key: what is known of it without knowing the key. Its JSON is both what the API shows and
/// what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyInfo {
    /// The id by which the key is listed and revoked. It tells nothing of the key.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub id: KeyId,
    /// The workspace that the key belongs to.
    pub workspace: Workspace,
    /// A note of the key's maker.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub name: Option<String>,
    /// The scopes that the key has, which say what it may do.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Scope>))]
    pub scopes: BTreeSet<Scope>,
    /// The environment that the key belongs to: it reaches nothing of the other one.
    pub environment: Environment,
    /// The time at which the key was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    pub created_at: Timestamp,
}

body! {
    /// The properties that a key is made with.
    #[derive(Debug, Clone, PartialEq)]
    pub struct NewKey {
        /// The scopes that the key gets, which say what it may do: nothing that the caller's own
        /// key may not.
        pub scopes: BTreeSet<Scope> as Scopes,
        /// A note, at most 256 bytes.
        pub name: Option<String> as Optional<Text<256>>,
        /// The environment that the key belongs to: that of the caller's key unless given. A test
        /// key makes test keys only.
        pub environment: Option<Environment> as Optional<Environment>,
        /// The workspace that the key belongs to. The caller's workspace unless given; another one
        /// needs the scope `workspaces:manage`.
        pub workspace: Option<Workspace> as Optional<Workspace>,
    }
}

/// A shape that takes a list of at least one scope.
pub(crate) struct Scopes;

impl Shape for Scopes {
    type Value = BTreeSet<Scope>;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<BTreeSet<Scope>, Invalid> {
        let known = Scope::ALL.map(Scope::name).join(", ");
        let scopes: BTreeSet<Scope> = parsed(at, json, &format!("a list of scopes, of {known}"))?;
        if scopes.is_empty() {
            return Err(Invalid::field(
                at,
                "wrong_count",
                format!("{at} takes at least one of {known}"),
            ));
        }
        Ok(scopes)
    }
}

#[cfg(feature = "openapi")]
crate::input::openapi::list_described!(Scopes, Scope, 1);

impl NewKey {
    /// Reads the request body.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        Self::of_fields(Fields::of_body(body)?)
    }

    /// The environment of the key, if a key of the caller's may make such a one.
    pub fn environment_for(&self, caller: Environment) -> Result<Environment, Invalid> {
        match (caller, self.environment) {
            (Environment::Test, Some(Environment::Live)) => Err(Invalid::field(
                "environment",
                "live_key",
                "a test key can't make a live key: it reaches nothing that is live",
            )),
            (caller, asked) => Ok(asked.unwrap_or(caller)),
        }
    }

    /// The first scope that is asked for and that the caller does not have itself: nobody can give
    /// more than they have.
    pub fn beyond(&self, held: &BTreeSet<Scope>) -> Option<Scope> {
        self.scopes.difference(held).next().copied()
    }
}

impl KeyInfo {
    /// The same, as the API shows it: with the name of the workspace.
    #[must_use]
    pub fn shown(self) -> Self {
        Self { workspace: self.workspace.in_environment(Environment::Live), ..self }
    }

    /// The workspace that the key reaches, in the key's environment. An earlier version has stored
    /// test keys with the name alone.
    pub fn reach(&self) -> Workspace {
        self.workspace.in_environment(self.environment)
    }

    /// The first scope that the key has and the caller has not: nobody can take away what they
    /// could not give.
    pub fn beyond(&self, held: &BTreeSet<Scope>) -> Option<Scope> {
        self.scopes.difference(held).next().copied()
    }
}

/// The number that the bytes are, in 43 base-62 digits: 62^43 is just above 2^256.
pub(super) fn base62(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = *bytes;
    let mut digits = String::with_capacity(43);
    for _ in 0..43 {
        // This divides the number by 62, from its highest byte to its lowest.
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        digits.push(char::from(DIGITS[remainder as usize]));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_prefix_and_43_letters_and_digits() {
        assert_eq!(
            ApiKey::new(Environment::Live, &[0; 32]).reveal(),
            format!("spk_live_{}", "0".repeat(43))
        );
        let key = ApiKey::new(Environment::Test, &[0xff; 32]);
        assert!(key.reveal().starts_with("spk_test_") && key.is_well_formed(), "{}", key.reveal());
        assert_ne!(key.reveal(), ApiKey::new(Environment::Test, &[0xfe; 32]).reveal());
        assert_eq!(format!("{key:?}"), "ApiKey(…)");
    }

    #[test]
    fn what_is_no_key_is_not_looked_up() {
        let good = format!("spk_live_{}", "a".repeat(43));
        assert!(ApiKey::presented(&good).is_well_formed());
        for bad in [
            "",
            "spk_live_",
            "spk_live_xxx",
            &good[1..],
            &format!("{good}a"),
            &good.replace("aaa", "a-a"),
        ] {
            assert!(!ApiKey::presented(bad).is_well_formed(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_stored_as_its_sha_256() {
        let hash = ApiKey::presented("abc").hash();
        assert_eq!(
            hash.as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn base62_is_the_number_with_its_lowest_digit_first() {
        let mut bytes = [0; 32];
        bytes[30..].copy_from_slice(&[0x0f, 0x05]); // 3845 = 1 + 62 * 62
        assert_eq!(base62(&bytes), format!("101{}", "0".repeat(40)));
    }

    #[test]
    fn nobody_can_give_more_than_they_have() {
        let asked = NewKey::parse(br#"{"scopes":["events:publish","keys:manage"]}"#).unwrap();
        assert_eq!(asked.beyond(&BTreeSet::from(Scope::ALL)), None);
        assert_eq!(asked.beyond(&BTreeSet::from([Scope::KeysManage])), Some(Scope::EventsPublish));
    }

    #[test]
    fn a_test_key_makes_test_keys() {
        use Environment::{Live, Test};
        let asked = |environment: &str| {
            let body = format!(r#"{{"scopes":["events:read"],"environment":{environment}}}"#);
            NewKey::parse(body.as_bytes()).unwrap()
        };
        for (caller, environment, expected) in [
            (Live, "null", Some(Live)),
            (Live, r#""test""#, Some(Test)),
            (Test, "null", Some(Test)),
            (Test, r#""test""#, Some(Test)),
            (Test, r#""live""#, None),
        ] {
            assert_eq!(asked(environment).environment_for(caller).ok(), expected, "{environment}");
        }
        let refused = asked(r#""live""#).environment_for(Test).unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), ("live_key", Some("environment")));
    }

    #[test]
    fn nobody_can_take_away_what_they_could_not_give() {
        let NewKey { name, scopes, .. } =
            NewKey::parse(br#"{"scopes":["webhooks:manage","keys:manage"]}"#).unwrap();
        let environment = Environment::Live;
        let (id, created_at) = (KeyId::new(Timestamp::UNIX_EPOCH, &[0; 10]), Timestamp::UNIX_EPOCH);
        let workspace = Workspace::parse("acme").unwrap();
        let key = KeyInfo { id, workspace, name, scopes, environment, created_at };
        assert_eq!(key.beyond(&key.scopes), None);
        assert_eq!(key.beyond(&BTreeSet::from([Scope::KeysManage])), Some(Scope::WebhooksManage));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field_and_code = |body: &str| {
            NewKey::parse(body.as_bytes())
                .map_err(|invalid| (invalid.field, invalid.code))
                .unwrap_err()
        };
        assert_eq!(field_and_code("{}"), (Some("scopes".into()), "missing_field"));
        assert_eq!(field_and_code(r#"{"scopes":[]}"#), (Some("scopes".into()), "wrong_count"));
        assert_eq!(field_and_code(r#"{"scopes":["all"]}"#), (Some("scopes".into()), "wrong_type"));
        assert_eq!(
            field_and_code(r#"{"scopes":["events:read"],"environment":"x"}"#),
            (Some("environment".into()), "wrong_type")
        );
        assert_eq!(
            field_and_code(r#"{"scopes":["events:read"],"workspace":"a#b"}"#),
            (Some("workspace".into()), "wrong_type")
        );
        assert_eq!(
            field_and_code(r#"{"scopes":["events:read"],"key":"x"}"#),
            (Some("key".into()), "unknown_field")
        );
    }

    #[test]
    fn scope_names_are_what_serde_writes() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
    }
}
