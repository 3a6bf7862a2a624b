//! `deliver`: a task from the deliveries queue becomes an HTTP request.

mod aftermath;
mod deliver;
mod facts;
mod health;
mod lanes;
mod run;

use aws_lambda_events::event::sqs::SqsEvent;
use deliver::Deliver;
use lambda_runtime::{LambdaEvent, service_fn};
use posthaste_domain::request::USER_AGENT;
use posthaste_queue::Queue;
use posthaste_runtime::{
    aws,
    batch::{self, Batch},
    config,
    deadline::Deadline,
    keys::Keys,
    telemetry,
};
use posthaste_sender::Sender;
use posthaste_store::{Deliveries, Events, Registry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::start();
    let sdk = aws::load().await?;
    let (dynamodb, sqs) = (aws::dynamodb(&sdk), aws::sqs(&sdk));
    let queue = |name| config::text(name).map(|url| Queue::new(sqs.clone(), url));
    let deliver = Deliver {
        registry: Registry::new(dynamodb.clone(), config::text("REGISTRY_TABLE")?),
        events: Events::new(dynamodb.clone(), config::text("EVENTS_TABLE")?),
        deliveries: Deliveries::new(dynamodb, config::text("DELIVERIES_TABLE")?),
        keys: Keys::new(aws::secrets_manager(&sdk), config::text("ENCRYPTION_KEY_ARN")?),
        sender: Sender::new(config::url_policy()?, USER_AGENT)?,
        batch: Batch { queue: queue("DELIVERIES_QUEUE_URL")?, dead_letters: queue("DELIVERIES_DLQ_URL")? },
        events_queue: queue("EVENTS_QUEUE_URL")?,
        retention: config::retention()?,
        disable_after: config::disable_after()?,
    };
    let deliver = &deliver;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let records = batch::records(event.payload);
        let deadline = Deadline::of(event.context.deadline);
        Ok::<_, lambda_runtime::Error>(deliver.handle(&records, &event.context.request_id, deadline).await)
    }))
    .await
}
