//! DynamoDB, embedded, with the template's tables.

use std::path::Path;

use anyhow::Context;
use dynoxide::Database;
use posthaste_local_template::{Stack, Table};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// Starts it among the tasks, with its data in this directory or else in memory. Answers its URL.
pub(super) async fn start(data: Option<&Path>, tasks: &mut JoinSet<()>) -> anyhow::Result<String> {
    let database = match data {
        Some(data) => Database::new(&data.join("dynamodb.sqlite").to_string_lossy()),
        None => Database::memory(),
    };
    let database = database.context("DynamoDB did not start")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tasks.spawn(dynoxide::server::serve_on(listener, database));
    Ok(url)
}

/// Creates the tables. A kept table gets the indexes that the template has since been given.
pub(super) async fn create_tables(url: &str, stack: &Stack) -> anyhow::Result<()> {
    let client = Client { http: reqwest::Client::new(), url };
    for table in &stack.tables {
        client.create(table).await.with_context(|| table.logical_id.clone())?;
    }
    Ok(())
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{operation}: {kind}: {message}")]
    Refused { operation: String, kind: String, message: String },
    #[error("DynamoDB did not answer")]
    NoAnswer(#[from] reqwest::Error),
    #[error("DynamoDB did not answer with JSON")]
    NoJson(#[from] serde_json::Error),
}

struct Client<'a> {
    http: reqwest::Client,
    url: &'a str,
}

impl Client<'_> {
    async fn create(&self, table: &Table) -> Result<(), CallError> {
        match self.call("CreateTable", &table.create_request).await {
            Err(CallError::Refused { kind, .. }) if kind == "ResourceInUseException" => {
                self.add_indexes(table).await?;
            }
            created => drop(created?),
        }
        let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
        let ttl = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        });
        match self.call("UpdateTimeToLive", &ttl).await {
            // A kept table has it already.
            Err(CallError::Refused { message, .. }) if message.contains("TimeToLive is already enabled") => Ok(()),
            enabled => enabled.map(drop),
        }
    }

    /// Adds the global indexes that the table of this name doesn't have, one by one, as DynamoDB wants it.
    async fn add_indexes(&self, table: &Table) -> Result<(), CallError> {
        let described = self.call("DescribeTable", &json!({ "TableName": table.name })).await?;
        let present = list(&described["Table"]["GlobalSecondaryIndexes"]);
        let declared = list(&table.create_request["GlobalSecondaryIndexes"]);
        let is_missing = |index: &&Value| !present.iter().any(|other| other["IndexName"] == index["IndexName"]);
        for index in declared.iter().filter(is_missing) {
            let update = json!({
                "TableName": table.name,
                "AttributeDefinitions": table.create_request["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [{ "Create": index }],
            });
            self.call("UpdateTable", &update).await?;
        }
        Ok(())
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<Value, CallError> {
        let credential = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        let request = self
            .http
            .post(self.url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", credential)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let answer = request.send().await?;
        let succeeded = answer.status().is_success();
        let body: Value = serde_json::from_slice(&answer.bytes().await?)?;
        if succeeded {
            return Ok(body);
        }
        let kind = body["__type"].as_str().unwrap_or_default();
        Err(CallError::Refused {
            operation: operation.to_owned(),
            kind: kind.rsplit('#').next().unwrap_or_default().to_owned(),
            message: body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default().to_owned(),
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
