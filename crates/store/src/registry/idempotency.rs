use aws_sdk_dynamodb::types::AttributeValue;
use posthaste_domain::{
    Timestamp,
    access::workspace::Workspace,
    event::idempotency::{BodyHash, IdempotencyKey, KeyedCall},
    id::Entropy,
};

use crate::{
    StoreError,
    item::{EXPIRES_AT, Item, key, number, text},
    table::{Outcome, Table},
    write::{Condition, Update},
};

/// The calls that have an idempotency key.
#[derive(Debug, Clone)]
pub struct KeyedCalls {
    pub(super) table: Table,
}

impl KeyedCalls {
    /// Writes down that a call with a key starts, and returns the call that counts: this one, or an
    /// earlier one that has the key still. DynamoDB deletes what has expired late, so an expired
    /// call is replaced here. When the SDK repeats this because the answer got lost, it finds its
    /// own call, which is the same as this one.
    pub async fn start(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        call: KeyedCall,
        now: Timestamp,
    ) -> Result<KeyedCall, StoreError> {
        let has_expired = Condition::AtMost(EXPIRES_AT, number(now.as_second()));
        let conditions = [Condition::Any(vec![Condition::no_item(), has_expired])];
        match self.table.put(write(workspace, key, &call), &conditions).await? {
            Outcome::Done(_) => Ok(call),
            Outcome::Refused(earlier) => read(&earlier.unwrap_or_default()),
        }
    }

    /// The call that has a key, if there is one, read strongly consistently.
    pub async fn started(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeyedCall>, StoreError> {
        let call =
            self.table.get(call_key(workspace, key)).await?.as_ref().map(read).transpose()?;
        Ok(call.filter(|call| call.expires_at() > now.as_second()))
    }

    /// Writes down that all events of a call are sent. Changes nothing if the key has since
    /// expired.
    pub async fn mark_sent(
        &self,
        workspace: &Workspace,
        key: &IdempotencyKey,
        call: &KeyedCall,
    ) -> Result<(), StoreError> {
        let update = Update::at(call_key(workspace, key))
            .set("sent", AttributeValue::Bool(true))
            .only_if(Condition::Is("seed", text(hex::encode(call.seed))));
        self.table.update(update).await.map(drop)
    }
}

/// The role of `ingest` may write only keys that begin so.
fn call_key(workspace: &Workspace, name: &IdempotencyKey) -> Item {
    key(format!("idempotency#{workspace}#{}", name.hash()), "call")
}

fn write(workspace: &Workspace, key: &IdempotencyKey, call: &KeyedCall) -> Item {
    call_key(workspace, key)
        .with("body", text(call.body.as_str()))
        .with("acceptedAt", number(call.accepted_at.as_millisecond()))
        .with("seed", text(hex::encode(call.seed)))
        .with("sent", AttributeValue::Bool(call.sent))
        .with("ordered", AttributeValue::Bool(call.is_ordered))
        .with(EXPIRES_AT, number(call.expires_at()))
}

fn read(item: &Item) -> Result<KeyedCall, StoreError> {
    let mut seed = Entropy::default();
    hex::decode_to_slice(item.text("seed")?, &mut seed).map_err(|_| item.corrupt("seed"))?;
    Ok(KeyedCall {
        body: BodyHash::from(item.text("body")?.to_owned()),
        accepted_at: item.time_ms("acceptedAt")?,
        seed,
        sent: item.flag("sent")?,
        is_ordered: item.optional("ordered", Item::flag)?.unwrap_or(false),
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
        old.0.remove("ordered");
        assert_eq!(read(&old).unwrap(), KeyedCall { is_ordered: false, ..call });
        assert_eq!(item.number::<i64>(EXPIRES_AT).unwrap(), 1_672_617_600);
        let pk = item.text("pk").unwrap();
        assert_eq!(pk, format!("idempotency#acme#{}", key.hash()));
        assert!(read(&Item::default()).is_err());
    }
}
