//! A deployed system costs something even while nothing is published: this is its bill.

use anyhow::Context;
use posthaste_local_template::{self as template, Stack};
use serde_json::Value;

use super::{Bill, Prices, Terms, Usage};

/// Lambda keeps this many long polls open for a queue that is empty. AWS says five
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>), but promises
/// nothing.
const POLLERS: f64 = 5.0;

/// Each of these polls takes as long as SQS lets a receive wait.
const LONG_POLL_SECONDS: f64 = 20.0;

/// The minutes of a month of 730 hours, which is the month of AWS's calculator.
const MINUTES: f64 = 730.0 * 60.0;

/// The numbers of things that are billed for being there, used or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Secrets Manager bills each secret by the month.
    pub secrets: usize,
    /// An alarm is billed for each metric that it looks at: one on the sum of seven metrics has
    /// seven.
    pub alarm_metrics: usize,
    /// Composite alarms, which look at other alarms, have a price of their own.
    pub composite_alarms: usize,
    /// CloudWatch bills each dashboard by the month.
    pub dashboards: usize,
    /// Event source mappings that are enabled: Lambda polls the queue of each.
    pub mappings: usize,
}

impl Standing {
    /// Counts what a stack and the template of its alarms declare. Alarms and dashboards with a
    /// condition count, whatever it says.
    ///
    /// # Errors
    /// The template of the alarms can't be read.
    pub fn of(stack: &Stack, alarms: &str) -> anyhow::Result<Self> {
        let alarms = template::document(alarms)?;
        let resources =
            alarms["Resources"].as_object().context("the alarms' template has no resources")?;
        let mut standing = Self { secrets: stack.secrets.len(), ..Self::default() };
        for resource in resources.values() {
            match resource["Type"].as_str() {
                Some("AWS::CloudWatch::Alarm") => standing.alarm_metrics += metrics(resource),
                Some("AWS::CloudWatch::CompositeAlarm") => standing.composite_alarms += 1,
                Some("AWS::CloudWatch::Dashboard") => standing.dashboards += 1,
                _ => {}
            }
        }
        let mappings = stack.functions.iter().flat_map(|function| &function.queues);
        standing.mappings = mappings.filter(|mapping| mapping.enabled).count();
        Ok(standing)
    }
}

fn metrics(alarm: &Value) -> usize {
    match alarm.pointer("/Properties/Metrics").and_then(Value::as_array) {
        Some(metrics) => metrics.iter().filter(|metric| metric.get("MetricStat").is_some()).count(),
        None => 1,
    }
}

/// Makes the bill of a month in which nothing is published: the standing things, the empty
/// receives, and the schedules, of which `minute` is the usage in one minute.
pub fn idle(standing: &Standing, minute: &Usage, terms: &Terms, prices: &Prices) -> Bill {
    let mut bill = Bill::of(minute, terms, prices);
    for line in &mut bill.lines {
        line.what = format!("Schedules: {}", line.what);
        line.quantity *= MINUTES;
        line.dollars *= MINUTES;
    }
    bill.dollars *= MINUTES;
    let receives = standing.mappings as f64 * POLLERS * MINUTES * (60.0 / LONG_POLL_SECONDS);
    bill.add("Empty receives", receives, &prices.sqs_request);
    bill.add("Secrets", standing.secrets as f64, &prices.secret);
    bill.add("Alarms", standing.alarm_metrics as f64, &prices.alarm_metric);
    bill.add("Composite alarms", standing.composite_alarms as f64, &prices.composite_alarm);
    bill.add("Custom metrics", minute.metrics_in_use() as f64, &prices.custom_metric);
    bill.add("Dashboards", standing.dashboards as f64, &prices.dashboard);
    bill
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_counts_once_for_each_metric_that_it_looks_at() {
        let alarms = "
Resources:
  One:
    Type: AWS::CloudWatch::Alarm
    Properties: {MetricName: Errors}
  Two:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics:
        - {Id: sum, Expression: a + b}
        - {Id: a, MetricStat: {Stat: Sum}}
        - {Id: b, MetricStat: {Stat: Sum}}
  Three:
    Type: AWS::CloudWatch::Dashboard
    Condition: Whatever
";
        let stack = template::load(
            "{AWSTemplateFormatVersion: '2010-09-09', Transform: 'AWS::Serverless-2016-10-31', \
             Resources: {}}",
            &[].into(),
            &crate::system::context("http://127.0.0.1:1", "http://127.0.0.1:2"),
        );
        let standing = Standing::of(&stack.unwrap(), alarms).unwrap();
        assert_eq!(standing, Standing { alarm_metrics: 3, dashboards: 1, ..Standing::default() });
    }

    #[test]
    fn a_month_has_as_many_empty_receives_as_five_long_polls_of_20_s_make() {
        let prices = Prices::known().unwrap();
        let standing = Standing { mappings: 1, ..Standing::default() };
        let bill = idle(&standing, &Usage::default(), &Terms::default(), &prices);
        // 5 polls, 3 a minute, 43,800 minutes.
        assert_eq!(bill.lines.len(), 1);
        assert_eq!(bill.lines[0].quantity, 657_000.0);
        assert!((bill.dollars - 0.2628).abs() < 1e-9, "{}", bill.dollars);
    }

    #[test]
    fn a_metric_that_gets_values_each_minute_costs_once_a_month() {
        let prices = Prices::known().unwrap();
        let minute = Usage {
            custom_metrics: [("one".to_owned(), 8), ("none".to_owned(), 0)].into(),
            ..Usage::default()
        };
        let bill = idle(&Standing::default(), &minute, &Terms::default(), &prices);
        assert!((bill.dollars - 0.3).abs() < 1e-9, "{}", bill.dollars);
    }

    #[test]
    fn what_a_minute_costs_is_paid_43_800_times_a_month() {
        let prices = Prices::known().unwrap();
        let minute = Usage { secret_calls: 1, ..Usage::default() };
        let bill = idle(
            &Standing { secrets: 2, ..Standing::default() },
            &minute,
            &Terms::default(),
            &prices,
        );
        assert!(
            (bill.dollars - (43_800.0 * 0.05 / 10_000.0 + 0.8)).abs() < 1e-9,
            "{}",
            bill.dollars
        );
    }
}
