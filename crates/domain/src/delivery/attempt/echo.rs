//! An endpoint's answer can repeat the URL that was called, as in `Cannot POST
//! /services/T000/B000/secret`. The path and the query of a URL can be credentials, so they are
//! masked in the answer that is kept.

use crate::endpoint::url::PublicUrl;

const MASK: &[u8] = "/…".as_bytes();
/// A segment of the path or a value of the query is masked by itself if it is at least this long.
/// Shorter ones, such as `hooks`, are words that an answer needs.
const MIN_PART_BYTES: usize = 16;

/// Masks what an answer's body repeats of a URL with `/…`: its path, its query, and long parts of
/// them, as they were sent, without percent-encoding, and as JSON and HTML escape them. A body that
/// `is_cut` can end within one of them.
pub(super) fn without_url(body: &[u8], is_cut: bool, url: &PublicUrl) -> Vec<u8> {
    let masked = masked_parts(url);
    let mut begins = [false; 256];
    masked
        .iter()
        .filter_map(|part| part.first())
        .for_each(|byte| begins[usize::from(*byte)] = true);
    let (mut kept, mut rest) = (Vec::with_capacity(body.len()), body);
    while let [first, behind @ ..] = rest {
        let candidates = if begins[usize::from(*first)] { masked.as_slice() } else { &[] };
        let found = candidates.iter().find_map(|secret| {
            let is_cut_here = is_cut && rest.len() > 1 && secret.starts_with(rest);
            rest.strip_prefix(secret.as_slice()).or(is_cut_here.then_some(&[]))
        });
        match found {
            Some(behind_secret) => {
                kept.extend_from_slice(MASK);
                rest = behind_secret;
            }
            None => {
                kept.push(*first);
                rest = behind;
            }
        }
    }
    kept
}

/// The texts that are masked, the longest first. A single character is not masked: every answer has
/// slashes.
fn masked_parts(url: &PublicUrl) -> Vec<Vec<u8>> {
    let (path, query) = (url.as_url().path(), url.as_url().query().unwrap_or_default());
    let parts =
        path.split('/').chain(query.split(['&', '='])).filter(|part| part.len() >= MIN_PART_BYTES);
    let both = if query.is_empty() { String::new() } else { format!("{path}?{query}") };
    let wholes = [both, path.trim_end_matches('/').to_owned(), query.to_owned()];
    let plain: Vec<String> = wholes.into_iter().chain(parts.map(str::to_owned)).collect();
    let spellings = plain.into_iter().flat_map(|text| [percent_decoded(&text), text.into_bytes()]);
    let escaped = spellings
        .flat_map(|text| [replaced(&text, b'/', br"\/"), replaced(&text, b'&', b"&amp;"), text]);
    let mut secrets: Vec<Vec<u8>> = escaped.filter(|text| text.len() > 1).collect();
    secrets.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    secrets.dedup();
    secrets
}

fn replaced(text: &[u8], from: u8, to: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| if *byte == from { to } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

/// Decodes each `%` with two hexadecimal digits behind it.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let mut byte = [0];
        match behind.split_at_checked(2) {
            Some((digits, behind))
                if *first == b'%' && hex::decode_to_slice(digits, &mut byte).is_ok() =>
            {
                decoded.extend(byte);
                rest = behind;
            }
            _ => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    const SLACK: &str = "https://hooks.slack.com/services/T000/B000/abcdefghijklmnop";

    fn kept(url: &str, body: &str) -> String {
        String::from_utf8(without_url(body.as_bytes(), false, &testing::url(url))).unwrap()
    }

    #[test]
    fn the_path_and_the_query_are_hidden_in_each_spelling() {
        for (url, body, expected) in [
            (SLACK, "Cannot POST /services/T000/B000/abcdefghijklmnop", "Cannot POST /…"),
            (SLACK, r#"{"path":"\/services\/T000\/B000\/abcdefghijklmnop"}"#, r#"{"path":"/…"}"#),
            (SLACK, "no route for /B000/abcdefghijklmnop/", "no route for /B000//…/"),
            (SLACK, "no services at T000/B000", "no services at T000/B000"),
            ("https://example.com/hooks/a/", "POST /hooks/a and /hooks/a/", "POST /… and /…/"),
            (
                "https://example.com/hook?token=xyz&v=1",
                "/hook?token=xyz&v=1 /hook /hook?v=2",
                "/… /… /…?v=2",
            ),
            ("https://example.com/hook?token=xyz&v=1", "query: token=xyz&amp;v=1", "query: /…"),
            ("https://example.com/?token=xyz", "GET /?token=xyz", "GET /…"),
            ("https://example.com/a%2Fb%zz%c3%a9", "/a%2Fb%zz%c3%a9 /a/b%zzé", "/… /…"),
            (
                "https://example.com/?key=abcdefghijklmnop",
                "abcdefghijklmnop is no key",
                "/… is no key",
            ),
            ("https://example.com/x", "</x> 404", "</…> 404"),
            ("https://example.com/", "</p> /? a", "</p> /? a"),
            ("https://example.com/?", "</p> /? a", "</p> /? a"),
            (SLACK, "", ""),
        ] {
            assert_eq!(kept(url, body), expected, "{url} {body}");
        }
    }

    #[test]
    fn a_query_of_a_single_character_is_not_hidden() {
        assert_eq!(kept("https://example.com/?a", "a cat"), "a cat");
    }

    #[test]
    fn what_is_no_text_is_searched_too() {
        let hidden =
            without_url(b"\xff/hook\xff\x00", false, &testing::url("https://example.com/hook"));
        assert_eq!(hidden, [b"\xff", MASK, b"\xff\x00"].concat());
    }

    #[test]
    fn a_body_that_is_cut_within_the_path_keeps_none_of_it() {
        let cut = |body: &str, is_cut| {
            String::from_utf8(without_url(body.as_bytes(), is_cut, &testing::url(SLACK))).unwrap()
        };
        assert_eq!(cut("Cannot POST /services/T000/B0", true), "Cannot POST /…");
        assert_eq!(cut("Cannot POST /services/T000/B0", false), "Cannot POST /services/T000/B0");
        assert_eq!(cut("<b></b>/", true), "<b></b>/", "one character tells nothing");
    }

    proptest! {
        /// Wherever an answer is cut, no more of the path is left than an answer that repeats
        /// nothing may say.
        #[test]
        fn no_cut_leaves_the_path(
            before in "[ -~é]{0,9}", after in "[ -~é]{0,9}", end in 0_usize..70
        ) {
            let path = "/services/T000/B000/abcdefghijklmnop";
            let body = format!("{before}{path}{after}").into_bytes();
            let is_cut = end < body.len();
            let kept = without_url(&body[..end.min(body.len())], is_cut, &testing::url(SLACK));
            let told = String::from_utf8_lossy(&kept).into_owned();
            let asked = format!("{before}{after}");
            prop_assert!(asked.contains("/s") || !told.contains("/s"), "{told}");
        }
    }
}
