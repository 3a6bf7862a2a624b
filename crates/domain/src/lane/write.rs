//! A conditional change of a lane's item: carried out whole or not at all.

use super::{Attr, Attributes, Lane, Value};

/// What an item has to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It does not have this attribute.
    Absent(Attr),
    /// It has this attribute.
    Present(Attr),
    /// The attribute has this value.
    Is(Attr, Value),
    /// The attribute is a number, and not above this one.
    AtMost(Attr, i64),
    /// At least one of these holds.
    Any(Vec<Condition>),
}

impl Condition {
    /// The attribute has this value.
    pub fn is(attribute: Attr, value: impl Into<Value>) -> Self {
        Self::Is(attribute, value.into())
    }

    /// The attribute has this value, or is absent where there is none.
    pub fn is_as(attribute: Attr, value: Option<impl Into<Value>>) -> Self {
        value.map_or(Self::Absent(attribute), |value| Self::is(attribute, value))
    }

    fn holds(&self, item: &Attributes) -> bool {
        match self {
            Self::Absent(attribute) => item.get(*attribute).is_none(),
            Self::Present(attribute) => item.get(*attribute).is_some(),
            Self::Is(attribute, value) => item.get(*attribute) == Some(value),
            Self::AtMost(attribute, most) => {
                matches!(item.get(*attribute), Some(Value::Number(number)) if number <= most)
            }
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(item)),
        }
    }
}

/// A change of an item, if all its conditions hold. An item that does not exist has no attribute; a change makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// All of these have to hold.
    pub conditions: Vec<Condition>,
    /// Attributes and their new values.
    pub set: Vec<(Attr, Value)>,
    /// Attributes that the item has no longer.
    pub remove: Vec<Attr>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; this is the item before it.
    Done(Lane),
    /// A condition did not hold of this item.
    Refused(Lane),
}

impl Write {
    /// With a further condition.
    #[must_use]
    pub fn only_if(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// With a further attribute, which replaces an earlier order about it.
    #[must_use]
    pub fn set(mut self, attribute: Attr, value: impl Into<Value>) -> Self {
        self.forget(attribute);
        self.set.push((attribute, value.into()));
        self
    }

    /// The same, or without the attribute where there is no value.
    #[must_use]
    pub fn set_or_remove(self, attribute: Attr, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Without an attribute.
    #[must_use]
    pub fn remove(mut self, attribute: Attr) -> Self {
        self.forget(attribute);
        self.remove.push(attribute);
        self
    }

    /// Whether it gives this attribute a value.
    pub fn sets(&self, attribute: Attr) -> bool {
        self.set.iter().any(|(other, _)| *other == attribute)
    }

    /// Whether it would be carried out on this item.
    pub fn applies_to(&self, item: &Attributes) -> bool {
        self.conditions.iter().all(|condition| condition.holds(item))
    }

    /// The item after it.
    #[must_use]
    pub fn apply(&self, item: &Attributes) -> Attributes {
        let mut after = item.clone();
        after.0.extend(self.set.iter().cloned());
        for attribute in &self.remove {
            after.0.remove(attribute);
        }
        after
    }

    fn forget(&mut self, attribute: Attr) {
        self.set.retain(|(other, _)| *other != attribute);
        self.remove.retain(|other| *other != attribute);
    }
}
