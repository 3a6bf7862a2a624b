//! The accountant adds up all that AWS would bill: the meter's counts, the functions' work, and the
//! tables' contents.

use std::{collections::BTreeMap, sync::Arc};

use posthaste_local_lambda::Function;
use posthaste_local_template::Stack;
use serde::Serialize;
use serde_json::json;

use super::dynamodb::{DynamoDb, DynamoDbError};
use crate::{
    bill::{Bill, Invoked, Meter, Prices, Terms, Usage},
    inbox::Inbox,
};

/// The parts of the system that know something of the bill.
pub(crate) struct Accountant {
    pub(super) meter: Arc<Meter>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) stack: Stack,
    pub(super) dynamodb: DynamoDb,
    pub(super) inbox: Inbox,
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, String>,
}

/// The bill in the form in which the admin address shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// The number of events that were stored.
    events: u64,
    /// The bill for all that happened until now.
    until_now: Bill,
    /// The same bill scaled to a million events. There is none before the first event.
    for_a_million_events: Option<Bill>,
}

impl Accountant {
    pub(crate) async fn usage(&self) -> Result<Usage, DynamoDbError> {
        let mut usage = self.meter.snapshot();
        for table in &self.stack.tables {
            let described =
                self.dynamodb.call("DescribeTable", &json!({ "TableName": table.name })).await?;
            let capacity = usage.tables.entry(table.name.clone()).or_default();
            capacity.items = described["Table"]["ItemCount"].as_u64().unwrap_or_default();
            capacity.bytes = described["Table"]["TableSizeBytes"].as_u64().unwrap_or_default();
        }
        for declared in &self.stack.functions {
            let Some(function) = self.functions.get(&declared.name) else { continue };
            let stats = function.stats();
            let invoked = Invoked {
                invocations: stats.invocations,
                cold_starts: stats.cold_starts,
                billed_ms: stats.billed_ms,
                cpu_ms: stats.cpu_ms,
                memory_mb: declared.memory_mb,
            };
            usage.functions.insert(declared.name.clone(), invoked);
        }
        let (requests, bytes) = self.inbox.taken();
        usage.sent_out += requests;
        usage.bytes_out += bytes;
        Ok(usage)
    }

    pub(crate) fn terms(&self) -> anyhow::Result<Terms> {
        Terms::of(&self.stack, &self.template, &self.parameters)
    }

    pub(crate) async fn shown(&self) -> anyhow::Result<Shown> {
        let usage = self.usage().await?;
        let until_now = Bill::of(&usage, &self.terms()?, &Prices::known()?);
        let for_a_million_events =
            (usage.events > 0).then(|| until_now.clone().for_a_million(usage.events));
        Ok(Shown { events: usage.events, until_now, for_a_million_events })
    }
}
