//! The environment of a function's process has the variables that Lambda sets and those of the
//! function's configuration, and no other.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::REGION;
use crate::error::StartError;
use crate::function::FunctionSpec;

/// Lambda refuses these variables in a function's configuration.
const RESERVED: [&str; 17] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT",
];

pub(crate) fn check(environment: &BTreeMap<String, String>) -> Result<(), StartError> {
    match environment.keys().find(|name| RESERVED.contains(&name.as_str())) {
        Some(name) => Err(StartError::ReservedVariable(name.clone())),
        None => Ok(()),
    }
}

/// Makes the command that starts process number `instance`, whose Runtime API is at `api`.
pub(crate) fn command(
    spec: &FunctionSpec,
    binary: &Path,
    instance: u64,
    api: SocketAddr,
) -> Command {
    let name = &spec.name;
    let directory = binary.parent().unwrap_or(Path::new("/"));
    let mut command = Command::new(binary);
    command
        .current_dir(directory)
        .env_clear()
        // A configuration may replace these …
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("LANG", "en_US.UTF-8")
        .env("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin")
        .env("TZ", ":UTC")
        .envs(&spec.environment)
        // … and never these.
        .env("_HANDLER", "bootstrap")
        .env("AWS_ACCESS_KEY_ID", format!("{name}.{instance}"))
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("[$LATEST]{instance}"))
        .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
        .env("AWS_REGION", REGION)
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_SESSION_TOKEN", "local")
        .env("LAMBDA_TASK_ROOT", directory);
    command
}
