//! DynamoDB is embedded, and has the tables of the template.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Context;
use dynoxide::Database;
use posthaste_local_template::{Stack, Table};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// Starts DynamoDB as one of the tasks. Its data is in this directory, or else in memory.
pub(super) async fn start(
    data: Option<&Path>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<DynamoDb> {
    let database = match data {
        Some(data) => Database::new(&data.join("dynamodb.sqlite").to_string_lossy()),
        None => Database::memory(),
    };
    let database = database.context("DynamoDB did not start")?;
    let listener = TcpListener::bind((somewhere()?, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tasks.spawn(dynoxide::server::serve_on(listener, database));
    Ok(DynamoDb { http: reqwest::Client::builder().no_proxy().build()?, url })
}

/// Picks one of the 16 million loopback addresses. The embedded server answers any web page,
/// whatever its Host and Origin are, so its address has to be one that no page can guess. Everybody
/// else reaches it through the front.
fn somewhere() -> anyhow::Result<Ipv4Addr> {
    let mut chance = [0; 3];
    getrandom::fill(&mut chance).context("no randomness")?;
    let [a, b, c] = chance;
    // Neither the network's own address nor its broadcast address.
    Ok(Ipv4Addr::new(127, a, b, c.clamp(1, 254)))
}

/// The reasons for which a call fails.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// DynamoDB answered with an error.
    #[error("{operation}: {kind}: {message}")]
    Refused {
        /// The operation of DynamoDB's API, such as `GetItem`.
        operation: String,
        /// The error's type, such as `ResourceInUseException`.
        kind: String,
        /// DynamoDB's own message.
        message: String,
    },
    /// DynamoDB did not answer.
    #[error("DynamoDB did not answer")]
    NoAnswer(#[from] reqwest::Error),
    /// The answer is not JSON.
    #[error("DynamoDB did not answer with JSON")]
    NoJson(#[from] serde_json::Error),
}

/// A client of the embedded DynamoDB that goes past roles, faults and counters.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    http: reqwest::Client,
    url: String,
}

impl DynamoDb {
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Creates the tables. A table that was kept gets the indexes that are new in the template.
    pub(super) async fn create_tables(&self, stack: &Stack) -> anyhow::Result<()> {
        for table in &stack.tables {
            self.create(table).await.with_context(|| table.logical_id.clone())?;
        }
        Ok(())
    }

    async fn create(&self, table: &Table) -> Result<(), DynamoDbError> {
        match self.call("CreateTable", &table.create_request).await {
            Err(DynamoDbError::Refused { kind, .. }) if kind == "ResourceInUseException" => {
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
            Err(DynamoDbError::Refused { message, .. })
                if message.contains("TimeToLive is already enabled") =>
            {
                Ok(())
            }
            enabled => enabled.map(drop),
        }
    }

    /// Adds the global indexes that a table lacks. DynamoDB allows one in each call.
    async fn add_indexes(&self, table: &Table) -> Result<(), DynamoDbError> {
        let described = self.call("DescribeTable", &json!({ "TableName": table.name })).await?;
        let present = list(&described["Table"]["GlobalSecondaryIndexes"]);
        let declared = list(&table.create_request["GlobalSecondaryIndexes"]);
        for index in declared {
            if present.iter().any(|other| other["IndexName"] == index["IndexName"]) {
                continue;
            }
            let update = json!({
                "TableName": table.name,
                "AttributeDefinitions": table.create_request["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [{ "Create": index }],
            });
            self.call("UpdateTable", &update).await?;
        }
        Ok(())
    }

    /// Carries out an operation of DynamoDB's API, such as `GetItem`.
    pub async fn call(&self, operation: &str, body: &Value) -> Result<Value, DynamoDbError> {
        let credential = "AWS4-HMAC-SHA256 \
            Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
            Signature=0";
        let request = self
            .http
            .post(&self.url)
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
        Err(DynamoDbError::Refused {
            operation: operation.to_owned(),
            kind: kind.rsplit('#').next().unwrap_or_default().to_owned(),
            message: body["message"]
                .as_str()
                .or(body["Message"].as_str())
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(dynamodb: &DynamoDb) -> Ipv4Addr {
        let authority: http::uri::Authority = dynamodb.url()["http://".len()..].parse().unwrap();
        authority.host().parse().unwrap()
    }

    #[tokio::test]
    async fn no_page_knows_where_the_embedded_server_listens() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut tasks = JoinSet::new();
        let (one, other) =
            (start(None, &mut tasks).await.unwrap(), start(None, &mut tasks).await.unwrap());
        assert!(host(&one).is_loopback() && host(&other).is_loopback());
        assert_ne!(host(&one), host(&other));
        assert_eq!(one.call("ListTables", &json!({})).await.unwrap(), json!({ "TableNames": [] }));
    }
}
