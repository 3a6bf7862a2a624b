//! `drain`: a webhook's turn. What waits in its backlog is sent as its endpoint and its rate limit
//! allow.

mod away;
mod drain;
mod hand;
mod page;
mod requests;
mod turn;

use std::{sync::Arc, time::Duration};

use aws_lambda_events::event::sqs::SqsEvent;
use drain::{Drain, MAX_MEMORY_KIB, MAX_REQUESTS};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_delivery::Courier;
use posthaste_runtime::{
    aws,
    batch::{self, Batch},
    config,
    deadline::Deadline,
    telemetry,
};
use tokio::sync::Semaphore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let sqs = aws::sqs(&sdk);
    let days: u32 = config::parsed("MAX_WAITING_DAYS", "a number of days")?;
    let drain = Drain {
        courier: Courier::of_environment(&sdk)?,
        batch: Batch {
            queue: config::queue(&sqs, "TURNS_QUEUE_URL")?,
            dead_letters: config::queue(&sqs, "TURNS_DLQ_URL")?,
        },
        max_waiting: config::parsed("MAX_WAITING_DELIVERIES", "a number of deliveries")?,
        max_waiting_time: Duration::from_secs(u64::from(days) * 24 * 60 * 60),
        places: Arc::new(Semaphore::new(MAX_REQUESTS)),
        memory: Arc::new(Semaphore::new(MAX_MEMORY_KIB)),
    };
    let drain = &drain;
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let records = batch::records(event.payload);
        let deadline = Deadline::of(event.context.deadline);
        Ok::<_, lambda_runtime::Error>(
            drain.handle(&records, &event.context.request_id, deadline).await,
        )
    }));
    runtime.layer(telemetry).run().await
}
