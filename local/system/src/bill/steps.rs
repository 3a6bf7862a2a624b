//! AWS rounds what it bills. Each rule here names the page that says so.

const KIB: u64 = 1024;

/// An HTTP API bills each 512 KiB as a request; the longer of request and answer counts
/// (<https://aws.amazon.com/api-gateway/pricing/>).
pub(crate) fn http_api_requests(request_bytes: u64, answer_bytes: u64) -> u64 {
    request_bytes.max(answer_bytes).div_ceil(512 * KIB).max(1)
}

/// SQS bills each 64 KiB of the messages that a call carries as a request, and a call without any
/// as one (<https://aws.amazon.com/sqs/pricing/>).
pub(crate) fn sqs_requests(message_bytes: u64) -> u64 {
    message_bytes.div_ceil(64 * KIB).max(1)
}

/// Lambda bills memory times duration, in GB of 1,024 MB
/// (<https://aws.amazon.com/lambda/pricing/>). Each duration is already rounded up to whole
/// milliseconds.
pub(super) fn gb_seconds(memory_mb: u32, billed_ms: u64) -> f64 {
    f64::from(memory_mb) / 1024.0 * (billed_ms as f64 / 1000.0)
}

/// A line counts with 26 bytes of its own
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>).
pub(crate) fn log_bytes(line_bytes: usize) -> u64 {
    line_bytes as u64 + 26
}

/// An item takes 100 bytes beside its attributes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub(super) fn stored_bytes(items: u64, attribute_bytes: u64) -> u64 {
    attribute_bytes + 100 * items
}

/// Counts storage in months of 30 days.
pub(super) fn gb_months(bytes: u64, days: u32) -> f64 {
    gb(bytes) * f64::from(days) / 30.0
}

/// AWS bills GB of 2^30 bytes.
pub(super) fn gb(bytes: u64) -> f64 {
    bytes as f64 / (KIB * KIB * KIB) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_the_api_is_a_request_for_each_512_kib_of_its_longer_half() {
        assert_eq!(http_api_requests(0, 0), 1);
        assert_eq!(http_api_requests(512 * KIB, 10), 1);
        assert_eq!(http_api_requests(512 * KIB + 1, 10), 2);
        assert_eq!(http_api_requests(10, 3 * 512 * KIB), 3);
    }

    #[test]
    fn a_call_of_sqs_is_a_request_for_each_64_kib_of_messages() {
        assert_eq!(sqs_requests(0), 1);
        assert_eq!(sqs_requests(64 * KIB), 1);
        assert_eq!(sqs_requests(64 * KIB + 1), 2);
        assert_eq!(sqs_requests(1024 * KIB), 16);
    }

    #[test]
    fn a_second_of_512_mb_is_half_a_gb_second() {
        assert_eq!(gb_seconds(512, 1000), 0.5);
        assert_eq!(gb_seconds(1024, 1), 0.001);
    }

    #[test]
    fn lines_and_items_count_with_their_frame() {
        assert_eq!(log_bytes(100), 126);
        assert_eq!(stored_bytes(3, 1000), 1300);
    }

    #[test]
    fn a_gib_for_15_days_is_half_a_gb_month() {
        assert_eq!(gb_months(1 << 30, 15), 0.5);
        assert_eq!(gb(1 << 31), 2.0);
    }
}
