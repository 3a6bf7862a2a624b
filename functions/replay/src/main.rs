//! `replay`: a page of a webhook's history is put on the deliveries queue again, and then the next
//! one.

mod page;
mod replay;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_runtime::{
    aws,
    batch::{self, Batch},
    config,
    deadline::Deadline,
    telemetry,
};
use posthaste_store::{Deliveries, Registry};
use replay::Replay;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let (dynamodb, sqs) = (aws::dynamodb(&sdk), aws::sqs(&sdk));
    let replay = Replay {
        registry: Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?),
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        tasks: config::queue(&sqs, "DELIVERIES_QUEUE_URL")?,
        batch: Batch {
            queue: config::queue(&sqs, "REPLAY_QUEUE_URL")?,
            dead_letters: config::queue(&sqs, "REPLAY_DLQ_URL")?,
        },
        retention: config::retention()?,
        page: config::parsed("REPLAY_PAGE", "a number of deliveries")?,
    };
    let replay = &replay;
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let records = batch::records(event.payload);
        let deadline = Deadline::of(event.context.deadline);
        Ok::<_, lambda_runtime::Error>(
            replay.handle(&records, &event.context.request_id, deadline).await,
        )
    }));
    runtime.layer(telemetry).run().await
}
