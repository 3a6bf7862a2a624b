//! One table: the calls that read or write it item by item.

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    operation::{
        put_item::PutItemError, query::builders::QueryFluentBuilder,
        transact_write_items::TransactWriteItemsError, update_item::UpdateItemError,
    },
    types::{
        CancellationReason, ConditionCheck, Delete, Put, ReturnValue,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update as UpdateRequest,
    },
};

use crate::{
    StoreError,
    item::{Item, text},
    write::{Condition, Expressions, Update, Write},
};

/// The code of a write of a cancelled transaction that had nothing against it.
const NONE: &str = "None";
const REFUSED: &str = "ConditionalCheckFailed";
/// The codes of writes that can be carried out later: other calls were in the way.
const PASSING: [&str; 3] =
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// A table of this name.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// The outcome of a write with conditions.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It was carried out. What was asked for of the item.
    Done(Item),
    /// A condition did not hold of this item; none where there is no item.
    Refused(Option<Item>),
}

impl Outcome {
    /// The item as far as it is known, whatever became of the write.
    pub(crate) fn item(self) -> Item {
        match self {
            Self::Done(item) => item,
            Self::Refused(item) => item.unwrap_or_default(),
        }
    }
}

/// The outcome of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it is written.
    Done,
    /// Nothing is written, as the conditions of the writes at these places did not hold.
    Refused(Vec<usize>),
    /// Nothing is written, as other calls were in the way. Later it may succeed.
    Overtaken(StoreError),
}

/// The meaning of the reasons for which a transaction was cancelled.
#[derive(Debug, PartialEq, Eq)]
enum Cancelled {
    /// The conditions of the writes at these places did not hold.
    Refused(Vec<usize>),
    /// Other calls were in the way, and nothing else.
    Overtaken,
    /// It can't be carried out, or nobody knows why it was not.
    Failed,
}

/// The sort keys that a query asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range<'a> {
    /// All of them.
    All,
    /// Those below this one.
    Below(&'a str),
    /// From the first to the second, both included.
    Between(&'a str, &'a str),
    /// Those that begin so.
    Beginning(&'a str),
}

/// The answer to a query.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) items: Vec<Item>,
    /// The number of items that a filter let through, or that were counted.
    pub(crate) count: usize,
    /// The number of items that were looked at, whatever a filter left of them.
    pub(crate) looked_at: usize,
    /// The key after which the next page begins; none on the last one.
    pub(crate) next: Option<Item>,
    /// The read units that it took, where the query asked for that.
    pub(crate) units: Option<f64>,
}

impl Table {
    pub(crate) fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// The item of this key, read strongly consistently.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.0))
            .consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        Ok(answer.item.map(Item))
    }

    /// Puts an item, if all conditions hold.
    pub(crate) async fn put(
        &self,
        item: Item,
        conditions: &[Condition],
    ) -> Result<Outcome, StoreError> {
        let expressions = Expressions::of(conditions);
        let mut put = self.client.put_item().table_name(&self.name).set_item(Some(item.0));
        if !conditions.is_empty() {
            put = put.return_values_on_condition_check_failure(
                ReturnValuesOnConditionCheckFailure::AllOld,
            );
        }
        let put = put
            .set_expression_attribute_names(expressions.names())
            .set_expression_attribute_values(expressions.values())
            .set_condition_expression(expressions.condition);
        match put.send().await {
            Ok(_) => Ok(Outcome::Done(Item::default())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Outcome::Refused(failed.item().cloned().map(Item)))
                }
                _ => Err(StoreError::call("PutItem")(error)),
            },
        }
    }

    /// Carries out an update. False when a condition does not hold.
    pub(crate) async fn update(&self, update: Update) -> Result<bool, StoreError> {
        match self.update_request(&update).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(StoreError::call("UpdateItem")(error)),
        }
    }

    /// Carries out an update, and answers so much of the item after it, or the whole item that
    /// refused it.
    pub(crate) async fn update_and_read(
        &self,
        update: Update,
        read: ReturnValue,
    ) -> Result<Outcome, StoreError> {
        let request = self
            .update_request(&update)
            .return_values(read)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(answer) => Ok(Outcome::Done(Item(answer.attributes.unwrap_or_default()))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Outcome::Refused(failed.item().cloned().map(Item)))
                }
                _ => Err(StoreError::call("UpdateItem")(error)),
            },
        }
    }

    fn update_request(
        &self,
        update: &Update,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let expressions = update.expressions();
        self.client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(update.key.0.clone()))
            .set_expression_attribute_names(expressions.names())
            .set_expression_attribute_values(expressions.values())
            .update_expression(expressions.update)
            .set_condition_expression(expressions.condition)
    }

    /// Carries out all of these writes, or none of them.
    pub(crate) async fn transact(&self, writes: &[Write]) -> Result<Transacted, StoreError> {
        let parts = writes.iter().map(|write| self.part(write)).collect::<Result<Vec<_>, _>>()?;
        let call = self.client.transact_write_items().set_transact_items(Some(parts));
        let Err(error) = call.send().await else { return Ok(Transacted::Done) };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        else {
            return Err(StoreError::call("TransactWriteItems")(error));
        };
        let codes = cancelled.cancellation_reasons().iter().map(CancellationReason::code);
        match Cancelled::of(codes) {
            Cancelled::Refused(places) => Ok(Transacted::Refused(places)),
            Cancelled::Overtaken => {
                Ok(Transacted::Overtaken(StoreError::call("TransactWriteItems")(error)))
            }
            Cancelled::Failed => Err(StoreError::call("TransactWriteItems")(error)),
        }
    }

    /// The same for writes without conditions, once: whatever keeps them from being carried out is
    /// an error.
    pub(crate) async fn transact_whole(&self, writes: &[Write]) -> Result<(), StoreError> {
        match self.transact(writes).await? {
            Transacted::Done => Ok(()),
            Transacted::Refused(_) => {
                Err(StoreError::Contended { operation: "TransactWriteItems" })
            }
            Transacted::Overtaken(error) => Err(error),
        }
    }

    fn part(&self, write: &Write) -> Result<TransactWriteItem, StoreError> {
        let part = TransactWriteItem::builder();
        let part = match write {
            Write::Put(item, conditions) => {
                let expressions = Expressions::of(conditions);
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(item.0.clone()))
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .set_condition_expression(expressions.condition);
                put.build().map(|put| part.put(put))
            }
            Write::Update(update) => {
                let expressions = update.expressions();
                let update = UpdateRequest::builder()
                    .table_name(&self.name)
                    .set_key(Some(update.key.0.clone()))
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .update_expression(expressions.update)
                    .set_condition_expression(expressions.condition);
                update.build().map(|update| part.update(update))
            }
            Write::Delete(key, conditions) => {
                let expressions = Expressions::of(conditions);
                let delete = Delete::builder()
                    .table_name(&self.name)
                    .set_key(Some(key.0.clone()))
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .set_condition_expression(expressions.condition);
                delete.build().map(|delete| part.delete(delete))
            }
            Write::Check(key, conditions) => {
                let expressions = Expressions::of(conditions);
                let check = ConditionCheck::builder()
                    .table_name(&self.name)
                    .set_key(Some(key.0.clone()))
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .set_condition_expression(expressions.condition);
                check.build().map(|check| part.condition_check(check))
            }
        };
        part.map(|part| part.build())
            .map_err(|error| StoreError::incomplete("TransactWriteItems", error))
    }

    /// A query of one partition, read strongly consistently. Its condition begins as the policies
    /// of the local system expect it.
    pub(crate) fn query(&self, partition: &str, range: Range<'_>) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.expression_attribute_values(":pk", text(partition));
        match range {
            Range::All => query.key_condition_expression("pk = :pk"),
            Range::Below(until) => query
                .key_condition_expression("pk = :pk AND sk < :until")
                .expression_attribute_values(":until", text(until)),
            Range::Between(from, until) => query
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
                .expression_attribute_values(":from", text(from))
                .expression_attribute_values(":until", text(until)),
            Range::Beginning(prefix) => query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix)),
        }
    }
}

impl Answer {
    /// Makes the call.
    pub(crate) async fn to(query: QueryFluentBuilder) -> Result<Self, StoreError> {
        let answer = query.send().await.map_err(StoreError::call("Query"))?;
        Ok(Self {
            count: usize::try_from(answer.count).unwrap_or_default(),
            looked_at: usize::try_from(answer.scanned_count).unwrap_or_default(),
            items: answer.items.unwrap_or_default().into_iter().map(Item).collect(),
            next: answer.last_evaluated_key.map(Item),
            units: answer.consumed_capacity.and_then(|consumed| consumed.capacity_units),
        })
    }
}

impl Cancelled {
    /// Reads the code of each write of the transaction.
    fn of<'a>(codes: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut refused = Vec::new();
        let mut is_overtaken = false;
        for (place, code) in codes.enumerate() {
            match code {
                None | Some(NONE) => {}
                Some(REFUSED) => refused.push(place),
                Some(code) if PASSING.contains(&code) => is_overtaken = true,
                Some(_) => return Self::Failed,
            }
        }
        match (refused.is_empty(), is_overtaken) {
            (false, _) => Self::Refused(refused),
            (true, true) => Self::Overtaken,
            (true, false) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_of_a_cancelled_transaction_say_whether_it_is_repeated() {
        const CONFLICT: Option<&str> = Some("TransactionConflict");
        const THROTTLED: Option<&str> = Some("ThrottlingError");
        const INVALID: Option<&str> = Some("ValidationError");
        let none = [None, Some(NONE)];
        let cases: [(&[Option<&str>], Cancelled); 9] = [
            (&[], Cancelled::Failed),
            (&none, Cancelled::Failed),
            (&[none[1], CONFLICT], Cancelled::Overtaken),
            (&[THROTTLED, none[0]], Cancelled::Overtaken),
            (&[Some("ProvisionedThroughputExceeded"), CONFLICT], Cancelled::Overtaken),
            (&[CONFLICT, INVALID], Cancelled::Failed),
            (&[none[1], Some(REFUSED), CONFLICT, Some(REFUSED)], Cancelled::Refused(vec![1, 3])),
            (&[Some(REFUSED), INVALID], Cancelled::Failed),
            (&[Some("ItemCollectionSizeLimitExceeded"), none[1]], Cancelled::Failed),
        ];
        for (codes, expected) in cases {
            assert_eq!(Cancelled::of(codes.iter().copied()), expected, "{codes:?}");
        }
    }
}
