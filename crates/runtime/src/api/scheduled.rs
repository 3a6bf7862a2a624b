//! A function that answers calls, and is invoked on a schedule besides.

use axum::Router;
use lambda_http::{Adapter, lambda_runtime::Service, request::LambdaRequest, tower::ServiceExt};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use posthaste_domain::event::loops::Relayed;
use serde_json::Value;

use super::{Answer, public};
use crate::{deadline::Deadline, telemetry::Telemetry};

/// Runs a function's routes as [`super::serve`] does. An invocation that is no call of the API is
/// one of the schedule: it runs `scheduled`, until its deadline.
pub async fn serve_and_run(
    routes: Router,
    relayed: Relayed,
    max_body_bytes: usize,
    scheduled: impl AsyncFn(Deadline) -> anyhow::Result<()>,
    telemetry: Telemetry,
) -> Result<(), Error> {
    let routes = public(routes, relayed, max_body_bytes)?;
    let calls = Adapter::from(ServiceExt::<lambda_http::Request>::map_response(routes, Answer));
    let (calls, scheduled) = (&calls, &scheduled);
    let runtime = Runtime::new(service_fn(async |event: LambdaEvent<Value>| {
        let LambdaEvent { payload, context } = event;
        if !is_call(&payload) {
            let run = scheduled(Deadline::of(context.deadline)).await;
            return run.map(|()| Value::Null).map_err(Error::from);
        }
        let call: LambdaRequest = serde_json::from_value(payload)?;
        let answer = calls.clone().call(LambdaEvent::new(call, context)).await?;
        Ok(serde_json::to_value(answer)?)
    }));
    runtime.layer(telemetry).run().await
}

/// Tells whether API Gateway has sent this event. No schedule sends such a member.
fn is_call(event: &Value) -> bool {
    event.get("requestContext").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_told_from_schedules() {
        let call = include_str!("../../../../events/types/list-event-types.json");
        assert!(is_call(&serde_json::from_str(call).unwrap()));
        for schedule in [include_str!("../../../../events/release/schedule.json"), "{}", "null"] {
            assert!(!is_call(&serde_json::from_str(schedule).unwrap()), "{schedule}");
        }
        assert!(!is_call(&json!({ "source": "aws.events", "detail": {} })));
    }
}
