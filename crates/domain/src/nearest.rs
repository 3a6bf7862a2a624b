//! Which of the known names somebody meant who wrote another one.

/// How many names are suggested.
const SUGGESTIONS: usize = 3;

/// The known names most like this one, best first; none where nothing is near.
pub(crate) fn names<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Vec<&'k str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['.', '-'], "_");
    let wanted = plain(name);
    let mut scored: Vec<(usize, &str)> = known
        .map(|known| {
            let other = plain(known);
            let contains = wanted.len() > 3 && (other.starts_with(&wanted) || wanted.starts_with(&other));
            (if contains { 1 } else { strsim::osa_distance(&wanted, &other) }, known)
        })
        .filter(|(distance, known)| *distance * 3 <= known.len().max(name.len()))
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_field_is_found() {
        let fields =
            ["url", "events", "rateLimit", "retrySchedule", "successStatuses", "timeoutSeconds", "type", "data"];
        for (written, meant) in [
            ("rate_limit", &["rateLimit"][..]),
            ("RateLimit", &["rateLimit"]),
            ("retry_schedule", &["retrySchedule"]),
            ("timeout_seconds", &["timeoutSeconds"]),
            ("successStatus", &["successStatuses"]),
            ("event", &["events"]),
            ("typ", &["type"]),
            ("colour", &[]),
        ] {
            assert_eq!(names(written, fields.into_iter()), meant, "{written}");
        }
    }
}
