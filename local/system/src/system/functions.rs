//! The functions are started here, and the pollers that feed them from their queues.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, bail};
use posthaste_local_lambda::{Function, FunctionSpec, LogSink, REGION, Runner};
use posthaste_local_sqs::Sqs;
use posthaste_local_template::{QueueMapping, Stack};
use tokio::task::JoinSet;

use super::Functions;
use crate::{bill::Meter, poller::Poller};

/// The poller acts in the function's role. AWS refuses a mapping whose function lacks one of these
/// permissions (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>).
const POLLER_ACTIONS: [&str; 3] =
    ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// The variable with the address of the built-in receiver, which the console shows to whoever begins.
const LOCAL_INBOX: &str = "LOCAL_INBOX_URL";

/// The addresses at which the functions find what the local system has beside them.
pub(super) struct Addresses {
    /// The stand-ins for AWS.
    pub(super) aws: String,
    /// The built-in receiver.
    pub(super) inbox: String,
}

/// Writes the environment in the form that `cargo lambda watch --env-file` reads.
pub(super) fn write_environment(
    file: &Path,
    environment: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let lines: String =
        environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(file, lines).with_context(|| format!("{} can't be written", file.display()))
}

/// Puts all variables of all functions together, with the addresses of the local system.
pub(super) fn shared_environment(stack: &Stack, addresses: &Addresses) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> =
        stack.functions.iter().flat_map(|function| function.environment.clone()).collect();
    environment.extend(
        [
            ("AWS_ENDPOINT_URL", addresses.aws.as_str()),
            (LOCAL_INBOX, &addresses.inbox),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    environment
}

/// Counts the processes that a function may have: as many as its mappings invoke at once, and at
/// most `max`. A function without a mapping, such as those of the API, may have `max`.
fn processes(mappings: &[QueueMapping], max: usize) -> usize {
    match mappings {
        [] => max,
        mappings => {
            mappings.iter().map(|mapping| concurrency(mapping, max)).sum::<usize>().min(max)
        }
    }
}

/// Counts the invocations of a mapping that may go on at once.
fn concurrency(mapping: &QueueMapping, max: usize) -> usize {
    mapping.max_concurrency.map_or(max, |declared| declared.min(max))
}

pub(super) fn start(
    stack: &Stack,
    runner: &Functions,
    max_processes: usize,
    addresses: &Addresses,
    log: &LogSink,
) -> anyhow::Result<BTreeMap<String, Function>> {
    let mut functions = BTreeMap::new();
    for declared in &stack.functions {
        let mut environment = declared.environment.clone();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), addresses.aws.clone());
        environment.insert(LOCAL_INBOX.to_owned(), addresses.inbox.clone());
        let spec = FunctionSpec {
            name: declared.name.clone(),
            runner: runner_of(&declared.name, runner)?,
            environment,
            timeout: declared.timeout,
            memory_mb: declared.memory_mb,
            max_concurrency: processes(&declared.queues, max_processes),
            allows_recursion: declared.allows_recursion,
        };
        functions.insert(declared.name.clone(), Function::start(spec, log.clone())?);
    }
    Ok(functions)
}

fn runner_of(name: &str, functions: &Functions) -> anyhow::Result<Runner> {
    match functions {
        Functions::Processes(binaries) => {
            let binary =
                binaries.get(name).with_context(|| format!("there is no binary {name}"))?;
            Ok(Runner::Process { binary: binary.clone() })
        }
        Functions::External(base) => Ok(Runner::External {
            invoke_url: format!("{base}/2015-03-31/functions/{name}/invocations"),
        }),
    }
}

pub(super) fn start_pollers(
    stack: &Stack,
    max_processes: usize,
    sqs: &Sqs,
    functions: &BTreeMap<String, Function>,
    meter: &Arc<Meter>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    for declared in &stack.functions {
        let Some(function) = functions.get(&declared.name) else { continue };
        for mapping in declared.queues.iter().filter(|mapping| mapping.enabled) {
            let arn = &mapping.queue_arn;
            if let Some(action) =
                POLLER_ACTIONS.into_iter().find(|action| !declared.allows(action, arn, &[]))
            {
                bail!(
                    "the role of {} does not permit {action} on {arn}, which its mapping needs",
                    declared.logical_id
                );
            }
            let poller = Poller {
                sqs: sqs.clone(),
                queue: mapping.queue_arn.rsplit(':').next().unwrap_or_default().to_owned(),
                concurrency: concurrency(mapping, max_processes),
                mapping: mapping.clone(),
                function: function.clone(),
                meter: meter.clone(),
            };
            tasks.spawn(poller.run());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mapping(max_concurrency: Option<usize>) -> QueueMapping {
        QueueMapping {
            queue_arn: "arn:aws:sqs:us-east-1:000000000000:q".to_owned(),
            batch_size: 10,
            window: Duration::ZERO,
            max_concurrency,
            report_batch_item_failures: true,
            enabled: true,
        }
    }

    #[test]
    fn a_function_has_as_many_processes_as_its_mappings_invoke_at_once_up_to_the_most() {
        assert_eq!(processes(&[mapping(Some(10))], 50), 10);
        assert_eq!(processes(&[mapping(Some(10)), mapping(Some(20))], 50), 30);
        assert_eq!(processes(&[mapping(Some(40)), mapping(Some(20))], 50), 50);
        assert_eq!(processes(&[mapping(Some(100))], 50), 50);
        assert_eq!(processes(&[mapping(None)], 50), 50, "a mapping without a limit");
        assert_eq!(processes(&[], 50), 50, "a function without a mapping");
    }
}
