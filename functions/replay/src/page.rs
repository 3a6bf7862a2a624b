//! A page says which deliveries are made again, and in which tasks. Pure.

use posthaste_domain::{
    delivery::{
        replay::Job,
        task::{Due, Task, parts},
    },
    id::{Cause, CauseKind, DeliveryId},
    webhook::Webhook,
};
use posthaste_queue::Message;
use posthaste_store::DeliveryRecord;

/// An event is taken to be so large where its record, of an older version, says nothing of its
/// size.
const ASSUMED_BYTES: u64 = 16 * 1024;

/// The tasks that a page becomes.
#[derive(Debug)]
pub(crate) struct Tasks {
    /// The number of deliveries of published events on the page.
    pub(crate) examined: usize,
    /// The number of them that are made again.
    pub(crate) replayed: usize,
    pub(crate) messages: Vec<Message>,
}

/// The tasks for these records of a webhook's history, which come newest first; they go out oldest
/// first. Where the webhook's format takes several events into a request, they share a task.
/// `recorded` says that the page was gone through before, maybe.
pub(crate) fn tasks(
    webhook: &Webhook,
    job: &Job,
    records: &[DeliveryRecord],
    recorded: bool,
) -> serde_json::Result<Tasks> {
    let taken =
        records.iter().rev().filter(|record| job.selection.takes(record.cause, record.status));
    let due: Vec<Due<'_>> = taken
        .map(|record| {
            let id = DeliveryId::derive(
                record.event_id,
                webhook.key.id,
                Cause::Replayed(job.id.nonce()),
            );
            let bytes = if record.bytes == 0 { ASSUMED_BYTES } else { record.bytes };
            Due::of_stored(id, record.event_id, bytes).because(CauseKind::Replay)
        })
        .collect();
    let shares =
        if webhook.batches() { parts(&due, |due| due.bytes) } else { due.chunks(1).collect() };
    let mut messages = Vec::new();
    for share in shares {
        let task = Task { recorded, ..Task::new(&webhook.key, share.to_vec()) };
        messages.push(Message::new(task.message()?, webhook.key.workspace.to_string()));
    }
    let examined = records.iter().filter(|record| record.cause.is_published()).count();
    Ok(Tasks { examined, replayed: due.len(), messages })
}

#[cfg(test)]
mod tests {
    use posthaste_domain::testing;
    use posthaste_domain::{
        Timestamp,
        delivery::{
            attempt::Status,
            replay::{Selection, StartReplay},
            task::MAX_DELIVERIES,
        },
        event::event_type::EventType,
        id::{EventId, JobId, WebhookId},
    };
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn webhook(profile: &str) -> Webhook {
        testing::webhook(json!({ "profile": profile }))
    }

    fn job(selection: Selection) -> Job {
        let asked = StartReplay { since: Timestamp::UNIX_EPOCH, until: None, status: selection };
        Job::new(JobId::new(now(), &[1; 10]), asked, now())
    }

    fn record(nth: u8, cause: CauseKind, status: Status) -> DeliveryRecord {
        let event_id: EventId =
            format!("01896b5d-3648-7000-8000-0000000000{nth:02x}").parse().unwrap();
        DeliveryRecord {
            id: DeliveryId::derive(event_id, WebhookId(42), Cause::Published),
            webhook: WebhookId(42),
            event_id,
            event_type: EventType::parse("order.created").unwrap(),
            cause,
            status,
            attempts: Vec::new(),
            attempt_count: 0,
            http_status: None,
            response_body: None,
            error: None,
            shared: None,
            event: None,
            bytes: 0,
            updated_at: now(),
            own_place: None,
        }
    }

    /// The last digits of the events of each task.
    fn planned(profile: &str, selection: Selection, records: &[DeliveryRecord]) -> Vec<String> {
        let tasks = tasks(&webhook(profile), &job(selection), records, false).unwrap();
        let planned: Vec<Task<'_>> =
            tasks.messages.iter().map(|message| Task::parse(&message.body).unwrap()).collect();
        assert_eq!(tasks.replayed, planned.iter().map(|task| task.deliveries.len()).sum::<usize>());
        for due in planned.iter().flat_map(|task| &task.deliveries) {
            let event = due.content.event_id();
            assert_eq!(due.cause, CauseKind::Replay);
            assert_ne!(due.id, DeliveryId::derive(event, WebhookId(42), Cause::Published));
        }
        let events = |task: &Task<'_>| -> Vec<String> {
            task.deliveries
                .iter()
                .map(|due| due.content.event_id().to_string()[34..].to_owned())
                .collect()
        };
        planned.iter().map(|task| events(task).join(" ")).collect()
    }

    fn page() -> Vec<DeliveryRecord> {
        vec![
            record(6, CauseKind::Published, Status::Exhausted),
            record(5, CauseKind::Replay, Status::Exhausted),
            record(4, CauseKind::Test, Status::Exhausted),
            record(3, CauseKind::Published, Status::Pending),
            record(2, CauseKind::Published, Status::Skipped),
            record(1, CauseKind::Published, Status::Succeeded),
        ]
    }

    #[test]
    fn what_failed_goes_alone_oldest_first() {
        assert_eq!(planned("standard", Selection::Failed, &page()), ["02", "06"]);
        assert_eq!(planned("standard", Selection::All, &page()), ["01", "02", "06"]);
        assert_eq!(planned("standard", Selection::All, &[]), Vec::<String>::new());
    }

    #[test]
    fn only_deliveries_of_published_events_are_counted() {
        let tasks = tasks(&webhook("standard"), &job(Selection::Failed), &page(), false).unwrap();
        assert_eq!((tasks.examined, tasks.replayed), (4, 2));
    }

    #[test]
    fn what_can_share_a_request_shares_a_task() {
        assert_eq!(planned("spektr", Selection::All, &page()), ["01 02 06"]);
        let many: Vec<_> = (0..=MAX_DELIVERIES)
            .map(|_| record(1, CauseKind::Published, Status::Succeeded))
            .collect();
        let tasks = tasks(&webhook("spektr"), &job(Selection::All), &many, false).unwrap();
        assert_eq!((tasks.replayed, tasks.messages.len()), (MAX_DELIVERIES + 1, 2));
    }

    #[test]
    fn a_repeated_page_makes_the_same_deliveries_and_says_so() {
        let ids = |recorded| -> Vec<DeliveryId> {
            let tasks =
                tasks(&webhook("standard"), &job(Selection::All), &page(), recorded).unwrap();
            let tasks = tasks.messages.iter().map(|message| Task::parse(&message.body).unwrap());
            tasks
                .inspect(|task| assert_eq!(task.recorded, recorded))
                .map(|task| task.deliveries[0].id)
                .collect()
        };
        assert_eq!(ids(false), ids(true));
    }
}
