//! A session in the console: who has signed in, until when, and in which mode.
//!
//! The session itself is a sealed cookie. It names an API key by its hash, or a portal link by its
//! id. What it may do is read anew for each page from what it names. So it ends when the key is
//! revoked or the link removed, and it never reaches more than they do.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::{
    api_key::{KeyHash, KeyInfo, Scope},
    workspace::{Environment, Workspace},
};

/// A session ends after this time, whatever happens in it.
pub const LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// The evidence that a person has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pass {
    /// An API key, by its hash.
    Key(String),
    /// A portal link, by its workspace and id.
    Link {
        /// The workspace of the link, in the link's environment.
        workspace: Workspace,
        /// The id of the link.
        id: String,
    },
}

/// A person's session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The mode that the person works in.
    pub mode: Environment,
    /// The evidence for this mode.
    pub pass: Pass,
    /// The evidence for the other mode, if the person has signed in to both.
    pub other: Option<Pass>,
    /// The text that each form has to send back. A page of another site can't know it.
    pub form_token: String,
    /// The end of the session.
    pub until: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Session {
    /// The session of somebody who shows this key. One that ran before goes on in the other mode,
    /// if it was of the same workspace: `before` is that session and its workspace.
    pub fn of_key(
        hash: &KeyHash,
        info: &KeyInfo,
        before: Option<(Self, Workspace)>,
        form_token: String,
        now: Timestamp,
    ) -> Self {
        let other = before
            .filter(|(_, workspace)| workspace.name() == info.reach().name())
            .and_then(|(session, _)| session.pass_for(opposite(info.environment)).cloned())
            .filter(|pass| matches!(pass, Pass::Key(_)));
        let pass = Pass::Key(hash.as_str().to_owned());
        let until = now + LASTS;
        Self { mode: info.environment, pass, other, form_token, until }
    }

    /// The session of somebody who opens a portal link.
    pub fn of_link(workspace: Workspace, id: String, form_token: String, until: Timestamp) -> Self {
        let mode = workspace.environment();
        Self { mode, pass: Pass::Link { workspace, id }, other: None, form_token, until }
    }

    /// Says whether the session has not ended by its time.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// The workspace that the session reaches with this key, which is the one of its pass. It is
    /// none if the key does not reach the session's mode.
    pub fn reach(&self, key: &KeyInfo) -> Option<Workspace> {
        let may = self.mode == key.environment || may_cross(key);
        may.then(|| key.workspace.in_environment(self.mode))
    }

    /// The same session in the other mode. It is none if the person has to show a key of that mode
    /// first, and for a portal link, which is for one mode.
    #[must_use]
    pub fn switched(self, key: &KeyInfo) -> Option<Self> {
        if matches!(self.pass, Pass::Link { .. }) {
            return None;
        }
        let mode = opposite(self.mode);
        if let Some(other) = self.other {
            return Some(Self { mode, pass: other, other: Some(self.pass), ..self });
        }
        let stays = self.mode != key.environment || may_cross(key);
        stays.then_some(Self { mode, ..self })
    }

    /// The hash of the key that the session stands on; none where that is a portal link.
    pub fn key_hash(&self) -> Option<KeyHash> {
        match &self.pass {
            Pass::Key(hash) => Some(KeyHash::from(hash.clone())),
            Pass::Link { .. } => None,
        }
    }

    fn pass_for(&self, mode: Environment) -> Option<&Pass> {
        if self.mode == mode { Some(&self.pass) } else { self.other.as_ref() }
    }
}

/// Says whether a key reaches the test mode of its workspace. It could make itself a test key with
/// all of its scopes, so it may go there without one.
fn may_cross(key: &KeyInfo) -> bool {
    key.environment == Environment::Live && key.scopes.contains(&Scope::KeysManage)
}

fn opposite(mode: Environment) -> Environment {
    match mode {
        Environment::Live => Environment::Test,
        Environment::Test => Environment::Live,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::id::KeyId;

    fn key(environment: Environment, scopes: &[Scope]) -> KeyInfo {
        KeyInfo {
            id: KeyId::new(Timestamp::UNIX_EPOCH, &[0; 10]),
            workspace: Workspace::parse("acme").unwrap().in_environment(environment),
            name: None,
            scopes: BTreeSet::from_iter(scopes.iter().copied()),
            environment,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn hash(text: &str) -> KeyHash {
        KeyHash::from(text.to_owned())
    }

    fn signed_in(text: &str, info: &KeyInfo) -> Session {
        Session::of_key(&hash(text), info, None, "token".to_owned(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_session_lasts_twelve_hours() {
        let session = signed_in("a", &key(Environment::Live, &[]));
        assert!(session.is_open(Timestamp::UNIX_EPOCH + Duration::from_secs(43_199)));
        assert!(!session.is_open(Timestamp::UNIX_EPOCH + LASTS));
    }

    #[test]
    fn a_live_key_that_makes_keys_crosses_to_test_mode_and_back() {
        let live = key(Environment::Live, &[Scope::KeysManage]);
        let there = signed_in("a", &live).switched(&live).unwrap();
        assert_eq!(there.reach(&live).unwrap().as_str(), "acme~test");
        let back = there.switched(&live).unwrap();
        assert_eq!(back.reach(&live).unwrap().as_str(), "acme");
    }

    #[test]
    fn other_keys_stay_in_their_mode() {
        for info in [key(Environment::Live, &[]), key(Environment::Test, &[Scope::KeysManage])] {
            let session = signed_in("a", &info);
            assert_eq!(session.clone().switched(&info), None);
            let forced = Session { mode: opposite(session.mode), ..session };
            assert_eq!(forced.reach(&info), None, "{info:?}");
        }
    }

    #[test]
    fn a_key_whose_scope_is_gone_no_longer_reaches_test_mode() {
        let live = key(Environment::Live, &[Scope::KeysManage]);
        let there = signed_in("a", &live).switched(&live).unwrap();
        let less = key(Environment::Live, &[]);
        assert_eq!(there.reach(&less), None);
        assert_eq!(there.switched(&less).unwrap().reach(&less).unwrap().as_str(), "acme");
    }

    #[test]
    fn somebody_with_two_keys_has_both_modes() {
        let live = key(Environment::Live, &[]);
        let test = key(Environment::Test, &[]);
        let first = signed_in("live", &live);
        let before = Some((first, live.reach()));
        let now = Timestamp::UNIX_EPOCH;
        let both = Session::of_key(&hash("test"), &test, before, "token".to_owned(), now);
        assert_eq!((both.mode, &both.pass), (Environment::Test, &Pass::Key("test".to_owned())));
        let back = both.switched(&test).unwrap();
        assert_eq!((back.mode, &back.pass), (Environment::Live, &Pass::Key("live".to_owned())));
    }

    #[test]
    fn the_session_of_a_link_stays_in_the_mode_of_the_link() {
        let live = key(Environment::Live, &[Scope::KeysManage]);
        let (id, token) = ("link".to_owned(), "token".to_owned());
        let session = Session::of_link(live.reach(), id, token, Timestamp::UNIX_EPOCH + LASTS);
        assert_eq!(session.mode, Environment::Live);
        assert_eq!(session.switched(&live), None);
    }

    #[test]
    fn the_form_token_is_not_printed() {
        let session = signed_in("a", &key(Environment::Live, &[]));
        assert_eq!(format!("{session:?}"), "Session { mode: Live, .. }");
    }

    #[test]
    fn the_key_of_another_workspace_begins_alone() {
        let live = key(Environment::Live, &[]);
        let mut test = key(Environment::Test, &[]);
        test.workspace = Workspace::parse("globex~test").unwrap();
        let before = Some((signed_in("live", &live), live.reach()));
        let now = Timestamp::UNIX_EPOCH;
        let alone = Session::of_key(&hash("test"), &test, before, "token".to_owned(), now);
        assert_eq!(alone.other, None);
    }
}
