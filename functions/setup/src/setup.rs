//! Makes the first API key known: reads the secret that CloudFormation generated and stores the
//! key's hash in the Registry.
//!
//! It may be called twice: the key's id derives from its hash, so storing it again changes nothing.
//! An update of the stack that leaves the workspace and the secret as they are stores nothing: a
//! first key that was revoked stays revoked, and a secret that was given another value makes no
//! second key. Deleting the stack leaves the Registry, and with it the key, as the table is
//! retained; `DELETE /api/v1/keys/{id}` revokes it.
//!
//! CloudFormation calls it seconds after it has made its role, and IAM may not have told every
//! service of the role by then. So a call that is refused for lack of permission is tried again for
//! 20 s, instead of rolling the whole stack back.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use aws_sdk_secretsmanager::{
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use posthaste_domain::{
    Timestamp,
    access::{
        api_key::{ApiKey, KeyInfo, Scope},
        workspace::Workspace,
    },
    id::KeyId,
};
use posthaste_runtime::clock;
use posthaste_store::{Registry, StoreError};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::answer::Answer;

/// The time for which a refusal for lack of permission may be the newness of the role.
const NEW_ROLE_FOR: Duration = Duration::from_secs(20);
/// The wait between two tries meanwhile.
const NEW_ROLE_WAIT: Duration = Duration::from_secs(2);

/// The clients and the table that setup works with.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) http: reqwest::Client,
}

/// A request of CloudFormation:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    request_type: String,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    resource_properties: Value,
    /// Only an update has them.
    old_resource_properties: Option<Value>,
}

/// The properties that matter. CloudFormation adds its own, as the ServiceToken, which change
/// without the key.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    workspace: Workspace,
    secret_arn: String,
}

impl Request {
    /// The id that the resource keeps when there is nothing to do: it goes, or none of the
    /// properties that matter has changed.
    fn id_to_keep(&self) -> Option<&str> {
        match self.request_type.as_str() {
            "Delete" => Some(self.known_id()),
            "Update" => {
                let old = Properties::deserialize(self.old_resource_properties.as_ref()?).ok()?;
                let new = Properties::deserialize(&self.resource_properties).ok()?;
                self.physical_resource_id.as_deref().filter(|_| old == new)
            }
            _ => None,
        }
    }

    /// The resource's id, or a stand-in for it before it has one.
    fn known_id(&self) -> &str {
        self.physical_resource_id.as_deref().unwrap_or(&self.logical_resource_id)
    }
}

impl Setup {
    /// Does what is asked and tells CloudFormation, which would otherwise wait for the resource's
    /// time to run out.
    pub(crate) async fn handle(&self, request: Value) -> anyhow::Result<()> {
        let request: Request =
            serde_json::from_value(request).context("this is no request of CloudFormation's")?;
        let done = match request.id_to_keep() {
            Some(id) => Ok(id.to_owned()),
            None => self.store_key_as_new_role(&request.resource_properties).await,
        };
        let (status, reason, physical_resource_id) = match done {
            Ok(id) => ("SUCCESS", String::new(), id),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the first API key could not be stored"
                );
                ("FAILED", format!("{error:#}"), request.known_id().to_owned())
            }
        };
        let answer = Answer {
            status,
            reason,
            physical_resource_id,
            stack_id: &request.stack_id,
            request_id: &request.request_id,
            logical_resource_id: &request.logical_resource_id,
        };
        answer.send(&self.http, &request.response_url).await
    }

    /// Stores the key, as soon as the role is known to the services that it is stored with.
    async fn store_key_as_new_role(&self, properties: &Value) -> anyhow::Result<String> {
        let until = Instant::now() + NEW_ROLE_FOR;
        loop {
            match self.store_key(properties).await {
                Err(error)
                    if is_without_permission(&error) && Instant::now() + NEW_ROLE_WAIT < until =>
                {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the role is not known yet: it is tried again"
                    );
                    sleep(NEW_ROLE_WAIT).await;
                }
                done => return done,
            }
        }
    }

    /// Returns the key's id, which is the resource's.
    async fn store_key(&self, properties: &Value) -> anyhow::Result<String> {
        let properties = Properties::deserialize(properties)
            .context("ResourceProperties lack a Workspace or a SecretArn")?;
        let secret = self.secrets.get_secret_value().secret_id(&properties.secret_arn).send().await;
        let secret = secret.context("the first key's secret can't be read")?;
        let value = secret.secret_string.context("the first key's secret has no text")?;
        let key = ApiKey::with_text(properties.workspace.environment(), &value);
        anyhow::ensure!(
            key.is_well_formed(),
            "the first key's secret has to be 43 letters and digits"
        );
        let info = first_key(&key, properties.workspace, clock::now());
        self.registry
            .keys
            .insert(&key.hash(), &info)
            .await
            .context("the first key can't be stored")?;
        tracing::info!(key.id = %info.id, workspace = %info.workspace, "stored the first API key");
        Ok(info.id.to_string())
    }
}

/// Returns whether a service refused a call because the role may not make it.
fn is_without_permission(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let secret_refused = cause
            .downcast_ref::<SdkError<GetSecretValueError>>()
            .and_then(ProvideErrorMetadata::code);
        let write_refused = cause.downcast_ref::<StoreError>().and_then(|error| match error {
            StoreError::Call { code, .. } => Some(code.as_str()),
            _ => None,
        });
        // The second one is what a service says of credentials that it does not know yet.
        matches!(
            secret_refused.or(write_refused),
            Some("AccessDeniedException" | "UnrecognizedClientException")
        )
    })
}

/// The first key may do everything in its workspace's environment. Its id derives from its hash.
fn first_key(key: &ApiKey, workspace: Workspace, now: Timestamp) -> KeyInfo {
    let hash = key.hash();
    let mut entropy = [0; 10];
    entropy.copy_from_slice(&hash.as_str().as_bytes()[..10]);
    KeyInfo {
        id: KeyId::new(Timestamp::UNIX_EPOCH, &entropy),
        environment: workspace.environment(),
        workspace,
        name: Some("the first key, made by the deployment".to_owned()),
        scopes: BTreeSet::from(Scope::ALL),
        created_at: now,
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::access::workspace::Environment;

    use super::*;

    #[test]
    fn the_first_key_has_every_scope_and_the_same_id_each_time() {
        let key = ApiKey::new(Environment::Live, &[7; 32]);
        let info = |ms| {
            first_key(
                &key,
                Workspace::parse("acme").unwrap(),
                Timestamp::from_millisecond(ms).unwrap(),
            )
        };
        assert_eq!(info(1).id, info(2).id);
        assert_eq!(info(1).scopes, BTreeSet::from(Scope::ALL));
        assert_eq!(info(1).environment, Environment::Live);
    }

    #[test]
    fn the_first_key_of_a_sandbox_is_a_test_key() {
        let test = Workspace::parse("acme~test").unwrap();
        let key = ApiKey::with_text(test.environment(), &"a".repeat(43));
        assert!(key.reveal().starts_with("spk_test_a"));
        let info = first_key(&key, test.clone(), Timestamp::UNIX_EPOCH);
        assert_eq!((info.workspace.as_str(), info.reach()), ("acme~test", test));
    }

    const CREATE: &str = include_str!("../../../events/setup/create.json");
    const UPDATE: &str = include_str!("../../../events/setup/update.json");
    const DELETE: &str = include_str!("../../../events/setup/delete.json");

    #[test]
    fn only_what_changes_the_workspace_or_the_secret_stores_a_key() {
        let kept = |event: &str| {
            let request: Request = serde_json::from_str(event).unwrap();
            request.id_to_keep().map(str::to_owned)
        };
        let id = Some("00000000-0000-7038-b837-343065616363".to_owned());
        assert_eq!(kept(CREATE), None);
        assert_eq!(kept(DELETE), id);
        assert_eq!(kept(UPDATE), id, "CloudFormation's own properties do not matter");
        assert_eq!(kept(&UPDATE.replacen("\"default\"", "\"acme\"", 1)), None);
        assert_eq!(
            kept(&UPDATE.replacen("FirstKeySecret-000000", "FirstKeySecret-111111", 1)),
            None
        );
        assert_eq!(kept(&UPDATE.replace("OldResourceProperties", "Else")), None);
    }

    #[test]
    fn the_answer_has_the_fields_that_cloudformation_reads() {
        let answer = Answer {
            status: "SUCCESS",
            reason: String::new(),
            physical_resource_id: "key".to_owned(),
            stack_id: "arn:aws:cloudformation:us-east-1:000000000000:stack/posthaste/1",
            request_id: "r-1",
            logical_resource_id: "FirstKey",
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
    }
}
