//! The AWS services that the functions call: DynamoDB, SQS and Secrets Manager behind the front.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use posthaste_local_lambda::{ACCOUNT_ID, REGION};
use posthaste_local_sqs::{Settings, Sqs};
use posthaste_local_template::Stack;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use super::dynamodb::{self, DynamoDb};
use crate::{
    bill::Meter,
    faults::Faults,
    front::{Front, Names, Parts},
    secrets::Secrets,
    serve::Server,
};

/// The running services. Dropping the server closes the one address that all of them have.
pub(super) struct Services {
    pub(super) sqs: Sqs,
    pub(super) dynamodb: DynamoDb,
    pub(super) first_key: String,
    pub(super) front: Arc<Front>,
    pub(super) server: Server,
}

impl Services {
    /// Starts the services, with the tables, queues and secrets that the stack declares, and
    /// answers calls on `listener`. Data and secrets are kept in `data`, or else in memory.
    pub(super) async fn start(
        listener: TcpListener,
        stack: &Stack,
        data: Option<&Path>,
        faults: &Faults,
        meter: &Arc<Meter>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        if let Some(data) = data {
            std::fs::create_dir_all(data)
                .with_context(|| format!("{} can't be made", data.display()))?;
        }
        let dynamodb = dynamodb::start(data, tasks).await?;
        dynamodb.create_tables(stack).await?;
        let sqs = start_sqs(&url, stack, faults).await?;
        let secrets = Secrets::make(&stack.secrets, data)?;
        let first_key = first_key(stack, &secrets)?;
        let parts = Parts {
            sqs: sqs.clone(),
            dynamodb_url: dynamodb.url(),
            secrets,
            faults: faults.clone(),
            meter: meter.clone(),
            events_table: stack.outputs.get("EventsTable").cloned(),
        };
        let front = Arc::new(Front::new(parts, &stack.functions, Names::of(stack)));
        let answering = front.clone();
        let server = Server::start(listener, move |request| answering.clone().answer(request))?;
        Ok(Self { sqs, dynamodb, first_key, front, server })
    }
}

async fn start_sqs(url: &str, stack: &Stack, faults: &Faults) -> anyhow::Result<Sqs> {
    let sqs = Sqs::new(Settings {
        base_url: url.to_owned(),
        region: REGION.to_owned(),
        account: ACCOUNT_ID.to_owned(),
    });
    for queue in &stack.queues {
        let body = json!({ "QueueName": queue.name, "Attributes": queue.attributes }).to_string();
        sqs.call("CreateQueue", body.as_bytes()).await.with_context(|| queue.logical_id.clone())?;
    }
    let of_copies = faults.clone();
    sqs.set_duplicator(Some(Box::new(move || of_copies.duplicates())));
    let of_order = faults.clone();
    sqs.set_picker(Some(Arc::new(move |waiting| of_order.place(waiting))));
    Ok(sqs)
}

/// Puts the first key together: the prefix of its environment and the value of the secret, as the
/// template says.
fn first_key(stack: &Stack, secrets: &Secrets) -> anyhow::Result<String> {
    let arn = stack
        .outputs
        .get("FirstKeySecretArn")
        .context("the template has no output FirstKeySecretArn")?;
    let value = secrets.value(arn).context("the first key's secret is not in the template")?;
    let mut workspaces =
        stack.custom_resources.iter().map(|resource| &resource.properties["Workspace"]);
    let is_test = workspaces.any(|name| name.as_str().is_some_and(|name| name.ends_with("~test")));
    Ok(format!("spk_{}_{value}", if is_test { "test" } else { "live" }))
}
