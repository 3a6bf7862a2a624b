//! These rules keep events from going round in circles through Posthaste's own API.
//!
//! A webhook's URL and headers are its owner's, so a webhook can lead to Posthaste's own API, with
//! a valid key: each delivery of an event would publish the event again, or begin a replay, and
//! with two such webhooks twice as many each time. But a webhook can neither remove nor replace the
//! signatures of its requests, so a call that carries one is refused.
//!
//! A relay, which calls the API with the data that a webhook brings it, sends no signature. So
//! requests also carry the *hops* of their event: how often it was published because of another
//! event. A relay that keeps the header makes events with one hop more, up to [`MAX_HOPS`]. Other
//! calls than publishing refuse the header: nothing else that they make has hops (a replay makes
//! the same event again).

use crate::Invalid;

/// The headers that sign a webhook's request, in lower case. Every request has all of them,
/// whatever its format.
pub const SIGNATURE_HEADERS: [&str; 2] = ["webhook-signature", "x-webhook-signature"];
/// The header of every request that carries the hops of its event: a whole number, the largest of
/// several events. A request of an event without hops has it too, or a relay would have nothing to
/// pass on.
pub const HOPS_HEADER: &str = "webhook-hops";
/// The most hops of an event.
pub const MAX_HOPS: u8 = 5;
/// The error code of a call that is refused because of these rules.
pub const CODE: &str = "loop_detected";

/// The treatment of a call that a relay makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// The call publishes events, which get one hop more.
    Counted,
    /// The call is refused.
    Refused,
}

/// The hops of the events that a call with these headers publishes: 0 if no header tells any. Names
/// are in lower case.
///
/// # Errors
/// A webhook makes the call, or a relay makes a call that relays may not make, or its events have
/// had [`MAX_HOPS`] hops already.
pub fn check<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    relayed: Relayed,
) -> Result<u8, Invalid> {
    let mut hops = 0;
    for (name, value) in headers {
        if SIGNATURE_HEADERS.contains(&name) {
            let message = format!(
                "the call carries {name}, so a webhook makes it, and a webhook can't call this API"
            );
            return Err(Invalid::field(name, CODE, message));
        }
        if name == HOPS_HEADER {
            if relayed == Relayed::Refused {
                return Err(not_passed_on());
            }
            hops = hops.max(largest(value)?.saturating_add(1));
        }
    }
    if hops > MAX_HOPS { Err(too_many()) } else { Ok(hops) }
}

/// Reads the hops of an event that comes straight to the queue, from the attribute beside its
/// message: 0 if there is none.
pub fn beside_message(text: Option<&str>) -> Result<u8, Invalid> {
    let Some(text) = text else { return Ok(0) };
    let hops = largest(text.as_bytes())?;
    check_hops(hops)?;
    Ok(hops)
}

/// Refuses an event that has had too many hops.
pub fn check_hops(hops: u8) -> Result<(), Invalid> {
    if hops > MAX_HOPS { Err(too_many()) } else { Ok(()) }
}

/// Reads the largest number of the header. A proxy may have joined several headers into one, with
/// commas between their values.
fn largest(value: &[u8]) -> Result<u8, Invalid> {
    let mut largest = 0;
    for number in str::from_utf8(value).map_err(|_| no_number())?.split(',') {
        largest = largest.max(number.trim().parse().map_err(|_| no_number())?);
    }
    Ok(largest)
}

fn no_number() -> Invalid {
    let message =
        format!("{HOPS_HEADER} has to be the whole number that a webhook's request carries");
    Invalid::field(HOPS_HEADER, "invalid_hops", message)
}

fn not_passed_on() -> Invalid {
    let message = format!(
        "the call carries {HOPS_HEADER}, so it passes a webhook's request on, which only \
         publishing may"
    );
    Invalid::field(HOPS_HEADER, CODE, message)
}

fn too_many() -> Invalid {
    let message = format!(
        "{HOPS_HEADER} says that the event was published because of another one {MAX_HOPS} times \
         in a row: it goes round in circles"
    );
    Invalid::field(HOPS_HEADER, CODE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(headers: &[(&str, &str)], relayed: Relayed) -> Result<u8, (String, &'static str)> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        check(headers, relayed).map_err(|refused| (refused.field.unwrap(), refused.code))
    }

    #[test]
    fn a_call_that_carries_a_signature_is_refused() {
        for relayed in [Relayed::Counted, Relayed::Refused] {
            assert_eq!(hops(&[("authorization", "Bearer x"), ("webhook-id", "1")], relayed), Ok(0));
            for header in SIGNATURE_HEADERS {
                let refused = hops(&[("webhook-id", "1"), (header, "")], relayed);
                assert_eq!(refused, Err((header.to_owned(), CODE)));
            }
        }
    }

    #[test]
    fn what_a_relay_publishes_has_one_hop_more_until_it_has_too_many() {
        let of = |value: &str| hops(&[(HOPS_HEADER, value)], Relayed::Counted);
        let refused = |code| Err((HOPS_HEADER.to_owned(), code));
        assert_eq!(["0", "1", "4", " 2 ", "1, 3,0"].map(of), [1, 2, 5, 3, 4].map(Ok));
        assert_eq!(hops(&[(HOPS_HEADER, "3"), (HOPS_HEADER, "1")], Relayed::Counted), Ok(4));
        assert_eq!(["5", "6", "255", "1,5"].map(of), [(); 4].map(|()| refused(CODE)));
        assert_eq!(
            ["", "-1", "1.5", "256", "one", "1,"].map(of),
            [(); 6].map(|()| refused("invalid_hops"))
        );
    }

    #[test]
    fn no_other_call_takes_what_a_relay_passes_on() {
        for value in ["0", "5", "one"] {
            assert_eq!(
                hops(&[(HOPS_HEADER, value)], Relayed::Refused),
                Err((HOPS_HEADER.to_owned(), CODE))
            );
        }
    }

    #[test]
    fn what_is_said_beside_a_message_is_the_events_own() {
        assert_eq!(beside_message(None).unwrap(), 0);
        assert_eq!(beside_message(Some("5")).unwrap(), 5);
        assert_eq!(beside_message(Some("6")).unwrap_err().code, CODE);
        assert_eq!(beside_message(Some("x")).unwrap_err().code, "invalid_hops");
    }
}
