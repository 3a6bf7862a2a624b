use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;
use crate::testing::{self, webhook};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn spektr(enabled: bool) -> Webhook {
    webhook(json!({ "profile": "spektr", "enabled": enabled }))
}

fn url() -> PublicUrl {
    testing::url("https://example.com/hook/secret")
}

fn answered(status: u16, body: &[u8]) -> Attempt {
    Attempt::answered(&spektr(true), &url(), at(0), Duration::ZERO, status, body)
}

fn progress(status: Status, attempts: u32) -> Option<Progress> {
    Some(Progress {
        status,
        attempts,
        halvings: 0,
        due_at: None,
        not_before: None,
        recorded_at: None,
        batch: None,
    })
}

#[test]
fn a_message_is_sent_until_its_delivery_is_over() {
    let webhook = spektr(true);
    let duty = |progress| duty(&webhook, progress, false, at(0));
    assert_eq!(duty(None), Duty::Send);
    assert_eq!(duty(progress(Status::Pending, 1)), Duty::Send);
    assert_eq!(duty(progress(Status::Pending, 3)), Duty::Send);
    assert_eq!(
        duty(progress(Status::Pending, 4)),
        Duty::DeadLetter,
        "a function died before it sent the dead letter"
    );
    assert_eq!(duty(progress(Status::Succeeded, 1)), Duty::Over);
    assert_eq!(duty(progress(Status::Exhausted, 4)), Duty::Over);
    assert_eq!(duty(progress(Status::Skipped, 0)), Duty::Over);
}

#[test]
fn what_the_version_before_has_parked_waits_for_its_time() {
    let webhook = spektr(true);
    let parked = Some(Progress {
        status: Status::Pending,
        attempts: 1,
        halvings: 0,
        due_at: Some(at(100)),
        not_before: Some(at(100)),
        recorded_at: None,
        batch: None,
    });
    assert_eq!(duty(&webhook, parked, false, at(94)), Duty::Over);
    let early = duty(&webhook, parked, false, at(95));
    assert_eq!(early, Duty::SendAt(at(100)), "it was released by a clock that is ahead");
    assert_eq!(duty(&webhook, parked, false, at(100)), Duty::Send);
    assert_eq!(duty(&webhook, parked, true, at(99)), Duty::Send, "a person asked for it");
}

#[test]
fn a_message_that_comes_early_waits_for_the_time_of_its_retry() {
    let webhook = spektr(true);
    let failed = |redriven, now| {
        let progress = Progress {
            status: Status::Pending,
            attempts: 1,
            halvings: 0,
            due_at: None,
            not_before: Some(at(100)),
            recorded_at: None,
            batch: None,
        };
        duty(&webhook, Some(progress), redriven, at(now))
    };
    assert_eq!(
        failed(false, 0),
        Duty::ParkUntil(at(100)),
        "it may not be parked, as a function died"
    );
    assert_eq!(failed(false, 19), Duty::ParkUntil(at(100)));
    assert_eq!(
        failed(false, 20),
        Duty::SendAt(at(100)),
        "release may have looked so far ahead already"
    );
    assert_eq!(failed(false, 99), Duty::SendAt(at(100)));
    assert_eq!(failed(false, 100), Duty::Send);
    assert_eq!(failed(true, 99), Duty::Send, "a person asked for it");
}

#[test]
fn without_retries_the_first_failure_is_the_last() {
    let spectra = webhook(json!({ "profile": "spectra" }));
    assert_eq!(duty(&spectra, None, false, at(0)), Duty::Send);
    assert_eq!(duty(&spectra, progress(Status::Pending, 0), false, at(0)), Duty::Send);
    assert_eq!(duty(&spectra, progress(Status::Pending, 1), false, at(0)), Duty::DeadLetter);
}

#[test]
fn a_redriven_dead_letter_gets_another_attempt() {
    let duty = |progress| duty(&spektr(true), progress, true, at(0));
    assert_eq!(duty(progress(Status::Exhausted, 4)), Duty::Send);
    assert_eq!(duty(progress(Status::Pending, 4)), Duty::Send);
    assert_eq!(duty(progress(Status::Skipped, 0)), Duty::Send);
    assert_eq!(duty(progress(Status::Succeeded, 4)), Duty::Over);
}

#[test]
fn a_paused_webhook_gets_nothing() {
    let duty = |progress, redriven| duty(&spektr(false), progress, redriven, at(0));
    assert_eq!(duty(None, false), Duty::Skip);
    assert_eq!(duty(progress(Status::Pending, 2), false), Duty::Skip);
    assert_eq!(duty(progress(Status::Succeeded, 1), false), Duty::Over);
    let redriven = duty(progress(Status::Exhausted, 4), true);
    assert_eq!(redriven, Duty::DeadLetter, "a dead letter stays one");
}

#[test]
fn the_fourth_failure_exhausts_the_spektr_schedule() {
    let next = |attempts| after_failure(&RetrySchedule::SPEKTR, attempts, "x", None);
    let second = Next::RetryIn(Duration::from_secs(1));
    assert_eq!([next(1), next(2), next(3), next(4)], [second, second, second, Next::Exhausted]);
    assert_eq!(next(5), Next::Exhausted, "a duplicate message may have taken an attempt");
}

#[test]
fn a_wait_that_the_endpoint_asks_for_counts_if_it_is_longer() {
    let next = |asked| after_failure(&RetrySchedule::SPEKTR, 1, "x", asked);
    assert_eq!(next(Some(Duration::from_secs(7))), Next::RetryIn(Duration::from_secs(7)));
    assert_eq!(next(Some(Duration::ZERO)), Next::RetryIn(Duration::from_secs(1)));
    assert_eq!(
        after_failure(&RetrySchedule::NONE, 1, "x", Some(Duration::from_secs(7))),
        Next::Exhausted
    );
    let webhook = testing::webhook(json!({}));
    assert_eq!(asked_wait(&webhook, 429, Some("7"), at(0)), Some(Duration::from_secs(7)));
    assert_eq!(asked_wait(&webhook, 503, Some("7"), at(0)), Some(Duration::from_secs(7)));
    assert_eq!(asked_wait(&webhook, 500, Some("7"), at(0)), None);
    assert_eq!(asked_wait(&webhook, 429, Some("soon"), at(0)), None);
    assert_eq!(asked_wait(&webhook, 429, None, at(0)), None);
    let patient = testing::webhook(json!({ "maxRetryAfterSeconds": 5 }));
    assert_eq!(asked_wait(&patient, 429, Some("7"), at(0)), Some(Duration::from_secs(5)));
    let spektr = testing::webhook(json!({ "profile": "spektr" }));
    assert_eq!(asked_wait(&spektr, 503, Some("7"), at(0)), None, "its document has no such wait");
}

#[test]
fn what_is_a_success_is_the_profiles_word() {
    let succeeds = |profile: &str, status, body: &[u8]| {
        let webhook = webhook(json!({ "profile": profile }));
        Attempt::answered(&webhook, &url(), at(0), Duration::from_millis(7), status, body)
            .error
            .map(|error| error.code)
    };
    for status in [200, 201, 204, 299] {
        assert_eq!(succeeds("standard", status, b""), None, "{status}");
    }
    for status in [199, 300, 301, 400, 404, 410, 429, 500, 503] {
        assert_eq!(succeeds("standard", status, b"").as_deref(), Some("http_status"), "{status}");
    }
    for profile in ["spektr", "spektr-v1", "dataspike"] {
        assert_eq!(succeeds(profile, 200, b""), None);
        assert_eq!(
            succeeds(profile, 204, b"").as_deref(),
            Some("http_status"),
            "a non 200 response"
        );
    }
    assert_eq!(succeeds("slack", 200, b"ok\n"), None);
    assert_eq!(succeeds("slack", 200, b"invalid_payload").as_deref(), Some("unexpected_body"));
}

#[test]
fn little_is_kept_of_what_a_success_answers() {
    let body = "é".repeat(20_000);
    let attempt = answered(200, body.as_bytes());
    assert_eq!(attempt.response_body.as_deref(), Some("é".repeat(512).as_str()));
}

#[test]
fn an_answer_to_many_deliveries_is_kept_once() {
    let body = "é".repeat(20_000);
    let attempt = answered(500, body.as_bytes());
    assert_eq!(attempt.kept_with(0), attempt);
    assert_eq!(attempt.kept_with(1).response_body.as_deref(), Some("é".repeat(128).as_str()));
    let binary = answered(500, &[0xff; 5000]);
    assert_eq!(STANDARD.decode(binary.kept_with(99).response_body.unwrap()).unwrap(), [0xff; 192]);
}

#[test]
fn bodies_are_kept_in_part() {
    let body = "é".repeat(20_000);
    let attempt = answered(500, body.as_bytes());
    assert_eq!(attempt.response_body.as_deref(), Some("é".repeat(8192).as_str()));
    assert_eq!(attempt.abridged().response_body.as_deref(), Some("é".repeat(512).as_str()));
    let odd = Attempt { response_body: Some(format!("x{body}")), ..attempt };
    assert_eq!(odd.abridged().response_body.unwrap().len(), 1023, "a character is not cut in half");
}

#[test]
fn a_body_that_is_no_text_is_kept_in_base64() {
    let answered = |body: &[u8]| answered(500, body);
    let binary = answered(&[0xff; 5000]);
    assert_eq!(binary.response_body_encoding, Some(Encoding::Base64));
    assert_eq!(STANDARD.decode(binary.response_body.as_ref().unwrap()).unwrap(), [0xff; 5000]);
    assert_eq!(STANDARD.decode(binary.abridged().response_body.unwrap()).unwrap(), [0xff; 768]);
    assert_eq!(answered(b"\0").response_body_encoding, Some(Encoding::Base64));
    let text = answered("line 1\r\n\t\u{e9}".as_bytes());
    assert_eq!(
        (text.response_body.as_deref(), text.response_body_encoding),
        (Some("line 1\r\n\t\u{e9}"), None)
    );
    let cut = answered(format!("{}\u{e9}", "x".repeat(MAX_KEPT_BODY_BYTES - 1)).as_bytes());
    assert_eq!(
        (cut.response_body.unwrap().len(), cut.response_body_encoding),
        (MAX_KEPT_BODY_BYTES - 1, None)
    );
}

#[test]
fn an_answer_does_not_keep_the_url_that_it_repeats() {
    let kept = |status, body: &str| answered(status, body.as_bytes()).response_body.unwrap();
    assert_eq!(kept(404, "Cannot POST /hook/secret"), "Cannot POST /…");
    for status in [200, 500] {
        for spaces in MAX_KEPT_BODY_BYTES - "/hook/secret".len()..MAX_KEPT_BODY_BYTES {
            let cut = &format!("{}/hook/secret", " ".repeat(spaces))[..MAX_KEPT_BODY_BYTES];
            assert!(!kept(status, cut).contains("/h"), "{spaces}");
        }
        for spaces in MAX_ATTEMPT_BODY_BYTES - "/hook/secret".len()..MAX_ATTEMPT_BODY_BYTES {
            let kept = kept(status, &format!("{}/hook/secret", " ".repeat(spaces)));
            assert!(!kept.contains("/h"), "{spaces}");
        }
    }
    let ok = Attempt::answered(
        &webhook(json!({ "profile": "slack" })),
        &testing::url("https://example.com/?ok"),
        at(0),
        Duration::ZERO,
        200,
        b"ok",
    );
    assert!(ok.succeeded(), "what is judged is the answer itself");
}

#[test]
fn a_retry_that_is_half_a_second_away_is_made() {
    let after = |ms| Timestamp::from_millisecond(ms).unwrap();
    let early = |ms| {
        let failed =
            Progress { not_before: Some(after(ms)), ..progress(Status::Pending, 1).unwrap() };
        duty(&spektr(true), Some(failed), false, at(0))
    };
    assert_eq!((early(500), early(501)), (Duty::Send, Duty::SendAt(after(501))));
}

#[test]
fn a_delivery_has_had_its_turn_once_it_was_tried_or_has_ended() {
    let has_had = |status, attempts| progress(status, attempts).unwrap().has_had_its_turn();
    assert!(!has_had(Status::Pending, 0));
    assert!(has_had(Status::Pending, 1) && has_had(Status::Skipped, 0));
}

#[test]
fn a_status_is_found_by_its_name() {
    for status in Status::ALL {
        assert_eq!(Status::by_name(status.name()), Some(status));
    }
    assert_eq!(Status::by_name("delivered"), None);
}

#[test]
fn an_answer_names_no_revision_of_the_webhook() {
    let attempt = answered(500, b"");
    assert_eq!((attempt.revision, attempt.answer().revision), (Some(1), None));
}
