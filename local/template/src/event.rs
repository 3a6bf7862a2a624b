//! Functions are invoked by the `Events` of `AWS::Serverless::Function`.

use std::time::Duration;

use crate::{
    error::{Result, at},
    fields::Fields,
    model::{Function, Queue, QueueMapping, Route, Schedule},
    role::allows,
    schedule,
    scope::Scope,
};

/// A source of invocations.
pub(crate) enum Event {
    Queue(QueueMapping),
    Route(Route),
    Schedule(Schedule),
}

/// The parts of the template that an event can refer to.
pub(crate) struct Surroundings<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) queues: &'a [Queue],
}

/// Reads the event `name` of `function`. Everything of the function but its events is known.
pub(crate) fn read(
    surroundings: &Surroundings,
    function: &Function,
    name: &str,
    mut event: Fields,
) -> Result<Event> {
    let kind = event.required_text("Type")?;
    let kind_path = event.path_of("Type");
    let properties = event.object("Properties")?;
    event.finish()?;
    match kind.as_str() {
        "SQS" => read_queue(surroundings.queues, function, properties).map(Event::Queue),
        "HttpApi" => read_route(surroundings.scope, function, properties).map(Event::Route),
        "Schedule" => {
            schedule::read_rule(surroundings.scope, function, name, properties).map(Event::Schedule)
        }
        "ScheduleV2" => schedule::read_schedule(surroundings.scope, function, name, properties)
            .map(Event::Schedule),
        _ => Err(at(kind_path, format!("{kind} is not supported by the local system"))),
    }
}

/// Reads an event source mapping
/// (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-sqs.html>)
/// within the limits of
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>.
fn read_queue(queues: &[Queue], function: &Function, mut event: Fields) -> Result<QueueMapping> {
    let queue_path = event.path_of("Queue");
    let queue_arn = event.required_text("Queue")?;
    let Some(queue) = queues.iter().find(|queue| queue.arn == queue_arn) else {
        return Err(at(queue_path, format!("the template has no queue {queue_arn}")));
    };
    let visibility =
        queue.attributes.get("VisibilityTimeout").and_then(|seconds| seconds.parse().ok());
    let visibility = Duration::from_secs(visibility.unwrap_or(30));
    if visibility < function.timeout {
        let problem = format!(
            "the queue's visibility timeout of {visibility:?} is below the function's \
             timeout of {:?}",
            function.timeout
        );
        return Err(at(queue_path, problem));
    }
    for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
        if !allows(&function.statements, action, &queue_arn, &[]) {
            return Err(at(
                queue_path,
                format!("the poller needs {action}, which the function's role does not allow"),
            ));
        }
    }

    let batch_size = event.number("BatchSize", 1..=10_000)?.unwrap_or(10);
    let window = event.number("MaximumBatchingWindowInSeconds", 0..=300)?.unwrap_or(0);
    if batch_size > 10 && window == 0 {
        return Err(at(
            event.path_of("BatchSize"),
            "over 10 needs a MaximumBatchingWindowInSeconds of at least 1",
        ));
    }
    let mut scaling = event.object("ScalingConfig")?;
    let max_concurrency = scaling.number("MaximumConcurrency", 2..=1000)?;
    scaling.finish()?;
    let responses_path = event.path_of("FunctionResponseTypes");
    let report_batch_item_failures = match event.texts("FunctionResponseTypes")?.as_slice() {
        [] => false,
        [only] if only == "ReportBatchItemFailures" => true,
        _ => return Err(at(responses_path, "has to be [ReportBatchItemFailures]")),
    };
    let enabled = event.flag("Enabled")?.unwrap_or(true);
    event.finish()?;
    Ok(QueueMapping {
        queue_arn,
        batch_size: whole(batch_size),
        window: Duration::from_secs(window),
        max_concurrency: max_concurrency.map(whole),
        report_batch_item_failures,
        enabled,
    })
}

/// Reads a route of the HTTP API
/// (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-httpapi.html>).
fn read_route(scope: &Scope, function: &Function, mut event: Fields) -> Result<Route> {
    let api_path = event.path_of("ApiId");
    let api = event.required_text("ApiId")?;
    let mut known = false;
    for (id, _) in scope.of_type("AWS::Serverless::HttpApi")? {
        known |= scope.name(id)? == api;
    }
    if !known {
        return Err(at(api_path, format!("the template has no AWS::Serverless::HttpApi {api}")));
    }
    event.at_most("PayloadFormatVersion", "2.0")?;
    let own_path = event.path().to_owned();
    let method = event.text("Method")?.map(|method| method.to_uppercase());
    let path = event.text("Path")?;
    event.finish()?;
    let (method, path) = match (method, path) {
        (None, None) => ("ANY".to_owned(), "$default".to_owned()),
        (Some(method), Some(path)) if path.starts_with('/') => (method, path),
        (Some(_), Some(path)) => {
            return Err(at(own_path, format!("the path {path} has to begin with /")));
        }
        _ => {
            return Err(at(
                own_path,
                "needs both Method and Path, or neither for the $default route",
            ));
        }
    };
    const METHODS: [&str; 8] = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    if !METHODS.contains(&method.as_str()) {
        return Err(at(own_path, format!("{method} is none of {}", METHODS.join(", "))));
    }
    let route_key = if path == "$default" { path.clone() } else { format!("{method} {path}") };
    Ok(Route { method, path, function: function.name.clone(), route_key })
}

/// Converts a number that a range above has bounded, far below the limits of any machine.
fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
