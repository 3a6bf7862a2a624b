use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use posthaste_local_lambda::InvokeError;
use serde_json::json;

use super::support::*;

#[tokio::test]
async fn killing_a_busy_process_fails_its_invocation_and_spares_the_idle() {
    let function = start(spec());
    let gate = Gate::new();
    let both = ["a", "b"].map(|mark| spawn(&function, gate.wait(mark)));
    gate.begun("a").await;
    gate.begun("b").await;
    gate.open();
    for invocation in both {
        invocation.await.unwrap().unwrap();
    }
    assert!(!function.kill_busy(|busy| busy.first().copied()), "nothing is busy");
    let hanging = spawn(&function, gate.hang("hanging"));
    gate.begun("hanging").await;
    assert!(!function.kill_busy(|_| None), "nothing was picked");
    assert!(!function.kill_busy(|_| Some(99)), "there is no such process");
    let mut candidates = Vec::new();
    assert!(function.kill_busy(|busy| {
        candidates = busy.to_vec();
        busy.first().copied()
    }));
    assert_eq!(candidates.len(), 1);
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(error, InvokeError::Crashed { status: "signal: 9 (SIGKILL)".to_owned() });
    invoke(&function, json!({})).await.unwrap();
    let stats = function.stats();
    assert_eq!((stats.cold_starts, stats.crashes, stats.processes), (2, 1, 1));
    function.stop().await;
}

#[tokio::test]
async fn a_killed_instance_is_dead_and_its_invocation_has_failed() {
    let function = start(spec());
    let gate = Gate::new();
    let hanging = spawn(&function, gate.hang("hanging"));
    gate.begun("hanging").await;
    let pids = function.pids();
    assert!(!function.kill_instance(2).await);
    assert!(function.kill_instance(1).await);
    assert!(is_dead(pids[0]));
    assert!(function.pids().is_empty());
    assert!(matches!(hanging.await.unwrap(), Err(InvokeError::Crashed { .. })));
    assert!(!function.kill_instance(1).await);
    assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap()["key"], "fixture.2");
    assert!(function.kill_instance(2).await, "an idle one");
    assert_eq!(function.stats().crashes, 1);
    function.stop().await;
}

#[tokio::test]
async fn an_idle_process_that_somebody_else_killed_is_replaced() {
    let function = start(spec());
    invoke(&function, json!({})).await.unwrap();
    let pid = function.pids()[0];
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    until("the process is gone", || function.pids().is_empty()).await;
    assert_eq!(invoke(&function, json!({ "do": "whoami" })).await.unwrap()["key"], "fixture.2");
    function.stop().await;
}

#[tokio::test]
async fn stop_leaves_no_process_and_answers_everybody() {
    let function = start(spec());
    let gate = Gate::new();
    let hanging = ["a", "b", "c", "d"].map(|mark| spawn(&function, gate.hang(mark)));
    for mark in ["a", "b", "c", "d"] {
        gate.begun(mark).await;
    }
    let waiting = spawn(&function, json!({}));
    tokio::task::yield_now().await;
    let pids = function.pids();
    assert_eq!(pids.len(), 4);
    function.stop().await;
    assert!(pids.iter().all(|pid| is_dead(*pid)));
    for invocation in hanging.into_iter().chain([waiting]) {
        assert_eq!(invocation.await.unwrap(), Err(InvokeError::Stopped));
    }
    assert_eq!(invoke(&function, json!({})).await, Err(InvokeError::Stopped));
    assert_eq!(function.stats().processes, 0);
}

#[tokio::test]
async fn what_a_process_started_ends_with_it() {
    let function = start(spec());
    let child = invoke(&function, json!({ "do": "start_child" })).await.unwrap();
    let child = u32::try_from(child.as_u64().unwrap()).unwrap();
    assert!(!is_dead(child));
    function.stop().await;
    until("the child's child is dead", || is_dead(child)).await;
}

#[tokio::test]
async fn dropping_the_function_ends_its_processes() {
    let function = start(spec());
    invoke(&function, json!({})).await.unwrap();
    let pids = function.pids();
    let clone = function.clone();
    drop(function);
    invoke(&clone, json!({})).await.unwrap();
    assert_eq!(clone.pids(), pids);
    drop(clone);
    until("the process is dead", || is_dead(pids[0])).await;
}

#[test]
fn the_end_of_the_runtime_ends_the_processes() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let function = start(spec());
    runtime.block_on(invoke(&function, json!({}))).unwrap();
    let pids = function.pids();
    drop(runtime);
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(until("the process is dead", || is_dead(pids[0])));
}

#[tokio::test]
async fn no_process_outlives_a_killed_parent() {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_lambda-fixture"))
        .arg("parent")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = String::new();
    let read = BufReader::new(parent.stdout.take().unwrap()).read_line(&mut pids);
    parent.kill().unwrap();
    parent.wait().unwrap();
    read.unwrap();
    let pids: Vec<u32> = serde_json::from_str(&pids).unwrap();
    assert_eq!(pids.len(), 2, "one is idle and one busy");
    for pid in pids {
        until("the orphan is dead", || is_dead(pid)).await;
    }
}

/// The local system injects kills at random moments as faults. None may lose an invocation or a
/// process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invocation_has_a_result_however_many_processes_are_killed() {
    let function = start(spec());
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let function = function.clone();
            tokio::spawn(async move {
                let mut crashed = 0;
                for _ in 0..100 {
                    match invoke(&function, json!({ "do": "cpu", "ms": 1 })).await {
                        Ok(_) => {}
                        Err(InvokeError::Crashed { .. }) => crashed += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                crashed
            })
        })
        .collect();
    let kills = Arc::new(AtomicU64::new(0));
    let killer = tokio::spawn({
        let (function, kills) = (function.clone(), Arc::clone(&kills));
        async move {
            loop {
                kills
                    .fetch_add(u64::from(function.kill_busy(|busy| busy.last().copied())), Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let mut crashed = 0;
    for caller in callers {
        crashed += caller.await.unwrap();
    }
    killer.abort();
    let (stats, kills) = (function.stats(), kills.load(Relaxed));
    assert!(crashed > 0);
    assert!(crashed <= kills, "an invocation may have answered when its process is killed");
    assert_eq!(
        (stats.invocations, stats.errors, stats.crashes, stats.timeouts),
        (800, crashed, crashed, 0)
    );
    assert!(stats.cold_starts <= kills + 4, "{stats:?}, {kills} kills");
    let pids = function.pids();
    function.stop().await;
    assert!(pids.iter().all(|pid| is_dead(*pid)));
}
