//! Events can be published at a steady pace.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::stream::Stream;

/// A stream, and the number of events that it gets in a second.
pub(crate) struct Pace {
    pub(crate) stream: Arc<Stream>,
    pub(crate) rate: f64,
}

/// Publishes all streams side by side for this long, without waiting for answers. A delay is made
/// up for, so that the number of events is always the same. Returns the longest delay.
pub(crate) async fn steadily(paces: &[&Pace], time: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let end = began + time;
    let mut sent = vec![0_usize; paces.len()];
    let mut latest = Duration::ZERO;
    loop {
        let mut next = end;
        for (pace, sent) in paces.iter().zip(&sent) {
            next = next.min(began + Duration::from_secs_f64(*sent as f64 / pace.rate));
        }
        if next >= end {
            break;
        }
        sleep_until(next).await;
        let now = Instant::now();
        latest = latest.max(now - next);
        for (pace, sent) in paces.iter().zip(&mut sent) {
            let until_now = (now.min(end) - began).as_secs_f64();
            // One at the very beginning; none at the very end.
            let wanted = ((until_now * pace.rate) as usize + 1)
                .min((time.as_secs_f64() * pace.rate).ceil() as usize);
            pace.stream.publish(wanted.saturating_sub(*sent)).await?;
            *sent = wanted.max(*sent);
        }
    }
    sleep_until(end).await;
    Ok(latest)
}
