use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(page: u64) -> Job {
    let asked = StartReplay { since: at(0), until: None, status: Selection::Failed };
    Job { page, ..Job::new(JobId::new(at(100), &[1; 10]), asked, at(100)) }
}

fn message(page: u64) -> PageMessage {
    job(page).message(&crate::testing::webhook_key(42))
}

#[test]
fn the_jobs_own_message_reads_its_page() {
    assert_eq!(step(&message(0), Some(&job(0)), at(100), at(100)), Step::Read);
    assert_eq!(step(&message(7), Some(&job(7)), at(100), at(99_999)), Step::Read, "however late");
}

#[test]
fn a_job_with_too_many_pages_is_given_up() {
    let step = |page| step(&message(page), Some(&job(page)), at(100), at(100));
    assert_eq!(step(MAX_PAGES - 1), Step::Read);
    assert_eq!(step(MAX_PAGES), Step::GiveUp);
    assert_eq!(step(MAX_PAGES + 1), Step::GiveUp);
}

#[test]
fn a_copy_of_the_page_before_sends_the_next_message_if_the_job_stands_still() {
    let step = |now| step(&message(0), Some(&job(1)), at(100), at(now));
    assert_eq!(step(100), Step::Wait(Duration::from_secs(5)));
    assert_eq!(step(104), Step::Wait(Duration::from_secs(1)));
    assert_eq!(step(105), Step::SendNext);
    assert_eq!(step(90), Step::Wait(Duration::from_secs(5)), "clocks differ");
}

#[test]
fn any_other_copy_does_nothing() {
    for (page, at_page) in [(0, 2), (0, 100), (3, 2)] {
        assert_eq!(step(&message(page), Some(&job(at_page)), at(100), at(9999)), Step::Over);
    }
    for status in [JobStatus::Done, JobStatus::Cancelled, JobStatus::Failed] {
        let over = Job { status, ..job(0) };
        assert_eq!(step(&message(0), Some(&over), at(100), at(100)), Step::Over);
    }
}

#[test]
fn a_message_without_its_job_waits_for_it_a_while() {
    assert_eq!(step(&message(0), None, at(100), at(101)), Step::Wait(Duration::from_secs(1)));
    assert_eq!(step(&message(0), None, at(100), at(160)), Step::Over);
}

#[test]
fn a_page_that_waits_for_long_goes_on_in_a_new_message() {
    let seconds = |receives| match PageWait::after(receives) {
        PageWait::ComeAgain(wait) => (wait.as_secs(), "comes again"),
        PageWait::SendAnew(delay) => (delay.as_secs(), "is sent anew"),
    };
    assert_eq!(seconds(1), (30, "comes again"));
    assert_eq!(seconds(3), (120, "comes again"));
    assert_eq!(seconds(49), (480, "comes again"));
    assert_eq!(seconds(50), (480, "is sent anew"));
    assert_eq!(seconds(u32::MAX), (480, "is sent anew"));
}

#[test]
fn only_a_running_job_can_stand_still() {
    assert!(!job(0).stands_still(at(699)));
    assert!(job(0).stands_still(at(700)));
    assert!(!Job { status: JobStatus::Done, ..job(0) }.stands_still(at(9999)));
}

#[test]
fn what_is_over_and_was_published_is_replayed() {
    let takes = |selection: Selection| {
        let statuses = Status::ALL
            .into_iter()
            .filter(move |status| selection.takes(CauseKind::Published, *status));
        statuses.map(Status::name).collect::<Vec<_>>()
    };
    assert_eq!(takes(Selection::Failed), ["exhausted", "skipped"]);
    assert_eq!(takes(Selection::All), ["succeeded", "exhausted", "skipped"]);
    for cause in [CauseKind::Replay, CauseKind::Test] {
        assert!(Status::ALL.into_iter().all(|status| !Selection::All.takes(cause, status)));
    }
}

#[test]
fn what_is_asked_for_is_read() {
    let parse = |body: serde_json::Value| StartReplay::parse(body.to_string().as_bytes());
    let asked = parse(json!({ "since": "1970-01-01T00:00:10Z" })).unwrap();
    assert_eq!(asked, StartReplay { since: at(10), until: None, status: Selection::Failed });
    let all = json!({
        "since": "1970-01-01T00:00:10Z", "until": "1970-01-01T00:00:20Z", "status": "all",
    });
    assert_eq!(
        parse(all).unwrap(),
        StartReplay { since: at(10), until: Some(at(20)), status: Selection::All }
    );
    let complaint =
        |body| parse(body).map_err(|invalid| (invalid.field.unwrap_or_default(), invalid.code));
    assert_eq!(complaint(json!({})), Err(("since".into(), "missing_field")));
    assert_eq!(complaint(json!({ "since": "yesterday" })), Err(("since".into(), "wrong_type")));
    let status = json!({ "since": "1970-01-01T00:00:10Z", "status": "pending" });
    assert_eq!(complaint(status), Err(("status".into(), "wrong_type")));
    let backwards = json!({ "since": "1970-01-01T00:00:10Z", "until": "1970-01-01T00:00:10Z" });
    assert_eq!(complaint(backwards), Err(("until".into(), "invalid_range")));
}

#[test]
fn a_job_ends_before_what_is_published_after_it_was_asked_for() {
    let until = |until| {
        Job::new(job(0).id, StartReplay { since: at(0), until, status: Selection::All }, at(100))
            .until
    };
    assert_eq!(
        [until(None), until(Some(at(50))), until(Some(at(150)))],
        [at(100), at(50), at(100)]
    );
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let cursor = Some("01856aa0-c493-8173-8f9a-e97ae5338db4".parse().unwrap());
    let again = PageMessage { recorded: true, ..message(3) };
    for message in [message(0), PageMessage { cursor, ..message(3) }, again] {
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<PageMessage>(&text).unwrap(), message);
    }
    insta::assert_snapshot!(serde_json::to_string(&PageMessage { cursor, ..message(3) }).unwrap());
    for (name, status) in JobStatus::NAMES {
        assert_eq!((JobStatus::by_name(name), status.name()), (Some(status), name));
    }
}
