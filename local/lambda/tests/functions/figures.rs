use posthaste_local_lambda::FunctionSpec;
use serde_json::json;

use super::support::*;

const BLOCK: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn cpu_time_counts_for_living_and_ended_processes() {
    let function = start(spec());
    invoke(&function, json!({ "do": "cpu", "ms": 300 })).await.unwrap();
    let living = function.stats();
    // The process is off the CPU for much of its 300 ms when the machine is busy.
    assert!((20..1000).contains(&living.cpu_ms), "{living:?}");
    assert!(living.billed_ms >= 100, "{living:?}");
    assert!(function.kill_instance(1).await);
    let ended = function.stats();
    assert!(
        ended.cpu_ms >= living.cpu_ms && ended.cpu_ms < living.cpu_ms + 50,
        "{living:?} {ended:?}"
    );
    assert_eq!((ended.processes, ended.pids.len()), (0, 0));
    invoke(&function, json!({ "do": "cpu", "ms": 300 })).await.unwrap();
    assert!(function.stats().cpu_ms >= ended.cpu_ms + 20);
    function.stop().await;
}

#[tokio::test]
async fn the_peak_memory_is_that_of_the_functions_alone_and_stays() {
    // A fork copies the parent's size, which must not count.
    let _own_memory = std::hint::black_box(vec![1_u8; usize::try_from(BLOCK * 4).unwrap()]);
    let function = start(spec());
    invoke(&function, json!({})).await.unwrap();
    let small = function.stats().peak_memory_kb;
    assert!(small > 0 && small < BLOCK / 1024, "{small}");
    invoke(&function, json!({ "do": "memory", "bytes": BLOCK })).await.unwrap();
    invoke(&function, json!({})).await.unwrap();
    let large = function.stats().peak_memory_kb;
    assert!((BLOCK / 1024..2 * BLOCK / 1024).contains(&large), "{large}");
    function.stop().await;
    assert_eq!(function.stats().peak_memory_kb, large);
}

#[tokio::test]
async fn the_peak_of_a_process_that_was_killed_is_known() {
    let function = start(FunctionSpec { max_concurrency: 1, ..spec() });
    invoke(&function, json!({ "do": "memory", "bytes": BLOCK })).await.unwrap();
    function.stop().await;
    assert!(function.stats().peak_memory_kb >= BLOCK / 1024);
}

/// The bound on the overhead of an invocation is very generous: a busy machine must not fail this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_invocation_costs_little() {
    let function = start(spec());
    let mut times = Vec::new();
    for _ in 0..500 {
        let started = std::time::Instant::now();
        function.invoke("{}".into()).await.unwrap();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    println!("p50 {:?}, p99 {:?}", times[250], times[495]);
    assert!(times[250].as_millis() < 20, "{:?}", times[250]);
    function.stop().await;
}
