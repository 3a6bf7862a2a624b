//! Custom resources are made as CloudFormation makes them: it invokes their functions, and waits
//! for the answer that they PUT to a URL.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use posthaste_local_lambda::{Function, InvokeError};
use posthaste_local_template::CustomResource;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::serve::{self, Server};

/// The pause between two tries to reach functions that run outside of the local system.
const UNTIL_REACHABLE: Duration = Duration::from_secs(1);

/// Creates a resource. An answer other than SUCCESS is an error with the reason that it gives.
pub(crate) async fn create(resource: &CustomResource, function: &Function) -> anyhow::Result<()> {
    let (sender, mut answers) = mpsc::channel::<Value>(1);
    let sender = Arc::new(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = Server::start(listener, move |request: Request<Bytes>| {
        let sender = sender.clone();
        async move {
            if request.method() != Method::PUT {
                return Some(serve::text(StatusCode::METHOD_NOT_ALLOWED, "PUT the answer here"));
            }
            let answer = serde_json::from_slice(request.body()).unwrap_or_default();
            let _ = sender.send(answer).await;
            Some(serve::text(StatusCode::OK, ""))
        }
    })?;
    let event = json!({
        "RequestType": "Create",
        "ResponseURL": format!("{}/answer", server.url()),
        "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/posthaste/local",
        "RequestId": uuid::Uuid::new_v4().to_string(),
        "ResourceType": resource.resource_type,
        "LogicalResourceId": resource.logical_id,
        "ResourceProperties": resource.properties,
    });
    invoke(function, event.to_string().into())
        .await
        .with_context(|| format!("the function of {} failed", resource.logical_id))?;
    let Ok(Some(answer)) = tokio::time::timeout(resource.timeout, answers.recv()).await else {
        bail!("the function of {} did not answer", resource.logical_id);
    };
    match answer["Status"].as_str() {
        Some("SUCCESS") => Ok(()),
        _ => bail!(
            "{} could not be created: {}",
            resource.logical_id,
            answer["Reason"].as_str().unwrap_or("no reason is given")
        ),
    }
}

/// Invokes a function, and waits for it where it runs outside of the local system and can't be
/// reached yet.
async fn invoke(function: &Function, event: Bytes) -> Result<Bytes, InvokeError> {
    let mut told = false;
    loop {
        match function.invoke(event.clone()).await {
            Err(InvokeError::InitFailed { error_type, .. })
                if error_type == "External.Unreachable" =>
            {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!("waiting for the functions to be served");
                }
                tokio::time::sleep(UNTIL_REACHABLE).await;
            }
            answer => return answer,
        }
    }
}
