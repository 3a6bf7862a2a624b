//! The scope has the names that a template's expressions can refer to.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;

use crate::{
    Context,
    error::{Result, at, join, not_supported},
    fields::{Entry, Fields, scalar},
    globals,
};

/// A resource as it stands in the template, with `Globals` under its properties.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) properties: Value,
    pub(crate) metadata: Value,
    /// The resource has no `Condition`, or one that holds.
    pub(crate) exists: bool,
}

/// The scope has everything that an expression is resolved against.
pub(crate) struct Scope<'a> {
    pub(crate) context: &'a Context,
    pub(crate) parameters: BTreeMap<String, Value>,
    pub(crate) conditions: BTreeMap<String, Value>,
    pub(crate) resources: BTreeMap<String, Declared>,
    /// The names whose values are being worked out. One that comes up again depends on itself.
    under_way: RefCell<Vec<String>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        context: &'a Context,
        parameters: BTreeMap<String, Value>,
        conditions: Fields,
    ) -> Self {
        let conditions = conditions.rest().map(|entry| (entry.name, entry.value)).collect();
        let under_way = RefCell::default();
        Self { context, parameters, conditions, resources: BTreeMap::new(), under_way }
    }

    /// Reads the `Resources` and `Globals` sections.
    pub(crate) fn declare(&mut self, resources: Fields, mut globals: Fields) -> Result<()> {
        let function_globals = globals.take("Function").unwrap_or_default();
        globals.finish()?;
        for name in self.conditions.keys() {
            self.condition(name, &join("Conditions", name))?;
        }
        let mut depends_on = Vec::new();
        for Entry { path, name: id, value } in resources.rest() {
            let mut resource = Fields::of(value, &path)?;
            let kind = resource.required_text("Type")?;
            let own = resource.take("Properties").unwrap_or_default();
            let properties = if kind == "AWS::Serverless::Function" {
                globals::merge(function_globals.clone(), own)
            } else {
                own
            };
            let condition = resource.text("Condition")?;
            let exists = condition
                .map_or(Ok(true), |name| self.condition(&name, &join(&path, "Condition")))?;
            let others = resource.texts("DependsOn")?;
            // What a resource waits for that isn't made is of no interest: it may be one that SAM
            // makes.
            if exists {
                depends_on.push((resource.path_of("DependsOn"), others));
            }
            let metadata = resource.take("Metadata").unwrap_or_default();
            // The local system keeps or loses everything it has at once.
            resource.ignore(&["DeletionPolicy", "UpdateReplacePolicy"]);
            resource.finish()?;
            self.resources.insert(id, Declared { path, kind, properties, metadata, exists });
        }
        for (path, ids) in depends_on {
            for id in ids {
                self.declared(&id, &path)?;
            }
        }
        Ok(())
    }

    /// Lists the existing resources of one type, with their properties resolved.
    pub(crate) fn of_type(&self, kind: &str) -> Result<Vec<(&str, Fields)>> {
        let resources =
            self.resources.iter().filter(|(_, resource)| resource.exists && resource.kind == kind);
        resources.map(|(id, resource)| Ok((id.as_str(), self.properties(resource)?))).collect()
    }

    /// Resolves the properties of a resource.
    pub(crate) fn properties(&self, resource: &Declared) -> Result<Fields> {
        let path = join(&resource.path, "Properties");
        let properties = self.resolve(&resource.properties, &path)?;
        Fields::of(properties.unwrap_or_default(), path)
    }

    /// Works out `name` with `work`. It fails if `name` is being worked out already.
    pub(crate) fn without_cycle<T>(
        &self,
        name: &str,
        path: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.under_way.borrow().iter().any(|other| other == name) {
            return Err(at(path, format!("{name} depends on itself")));
        }
        self.under_way.borrow_mut().push(name.to_owned());
        let result = work();
        self.under_way.borrow_mut().pop();
        result
    }

    /// Resolves `!Ref name`. `AWS::NoValue` has no value.
    pub(crate) fn reference(&self, name: &str, path: &str) -> Result<Option<Value>> {
        let context = self.context;
        if let Some(value) = self.parameters.get(name) {
            return Ok(Some(value.clone()));
        }
        let value = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => context.region.clone(),
            "AWS::AccountId" => context.account.clone(),
            "AWS::Partition" => context.partition.clone(),
            "AWS::StackName" => context.stack_name.clone(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ if name.starts_with("AWS::") => return Err(not_supported(join(path, name))),
            _ => {
                let resource = self.declared(name, path)?;
                match resource.kind.as_str() {
                    "AWS::SQS::Queue" => self.queue_url(&self.name(name)?),
                    "AWS::SecretsManager::Secret" => self.arn(name)?,
                    "AWS::AppConfig::Application"
                    | "AWS::AppConfig::ConfigurationProfile"
                    | "AWS::DynamoDB::Table"
                    | "AWS::IAM::Role"
                    | "AWS::Logs::LogGroup"
                    | "AWS::Serverless::Function"
                    | "AWS::Serverless::HttpApi" => self.name(name)?,
                    kind => return Err(not_supported(format!("{path}: Ref of {kind} {name}"))),
                }
            }
        };
        Ok(Some(value.into()))
    }

    /// Resolves `!GetAtt id.attribute`.
    pub(crate) fn attribute(&self, id: &str, attribute: &str, path: &str) -> Result<String> {
        let resource = self.declared(id, path)?;
        match (resource.kind.as_str(), attribute) {
            ("AWS::SQS::Queue", "QueueName") => self.name(id),
            ("AWS::SQS::Queue", "QueueUrl") => Ok(self.queue_url(&self.name(id)?)),
            ("AWS::Serverless::HttpApi", "ApiEndpoint") => Ok(self.context.api_url.clone()),
            // The local system deploys once.
            ("AWS::AppConfig::HostedConfigurationVersion", "VersionNumber") => Ok("1".to_owned()),
            ("AWS::SecretsManager::Secret", "Id") => self.arn(id),
            (
                "AWS::SQS::Queue"
                | "AWS::DynamoDB::Table"
                | "AWS::Serverless::Function"
                | "AWS::IAM::Role"
                | "AWS::Logs::LogGroup",
                "Arn",
            ) => self.arn(id),
            (kind, _) => Err(not_supported(format!("{path}: {attribute} of {kind} {id}"))),
        }
    }

    /// Returns the resource's name, which is made of the stack's name and the logical id unless the
    /// resource has one.
    pub(crate) fn name(&self, id: &str) -> Result<String> {
        let resource = self.declared(id, "Resources")?;
        let key = match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::Serverless::Function" => "FunctionName",
            "AWS::IAM::Role" => "RoleName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            _ => "Name",
        };
        let path = join(&resource.path, "Properties");
        let path = join(&path, key);
        let given = resource
            .properties
            .get(key)
            .map_or(Ok(None), |name| self.without_cycle(id, &path, || self.resolve(name, &path)))?;
        let given = given
            .map(|name| scalar(&name).ok_or_else(|| at(&path, "has to be a text")))
            .transpose()?;
        Ok(given.unwrap_or_else(|| format!("{}-{id}", self.context.stack_name)))
    }

    /// Returns the resource's ARN.
    pub(crate) fn arn(&self, id: &str) -> Result<String> {
        let name = self.name(id)?;
        let Context { partition, account, .. } = self.context;
        let (service, resource) = match self.declared(id, "Resources")?.kind.as_str() {
            // IAM has no regions.
            "AWS::IAM::Role" => return Ok(format!("arn:{partition}:iam::{account}:role/{name}")),
            "AWS::DynamoDB::Table" => ("dynamodb", format!("table/{name}")),
            "AWS::SQS::Queue" => ("sqs", name),
            "AWS::Serverless::Function" => ("lambda", format!("function:{name}")),
            "AWS::Logs::LogGroup" => ("logs", format!("log-group:{name}:*")),
            // Secrets Manager ends the ARN with six random characters.
            "AWS::SecretsManager::Secret" => ("secretsmanager", format!("secret:{name}-000000")),
            kind => return Err(not_supported(format!("Resources.{id}: ARN of {kind}"))),
        };
        Ok(self.regional_arn(service, &resource))
    }

    /// Makes the ARN of a resource in this region and account.
    pub(crate) fn regional_arn(&self, service: &str, resource: &str) -> String {
        let Context { partition, region, account, .. } = self.context;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    /// Makes the URL of the queue with this name.
    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.context.sqs_base_url, self.context.account)
    }

    /// Finds the resource `id`, which `path` refers to.
    fn declared(&self, id: &str, path: &str) -> Result<&Declared> {
        match self.resources.get(id) {
            Some(resource) if resource.exists => Ok(resource),
            Some(_) => Err(at(path, format!("{id} is left out by its condition"))),
            None => Err(at(path, format!("there is no {id}"))),
        }
    }
}
