//! Finds the known names that someone may have meant who wrote another one.

/// At most this many names are suggested.
const SUGGESTIONS: usize = 3;

/// The known names that are most like this one, best first; none if nothing is near.
pub(crate) fn names<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Vec<&'k str> {
    let wanted = plain(name);
    let mut scored: Vec<(usize, &str)> = Vec::new();
    for known in known {
        let changes = distance(&wanted, &plain(known));
        if changes * 3 <= known.len().max(name.len()) {
            scored.push((changes, known));
        }
    }
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect()
}

/// The name without the differences that people overlook.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '-'], "_")
}

fn distance(wanted: &str, known: &str) -> usize {
    let is_beginning = wanted.len() > 3 && (known.starts_with(wanted) || wanted.starts_with(known));
    if is_beginning { 1 } else { strsim::osa_distance(wanted, known) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_field_is_found() {
        let fields = [
            "url",
            "events",
            "rateLimit",
            "retrySchedule",
            "successStatuses",
            "timeoutSeconds",
            "type",
            "data",
        ];
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
