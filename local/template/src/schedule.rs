//! Functions are invoked on schedules by the events `Schedule`, a rule of EventBridge, and
//! `ScheduleV2`, a schedule of EventBridge Scheduler.

use std::time::Duration;

use crate::{
    error::{Result, at},
    fields::Fields,
    model::{Function, Schedule},
    scope::Scope,
};

/// Reads a `Schedule`.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedule.html>
pub(crate) fn read_rule(
    scope: &Scope,
    function: &Function,
    event: &str,
    mut properties: Fields,
) -> Result<Schedule> {
    let name = name(scope, function, event, &mut properties)?;
    let period = period(&mut properties, "Schedule")?;
    let enabled = properties.flag("Enabled")?;
    finish(properties, scope.regional_arn("events", &format!("rule/{name}")), period, enabled)
}

/// Reads a `ScheduleV2`.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedulev2.html>
pub(crate) fn read_schedule(
    scope: &Scope,
    function: &Function,
    event: &str,
    mut properties: Fields,
) -> Result<Schedule> {
    let name = name(scope, function, event, &mut properties)?;
    let period = period(&mut properties, "ScheduleExpression")?;
    finish(
        properties,
        scope.regional_arn("scheduler", &format!("schedule/default/{name}")),
        period,
        None,
    )
}

/// Reads the schedule's name. Without one it is named as CloudFormation does it, after the logical
/// id that SAM gives the resource.
fn name(
    scope: &Scope,
    function: &Function,
    event: &str,
    properties: &mut Fields,
) -> Result<String> {
    let own = properties.text("Name")?;
    Ok(own
        .unwrap_or_else(|| format!("{}-{}{event}", scope.context.stack_name, function.logical_id)))
}

fn period(properties: &mut Fields, key: &str) -> Result<Duration> {
    let expression = properties.required_text(key)?;
    rate(&expression)
        .map_err(|problem| at(properties.path_of(key), format!("{expression}: {problem}")))
}

/// Reads the period of an expression such as `rate(5 minutes)`.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>
fn rate(expression: &str) -> std::result::Result<Duration, &'static str> {
    const FORM: &str =
        "a rate has the form rate(1 minute) or rate(5 minutes), with minutes, hours or days";
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.ok_or("the local system supports only rate(…) schedules")?;
    let (number, unit) = inner.split_once(' ').ok_or(FORM)?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or(FORM)?;
    // AWS refuses `1 minutes` and `5 minute`.
    let seconds = match (unit, number == 1) {
        ("minute", true) | ("minutes", false) => 60,
        ("hour", true) | ("hours", false) => 60 * 60,
        ("day", true) | ("days", false) => 24 * 60 * 60,
        _ => return Err(FORM),
    };
    Ok(Duration::from_secs(seconds * u64::from(number)))
}

fn finish(
    mut properties: Fields,
    arn: String,
    period: Duration,
    enabled: Option<bool>,
) -> Result<Schedule> {
    let state_path = properties.path_of("State");
    let enabled = match properties.text("State")?.as_deref() {
        None => enabled.unwrap_or(true),
        Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => {
            return Err(at(state_path, format!("{other} is neither ENABLED nor DISABLED")));
        }
    };
    let input = properties.text("Input")?;
    // It describes.
    properties.ignore(&["Description"]);
    properties.finish()?;
    Ok(Schedule { arn, period, enabled, input })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_period() {
        let cases = [
            ("rate(1 minute)", 60),
            ("rate(90 minutes)", 5400),
            ("rate(1 hour)", 3600),
            ("rate(2 hours)", 7200),
            ("rate(1 day)", 86_400),
            ("rate(7 days)", 604_800),
        ];
        for (expression, seconds) in cases {
            assert_eq!(rate(expression), Ok(Duration::from_secs(seconds)), "{expression}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        let cases = [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1  minute)",
            "rate(1 second)",
            "rate(minute)",
            "rate()",
            "rate(1 minute",
            "cron(0 12 * * ? *)",
            "at(2030-01-01T00:00:00)",
            "",
        ];
        for expression in cases {
            assert!(rate(expression).is_err(), "{expression}");
        }
    }
}
