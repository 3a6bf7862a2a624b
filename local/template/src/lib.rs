//! This crate reads `template.yaml` as CloudFormation and SAM would, and says in plain types what
//! the local system has to run.
//!
//! Nothing is declared twice: tables, queues, functions, routes, permissions and settings of the
//! local system are those of the deployed one. What this crate does not understand is an error that
//! names it, never something left out in silence; what has no meaning on one machine is on a list
//! beside the code that reads the resource.

mod custom_resource;
mod error;
mod event;
mod fields;
mod function;
mod globals;
mod intrinsics;
mod model;
mod parameters;
mod queue;
mod queue_policy;
mod role;
mod schedule;
mod scope;
mod secret;
mod table;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

pub use crate::{
    error::TemplateError,
    model::{
        CustomResource, Function, GenerateSecret, Queue, QueueMapping, Route, Schedule, Secret,
        Stack, Table, Throttling,
    },
    role::{Effect, Statement},
};
use crate::{
    error::{Result, at},
    fields::{Entry, Fields, scalar},
    scope::Scope,
};

/// The place of a stack: the values of CloudFormation's pseudo parameters, and addresses that AWS
/// would assign.
#[derive(Debug, Clone)]
pub struct Context {
    /// The value of `AWS::Region`.
    pub region: String,
    /// The value of `AWS::AccountId`.
    pub account: String,
    /// The value of `AWS::Partition`.
    pub partition: String,
    /// The value of `AWS::StackName`. A resource without a name is named after it and its logical
    /// id.
    pub stack_name: String,
    /// A queue's URL is `<sqs_base_url>/<account>/<name>`.
    pub sqs_base_url: String,
    /// The address of the HTTP API, without a trailing slash.
    pub api_url: String,
}

/// Resources of these types mean nothing on one machine: logs go to the terminal, the nested stack
/// holds the alarms and the dashboard, which tell a topic, and there is one version of the
/// functions. Their properties are resolved all the same, so that a reference to something missing
/// is found.
const WITHOUT_LOCAL_MEANING: [&str; 6] = [
    "AWS::AppConfig::Application",
    "AWS::AppConfig::ConfigurationProfile",
    "AWS::AppConfig::HostedConfigurationVersion",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::Serverless::Application",
];

/// Resources of these types are read by the modules of this crate.
const READ: [&str; 7] = [
    "AWS::DynamoDB::Table",
    "AWS::IAM::Role",
    "AWS::SecretsManager::Secret",
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
];

/// Reads the text of a template. `overrides` replaces the defaults of parameters.
///
/// # Errors
/// Something is wrong, or would be refused by AWS, or is not done by the local system. The error
/// names the first such thing with its path.
pub fn load(
    template: &str,
    overrides: &BTreeMap<String, String>,
    context: &Context,
) -> Result<Stack> {
    let mut sections = Fields::of(yaml::parse(template)?, "")?;
    sections.at_most("AWSTemplateFormatVersion", "2010-09-09")?;
    sections.exactly("Transform", "AWS::Serverless-2016-10-31")?;
    let parameters = parameters::resolve(sections.object("Parameters")?, overrides)?;
    let mut scope = Scope::new(context, parameters, sections.object("Conditions")?);
    check_rules(&scope, sections.object("Rules")?)?;
    scope.declare(sections.object("Resources")?, sections.object("Globals")?)?;
    let outputs = read_outputs(&scope, sections.object("Outputs")?)?;
    // These describe.
    sections.ignore(&["Description", "Metadata"]);
    sections.finish()?;

    check_types(&scope)?;
    let throttling = read_api(&scope)?;
    let queues = queue::read_all(&scope)?;
    queue_policy::check_all(&scope, &queues)?;
    let (functions, routes) = function::read_all(&scope, &queues)?;
    Ok(Stack {
        tables: table::read_all(&scope)?,
        custom_resources: custom_resource::read_all(&scope, &functions)?,
        secrets: secret::read_all(&scope)?,
        queues,
        functions,
        routes,
        throttling,
        outputs,
    })
}

/// Holds the parameters against the rules, as CloudFormation does before it begins.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html>
fn check_rules(scope: &Scope, rules: Fields) -> Result<()> {
    for Entry { path, value: rule, .. } in rules.rest() {
        let mut rule = Fields::of(rule, &path)?;
        let condition = rule.take("RuleCondition");
        let applies = condition.map_or(Ok(true), |condition| {
            scope.holds(&condition, &rule.path_of("RuleCondition"))
        })?;
        for (path, assertion) in rule.list("Assertions")? {
            let mut assertion = Fields::of(assertion, &path)?;
            let description = assertion.required_text("AssertDescription")?;
            let wanted = assertion.take("Assert").unwrap_or_default();
            let holds = scope.holds(&wanted, &assertion.path_of("Assert"))?;
            assertion.finish()?;
            if applies && !holds {
                return Err(at(&path, description));
            }
        }
        rule.finish()?;
    }
    Ok(())
}

/// Reads the text of any template as JSON. CloudFormation's short tags get their long form, and
/// nothing is resolved.
///
/// # Errors
/// The text is not YAML, or has a key twice.
pub fn document(template: &str) -> Result<Value> {
    yaml::parse(template)
}

fn check_types(scope: &Scope) -> Result<()> {
    for resource in scope.resources.values().filter(|resource| resource.exists) {
        let kind = resource.kind.as_str();
        if WITHOUT_LOCAL_MEANING.contains(&kind) {
            scope.properties(resource)?;
        } else if !READ.contains(&kind) && !custom_resource::is_custom(kind) {
            return Err(at(
                format!("{}.Type", resource.path),
                format!("{kind} is not supported by the local system"),
            ));
        }
    }
    Ok(())
}

/// Reads the HTTP API, of which the stack has one at most.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-httpapi.html>
fn read_api(scope: &Scope) -> Result<Option<Throttling>> {
    let apis = scope.of_type("AWS::Serverless::HttpApi")?;
    if let [_, (id, _), ..] = apis.as_slice() {
        return Err(at(format!("Resources.{id}"), "the local system has only one HTTP API"));
    }
    let mut throttling = None;
    for (_, mut api) in apis {
        api.at_most("StageName", "$default")?;
        throttling = read_throttling(api.object("DefaultRouteSettings")?)?;
        // Requests are counted, not logged; the rest describes, or is about addresses.
        api.ignore(&[
            "AccessLogSettings",
            "Description",
            "DisableExecuteApiEndpoint",
            "Name",
            "Tags",
        ]);
        api.finish()?;
    }
    Ok(throttling)
}

/// Reads the throttling of all routes.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-apigatewayv2-stage-routesettings.html>
fn read_throttling(mut settings: Fields) -> Result<Option<Throttling>> {
    let path = settings.path().to_owned();
    let rate = settings.number("ThrottlingRateLimit", 0..=u64::from(u32::MAX))?;
    let burst = settings.number("ThrottlingBurstLimit", 0..=u64::from(u32::MAX))?;
    // How much is measured.
    settings.ignore(&["DetailedMetricsEnabled"]);
    settings.finish()?;
    match (rate, burst) {
        (None, None) => Ok(None),
        (Some(rate), Some(burst)) => Ok(Some(Throttling { rate, burst })),
        _ => Err(at(path, "needs both ThrottlingRateLimit and ThrottlingBurstLimit, or neither")),
    }
}

fn read_outputs(scope: &Scope, outputs: Fields) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for Entry { path, name, value: output } in outputs.rest() {
        let mut output = Fields::of(output, path)?;
        let condition = output.text("Condition")?;
        let holds = condition
            .map_or(Ok(true), |name| scope.condition(&name, &output.path_of("Condition")))?;
        let value_path = output.path_of("Value");
        let value = output.take("Value").ok_or_else(|| at(&value_path, "is missing"))?;
        // There is no other stack that could import a value.
        output.ignore(&["Description", "Export"]);
        output.finish()?;
        if holds {
            let value = scope.resolve(&value, &value_path)?;
            let value = value
                .as_ref()
                .and_then(scalar)
                .ok_or_else(|| at(value_path, "has to be a text"))?;
            values.insert(name, value);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
