//! Counts the read units of DynamoDB that a call of the API takes, whatever reads them.
//!
//! While [`counted`] waits for a future, DynamoDB is asked for each read of it what that has
//! consumed. Other futures ask for nothing.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        query::{QueryInput, QueryOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};

tokio::task_local! {
    static UNITS: Mutex<f64>;
}

/// Returns what a future returns, and the number of read units that its reads have taken: one for 4
/// KB that are read strongly, and half of one for 4 KB that are read eventually.
pub(crate) async fn counted<T>(future: impl Future<Output = T>) -> (T, f64) {
    let counting = async {
        let value = future.await;
        (value, UNITS.with(|units| *units.lock().unwrap_or_else(PoisonError::into_inner)))
    };
    UNITS.scope(Mutex::default(), counting).await
}

/// A part of each DynamoDB client.
#[derive(Debug)]
pub(crate) struct CountReadUnits;

impl Intercept for CountReadUnits {
    fn name(&self) -> &'static str {
        "CountReadUnits"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if UNITS.try_with(|_| ()).is_ok() {
            let input = context.input_mut();
            let asked = if let Some(input) = input.downcast_mut::<GetItemInput>() {
                &mut input.return_consumed_capacity
            } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
                &mut input.return_consumed_capacity
            } else if let Some(input) = input.downcast_mut::<QueryInput>() {
                &mut input.return_consumed_capacity
            } else {
                return Ok(());
            };
            *asked = Some(ReturnConsumedCapacity::Total);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let consumed: &[ConsumedCapacity] =
            if let Some(output) = output.downcast_ref::<GetItemOutput>() {
                output.consumed_capacity.as_slice()
            } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
                output.consumed_capacity.as_slice()
            } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
                output.consumed_capacity()
            } else {
                return Ok(());
            };
        let units: f64 = consumed.iter().filter_map(|consumed| consumed.capacity_units).sum();
        // Where nobody counts there is nothing to add to.
        let _ = UNITS.try_with(|all| *all.lock().unwrap_or_else(PoisonError::into_inner) += units);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        Client,
        config::{BehaviorVersion, Credentials, Region},
        types::AttributeValue,
    };
    use axum::{Router, body::Bytes, http::header, routing::post};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;

    /// It says what a call has consumed only to those who ask, as DynamoDB does.
    async fn dynamodb() -> Client {
        let answer = async |body: Bytes| {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let asked = body["ReturnConsumedCapacity"] == "TOTAL";
            let consumed = json!({ "TableName": "t", "CapacityUnits": 2.5 });
            let answer = if asked { json!({ "ConsumedCapacity": consumed }) } else { json!({}) };
            ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string())
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, Router::new().route("/", post(answer))).into_future());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(url)
            .interceptor(CountReadUnits);
        Client::from_conf(config.build())
    }

    #[tokio::test]
    async fn what_reads_consume_is_asked_for_and_added_up() {
        let client = dynamodb().await;
        let get = || {
            client.get_item().table_name("t").key("pk", AttributeValue::S("a".to_owned())).send()
        };
        let (consumed, units) = counted(async {
            get().await.unwrap();
            get().await.unwrap().consumed_capacity
        })
        .await;
        assert_eq!(
            (consumed.and_then(|consumed| consumed.capacity_units), units),
            (Some(2.5), 5.0)
        );
        assert_eq!(get().await.unwrap().consumed_capacity, None, "nobody counts");
    }
}
