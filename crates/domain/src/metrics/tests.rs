use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::*;

const TELLER: Teller<'_> = Teller {
    stage: "production",
    function: "deliver",
    request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
};

fn at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn of_profile(profile: &'static str) -> Labels {
    Labels { profile: Some(profile), ..Labels::default() }
}

#[test]
fn an_invocation_that_has_gone_well_is_one_line() {
    let mut measured = Measured::NOTHING;
    for took in [11, 12, 95] {
        measured.add(Metric::Attempted, Labels::default(), 1);
        measured.add(Metric::AttemptTime, Labels::default(), took);
        measured.add(Metric::Delivered, of_profile("standard"), 1);
    }
    measured.add(Metric::Exhausted, Labels::default(), 0);
    measured.add(Metric::Faults, Labels::default(), 0);
    measured.add(Metric::OldestDue, Labels::default(), 70);
    measured.add(Metric::OldestDue, Labels::default(), 7);
    let lines = measured.take_lines(TELLER, at());
    insta::assert_snapshot!("one_line", lines.join("\n"));
    assert_eq!(measured.take_lines(TELLER, at()), Vec::<String>::new(), "nothing is told twice");
}

#[test]
fn each_further_combination_of_labels_is_a_further_line() {
    let mut measured = Measured::NOTHING;
    measured.of_workspace("acme");
    measured.add(Metric::Attempted, Labels::default(), 4);
    measured.add(Metric::AttemptTime, Labels::default(), 4);
    measured.add(Metric::Delivered, of_profile("slack"), 1);
    for code in ["timeout", "http_status", "timeout"] {
        measured.add(Metric::Failed, Labels { code: Some(code), ..of_profile("slack") }, 1);
    }
    measured.add(Metric::Faults, Labels::default(), 2);
    measured.add(Metric::Waiting, Labels { reason: Some("slow"), ..Labels::default() }, 3);
    insta::assert_snapshot!("several_lines", measured.take_lines(TELLER, at()).join("\n"));
}

#[test]
fn every_line_has_what_its_metrics_name() {
    let mut measured = Measured::NOTHING;
    let labels = Labels { profile: Some("standard"), code: Some("timeout"), reason: Some("slow") };
    for metric in Metric::ALL {
        measured.add(metric, labels, 1);
    }
    for line in measured.take_lines(TELLER, at()) {
        let line: Json = serde_json::from_str(&line).unwrap();
        let mut told = BTreeSet::new();
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let dimensions = directive["Dimensions"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|set| set.as_array().unwrap());
            assert!(
                dimensions.into_iter().all(|name| line[name.as_str().unwrap()].is_string()),
                "{line}"
            );
            let metrics = directive["Metrics"].as_array().unwrap().iter();
            told.extend(metrics.map(|metric| metric["Name"].as_str().unwrap().to_owned()));
        }
        assert_eq!(told, Metric::ALL.map(|metric| metric.name().to_owned()).into());
        assert!(
            told.iter().all(|name| line[name].is_number() || line[name]["Values"].is_array()),
            "{line}"
        );
    }
}

#[test]
fn a_spread_has_at_most_a_hundred_values_that_are_near_the_true_ones() {
    let mut values = BTreeSet::new();
    for exponent in 0..600 {
        let milliseconds = 1.05_f64.powi(exponent) as u64;
        let value = rounded(milliseconds);
        values.insert(value);
        if milliseconds < 100_000_000 {
            assert!(
                value.abs_diff(milliseconds) * 8 <= milliseconds,
                "{milliseconds} is not {value}"
            );
        }
    }
    assert!(values.len() < 100, "{}", values.len());
    assert_eq!(values.last(), Some(&100_000_000));
    assert_eq!(
        [0, 9, 10, 11, 104, 999, u64::MAX].map(rounded),
        [0, 9, 10, 10, 100, 1000, 100_000_000]
    );
}

/// The table of metrics in the documentation: name, unit, dimensions.
fn documented() -> Vec<[String; 3]> {
    let page = include_str!("../../../../docs/observability.md");
    let table = page.split("\n| metric | unit | dimensions | what it counts |\n").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|row| {
        let cells: Vec<String> = row.split('|').skip(1).take(3).map(cell).collect();
        cells.try_into().unwrap()
    })
    .collect()
}

#[test]
fn the_documentation_has_every_metric_and_no_other() {
    let dimensions =
        |metric: Metric| metric.dimensions().iter().map(|set| set.join(" + ")).collect::<Vec<_>>();
    let told = |metric: Metric| {
        [metric.name().to_owned(), metric.unit().to_owned(), dimensions(metric).join(", ")]
    };
    assert_eq!(documented(), Metric::ALL.map(told));
}
