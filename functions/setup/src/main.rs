//! `setup`: CloudFormation calls it when a stack is created, to make the first API key known.

mod answer;
mod setup;

use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_runtime::{aws, config, telemetry};
use posthaste_store::Registry;
use setup::Setup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let setup = Setup {
        registry: Registry::new(aws::dynamodb(&sdk), config::text("REGISTRY_TABLE")?),
        secrets: aws::secrets_manager(&sdk),
        http: answer::client()?,
    };
    let setup = &setup;
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        setup.handle(event.payload).await.map_err(lambda_runtime::Error::from)
    }));
    runtime.layer(telemetry).run().await
}
