//! `fanout`: an event from the events queue becomes a task on the deliveries queue for every
//! webhook that wants it.

mod arrival;
mod calls;
mod check;
mod completing;
mod fanout;
mod plan;
mod published;
mod routes;
mod runs;

use aws_lambda_events::event::sqs::SqsEvent;
use calls::Calls;
use completing::Taught;
use fanout::Fanout;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use posthaste_runtime::{
    aws,
    batch::{self, Batch},
    checks::Checks,
    config,
    deadline::Deadline,
    suspects::Suspects,
    telemetry,
};
use posthaste_store::{Deliveries, Events, Registry};
use published::Noted;
use routes::Routing;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let sdk = aws::load()?;
    let (dynamodb, sqs) = (aws::dynamodb(&sdk), aws::sqs(&sdk));
    let registry = Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?);
    let events = Events::new(dynamodb.clone(), config::text("EVENTS_TABLE")?);
    let fanout = Fanout {
        routing: Routing::new(registry.clone()),
        registry,
        calls: Calls::new(events.clone()),
        events,
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        taught: Taught::default(),
        tasks: config::queue(&sqs, "DELIVERIES_QUEUE_URL")?,
        shares: config::queue(&sqs, "EVENTS_QUEUE_URL")?,
        retention: config::retention()?,
        hold_deadline: config::hold_deadline()?,
        checks: Checks::default(),
        noted: Noted::default(),
        default_workspace: config::default_workspace()?,
    };
    let batch = Batch {
        queue: config::queue(&sqs, "EVENTS_QUEUE_URL")?,
        dead_letters: config::queue(&sqs, "EVENTS_DLQ_URL")?,
    };
    let suspects =
        Suspects { store: fanout.deliveries.suspects.clone(), batch, event_id: arrival::event_id };
    let (fanout, suspects) = (&fanout, &suspects);
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let records = batch::records(event.payload);
        let deadline = Deadline::of(event.context.deadline);
        let handling =
            suspects.handle(&records, deadline, async |records: &[batch::Record], deadline| {
                fanout.handle(records, deadline).await
            });
        Ok::<_, lambda_runtime::Error>(handling.await)
    }));
    runtime.layer(telemetry).layer(fanout.checks.ending()).run().await
}
