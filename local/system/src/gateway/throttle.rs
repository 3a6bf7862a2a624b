//! API Gateway throttles with token buckets:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use posthaste_local_template::Throttling;
use tokio::time::Instant;

/// The throttles have a bucket for each route.
#[derive(Debug)]
pub(crate) struct Throttles {
    throttling: Option<Throttling>,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Throttles {
    /// Makes the buckets. Every request passes if there is no throttling.
    pub(crate) fn new(throttling: Option<Throttling>) -> Self {
        Self { throttling, buckets: Mutex::default() }
    }

    /// Takes a token for a request of this route, and tells if there was one.
    pub(crate) fn admits(&self, route_key: &str, now: Instant) -> bool {
        let Some(Throttling { rate, burst }) = self.throttling else { return true };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { tokens: burst as f64, filled_at: now };
        let bucket = buckets.entry(route_key.to_owned()).or_insert(full);
        let filled = now.duration_since(bucket.filled_at).as_secs_f64() * rate as f64;
        *bucket = Bucket { tokens: (bucket.tokens + filled).min(burst as f64), filled_at: now };
        let admits = bucket.tokens >= 1.0;
        if admits {
            bucket.tokens -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_route_takes_a_burst_and_then_its_rate() {
        let throttles = Throttles::new(Some(Throttling { rate: 10, burst: 20 }));
        let began = Instant::now();
        let admitted = |route: &str, ms| {
            let now = began + Duration::from_millis(ms);
            (0..100).filter(|_| throttles.admits(route, now)).count()
        };
        assert_eq!(admitted("POST /events", 0), 20);
        assert_eq!(admitted("POST /events", 500), 5);
        assert_eq!(admitted("GET /events", 500), 20, "another route has a bucket of its own");
        assert_eq!(admitted("POST /events", 60_000), 20);
    }

    #[test]
    fn without_a_throttling_every_request_passes() {
        let throttles = Throttles::new(None);
        assert!((0..10_000).all(|_| throttles.admits("POST /events", Instant::now())));
    }
}
