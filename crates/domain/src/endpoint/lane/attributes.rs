//! The attributes of a lane's item, as names and plain values.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Lane, Phase, Reason};

/// An attribute of a lane's item. Times are Unix milliseconds, but for `ExpiresAt`, which is Unix
/// seconds as DynamoDB wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is explained at the field of `Lane` of its name")]
pub enum Attr {
    Phase,
    Reason,
    OpenedAt,
    Token,
    Holder,
    Turn,
    LeaseUntil,
    WakeAt,
    DueAt,
    DueShard,
    Window,
    SickUntil,
    CircuitOpenings,
    Timeouts,
    Quick,
    Strikes,
    StrikesSince,
    Doubts,
    Relapses,
    SidelinedAt,
    Full,
    CountedAt,
    ExpiresAt,
}

impl Attr {
    /// Every attribute.
    pub const ALL: [Self; 23] = [
        Self::Phase,
        Self::Reason,
        Self::OpenedAt,
        Self::Token,
        Self::Holder,
        Self::Turn,
        Self::LeaseUntil,
        Self::WakeAt,
        Self::DueAt,
        Self::DueShard,
        Self::Window,
        Self::SickUntil,
        Self::CircuitOpenings,
        Self::Timeouts,
        Self::Quick,
        Self::Strikes,
        Self::StrikesSince,
        Self::Doubts,
        Self::Relapses,
        Self::SidelinedAt,
        Self::Full,
        Self::CountedAt,
        Self::ExpiresAt,
    ];

    /// The name of the attribute in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Phase => "phase",
            Self::Reason => "reason",
            Self::OpenedAt => "openedAt",
            Self::Token => "token",
            Self::Holder => "holder",
            Self::Turn => "turn",
            Self::LeaseUntil => "leaseUntil",
            Self::WakeAt => "wakeAt",
            Self::DueAt => "dueAt",
            Self::DueShard => "dueShard",
            Self::Window => "window",
            Self::SickUntil => "sickUntil",
            Self::CircuitOpenings => "openings",
            Self::Timeouts => "timeouts",
            Self::Quick => "quick",
            Self::Strikes => "strikes",
            Self::StrikesSince => "strikesSince",
            Self::Doubts => "doubts",
            Self::Relapses => "relapses",
            Self::SidelinedAt => "sidelinedAt",
            Self::Full => "full",
            Self::CountedAt => "countedAt",
            Self::ExpiresAt => "expiresAt",
        }
    }
}

/// An attribute's value has one of two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Number(time.as_millisecond())
    }
}

impl From<Phase> for Value {
    fn from(phase: Phase) -> Self {
        phase.name().into()
    }
}

impl From<Reason> for Value {
    fn from(reason: Reason) -> Self {
        reason.name().into()
    }
}

/// The attributes of an item, with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(pub(super) BTreeMap<Attr, Value>);

/// A value that this version of the code does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lane's {} can't be read", .0.name())]
pub struct Unreadable(pub Attr);

impl FromIterator<(Attr, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Attr, Value)>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl Attributes {
    /// The value of one attribute; none if the item does not have it.
    pub fn get(&self, attribute: Attr) -> Option<&Value> {
        self.0.get(&attribute)
    }

    /// Reads the lane that the attributes describe.
    pub fn lane(&self) -> Result<Lane, Unreadable> {
        Ok(Lane {
            phase: self.named(Attr::Phase, &Phase::NAMES)?,
            reason: self.named(Attr::Reason, &Reason::NAMES)?,
            opened_at: self.time(Attr::OpenedAt)?,
            token: self.text(Attr::Token)?,
            holder: self.text(Attr::Holder)?,
            turn: self.text(Attr::Turn)?,
            lease_until: self.time(Attr::LeaseUntil)?,
            wake_at: self.time(Attr::WakeAt)?,
            due_at: self.time(Attr::DueAt)?,
            due_shard: self.text(Attr::DueShard)?,
            window: self.count(Attr::Window)?,
            sick_until: self.time(Attr::SickUntil)?,
            circuit_openings: self.count(Attr::CircuitOpenings)?.unwrap_or(0),
            timeouts: self.number(Attr::Timeouts)?.unwrap_or(0),
            quick: self.number(Attr::Quick)?.unwrap_or(0),
            strikes: self.number(Attr::Strikes)?.unwrap_or(0),
            strikes_since: self.time(Attr::StrikesSince)?,
            doubts: self.number(Attr::Doubts)?.unwrap_or(0),
            relapses: self.count(Attr::Relapses)?.unwrap_or(0),
            sidelined_at: self.time(Attr::SidelinedAt)?,
            full: self.number(Attr::Full)?.is_some(),
            counted_at: self.time(Attr::CountedAt)?,
        })
    }

    fn text(&self, attribute: Attr) -> Result<Option<String>, Unreadable> {
        match self.get(attribute) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Number(_)) => Err(Unreadable(attribute)),
        }
    }

    fn number(&self, attribute: Attr) -> Result<Option<i64>, Unreadable> {
        match self.get(attribute) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Text(_)) => Err(Unreadable(attribute)),
        }
    }

    fn count(&self, attribute: Attr) -> Result<Option<u32>, Unreadable> {
        let number = self.number(attribute)?;
        number.map(|number| u32::try_from(number).map_err(|_| Unreadable(attribute))).transpose()
    }

    fn time(&self, attribute: Attr) -> Result<Option<Timestamp>, Unreadable> {
        let number = self.number(attribute)?;
        number
            .map(|ms| Timestamp::from_millisecond(ms).map_err(|_| Unreadable(attribute)))
            .transpose()
    }

    fn named<T: Copy>(
        &self,
        attribute: Attr,
        names: &[(&str, T)],
    ) -> Result<Option<T>, Unreadable> {
        let Some(text) = self.text(attribute)? else { return Ok(None) };
        let found = names.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| Some(*value)).ok_or(Unreadable(attribute))
    }
}
