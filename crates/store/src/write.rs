//! Writes of single items, and the conditions under which they are carried out. The expressions in
//! which DynamoDB wants them are made here and nowhere else. Every name in them is a placeholder,
//! since some are reserved words. A placeholder is called after its attribute, so that a call can
//! be read where it is logged or tampered with.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::{Item, PK};

/// A condition that an item has to meet.
#[derive(Clone, PartialEq)]
pub(crate) enum Condition {
    /// It does not have this attribute.
    Absent(&'static str),
    /// It has this attribute.
    Present(&'static str),
    /// The attribute has this value.
    Is(&'static str, AttributeValue),
    /// The attribute has another value.
    IsNot(&'static str, AttributeValue),
    /// The attribute is not below this value.
    AtLeast(&'static str, AttributeValue),
    /// The attribute is not above this value.
    AtMost(&'static str, AttributeValue),
    /// The attribute is a text that begins so.
    Begins(&'static str, String),
    /// The attribute is a list with fewer values.
    Shorter(&'static str, usize),
    /// At least one of these holds.
    Any(Vec<Condition>),
}

impl Condition {
    /// There is no item with this key.
    pub(crate) fn no_item() -> Self {
        Self::Absent(PK)
    }

    /// There is an item with this key.
    pub(crate) fn some_item() -> Self {
        Self::Present(PK)
    }

    /// Says whether it surely holds where there is no item.
    fn holds_of_no_item(&self) -> bool {
        match self {
            Self::Absent(_) => true,
            Self::Any(conditions) => conditions.iter().any(Self::holds_of_no_item),
            _ => false,
        }
    }
}

/// An update of one item. An item that does not exist has no attribute; an update makes it.
#[derive(Clone)]
pub(crate) struct Update {
    pub(crate) key: Item,
    changes: Vec<Change>,
    conditions: Vec<Condition>,
}

#[derive(Clone)]
enum Change {
    Set(&'static str, AttributeValue),
    SetIfAbsent(&'static str, AttributeValue),
    Append(&'static str, AttributeValue),
    Add(&'static str, AttributeValue),
    Remove(&'static str),
}

impl Update {
    pub(crate) fn at(key: Item) -> Self {
        Self { key, changes: Vec::new(), conditions: Vec::new() }
    }

    pub(crate) fn set(self, attribute: &'static str, value: AttributeValue) -> Self {
        self.with(Change::Set(attribute, value))
    }

    /// The attribute is left as it is where there is no value.
    pub(crate) fn set_some(self, attribute: &'static str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self,
        }
    }

    /// The attribute is left as it is where the item has it.
    pub(crate) fn set_if_absent(self, attribute: &'static str, value: AttributeValue) -> Self {
        self.with(Change::SetIfAbsent(attribute, value))
    }

    /// Appends a value to a list. A list that is absent counts as empty.
    pub(crate) fn append(self, attribute: &'static str, value: AttributeValue) -> Self {
        self.with(Change::Append(attribute, value))
    }

    /// Adds to a number. A number that is absent counts as 0.
    pub(crate) fn add(self, attribute: &'static str, number: AttributeValue) -> Self {
        self.with(Change::Add(attribute, number))
    }

    pub(crate) fn remove(self, attribute: &'static str) -> Self {
        self.with(Change::Remove(attribute))
    }

    pub(crate) fn remove_all(self, attributes: &[&'static str]) -> Self {
        attributes.iter().fold(self, |update, attribute| update.remove(attribute))
    }

    /// With a further condition. All of them have to hold.
    pub(crate) fn only_if(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// The item that this makes where there is none yet. It is none where a condition does not hold
    /// of an item without attributes.
    pub(crate) fn new_item(&self) -> Option<Item> {
        if !self.conditions.iter().all(Condition::holds_of_no_item) {
            return None;
        }
        let mut item = self.key.clone();
        for change in &self.changes {
            let (attribute, value) = match change {
                Change::Set(attribute, value)
                | Change::SetIfAbsent(attribute, value)
                | Change::Add(attribute, value) => (attribute, value.clone()),
                Change::Append(attribute, value) => {
                    (attribute, AttributeValue::L(vec![value.clone()]))
                }
                Change::Remove(_) => continue,
            };
            item.0.insert((*attribute).to_owned(), value);
        }
        Some(item)
    }

    pub(crate) fn expressions(&self) -> Expressions {
        let mut expressions = Expressions::default();
        let (mut set, mut remove, mut add) = (Vec::new(), Vec::new(), Vec::new());
        for change in &self.changes {
            match change {
                Change::Set(attribute, value) => {
                    set.push(format!(
                        "{} = {}",
                        expressions.name(attribute),
                        expressions.value(attribute, value)
                    ));
                }
                Change::SetIfAbsent(attribute, value) => {
                    let (name, value) =
                        (expressions.name(attribute), expressions.value(attribute, value));
                    set.push(format!("{name} = if_not_exists({name}, {value})"));
                }
                Change::Append(attribute, value) => {
                    let name = expressions.name(attribute);
                    let empty = expressions.value(attribute, &AttributeValue::L(Vec::new()));
                    let appended =
                        expressions.value(attribute, &AttributeValue::L(vec![value.clone()]));
                    set.push(format!(
                        "{name} = list_append(if_not_exists({name}, {empty}), {appended})"
                    ));
                }
                Change::Add(attribute, number) => {
                    add.push(format!(
                        "{} {}",
                        expressions.name(attribute),
                        expressions.value(attribute, number)
                    ));
                }
                Change::Remove(attribute) => remove.push(expressions.name(attribute)),
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove), ("ADD", add)];
        let clauses = clauses.iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<String> =
            clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect();
        expressions.update = clauses.join(" ");
        expressions.require(&self.conditions);
        expressions
    }
}

/// One write of a transaction.
#[derive(Clone)]
pub(crate) enum Write {
    Put(Item, Vec<Condition>),
    Update(Update),
    Delete(Item, Vec<Condition>),
    /// Nothing is written, but the conditions have to hold.
    Check(Item, Vec<Condition>),
}

/// An update and its conditions, as DynamoDB wants them.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Expressions {
    pub(crate) update: String,
    pub(crate) condition: Option<String>,
    names: Vec<&'static str>,
    values: Vec<(String, AttributeValue)>,
}

impl Expressions {
    /// The expressions of a write that has conditions and no update.
    pub(crate) fn of(conditions: &[Condition]) -> Self {
        let mut expressions = Self::default();
        expressions.require(conditions);
        expressions
    }

    /// The attributes by their placeholders; none where there are none, as DynamoDB refuses an
    /// empty map.
    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        let names = self.names.iter().map(|name| (format!("#{name}"), (*name).to_owned()));
        (!self.names.is_empty()).then(|| names.collect())
    }

    /// The values by their placeholders; none where there are none.
    pub(crate) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.iter().cloned().collect())
    }

    fn require(&mut self, conditions: &[Condition]) {
        let all: Vec<String> =
            conditions.iter().map(|condition| self.condition(condition)).collect();
        self.condition = (!all.is_empty()).then(|| all.join(" AND "));
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Absent(attribute) => {
                format!("attribute_not_exists({})", self.name(attribute))
            }
            Condition::Present(attribute) => format!("attribute_exists({})", self.name(attribute)),
            Condition::Is(attribute, value) => {
                format!("{} = {}", self.name(attribute), self.value(attribute, value))
            }
            Condition::IsNot(attribute, value) => {
                format!("{} <> {}", self.name(attribute), self.value(attribute, value))
            }
            Condition::AtLeast(attribute, least) => {
                format!("{} >= {}", self.name(attribute), self.value(attribute, least))
            }
            Condition::AtMost(attribute, most) => {
                format!("{} <= {}", self.name(attribute), self.value(attribute, most))
            }
            Condition::Begins(attribute, prefix) => {
                let prefix = AttributeValue::S(prefix.clone());
                let (name, value) = (self.name(attribute), self.value(attribute, &prefix));
                format!("begins_with({name}, {value})")
            }
            Condition::Shorter(attribute, length) => {
                let length = AttributeValue::N(length.to_string());
                format!("size({}) < {}", self.name(attribute), self.value(attribute, &length))
            }
            Condition::Any(conditions) => {
                let any: Vec<String> =
                    conditions.iter().map(|condition| self.condition(condition)).collect();
                format!("({})", any.join(" OR "))
            }
        }
    }

    /// The placeholder of an attribute.
    fn name(&mut self, attribute: &'static str) -> String {
        if !self.names.contains(&attribute) {
            self.names.push(attribute);
        }
        format!("#{attribute}")
    }

    /// The placeholder of a value for an attribute: `:status`, and if there is one already
    /// `:status2`.
    fn value(&mut self, attribute: &str, value: &AttributeValue) -> String {
        let first = format!(":{attribute}");
        let mut placeholder = first.clone();
        let mut nth = 1;
        while self.values.iter().any(|(taken, _)| *taken == placeholder) {
            nth += 1;
            placeholder = format!("{first}{nth}");
        }
        self.values.push((placeholder.clone(), value.clone()));
        placeholder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{key, number, text};

    #[test]
    fn an_update_names_each_attribute_once_and_no_clause_is_empty() {
        let update = Update::at(key("p", "s"))
            .set("status", text("done"))
            .add("page", number(1))
            .remove("error");
        let update = update.set_if_absent("since", number(7)).append("attempts", text("{}"));
        let is_running = Condition::Is("status", text("running"));
        let update = update.only_if(Condition::Any(vec![
            Condition::Absent("page"),
            Condition::AtMost("page", number(3)),
        ]));
        let expressions = update.only_if(is_running).expressions();
        assert_eq!(
            expressions.update,
            "SET #status = :status, #since = if_not_exists(#since, :since), \
             #attempts = list_append(if_not_exists(#attempts, :attempts), :attempts2) REMOVE \
             #error ADD #page :page"
        );
        let condition = "(attribute_not_exists(#page) OR #page <= :page2) AND #status = :status2";
        assert_eq!(expressions.condition.as_deref(), Some(condition));
        assert_eq!(expressions.names, ["status", "page", "error", "since", "attempts"]);
        assert_eq!(expressions.values().unwrap()[":status2"], text("running"));
        let removal = Update::at(key("p", "s")).remove("dueAt").expressions();
        assert_eq!(
            (removal.update.as_str(), removal.condition.as_ref(), removal.values()),
            ("REMOVE #dueAt", None, None)
        );
    }
    #[test]
    fn the_item_that_an_update_makes_is_known_where_its_conditions_hold_of_none() {
        let update = Update::at(key("p", "s"))
            .set("status", text("done"))
            .append("attempts", text("{}"))
            .set_if_absent("since", number(7))
            .remove("error");
        let may_be_new =
            vec![Condition::Absent("status"), Condition::IsNot("status", text("succeeded"))];
        let update = update.only_if(Condition::Any(may_be_new)).only_if(Condition::Absent("count"));
        let expected = key("p", "s")
            .with("status", text("done"))
            .with("attempts", AttributeValue::L(vec![text("{}")]))
            .with("since", number(7));
        assert!(update.new_item() == Some(expected));
        for condition in [Condition::some_item(), Condition::Is("count", number(1))] {
            assert!(update.clone().only_if(condition).new_item().is_none());
        }
    }
}
