//! The secrets of Secrets Manager are read here.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html>

use crate::{
    error::{Result, at},
    fields::Fields,
    model::{GenerateSecret, Secret},
    scope::Scope,
};

pub(crate) fn read_all(scope: &Scope) -> Result<Vec<Secret>> {
    let secrets = scope.of_type("AWS::SecretsManager::Secret")?;
    secrets.into_iter().map(|(id, properties)| read(scope, id, properties)).collect()
}

fn read(scope: &Scope, id: &str, mut secret: Fields) -> Result<Secret> {
    let path = secret.path_of("GenerateSecretString");
    let value = secret.take("GenerateSecretString").ok_or_else(|| at(&path, "is missing"))?;
    let mut value = Fields::of(value, &path)?;
    let length = value.number("PasswordLength", 1..=4096)?.unwrap_or(32);
    let generate = GenerateSecret {
        length: usize::try_from(length).unwrap_or(usize::MAX),
        exclude_punctuation: value.flag("ExcludePunctuation")?.unwrap_or(false),
        template: value.text("SecretStringTemplate")?,
        key: value.text("GenerateStringKey")?,
    };
    value.finish()?;
    if generate.template.is_some() != generate.key.is_some() {
        return Err(at(path, "SecretStringTemplate and GenerateStringKey go together"));
    }
    // The name is read with the names of all resources; the rest describes.
    secret.ignore(&["Description", "Name", "Tags"]);
    secret.finish()?;
    Ok(Secret { logical_id: id.to_owned(), name: scope.name(id)?, arn: scope.arn(id)?, generate })
}
