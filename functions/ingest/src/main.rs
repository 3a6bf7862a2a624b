//! `ingest`: events come in through the API and go to the events queue.

use posthaste_domain::event::{MAX_PUBLISH_BYTES, loops::Relayed};
use posthaste_runtime::{api, aws, checks::Checks, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = telemetry::start(env!("CARGO_BIN_NAME"));
    let checks = Checks::default();
    let routes = ingest::routes(&aws::load()?, checks.clone())?;
    // A body that is a little too large is refused with the call's own words.
    api::serve(routes, Relayed::Counted, MAX_PUBLISH_BYTES + 1024, Some(checks), telemetry).await
}
