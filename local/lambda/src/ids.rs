use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::SystemTime;

use crate::lineage::Lineage;

pub(crate) fn request_id() -> String {
    uuid::Builder::from_random_bytes(random().to_be_bytes()).into_uuid().to_string()
}

/// Makes a trace header in X-Ray's form for an invocation with this lineage. Nobody samples its
/// trace.
pub(crate) fn trace_id(lineage: &Lineage) -> String {
    let seconds =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let trace = format!("{:032x}", random());
    format!(
        "Root=1-{seconds:08x}-{};Parent={:016x};Sampled=0;{lineage}",
        &trace[..24],
        random() >> 64
    )
}

/// Makes a random number that needn't be secret, from the keys that each `RandomState` has of its
/// own.
fn random() -> u128 {
    let [high, low] = [(); 2].map(|()| u128::from(RandomState::new().build_hasher().finish()));
    high << 64 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_that_runtimes_read() {
        assert_ne!(request_id(), request_id());
        let trace = trace_id(&Lineage::of_trace_headers(["Lineage=deliver:3"]));
        let parts: Vec<_> = trace.split([';', '=', '-']).map(str::len).collect();
        assert_eq!(parts, [4, 1, 8, 24, 6, 16, 7, 1, 7, 9], "{trace}");
    }
}
