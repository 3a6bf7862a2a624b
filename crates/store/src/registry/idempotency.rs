use aws_sdk_dynamodb::{
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use posthaste_domain::{
    Timestamp,
    id::Entropy,
    idempotency::{BodyHash, IdempotencyKey, KeyedCall},
    workspace::Workspace,
};

use super::Registry;
use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, Read, key, number, text},
};

impl Registry {
    /// Writes down that a call with a key starts, and returns the call that counts: this one, or an earlier one that has the key
    /// still. DynamoDB deletes what has expired late, so an expired call is replaced here. When the SDK repeats this because the
    /// answer got lost, it finds its own call, which is the same as this one.
    pub async fn start_call(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        call: KeyedCall,
        now: Timestamp,
    ) -> Result<KeyedCall, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(workspace, key, &call)))
            .condition_expression(format!("attribute_not_exists(pk) OR {EXPIRES_AT} <= :now"))
            .expression_attribute_values(":now", number(now.as_second()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(call),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    read(failed.item().unwrap_or(&Item::new()))
                }
                _ => Err(StoreError::call("PutItem")(error)),
            },
        }
    }

    /// The call that has a key, if there is one, read strongly consistently.
    pub async fn started_call(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeyedCall>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(call_key(workspace, key)))
            .consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        let call = answer.item.as_ref().map(read).transpose()?;
        Ok(call.filter(|call| call.expires_at() > now.as_second()))
    }

    /// Writes down that all events of a call are sent. Changes nothing if the key has since expired.
    pub async fn mark_sent(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        call: &KeyedCall,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(call_key(workspace, key)))
            .update_expression("SET sent = :sent")
            .condition_expression("seed = :seed")
            .expression_attribute_values(":sent", AttributeValue::Bool(true))
            .expression_attribute_values(":seed", text(hex::encode(call.seed)));
        StoreError::unless_refused("UpdateItem", update.send().await).map(drop)
    }
}

/// The role of `ingest` may write only keys that begin so.
fn call_key(workspace: &Workspace, name: &IdempotencyKey) -> Item {
    key(format!("idempotency#{workspace}#{}", name.hash()), "call")
}

fn write(workspace: &Workspace, key: &IdempotencyKey, call: &KeyedCall) -> Item {
    let mut item = call_key(workspace, key);
    item.extend([
        ("body".to_owned(), text(call.body.as_str())),
        ("acceptedAt".to_owned(), number(call.accepted_at.as_millisecond())),
        ("seed".to_owned(), text(hex::encode(call.seed))),
        ("sent".to_owned(), AttributeValue::Bool(call.sent)),
        ("ordered".to_owned(), AttributeValue::Bool(call.is_ordered)),
        (EXPIRES_AT.to_owned(), number(call.expires_at())),
    ]);
    item
}

fn read(item: &Item) -> Result<KeyedCall, StoreError> {
    let accepted_at = Timestamp::from_millisecond(item.number("acceptedAt")?);
    let mut seed = Entropy::default();
    hex::decode_to_slice(item.text("seed")?, &mut seed).map_err(|_| item.corrupt("seed"))?;
    let flag = |name: &str| item.get(name).and_then(|flag| flag.as_bool().ok()).copied();
    Ok(KeyedCall {
        body: BodyHash::from(item.text("body")?.to_owned()),
        accepted_at: accepted_at.map_err(|_| item.corrupt("acceptedAt"))?,
        seed,
        sent: flag("sent").ok_or_else(|| item.corrupt("sent"))?,
        is_ordered: flag("ordered").unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let workspace = Workspace::parse("acme").unwrap();
        let key = IdempotencyKey::parse(b"order-1042").unwrap();
        let now = Timestamp::from_millisecond(1_672_531_199_123).unwrap();
        let call = KeyedCall { sent: true, ..KeyedCall::start(b"{}", now, [0xf0; 10]) };
        let item = write(&workspace, &key, &call);
        assert_eq!(read(&item).unwrap(), call);
        let mut old = item.clone();
        old.remove("ordered");
        assert_eq!(read(&old).unwrap(), KeyedCall { is_ordered: false, ..call });
        assert_eq!(item.number::<i64>(EXPIRES_AT).unwrap(), 1_672_617_600);
        let pk = item.text("pk").unwrap();
        assert_eq!(pk, format!("idempotency#acme#{}", key.hash()));
        assert!(read(&Item::new()).is_err());
    }
}
