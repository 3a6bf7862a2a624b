//! Lambda functions are read with the routes that lead to them.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>

use std::{collections::BTreeMap, time::Duration};

use crate::{
    error::{Result, at},
    event::{self, Event, Surroundings},
    fields::{Entry, Fields, scalar},
    model::{Function, Queue, Route},
    role::{self, Statement},
    scope::Scope,
};

/// Reads the functions of the template, and the routes that lead to them.
pub(crate) fn read_all(scope: &Scope, queues: &[Queue]) -> Result<(Vec<Function>, Vec<Route>)> {
    let roles = role::read_all(scope)?;
    let mut functions: Vec<Function> = Vec::new();
    let mut routes: Vec<(String, Route)> = Vec::new();
    for (id, properties) in scope.of_type("AWS::Serverless::Function")? {
        let (function, its_routes) = read(scope, queues, &roles, id, properties)?;
        if let Some(other) = functions.iter().find(|other| other.name == function.name) {
            let path = format!("Resources.{id}.Metadata.BuildProperties.Binary");
            return Err(at(
                path,
                format!("{} is the binary of {} already", function.name, other.logical_id),
            ));
        }
        functions.push(function);
        routes.extend(its_routes);
    }
    routes.sort_by(|(_, a), (_, b)| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
    check_routes(&routes)?;
    Ok((functions, routes.into_iter().map(|(_, route)| route).collect()))
}

/// Refuses a route that is there twice, as API Gateway does. The names of path parameters make no
/// difference.
fn check_routes(routes: &[(String, Route)]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (path, route) in routes {
        let segments = route
            .path
            .split('/')
            .map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        let shape: Vec<_> = segments.collect();
        if let Some(other) = seen.insert((&route.method, shape), &route.route_key) {
            return Err(at(
                path,
                format!("route {} is used twice: there is {other} already", route.route_key),
            ));
        }
    }
    Ok(())
}

fn read(
    scope: &Scope,
    queues: &[Queue],
    roles: &BTreeMap<String, Vec<Statement>>,
    id: &str,
    mut properties: Fields,
) -> Result<(Function, Vec<(String, Route)>)> {
    properties.exactly("Handler", "bootstrap")?;
    properties.exactly("Runtime", "provided.al2023")?;
    // Lambda's own defaults and limits.
    let timeout = Duration::from_secs(properties.number("Timeout", 1..=900)?.unwrap_or(3));
    let memory_mb = properties.number("MemorySize", 128..=10_240)?.unwrap_or(128);
    let mut function = Function {
        logical_id: id.to_owned(),
        name: binary(scope, id)?,
        arn: scope.arn(id)?,
        timeout,
        memory_mb: u32::try_from(memory_mb).unwrap_or(u32::MAX),
        environment: environment(properties.object("Environment")?)?,
        statements: role_statements(roles, &mut properties)?,
        async_retries: async_retries(properties.object("EventInvokeConfig")?)?,
        allows_recursion: allows_recursion(&mut properties)?,
        queues: Vec::new(),
        schedules: Vec::new(),
    };
    let mut routes = Vec::new();
    let surroundings = Surroundings { scope, queues };
    for Entry { path, name: event, value } in properties.object("Events")?.rest() {
        match event::read(&surroundings, &function, &event, Fields::of(value, &path)?)? {
            Event::Queue(mapping) => function.queues.push(mapping),
            Event::Schedule(schedule) => function.schedules.push(schedule),
            Event::Route(route) => routes.push((path, route)),
        }
    }
    // The name is read with the names of all resources. Cargo builds the binary for this machine,
    // the supervisor keeps its logs, there is one version of it, one network and no X-Ray, and the
    // rest describes.
    properties.ignore(&[
        "Architectures",
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
        "CodeUri",
        "DeploymentPreference",
        "Description",
        "FunctionName",
        "LoggingConfig",
        "ReservedConcurrentExecutions",
        "Tags",
        "Tracing",
        "VersionDeletionPolicy",
        "VersionDescription",
        "VpcConfig",
    ]);
    properties.finish()?;
    Ok((function, routes))
}

/// Reads the name of the binary that cargo-lambda builds for the function.
fn binary(scope: &Scope, id: &str) -> Result<String> {
    let path = format!("Resources.{id}.Metadata");
    let metadata = scope.resources.get(id).map(|resource| resource.metadata.clone());
    let mut metadata = Fields::of(metadata.unwrap_or_default(), path)?;
    metadata.exactly("BuildMethod", "rust-cargolambda")?;
    let mut build = metadata.object("BuildProperties")?;
    let binary = build.required_text("Binary")?;
    build.finish()?;
    metadata.finish()?;
    Ok(binary)
}

/// Reads how often a failed asynchronous invocation is repeated.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-eventinvokeconfiguration.html>
fn async_retries(mut config: Fields) -> Result<usize> {
    let retries = config.number("MaximumRetryAttempts", 0..=2)?.unwrap_or(2);
    // Nothing has to wait for room here.
    config.number("MaximumEventAgeInSeconds", 60..=21_600)?;
    config.finish()?;
    Ok(usize::try_from(retries).unwrap_or(2))
}

/// Reads `RecursiveLoop`. <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
fn allows_recursion(properties: &mut Fields) -> Result<bool> {
    match properties.text("RecursiveLoop")?.as_deref() {
        Some("Allow") => Ok(true),
        Some("Terminate") | None => Ok(false),
        Some(other) => Err(at(
            properties.path_of("RecursiveLoop"),
            format!("has to be Allow or Terminate, not {other}"),
        )),
    }
}

fn environment(mut environment: Fields) -> Result<BTreeMap<String, String>> {
    let declared = environment.object("Variables")?;
    environment.finish()?;
    let mut variables = BTreeMap::new();
    for Entry { path, name, value } in declared.rest() {
        let text = scalar(&value).ok_or_else(|| at(path, "has to be a text"))?;
        variables.insert(name, text);
    }
    Ok(variables)
}

/// Finds the statements of the function's role. A role that SAM would make has permissions that
/// don't stand in the template, so the local system wants it written out.
fn role_statements(
    roles: &BTreeMap<String, Vec<Statement>>,
    properties: &mut Fields,
) -> Result<Vec<Statement>> {
    let arn = properties.required_text("Role")?;
    let statements = roles.get(&arn).cloned();
    statements
        .ok_or_else(|| at(properties.path_of("Role"), format!("the template has no role {arn}")))
}
