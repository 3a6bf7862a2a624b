//! A counter says how many event types of its own a workspace has. It is written with each new and
//! each removed type, if it is what was read before. A workspace whose types an earlier version has
//! stored has no counter, and is counted when its next one is written.

use aws_sdk_dynamodb::types::Select;
use posthaste_domain::access::workspace::Workspace;

use super::{
    beginning_with,
    types::{OwnTypes, SK_PREFIX},
};
use crate::{
    StoreError,
    item::{Item, key, number},
    table::{Answer, Transacted},
    write::{Condition, Write},
};

const COUNT: &str = "count";
/// A write that met another one of the same workspace is tried so often.
pub(super) const TRIES: u32 = 20;

/// The number of types that a workspace has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeCount {
    pub(super) types: usize,
    /// It says whether the number is from the counter.
    kept: bool,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It is written, and so is the counter.
    Done,
    /// Its own condition does not hold.
    Refused,
    /// Another write came in between.
    Overtaken,
}

impl OwnTypes {
    pub(super) async fn count(&self, workspace: &Workspace) -> Result<TypeCount, StoreError> {
        if let Some(item) = self.table.get(count_key(workspace)).await? {
            return Ok(TypeCount { types: item.number(COUNT)?, kept: true });
        }
        let mut types = 0;
        let mut start = None;
        loop {
            let query =
                beginning_with(&self.table, workspace, SK_PREFIX, start).select(Select::Count);
            let answer = Answer::to(query).await?;
            types += answer.count;
            start = answer.next;
            if start.is_none() {
                return Ok(TypeCount { types, kept: false });
            }
        }
    }

    /// Carries out a write after which there are `after` types, if there are still as many as were
    /// read.
    pub(super) async fn write_counted(
        &self,
        workspace: &Workspace,
        write: Write,
        read: TypeCount,
        after: usize,
    ) -> Result<Counted, StoreError> {
        let unchanged =
            if read.kept { Condition::Is(COUNT, number(read.types)) } else { Condition::no_item() };
        let count = Write::Put(count_key(workspace).with(COUNT, number(after)), vec![unchanged]);
        Ok(match self.table.transact(&[write, count]).await? {
            Transacted::Done => Counted::Done,
            Transacted::Refused(at) if at.contains(&0) => Counted::Refused,
            Transacted::Refused(_) | Transacted::Overtaken(_) => Counted::Overtaken,
        })
    }
}

fn count_key(workspace: &Workspace) -> Item {
    key(format!("count#{workspace}"), "type")
}
