//! Dead letters go back with StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.

use aws_sdk_sqs::types::{ListMessageMoveTasksResultEntry, MessageSystemAttributeName as System};

use crate::server::{Server, arn, bodies, code, eventually, system};

/// Starts a server with a queue `q` whose `count` messages all went to `dead`.
async fn with_dead(count: usize) -> (Server, String, String) {
    let (server, url, dead) = Server::with_dead_letters(1).await;
    for n in 0..count {
        server.send(&url, &format!("m{n}")).await;
    }
    while server.depth("q").0 > 0 {
        server.receive(&url).await;
    }
    server.sqs.expire_in_flight("q");
    assert_eq!(server.receive(&url).await, []);
    assert_eq!(server.depth("dead"), (count, 0, 0));
    (server, url, dead)
}

async fn tasks(server: &Server, max: i32) -> Vec<ListMessageMoveTasksResultEntry> {
    let list = server.client.list_message_move_tasks().source_arn(arn("dead")).max_results(max);
    list.send().await.unwrap().results.unwrap_or_default()
}

async fn ended(server: &Server) -> ListMessageMoveTasksResultEntry {
    eventually("the task ends", async || tasks(server, 1).await[0].status() != Some("RUNNING"))
        .await;
    tasks(server, 1).await.remove(0)
}

#[tokio::test]
async fn dead_letters_go_back_where_they_came_from_as_new_messages() {
    let (server, url, dead) = with_dead(3).await;
    let old = server
        .client
        .receive_message()
        .queue_url(&dead)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();
    let started =
        server.client.start_message_move_task().source_arn(arn("dead")).send().await.unwrap();
    assert!(started.task_handle().is_some());
    let task = ended(&server).await;
    assert_eq!(task.status(), Some("COMPLETED"));
    assert_eq!(task.source_arn(), Some(arn("dead").as_str()));
    assert_eq!(task.destination_arn(), None);
    assert_eq!(task.approximate_number_of_messages_moved(), 3);
    assert_eq!(task.approximate_number_of_messages_to_move(), Some(3));
    assert_eq!((task.task_handle(), task.failure_reason()), (None, None));
    assert!(task.started_timestamp() > 0);

    assert_eq!(server.depth("dead"), (0, 0, 0));
    let received = server.receive(&url).await;
    let mut moved = bodies(&received);
    moved.sort_unstable();
    assert_eq!(moved, ["m0", "m1", "m2"]);
    for message in &received {
        assert_ne!(message.message_id(), old.messages()[0].message_id());
        assert_eq!(system(message, &System::ApproximateReceiveCount), Some("1"));
        assert_eq!(system(message, &System::DeadLetterQueueSourceArn), None);
    }
}

#[tokio::test]
async fn dead_letters_can_go_to_another_queue() {
    let (server, _, _) = with_dead(2).await;
    let other = server.queue("other", &[]).await;
    let start = server
        .client
        .start_message_move_task()
        .source_arn(arn("dead"))
        .destination_arn(arn("other"));
    start.send().await.unwrap();
    let task = ended(&server).await;
    assert_eq!(
        (task.status(), task.destination_arn()),
        (Some("COMPLETED"), Some(arn("other").as_str()))
    );
    assert_eq!(bodies(&server.receive(&other).await), ["m0", "m1"]);
}

#[tokio::test]
async fn a_slow_task_runs_until_it_is_cancelled() {
    let (server, _, _) = with_dead(10).await;
    let start = || server.client.start_message_move_task().source_arn(arn("dead"));
    let handle =
        start().max_number_of_messages_per_second(1).send().await.unwrap().task_handle.unwrap();
    eventually("the first message moves", async || server.depth("q").0 >= 1).await;
    let running = tasks(&server, 1).await.remove(0);
    assert_eq!((running.status(), running.task_handle()), (Some("RUNNING"), Some(handle.as_str())));
    assert_eq!(running.max_number_of_messages_per_second(), Some(1));
    assert_eq!(code(start().send().await), "InvalidParameterValue", "one task a queue at a time");

    let cancel = || server.client.cancel_message_move_task().task_handle(&handle);
    let cancelled = cancel().send().await.unwrap();
    let moved = cancelled.approximate_number_of_messages_moved();
    let task = tasks(&server, 1).await.remove(0);
    assert_eq!(
        (task.status(), task.approximate_number_of_messages_moved()),
        (Some("CANCELLED"), moved)
    );
    assert_eq!(server.depth("q").0 + server.depth("dead").0, 10);
    assert_eq!(code(cancel().send().await), "AWS.SimpleQueueService.UnsupportedOperation");

    start().send().await.unwrap();
    assert_eq!(ended(&server).await.status(), Some("COMPLETED"));
    assert_eq!(server.depth("q"), (10, 0, 0));
    let statuses: Vec<_> =
        tasks(&server, 10).await.into_iter().filter_map(|task| task.status).collect();
    assert_eq!(statuses, ["COMPLETED", "CANCELLED"], "newest first");
}

#[tokio::test]
async fn a_message_that_never_had_a_source_fails_the_task() {
    let (server, _, dead) = Server::with_dead_letters(1).await;
    server.send(&dead, "sent directly").await;
    server.client.start_message_move_task().source_arn(arn("dead")).send().await.unwrap();
    let task = ended(&server).await;
    assert_eq!(
        (task.status(), task.failure_reason()),
        (Some("FAILED"), Some("CouldNotDetermineMessageSource"))
    );
    assert_eq!(server.depth("dead"), (1, 0, 0));
}

#[tokio::test]
async fn a_destination_that_is_deleted_meanwhile_fails_the_task() {
    let (server, _, _) = with_dead(10).await;
    let other = server.queue("other", &[]).await;
    let start = server
        .client
        .start_message_move_task()
        .source_arn(arn("dead"))
        .destination_arn(arn("other"));
    start.max_number_of_messages_per_second(1).send().await.unwrap();
    server.client.delete_queue().queue_url(&other).send().await.unwrap();
    let task = ended(&server).await;
    let reason = "AWS.SimpleQueueService.NonExistentQueue";
    assert_eq!((task.status(), task.failure_reason()), (Some("FAILED"), Some(reason)));
}

#[tokio::test]
async fn a_task_that_can_not_be_is_refused() {
    let (server, _, _) = Server::with_dead_letters(1).await;
    let start = || server.client.start_message_move_task();
    let list = || server.client.list_message_move_tasks();
    let cancel = || server.client.cancel_message_move_task();
    let gone = "ResourceNotFoundException";
    let invalid = "InvalidParameterValue";
    assert_eq!(code(start().source_arn(arn("none")).send().await), gone);
    assert_eq!(
        code(start().source_arn(arn("dead")).destination_arn(arn("none")).send().await),
        gone
    );
    assert_eq!(code(start().source_arn(arn("q")).send().await), invalid, "not a dead-letter queue");
    for bad in [0, 501] {
        let started =
            start().source_arn(arn("dead")).max_number_of_messages_per_second(bad).send().await;
        assert_eq!(code(started), invalid);
    }
    assert_eq!(code(start().send().await), "MissingParameter");
    assert_eq!(code(list().source_arn(arn("none")).send().await), gone);
    for bad in [0, 11] {
        assert_eq!(code(list().source_arn(arn("dead")).max_results(bad).send().await), invalid);
    }
    assert_eq!(code(cancel().task_handle("garbage").send().await), invalid);
    // {"taskId":"x","sourceArn":"arn:aws:sqs:us-east-1:000000000000:dead"}
    let unknown = "eyJ0YXNrSWQiOiJ4Iiwic291cmNlQXJuIjoiYXJuOmF3czpzcXM6dXMtZWFzdC0xOjAwMDAwMDAwMDAwMDpkZWFkIn0=";
    assert_eq!(code(cancel().task_handle(unknown).send().await), gone);
}
