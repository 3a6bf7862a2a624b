//! `cargo local` runs as a process here.
#![cfg(test)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// A process that ends even when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(directory: &Path, arguments: &[&str]) -> (Running, Value) {
    let ready = directory.join("ready.json");
    let _ = fs::remove_file(&ready);
    let child = Command::new(env!("CARGO_BIN_EXE_posthaste-local"))
        .args(["--port", "0", "--ready-file"])
        .arg(&ready)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    // The first start builds the functions.
    let text = until(Duration::from_secs(600), || {
        assert_eq!(running.0.try_wait().unwrap(), None, "it ended before it was ready");
        fs::read(&ready).ok()
    });
    (running, serde_json::from_slice(&text).unwrap())
}

fn until<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < bound, "it took longer than {bound:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

async fn call(ready: &Value, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/api/v1{path}", ready["api"].as_str().unwrap());
    let request = reqwest::Client::new()
        .request(method.parse().unwrap(), url)
        .bearer_auth(ready["key"].as_str().unwrap());
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn it_says_when_it_is_ready_keeps_its_data_and_ends_every_child() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (mut running, ready) = start(directory.path(), &["--data", data.to_str().unwrap()]);
    for file in [directory.path().join("ready.json"), data.join("secrets.json")] {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{} has a secret", file.display());
    }
    for name in ["api", "inbox", "admin", "sqs", "dynamodb"] {
        let url = ready[name].as_str().unwrap();
        assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with('/'), "{name}: {url}");
    }
    assert!(ready["pids"].is_array());
    let webhook = json!({
        "url": format!("{}/inbox/mine", ready["inbox"].as_str().unwrap()), "events": ["*"],
    });
    let (status, webhook) = call(&ready, "POST", "/webhooks", webhook).await;
    assert_eq!(status, 201, "{webhook}");

    let metrics = reqwest::get(format!("{}/metrics", ready["admin"].as_str().unwrap()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["calls"]["register"]["dynamodb:TransactWriteItems"]["count"], 1);
    assert!(metrics["functions"]["register"]["peak_memory_kb"].as_u64().unwrap() > 0, "{metrics}");
    let children: Vec<u64> = metrics["functions"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|function| function["pids"].as_array().unwrap())
        .map(|pid| pid.as_u64().unwrap())
        .collect();
    assert!(!children.is_empty());

    signal(running.0.id(), "-TERM");
    let status = until(Duration::from_secs(20), || running.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
    for pid in children {
        until(Duration::from_secs(20), || {
            (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }

    let (mut again, ready_again) = start(directory.path(), &["--data", data.to_str().unwrap()]);
    assert_eq!(ready_again["key"], ready["key"], "the first key is kept");
    let (status, kept) =
        call(&ready_again, "GET", &format!("/webhooks/{}", webhook["data"]["id"]), json!({})).await;
    assert_eq!((status, &kept["data"]["url"]), (200, &webhook["data"]["url"]));
    signal(again.0.id(), "-INT");
    assert!(until(Duration::from_secs(20), || again.0.try_wait().unwrap()).success());
}

/// Returns what a call ends with that can't be understood.
fn complaint(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_posthaste-local")).args(arguments).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_it_can_not_understand_is_said() {
    assert!(complaint(&["--faults", "seed=7,crash=5%"]).contains("crash=5%"));
    assert!(complaint(&["--parameter", "LogLevel"]).contains("NAME=VALUE"));
    let unknown = complaint(&["--port", "0", "--parameter", "Logs=debug"]);
    assert!(unknown.contains("Parameters.Logs: no such parameter"), "{unknown}");
    let not_allowed = complaint(&["--port", "0", "--parameter", "LogLevel=loud"]);
    assert!(not_allowed.contains("\"loud\" is none of the allowed values"), "{not_allowed}");
}
