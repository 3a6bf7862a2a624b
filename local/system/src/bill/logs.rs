//! AWS writes log lines beside those of the functions, and reads metrics from the functions' lines.

use serde_json::Value;

use super::steps;

/// Lambda writes these lines for each invocation at the system log level INFO. At DEBUG it writes
/// more, and at WARN none for a success.
/// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>
const OF_AN_INVOCATION: [&str; 2] = [
    r#"{"time":"2026-11-21T20:30:55.123Z","type":"platform.start","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"$LATEST"}}"#,
    r#"{"time":"2026-11-21T20:30:55.323Z","type":"platform.report","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","metrics":{"durationMs":198.377,"billedDurationMs":199,"memorySizeMB":512,"maxMemoryUsedMB":31},"status":"success"}}"#,
];

/// Lambda writes this line when a process starts.
const OF_A_START: &str = r#"{"time":"2026-11-21T20:30:55.123Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"provided:al2023.v103","runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","functionName":"posthaste-DeliverFunction-AbCdEfGhIjKl","functionVersion":"$LATEST"}}"#;

/// Adds up the bytes of the lines that Lambda writes by itself.
pub(super) fn platform_bytes(invocations: u64, cold_starts: u64) -> u64 {
    let of_an_invocation: u64 =
        OF_AN_INVOCATION.iter().map(|line| steps::log_bytes(line.len())).sum();
    invocations * of_an_invocation + cold_starts * steps::log_bytes(OF_A_START.len())
}

/// Lists the custom metrics that a line gives values to. Each is named by its namespace, its name
/// and the values of its dimensions.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
pub(super) fn embedded_metrics(line: &str) -> Vec<String> {
    if !line.contains("\"_aws\"") {
        return Vec::new();
    }
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let mut found = Vec::new();
    for directive in list(&line["_aws"]["CloudWatchMetrics"]) {
        for dimensions in list(&directive["Dimensions"]) {
            let names = list(dimensions).iter().filter_map(Value::as_str);
            let values: Vec<String> =
                names.map(|name| format!("{name}={}", text(&line[name]))).collect();
            for metric in list(&directive["Metrics"]) {
                let (namespace, name) = (text(&directive["Namespace"]), text(&metric["Name"]));
                found
                    .push(format!("{namespace} {name} {}", values.join(" ")).trim_end().to_owned());
            }
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_counts_once_for_each_set_of_its_dimensions() {
        let line = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"P","Dimensions":[["stage"],["stage","why"]],
            "Metrics":[{"Name":"sent"},{"Name":"took"}]}]},"stage":"live","why":"retry","sent":1,"took":[5,6]}"#;
        let expected = [
            "P sent stage=live",
            "P took stage=live",
            "P sent stage=live why=retry",
            "P took stage=live why=retry",
        ];
        assert_eq!(embedded_metrics(line), expected);
        assert!(embedded_metrics(r#"{"message":"attempted"}"#).is_empty());
        assert!(embedded_metrics(r#"no JSON with "_aws" in it"#).is_empty());
    }

    #[test]
    fn an_invocation_has_two_lines_of_lambdas_own_and_a_start_one() {
        let two = platform_bytes(1, 0);
        assert!((350..=450).contains(&two), "{two} bytes");
        assert_eq!(platform_bytes(3, 0), 3 * two);
        assert!(platform_bytes(3, 1) > 3 * two + 300);
    }
}
