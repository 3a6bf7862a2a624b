//! The log lines that AWS writes beside those of the functions.

use super::steps;

/// Lambda's own lines for an invocation, at the system log level INFO. At DEBUG there are more, and at WARN none of a success.
/// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>
const OF_AN_INVOCATION: [&str; 2] = [
    r#"{"time":"2026-11-21T20:30:55.123Z","type":"platform.start","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"$LATEST"}}"#,
    r#"{"time":"2026-11-21T20:30:55.323Z","type":"platform.report","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","metrics":{"durationMs":198.377,"billedDurationMs":199,"memorySizeMB":512,"maxMemoryUsedMB":31},"status":"success"}}"#,
];

/// What Lambda writes when a process starts.
const OF_A_START: &str = r#"{"time":"2026-11-21T20:30:55.123Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"provided:al2023.v103","runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","functionName":"posthaste-DeliverFunction-AbCdEfGhIjKl","functionVersion":"$LATEST"}}"#;

/// The bytes of Lambda's own lines.
pub(super) fn platform_bytes(invocations: u64, cold_starts: u64) -> u64 {
    let of_an_invocation: u64 = OF_AN_INVOCATION.iter().map(|line| steps::log_bytes(line.len())).sum();
    invocations * of_an_invocation + cold_starts * steps::log_bytes(OF_A_START.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_has_two_lines_of_lambdas_own_and_a_start_one() {
        let two = platform_bytes(1, 0);
        assert!((350..=450).contains(&two), "{two} bytes");
        assert_eq!(platform_bytes(3, 0), 3 * two);
        assert!(platform_bytes(3, 1) > 3 * two + 300);
    }
}
