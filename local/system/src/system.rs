//! A system has everything that `template.yaml` declares, started and connected.

mod accountant;
mod dynamodb;
mod functions;
mod options;
mod services;
mod start;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use posthaste_local_lambda::{ACCOUNT_ID, Function, REGION};
use posthaste_local_sqs::Sqs;
use posthaste_local_template::{self as template, Stack};
use tokio::task::JoinSet;

pub(crate) use accountant::{Accountant, Shown};
pub use dynamodb::{DynamoDb, DynamoDbError};
pub use options::{Functions, Options, Urls};

use crate::{
    bill::{Terms, Usage},
    faults::Faults,
    inbox::Inbox,
    metrics::{Instruments, Metrics},
    scheduler::{Scheduler, TickError},
    serve::Server,
};

/// A running system. Dropping it ends its processes and servers.
pub struct System {
    urls: Urls,
    first_key: String,
    stack: Stack,
    sqs: Sqs,
    dynamodb: DynamoDb,
    faults: Faults,
    inbox: Inbox,
    functions: BTreeMap<String, Function>,
    instruments: Arc<Instruments>,
    accountant: Arc<Accountant>,
    scheduler: Arc<Scheduler>,
    schedules: JoinSet<()>,
    _servers: [Server; 4],
    _tasks: JoinSet<()>,
}

/// The parameters that a local system needs. Functions may be as concurrent as in production,
/// because there is no account whose limit they share.
const LOCAL_PARAMETERS: [(&str, &str); 7] = [
    ("Stage", "local"),
    ("AllowHttp", "true"),
    ("AllowedCidrs", "127.0.0.0/8"),
    ("FanoutMaximumConcurrency", "50"),
    ("DeliverMaximumConcurrency", "200"),
    ("DrainMaximumConcurrency", "20"),
    ("ReplayMaximumConcurrency", "10"),
];

impl System {
    /// Returns the addresses of the system.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The first API key, which has every scope.
    pub fn first_key(&self) -> &str {
        &self.first_key
    }

    /// Lists the process ids of the functions' processes at this moment.
    pub fn pids(&self) -> Vec<u32> {
        self.functions.values().flat_map(Function::pids).collect()
    }

    /// Returns the figures of this moment: calls, functions and queues.
    pub fn metrics(&self) -> Metrics {
        self.instruments.read()
    }

    /// Counts as AWS would have counted until now.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn usage(&self) -> Result<Usage, DynamoDbError> {
        self.accountant.usage().await
    }

    /// Tells for how long the template keeps what it stores.
    ///
    /// # Errors
    /// The template does not say it.
    pub fn terms(&self) -> anyhow::Result<Terms> {
        self.accountant.terms()
    }

    /// The faults, which can be changed and aimed.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The receiver for webhooks.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The embedded DynamoDB, past roles, faults and counters.
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.dynamodb
    }

    /// The SQS in memory, past roles, faults and counters.
    pub fn sqs(&self) -> &Sqs {
        &self.sqs
    }

    /// The resources that the template declares.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Finds a function by its name in the template.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// Invokes a function with the event of its schedule at once, beside the invocations that its
    /// schedule makes, and waits for its answer. A function with several schedules is invoked once
    /// for each, enabled or not.
    ///
    /// # Errors
    /// There is no such schedule, or the function failed. Lambda's retries are left out.
    pub async fn tick(&self, function: &str) -> Result<(), TickError> {
        self.scheduler.tick(function).await
    }

    /// Deploys other binaries of the functions, which are named after them. Invocations that are
    /// under way end in the processes that have them. A function without a binary stays as it is.
    ///
    /// # Errors
    /// A binary can't be run.
    pub fn deploy(&self, binaries: &BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
        for (name, function) in &self.functions {
            if let Some(binary) = binaries.get(name) {
                function.deploy(binary.clone())?;
            }
        }
        Ok(())
    }

    /// Ends the schedules and every process, and waits until they are gone.
    pub async fn stop(mut self) {
        self.schedules.shutdown().await;
        for function in self.functions.values() {
            function.stop().await;
        }
    }
}

/// Describes the account and the addresses of a local system to the template.
pub(crate) fn context(aws_url: &str, api_url: &str) -> template::Context {
    template::Context {
        region: REGION.to_owned(),
        account: ACCOUNT_ID.to_owned(),
        partition: "aws".to_owned(),
        stack_name: "posthaste".to_owned(),
        sqs_base_url: aws_url.to_owned(),
        api_url: api_url.to_owned(),
    }
}

/// Loads a template with the parameters that a local system needs. `parameters` come before them.
pub(crate) fn stack_of(
    text: &str,
    parameters: &BTreeMap<String, String>,
    aws_url: &str,
    api_url: &str,
) -> Result<Stack, template::TemplateError> {
    let mut all: BTreeMap<String, String> = LOCAL_PARAMETERS.map(owned).into();
    all.extend(parameters.clone());
    template::load(text, &all, &context(aws_url, api_url))
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
