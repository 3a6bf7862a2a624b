//! A process sends the trace header of its invocation with all its calls, so whatever it causes is
//! invoked with the chain in it.

use posthaste_local_lambda::{Function, FunctionSpec, InvokeError, Lineage};
use serde_json::{Value, json};

use super::support::*;

/// Returns the chain that the process is told, which its SDK would send on.
async fn told(function: &Function, chain: Lineage) -> Result<Lineage, InvokeError> {
    let answer = function.invoke_in(chain, json!({ "do": "headers" }).to_string().into()).await?;
    let headers: Value = serde_json::from_slice(&answer).unwrap();
    Ok(Lineage::of_trace_headers(headers["lambda-runtime-trace-id"].as_str()))
}

#[tokio::test]
async fn the_17th_invocation_in_a_chain_does_not_happen() {
    let function = start(spec());
    let mut chain = Lineage::default();
    for count in 1..=16 {
        chain = told(&function, chain).await.unwrap();
        assert_eq!(chain.to_string(), format!("Lineage=fixture:{count}"));
    }
    for _ in 0..2 {
        let error = told(&function, chain.clone()).await.unwrap_err();
        assert!(
            matches!(&error, InvokeError::RecursiveLoop { function, .. } if function == "fixture"),
            "{error}"
        );
    }
    let stats = function.stats();
    assert_eq!((stats.invocations, stats.errors, stats.recursion_dropped), (16, 0, 2));
    let other = told(&function, Lineage::default()).await.unwrap();
    assert_eq!(other.to_string(), "Lineage=fixture:1", "another chain begins anew");
    function.stop().await;
}

#[tokio::test]
async fn a_function_that_allows_it_is_invoked_on_and_on() {
    let function = start(FunctionSpec { allows_recursion: true, ..spec() });
    let mut chain = Lineage::default();
    for _ in 0..40 {
        chain = told(&function, chain).await.unwrap();
    }
    assert_eq!(chain.to_string(), "Lineage=fixture:40");
    assert_eq!(function.stats().recursion_dropped, 0);
    function.stop().await;
}
