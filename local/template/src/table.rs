//! The DynamoDB tables of the template are read here.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html>

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    error::{Result, at},
    fields::Fields,
    model::Table,
    scope::Scope,
};

pub(crate) fn read_all(scope: &Scope) -> Result<Vec<Table>> {
    let tables = scope.of_type("AWS::DynamoDB::Table")?;
    tables.into_iter().map(|(id, properties)| read(scope, id, properties)).collect()
}

fn read(scope: &Scope, id: &str, mut table: Fields) -> Result<Table> {
    let name = scope.name(id)?;
    let mut request = Map::new();
    request.insert("TableName".to_owned(), name.clone().into());

    let billing_path = table.path_of("BillingMode");
    match table.text("BillingMode")?.as_deref() {
        Some("PAY_PER_REQUEST") => {
            request.insert("BillingMode".to_owned(), "PAY_PER_REQUEST".into())
        }
        _ => return Err(at(billing_path, "the local system supports only PAY_PER_REQUEST")),
    };

    read_attributes_and_keys(&mut table, &mut request)?;

    let mut ttl = table.object("TimeToLiveSpecification")?;
    let ttl_attribute = ttl.text("AttributeName")?;
    let ttl_enabled = ttl.flag("Enabled")?.unwrap_or(false);
    ttl.finish()?;
    // The name is read with the names of all resources; backups, encryption and the rest have no
    // part in how a table behaves.
    table.ignore(&[
        "DeletionProtectionEnabled",
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "TableClass",
        "TableName",
        "Tags",
    ]);
    table.finish()?;
    Ok(Table {
        logical_id: id.to_owned(),
        arn: scope.arn(id)?,
        name,
        create_request: Value::Object(request),
        ttl_attribute: ttl_attribute.filter(|_| ttl_enabled),
    })
}

/// Reads the definitions of the attributes, and the keys of the table and its indexes, which have
/// to use them all.
fn read_attributes_and_keys(table: &mut Fields, request: &mut Map<String, Value>) -> Result<()> {
    let definitions_path = table.path_of("AttributeDefinitions");
    let mut defined = BTreeSet::new();
    let mut definitions = Vec::new();
    for (path, definition) in table.list("AttributeDefinitions")? {
        definitions.push(definition.clone());
        let mut definition = Fields::of(definition, path)?;
        defined.insert(definition.required_text("AttributeName")?);
        one_of(&mut definition, "AttributeType", &["S", "N", "B"])?;
        definition.finish()?;
    }
    request.insert("AttributeDefinitions".to_owned(), definitions.into());

    let mut used = BTreeSet::new();
    request.insert("KeySchema".to_owned(), read_key(table, &mut used)?);
    for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let mut indexes = Vec::new();
        for (path, index) in table.list(kind)? {
            indexes.push(read_index(index, path, &mut used)?);
        }
        if !indexes.is_empty() {
            request.insert(kind.to_owned(), indexes.into());
        }
    }
    if defined != used {
        let problem = format!("defines {defined:?}, but the keys use {used:?}");
        return Err(at(definitions_path, problem));
    }
    Ok(())
}

/// Reads an index in the form that CreateTable takes.
fn read_index(index: Value, path: String, used: &mut BTreeSet<String>) -> Result<Value> {
    let request = index.clone();
    let mut index = Fields::of(index, path)?;
    index.required_text("IndexName")?;
    read_key(&mut index, used)?;
    let mut projection = index.object("Projection")?;
    one_of(&mut projection, "ProjectionType", &["ALL", "KEYS_ONLY", "INCLUDE"])?;
    projection.texts("NonKeyAttributes")?;
    projection.finish()?;
    index.finish()?;
    Ok(request)
}

/// Reads the key schema of a table or an index, and adds its attributes to `used`.
fn read_key(owner: &mut Fields, used: &mut BTreeSet<String>) -> Result<Value> {
    let path = owner.path_of("KeySchema");
    let mut roles = Vec::new();
    let mut schema = Vec::new();
    for (path, part) in owner.list("KeySchema")? {
        schema.push(part.clone());
        let mut part = Fields::of(part, path)?;
        used.insert(part.required_text("AttributeName")?);
        roles.push(one_of(&mut part, "KeyType", &["HASH", "RANGE"])?);
        part.finish()?;
    }
    match roles.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["HASH"] | ["HASH", "RANGE"] => Ok(schema.into()),
        _ => Err(at(path, "has to be a HASH key and perhaps a RANGE key")),
    }
}

fn one_of(fields: &mut Fields, key: &str, allowed: &[&str]) -> Result<String> {
    let text = fields.required_text(key)?;
    if allowed.contains(&text.as_str()) {
        Ok(text)
    } else {
        Err(at(fields.path_of(key), format!("{text} is none of {}", allowed.join(", "))))
    }
}
