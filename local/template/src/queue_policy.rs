//! Queues can have resource policies. The SQS here takes messages from everybody, so a policy is
//! only checked.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queuepolicy.html>

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    error::{Result, at},
    fields::{Entry, Fields, scalar},
    model::Queue,
    scope::Scope,
};

/// A condition may use these operators.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>
const OPERATORS: [&str; 9] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Bool",
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "StringNotLike",
];

/// Checks the policies of the template: each names queues that the template has, and no queue has
/// two.
pub(crate) fn check_all(scope: &Scope, queues: &[Queue]) -> Result<()> {
    let mut owners = BTreeMap::new();
    for (id, properties) in scope.of_type("AWS::SQS::QueuePolicy")? {
        let path = properties.path_of("Queues");
        for queue in check(queues, properties)? {
            // A queue has one policy: CloudFormation would let the last one win.
            if let Some(other) = owners.insert(&queue.arn, id) {
                return Err(at(
                    path,
                    format!("{} has the policy {other} already", queue.logical_id),
                ));
            }
        }
    }
    Ok(())
}

/// Checks one policy, and returns the queues that it is for.
fn check(queues: &[Queue], mut properties: Fields) -> Result<Vec<&Queue>> {
    let path = properties.path_of("Queues");
    let mut owners = Vec::new();
    for (path, url) in properties.list("Queues")? {
        let url = scalar(&url).ok_or_else(|| at(&path, "has to be a text"))?;
        let queue = queues.iter().find(|queue| queue.url == url);
        owners
            .push(queue.ok_or_else(|| {
                at(path, format!("the template has no queue with the URL {url}"))
            })?);
    }
    if owners.is_empty() {
        return Err(at(path, "names no queue"));
    }
    let mut document = properties.object("PolicyDocument")?;
    properties.finish()?;
    document.at_most("Version", "2012-10-17")?;
    let statements = document.list("Statement")?;
    if statements.is_empty() {
        return Err(at(document.path_of("Statement"), "is missing"));
    }
    // A name.
    document.ignore(&["Id"]);
    document.finish()?;
    for (path, statement) in statements {
        check_statement(&owners, Fields::of(statement, path)?)?;
    }
    Ok(owners)
}

fn check_statement(owners: &[&Queue], mut statement: Fields) -> Result<()> {
    let effect_path = statement.path_of("Effect");
    let effect = statement.required_text("Effect")?;
    if !["Allow", "Deny"].contains(&effect.as_str()) {
        return Err(at(effect_path, format!("{effect} is neither Allow nor Deny")));
    }
    check_principal(&mut statement)?;
    let action_path = statement.path_of("Action");
    let actions = statement.some_texts("Action")?;
    if let Some(other) =
        actions.iter().find(|action| !action.to_ascii_lowercase().starts_with("sqs:"))
    {
        return Err(at(action_path, format!("{other} is no action of SQS")));
    }
    let resource_path = statement.path_of("Resource");
    for resource in statement.some_texts("Resource")? {
        if resource != "*" && !owners.iter().any(|queue| queue.arn == resource) {
            return Err(at(resource_path, format!("{resource} is none of the policy's queues")));
        }
    }
    let conditions = statement.object("Condition")?;
    for Entry { path, name: operator, value: condition } in conditions.rest() {
        if !OPERATORS.contains(&operator.as_str()) {
            return Err(at(path, format!("is none of {}", OPERATORS.join(", "))));
        }
        let mut condition = Fields::of(condition, path)?;
        for key in condition.keys() {
            condition.some_texts(&key)?;
        }
    }
    // A statement's name.
    statement.ignore(&["Sid"]);
    statement.finish()
}

/// Checks the principal, which is everybody, or services and accounts.
fn check_principal(statement: &mut Fields) -> Result<()> {
    let path = statement.path_of("Principal");
    let everybody = Value::from("*");
    let principal = statement.take("Principal").unwrap_or_default();
    if principal == everybody {
        return Ok(());
    }
    let mut principal = Fields::of(principal, &path)?;
    let (services, accounts) = (principal.texts("Service")?, principal.texts("AWS")?);
    if services.is_empty() && accounts.is_empty() {
        return Err(at(path, "names neither a Service nor an AWS principal"));
    }
    principal.finish()
}
