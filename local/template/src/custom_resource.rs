//! Custom resources are made by a function of the stack.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html>

use std::time::Duration;

use serde_json::Value;

use crate::{
    error::{Result, at},
    fields::{Fields, scalar},
    model::{CustomResource, Function},
    scope::Scope,
};

/// Reads the custom resources of the template.
pub(crate) fn read_all(scope: &Scope, functions: &[Function]) -> Result<Vec<CustomResource>> {
    let resources =
        scope.resources.iter().filter(|(_, resource)| resource.exists && is_custom(&resource.kind));
    let resources = resources
        .map(|(id, resource)| read(functions, id, &resource.kind, scope.properties(resource)?));
    resources.collect()
}

/// Tells if resources of this type are made by a function of the stack.
pub(crate) fn is_custom(kind: &str) -> bool {
    kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource"
}

fn read(
    functions: &[Function],
    id: &str,
    kind: &str,
    properties: Fields,
) -> Result<CustomResource> {
    let path = properties.path().to_owned();
    let request: Value = properties.rest().map(|entry| (entry.name, texts(entry.value))).collect();
    let mut own = Fields::of(request.clone(), path)?;
    let token = own.required_text("ServiceToken")?;
    let function = functions.iter().find(|function| function.arn == token);
    let function = function.ok_or_else(|| {
        at(own.path_of("ServiceToken"), format!("the template has no function {token}"))
    })?;
    let timeout = Duration::from_secs(own.number("ServiceTimeout", 1..=3600)?.unwrap_or(3600));
    Ok(CustomResource {
        logical_id: id.to_owned(),
        resource_type: kind.to_owned(),
        function: function.name.clone(),
        properties: request,
        timeout,
    })
}

/// Makes every scalar in `value` a text, as CloudFormation does.
fn texts(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(texts).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, texts(value))).collect()
        }
        value => scalar(&value).map_or(value, Value::String),
    }
}
