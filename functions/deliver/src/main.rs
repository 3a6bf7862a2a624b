//! `deliver`: a task from the deliveries queue becomes an HTTP request, or waits in its webhook's
//! backlog.

mod after;
mod append;
mod deliver;
mod facts;
mod run;
mod watch;
mod work;

use aws_lambda_events::event::sqs::SqsEvent;
use deliver::Deliver;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_delivery::Courier;
use posthaste_runtime::{
    aws,
    batch::{self, Batch},
    config,
    deadline::Deadline,
    telemetry,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let courier = Courier::of_environment(&sdk)?;
    let batch = Batch { queue: courier.tasks.clone(), dead_letters: courier.dead_letters.clone() };
    let turns = config::queue(&aws::sqs(&sdk), "TURNS_QUEUE_URL")?;
    let deliver = Deliver { courier, batch, turns, evidence: Default::default() };
    let deliver = &deliver;
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let records = batch::records(event.payload);
        let deadline = Deadline::of(event.context.deadline);
        Ok::<_, lambda_runtime::Error>(
            deliver.handle(&records, &event.context.request_id, deadline).await,
        )
    }));
    runtime.layer(telemetry).run().await
}
