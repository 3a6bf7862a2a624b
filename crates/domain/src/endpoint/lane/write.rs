//! A conditional change of a lane's item, which is carried out whole or not at all.

use super::{Attr, Attributes, Lane, Value};

/// A condition on the item.
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

    /// The attribute has this value; or it is absent, if the value is `None`.
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

/// A change of an item, if all its conditions hold. An item that does not exist has no attribute; a
/// change makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// All of these have to hold.
    pub conditions: Vec<Condition>,
    /// Attributes and their new values.
    pub set: Vec<(Attr, Value)>,
    /// Attributes that the item loses.
    pub remove: Vec<Attr>,
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; this is the item before it.
    Done(Lane),
    /// A condition did not hold. This is the item as it stands.
    Refused(Lane),
}

impl Write {
    /// Adds a condition.
    #[must_use]
    pub fn only_if(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Sets an attribute. An earlier order about the same attribute is dropped.
    #[must_use]
    pub fn set(mut self, attribute: Attr, value: impl Into<Value>) -> Self {
        self.forget(attribute);
        self.set.push((attribute, value.into()));
        self
    }

    /// Sets an attribute, or removes it if there is no value.
    #[must_use]
    pub fn set_or_remove(self, attribute: Attr, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Removes an attribute.
    #[must_use]
    pub fn remove(mut self, attribute: Attr) -> Self {
        self.forget(attribute);
        self.remove.push(attribute);
        self
    }

    /// Tells whether the write gives this attribute a value.
    pub fn sets(&self, attribute: Attr) -> bool {
        self.set.iter().any(|(other, _)| *other == attribute)
    }

    /// Tells whether the write would be carried out on this item.
    pub fn applies_to(&self, item: &Attributes) -> bool {
        self.conditions.iter().all(|condition| condition.holds(item))
    }

    /// The item after the write.
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
