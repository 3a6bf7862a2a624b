//! This function does nothing. It is the floor that `coldstart` compares the other functions with.

use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<serde_json::Value>| {
        Ok::<_, lambda_runtime::Error>("hello")
    }))
    .await
}
