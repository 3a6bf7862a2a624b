//! How many read units of DynamoDB a call of the API takes, whatever reads them.
//!
//! While [`counted`] waits for a future, DynamoDB is asked for each read of it what that has consumed. Other futures ask for nothing.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut},
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

/// What a future returns, and how many read units its reads have taken: one for 4 KB that are read strongly, and half of one for 4 KB
/// that are read eventually.
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
        let consumed: &[ConsumedCapacity] = if let Some(output) = output.downcast_ref::<GetItemOutput>() {
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
