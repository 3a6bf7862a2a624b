//! How an event is written for a receiver. Each format is one file with one pure function; adding one is a file, a variant and
//! its two lines here.

mod spectra;
mod standard;

use serde::{Deserialize, Serialize};

use crate::event::Event;

/// The formats a webhook can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Standard Webhooks: `{"type", "timestamp", "data"}`.
    #[default]
    Standard,
    /// The Spectra document: `{"event", "timestamp", "data"}`.
    Spectra,
}

impl Format {
    /// Every format, for error messages and tests.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Spectra];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Spectra => "spectra",
        }
    }

    /// The format of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The bytes of the request body, JSON in every format. `data` is in it as the producer wrote it.
    pub fn body(self, event: &Event) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Standard => standard::body(event),
            Self::Spectra => spectra::body(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event whose data holds what a re-serialisation would change: number spellings, key order, spacing, escapes.
    fn awkward() -> Event {
        serde_json::from_str(
            r#"{"id":"018566ad-3f93-7fff-bfff-ffffffffffff","type":"order.created","timestamp":"2023-07-18T15:32:13.5Z","workspace":"acme",
            "subject":"c-1","data":{ "z": 1.0, "a":1e2, "n":123456789012345678901234567890,"s":"\u00e9\/" , "a":2}}"#,
        )
        .unwrap()
    }

    #[test]
    fn every_format_writes_the_awkward_event() {
        for format in Format::ALL {
            let body = String::from_utf8(format.body(&awkward()).unwrap()).unwrap();
            assert!(body.contains(awkward().data.get()), "{body}");
            insta::assert_snapshot!(format!("{}_awkward", format.name()), body);
        }
    }

    #[test]
    fn names_are_what_serde_writes() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
            assert_eq!(Format::by_name(format.name()), Some(format));
        }
        assert_eq!(Format::by_name("xml"), None);
    }
}
