//! A healthy webhook may have these endpoints beside it.

use std::time::Duration;

use clap::ValueEnum;

use crate::receiver::Behaviour;

/// A slow answer takes this long, which is less than the timeout.
const SLOW: Duration = Duration::from_millis(4500);
/// The tenant has this many webhooks.
const TENANT_WEBHOOKS: usize = 60;

/// The ways in which an endpoint can be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Endpoint {
    /// Never answers.
    Hang,
    /// Answers a byte every 300 ms without end.
    Drip,
    /// Answers 200 after 4.5 s.
    Slow,
    /// Answers 500 at once.
    Fail,
    /// Resets the connection.
    Reset,
    /// 60 webhooks of one workspace that never answer, with a timeout of 30 s.
    Tenant,
}

impl Endpoint {
    pub(super) fn behaviour(self) -> Behaviour {
        match self {
            Self::Hang | Self::Tenant => Behaviour::Hang,
            Self::Drip => Behaviour::Drip,
            Self::Slow => Behaviour::Slow(SLOW),
            Self::Fail => Behaviour::Fail,
            Self::Reset => Behaviour::Reset,
        }
    }

    pub(super) fn webhooks(self) -> usize {
        if self == Self::Tenant { TENANT_WEBHOOKS } else { 1 }
    }

    pub(super) fn timeout(self) -> u64 {
        if self == Self::Tenant { 30 } else { 5 }
    }
}
