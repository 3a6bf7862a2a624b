//! How many event types of its own a workspace has: a counter that is written with each new and each removed type, if it is what was
//! read before. A workspace whose types an earlier version has stored has no counter, and is counted when its next one is written.

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{Put, Select, TransactWriteItem},
};
use posthaste_domain::workspace::Workspace;

use super::{Registry, routing::passes, types::SK_PREFIX};
use crate::{
    StoreError,
    item::{Item, Read, key, number},
};

const COUNT: &str = "count";
/// How often a write is tried that met another one of the same workspace.
pub(super) const TRIES: u32 = 20;

/// How many types a workspace has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeCount {
    pub(super) types: usize,
    /// Whether the counter says so.
    kept: bool,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is written, and so is the counter.
    Done,
    /// Its own condition does not hold.
    Refused,
    /// Another write came in between.
    Overtaken,
}

impl Registry {
    pub(super) async fn type_count(&self, workspace: &Workspace) -> Result<TypeCount, StoreError> {
        let get =
            self.client.get_item().table_name(&self.table).set_key(Some(count_key(workspace))).consistent_read(true);
        let answer = get.send().await.map_err(StoreError::call("GetItem"))?;
        if let Some(item) = answer.item {
            return Ok(TypeCount { types: item.number(COUNT)?, kept: true });
        }
        let mut types = 0;
        let query = self.beginning_with(workspace, SK_PREFIX, None).select(Select::Count);
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.try_next().await.map_err(StoreError::call("Query"))? {
            types += usize::try_from(page.count).unwrap_or_default();
        }
        Ok(TypeCount { types, kept: false })
    }

    /// Carries out a write after which there are `after` types, if there are still as many as were read.
    pub(super) async fn write_counted(
        &self,
        workspace: &Workspace,
        write: TransactWriteItem,
        read: TypeCount,
        after: usize,
    ) -> Result<Counted, StoreError> {
        let mut item = count_key(workspace);
        item.insert(COUNT.to_owned(), number(after));
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = if read.kept {
            put.condition_expression("#count = :read")
                .expression_attribute_names("#count", COUNT)
                .expression_attribute_values(":read", number(read.types))
        } else {
            put.condition_expression("attribute_not_exists(pk)")
        };
        let put = put.build().map_err(|error| StoreError::incomplete("TransactWriteItems", error))?;
        let count = TransactWriteItem::builder().put(put).build();
        let sent = self.client.transact_write_items().transact_items(write).transact_items(count).send().await;
        let Err(error) = sent else { return Ok(Counted::Done) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                if reasons.first().is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed")) {
                    Ok(Counted::Refused)
                } else if reasons.iter().all(passes) {
                    Ok(Counted::Overtaken)
                } else {
                    Err(StoreError::call("TransactWriteItems")(error))
                }
            }
            _ => Err(StoreError::call("TransactWriteItems")(error)),
        }
    }
}

fn count_key(workspace: &Workspace) -> Item {
    key(format!("count#{workspace}"), "type")
}
