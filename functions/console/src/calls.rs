//! The calls of the API that this function answers for everybody: those about portal links and
//! about the deployment.

mod deployment;
mod portal_links;

use axum::Router;
use posthaste_runtime::{aws::SdkConfig, door::Door};
use posthaste_store::Registry;

/// The routes, with the tables and queues that the environment variables name.
///
/// # Errors
/// A variable is missing or can't be read.
pub(crate) fn routes(sdk: &SdkConfig, registry: Registry, door: Door) -> anyhow::Result<Router> {
    Ok(portal_links::routes(registry, door).merge(deployment::routes(sdk)?))
}
