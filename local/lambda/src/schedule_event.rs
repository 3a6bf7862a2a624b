//! EventBridge invokes a function with this event on a schedule.
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/events-scheduled.html>

use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Makes the event with this id. The ARN is that of EventBridge's rule, or of EventBridge
/// Scheduler's schedule.
pub fn to_event(arn: &str, id: &str, time: SystemTime) -> Bytes {
    let (service, region, account) = (part(arn, 2), part(arn, 3), part(arn, 4));
    // Scheduler sends its details as a text.
    let detail = if service == "scheduler" { Value::from("{}") } else { json!({}) };
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let event = json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": format!("aws.{service}"),
        "account": account,
        "time": time.unwrap_or_default().to_string(),
        "region": region,
        "resources": [arn],
        "detail": detail,
    });
    event.to_string().into()
}

fn part(arn: &str, nth: usize) -> &str {
    arn.split(':').nth(nth).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(arn: &str) -> Value {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_999);
        serde_json::from_slice(&to_event(arn, "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", time))
            .unwrap()
    }

    #[test]
    fn a_rule_sends_a_scheduled_event() {
        let arn = "arn:aws:events:us-east-1:000000000000:rule/every";
        let expected = json!({
            "version": "0",
            "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": "2027-01-15T08:00:00Z",
            "region": "us-east-1",
            "resources": [arn],
            "detail": {},
        });
        assert_eq!(event(arn), expected);
    }

    #[test]
    fn scheduler_names_itself_and_sends_its_details_as_a_text() {
        let event = event("arn:aws:scheduler:us-east-1:000000000000:schedule/default/every");
        assert_eq!((&event["source"], &event["detail"]), (&json!("aws.scheduler"), &json!("{}")));
    }
}
