//! Pauses between attempts.

use std::time::Duration;

/// Waits before a further attempt, after the first one for `first`, and after each other one for
/// twice as long as before.
pub(crate) async fn wait_doubling(first: Duration, attempt: u32) {
    tokio::time::sleep(first * 2_u32.pow(attempt - 1)).await;
}
