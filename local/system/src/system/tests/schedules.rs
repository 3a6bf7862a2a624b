//! A scheduled function can be invoked at once.

use super::*;

#[tokio::test]
async fn a_tick_invokes_a_function_for_each_of_its_schedules_and_waits_for_the_answers() {
    let worker = Worker::start().await;
    worker.system.tick("worker").await.unwrap();
    let events = worker.events();
    assert_eq!(events.len(), 2);
    let scheduled = events.iter().find(|event| event["source"] == "aws.events").unwrap();
    assert_eq!(scheduled["detail-type"], "Scheduled Event");
    assert_eq!(
        scheduled["resources"],
        json!(["arn:aws:events:us-east-1:000000000000:rule/posthaste-WorkerTick"])
    );
    assert!(events.contains(&json!({"own": true})), "a disabled schedule is invoked too");
    assert_eq!(worker.system.metrics().functions["worker"].invocations, 2);

    *worker.fails.lock().unwrap() = true;
    let error = worker.system.tick("worker").await.unwrap_err();
    assert!(matches!(&error, TickError::Failed { function, .. } if function == "worker"));
    assert_eq!(error.to_string(), "worker: Teapot: short and stout");
    assert_eq!(
        worker.system.metrics().functions["worker"].invocations,
        4,
        "a failure does not keep the others from it"
    );
    for name in ["idle", "nobody"] {
        let error = worker.system.tick(name).await.unwrap_err();
        assert!(matches!(&error, TickError::NoSchedule(function) if function == name), "{error}");
    }
    worker.system.stop().await;
}

#[tokio::test]
async fn the_admin_address_ticks_too() {
    let worker = Worker::start().await;
    let admin = worker.system.urls().admin.clone();
    let post = async |function: &'static str| {
        let answer = reqwest::Client::new()
            .post(format!("{admin}/schedules/{function}"))
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    assert_eq!(post("worker").await, (200, json!({})));
    assert_eq!(worker.events().len(), 2);
    *worker.fails.lock().unwrap() = true;
    assert_eq!(post("worker").await, (502, json!({"error": "worker: Teapot: short and stout"})));
    assert_eq!(
        post("idle").await,
        (404, json!({"error": "no schedule of the template invokes a function idle"}))
    );
    let shown = reqwest::get(format!("{admin}/schedules/worker")).await.unwrap();
    assert_eq!(shown.status(), 404, "it is only for POST");
}
