use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::PublicUrl;
use crate::{
    Invalid,
    input::{Shape, text},
    webhook::{headers::MASK, secret::Sealed},
};

/// A webhook's URL as it is stored. The part behind the origin can be a credential, as in Slack's
/// webhooks, so it is sealed: someone without the encryption key sees where requests go, and can't
/// make them. As JSON it is the URL's text, or an object if it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredUrl {
    /// The whole URL in plain text: it was just registered or opened, or is not sealed.
    Open(PublicUrl),
    /// The origin in plain text, and the whole URL encrypted.
    Sealed {
        /// The scheme, host and port.
        origin: PublicUrl,
        /// The whole URL, encrypted.
        sealed: Sealed,
    },
}

/// A URL as a client sends it: a text that nobody has checked. It becomes a [`PublicUrl`] by a
/// policy.
pub(crate) struct UrlText;

impl Shape for UrlText {
    type Value = String;
    const NAMED: bool = false;

    fn read(at: &str, json: &RawValue) -> Result<String, Invalid> {
        text(at, json)
    }

    #[cfg(feature = "openapi")]
    fn answered() -> crate::input::openapi::Described {
        crate::input::openapi::formatted("uri").into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for UrlText {
    fn schema() -> crate::input::openapi::Described {
        crate::input::openapi::formatted("uri").max_length(Some(super::MAX_BYTES)).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for UrlText {}

impl StoredUrl {
    /// Joins a URL with its sealed form.
    pub fn sealed(url: &PublicUrl, sealed: Sealed) -> Self {
        let mut origin = url.0.clone();
        origin.set_path("");
        origin.set_query(None);
        Self::Sealed { origin: PublicUrl(origin), sealed }
    }

    /// The part that others than the owner may see.
    pub fn shown(&self) -> String {
        match self {
            Self::Open(url) => url.shown(),
            Self::Sealed { origin, .. } => format!("{}/…", origin.origin()),
        }
    }

    /// Returns what the owner sees: the URL, or where it is sealed its origin and a mask, which
    /// together are a URL too.
    #[must_use]
    pub fn masked(&self) -> Self {
        match self {
            Self::Open(_) => self.clone(),
            Self::Sealed { origin, .. } => {
                let mut masked = origin.0.clone();
                masked.set_path(MASK);
                Self::Open(PublicUrl(masked))
            }
        }
    }

    /// The text of what the owner sees.
    pub fn text(&self) -> String {
        let (Self::Open(PublicUrl(url)) | Self::Sealed { origin: PublicUrl(url), .. }) =
            self.masked();
        url.into()
    }

    /// The text of what others than the owner may see, which is a URL too: the origin and a mask.
    pub fn hidden(&self) -> String {
        let (Self::Open(PublicUrl(url)) | Self::Sealed { origin: PublicUrl(url), .. }) = self;
        format!("{}/{MASK}", url.origin().ascii_serialization())
    }

    /// The host and the port.
    pub fn host(&self) -> String {
        let (Self::Open(PublicUrl(url)) | Self::Sealed { origin: PublicUrl(url), .. }) = self;
        let port = Url::port_or_known_default(url).unwrap_or_default();
        format!("{}:{port}", url.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::url::UrlPolicy;

    #[test]
    fn a_masked_url_that_is_sent_back_is_refused() {
        let url = PublicUrl::parse("https://example.com:8443/hook", &UrlPolicy::default()).unwrap();
        let masked = StoredUrl::sealed(&url, Sealed(String::new())).text();
        let refused = PublicUrl::parse(&masked, &UrlPolicy::default()).unwrap_err();
        let said = "url has the path /***, which is shown instead of one that can't be read: give \
            the URL itself";
        assert_eq!(
            (masked.as_str(), refused.to_string().as_str()),
            ("https://example.com:8443/***", said)
        );
    }

    #[test]
    fn a_sealed_url_tells_no_more_than_its_origin() {
        let text = "https://hooks.slack.com:8443/services/secret?token=secret";
        let url = PublicUrl::parse(text, &UrlPolicy::default()).unwrap();
        let open = StoredUrl::Open(url.clone());
        let sealed = StoredUrl::sealed(&url, Sealed("v1.00000000.AAAA".to_owned()));
        assert_eq!(
            (open.text().as_str(), sealed.text().as_str()),
            (text, "https://hooks.slack.com:8443/***")
        );
        assert_eq!((open.shown(), open.host()), (sealed.shown(), sealed.host()));
        assert_eq!(open.host(), "hooks.slack.com:8443");
        assert_eq!([open.hidden(), sealed.hidden()], [sealed.text(), sealed.text()]);
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(
            json,
            r#"{"origin":"https://hooks.slack.com:8443/","sealed":"v1.00000000.AAAA"}"#
        );
        assert!(!json.contains("secret") && !format!("{open:?} {sealed:?}").contains("secret"));
        assert_eq!(serde_json::from_str::<StoredUrl>(&format!("{text:?}")).unwrap(), open);
        for url in [open, sealed] {
            let json = serde_json::to_string(&url).unwrap();
            assert_eq!(serde_json::from_str::<StoredUrl>(&json).unwrap(), url);
        }
    }
}
