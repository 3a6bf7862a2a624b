//! Reads the failures of getaddrinfo. The standard library gives `EAI_SYSTEM` as the errno behind
//! it, and any other code only as a text: an `io::Error` without a kind that ends with the message
//! of gai_strerror(3) for the code.

#![expect(
    unsafe_code,
    reason = "gai_strerror has no safe form in std, and its text differs between the C libraries"
)]

use std::{ffi::CStr, io};

/// The resolver could not be asked or did not answer, or there was no memory to ask it.
const FOUND_OUT_NOTHING: [libc::c_int; 2] = [libc::EAI_AGAIN, libc::EAI_MEMORY];

/// Tells whether a look-up ended without finding out anything about the name.
pub(super) fn found_out_nothing(error: &io::Error) -> bool {
    let text = error.to_string();
    FOUND_OUT_NOTHING.iter().any(|code| text.ends_with(&*text_of(*code)))
}

fn text_of(code: libc::c_int) -> String {
    // SAFETY: gai_strerror takes any number, and returns a text that is never freed nor changed.
    let text = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_with(code: libc::c_int) -> io::Error {
        io::Error::other(format!("failed to lookup address information: {}", text_of(code)))
    }

    #[test]
    fn a_resolver_that_does_not_answer_is_not_a_name_that_does_not_exist() {
        assert!(found_out_nothing(&failed_with(libc::EAI_AGAIN)));
        assert!(found_out_nothing(&failed_with(libc::EAI_MEMORY)));
        for code in [
            libc::EAI_NONAME,
            libc::EAI_NODATA,
            libc::EAI_FAIL,
            libc::EAI_FAMILY,
            libc::EAI_SERVICE,
        ] {
            assert!(!found_out_nothing(&failed_with(code)), "{}", text_of(code));
        }
        assert!(!found_out_nothing(&io::Error::other("no such host")));
        assert!(!found_out_nothing(&io::ErrorKind::NotFound.into()));
    }
}
