//! `release`: what is parked or held in the Deliveries table goes back to the deliveries queue when
//! its time has come, and webhooks' turns are woken.

mod lanes;
mod parts;
mod place;
mod plan;
mod release;

use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_runtime::{aws, config, deadline::Deadline, telemetry};
use posthaste_store::Deliveries;
use release::Release;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let sqs = aws::sqs(&sdk);
    let release = Release {
        deliveries: Deliveries::new(aws::dynamodb(&sdk), config::text("DELIVERIES_TABLE")?),
        tasks: config::queue(&sqs, "DELIVERIES_QUEUE_URL")?,
        turns: config::queue(&sqs, "TURNS_QUEUE_URL")?,
        places: config::parsed("DRAIN_CONCURRENCY", "a number")?,
    };
    let release = &release;
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<Value>| {
        let handled = async {
            release.handle(&parts::of(&event.payload)?, Deadline::of(event.context.deadline)).await
        };
        handled.await.map_err(lambda_runtime::Error::from)
    }));
    runtime.layer(telemetry).run().await
}
