//! Registering and changing a webhook.

use super::Settings;
use crate::{
    Invalid,
    endpoint::url::{PublicUrl, StoredUrl, UrlPolicy, UrlText},
    input::{Fields, Optional, body, missing},
    webhook::{
        headers::{HeaderValue, Headers},
        profile::{Method, Profile},
    },
};

body! {
    /// The fields that a registration or a change has beside the settings.
    #[derive(Debug, Clone)]
    struct Beside {
        /// The way in which requests reach the receiver.
        ///
        /// `slack` stands for the profile `slack`.
        pub method: Option<Method> as Optional<Method>,
        /// The webhook's own headers. In a change they replace all that there were.
        pub headers: Option<Headers<HeaderValue>> as Optional<Headers<HeaderValue>>,
    }
}

/// A registration of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The settings of the webhook, with its URL open.
    pub settings: Settings,
    /// The headers of its requests that are its owner's own.
    pub headers: Headers<HeaderValue>,
}

/// A change of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// All settings as they are after the change. The URL is open if the change names it.
    pub settings: Settings,
    /// The headers that replace those that there were; none where they stay. Nobody can send back
    /// values that are not shown, so a change names all headers or none.
    pub headers: Option<Headers<HeaderValue>>,
    /// It says whether the change itself enables the webhook, and does not only leave it enabled.
    pub enables: bool,
}

impl Registration {
    /// Reads the body of a registration. A field that is `null` is as good as absent. The profile is
    /// the `default` one if the body does not say.
    pub fn parse(body: &[u8], policy: &UrlPolicy, default: Profile) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let url = url(&mut fields, policy)?.ok_or_else(|| missing("url"))?;
        let Change { settings, headers, .. } = read(fields, StoredUrl::Open(url), None, default)?;
        Ok(Self { settings, headers: headers.unwrap_or_default() })
    }
}

/// The body of a change, read as far as it can be without the webhook that it changes.
#[derive(Debug)]
pub struct ChangeRequest<'a> {
    fields: Fields<'a>,
    url: Option<PublicUrl>,
}

impl<'a> ChangeRequest<'a> {
    /// Reads the body of a change. It refuses what would be wrong for every webhook.
    pub fn parse(body: &'a [u8], policy: &UrlPolicy) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let names_url = fields.has("url");
        let url = url(&mut fields, policy)?;
        if names_url && url.is_none() {
            return Err(missing("url"));
        }
        let mut looked_at = fields.clone();
        Settings::check_fields(&mut looked_at)?;
        Beside::check_fields(&mut looked_at)?;
        looked_at.finish()?;
        Ok(Self { fields, url })
    }

    /// Applies the change to `old` settings: a field that is absent stays, one that is `null` goes
    /// back to its default. That of the profile is `default`.
    pub fn applied_to(&self, old: &Settings, default: Profile) -> Result<Change, Invalid> {
        let url = self.url.clone().map_or_else(|| old.url.clone(), StoredUrl::Open);
        read(self.fields.clone(), url, Some(old), default)
    }
}

fn read(
    mut fields: Fields<'_>,
    url: StoredUrl,
    old: Option<&Settings>,
    default: Profile,
) -> Result<Change, Invalid> {
    let [names_profile, names_headers] = ["profile", "headers"].map(|name| fields.has(name));
    let [gives_profile, gives_enabled] = ["profile", "enabled"].map(|name| fields.gives(name));
    let mut settings = Settings::take(&mut fields, old, url)?;
    let Beside { method, headers } = Beside::take(&mut fields, None)?;
    fields.finish()?;
    if !gives_profile && (names_profile || old.is_none()) {
        settings.profile = default;
    }
    settings.profile = profile(settings.profile, names_profile, method, default)?;
    settings.has_held = old.is_some_and(Settings::hold_anything);
    settings.check()?;
    let headers = names_headers.then(|| headers.unwrap_or_default());
    Ok(Change { enables: gives_enabled && settings.enabled, settings, headers })
}

/// Takes the URL that a body names, if it names one. This is the only way from a body to a URL.
fn url(fields: &mut Fields<'_>, policy: &UrlPolicy) -> Result<Option<PublicUrl>, Invalid> {
    let Some(text) = fields.take::<Optional<UrlText>>("url")? else { return Ok(None) };
    match PublicUrl::parse(&text, policy) {
        Ok(url) => Ok(Some(url)),
        Err(error) => Err(Invalid::field("url", "invalid_url", error.to_string())),
    }
}

/// The profile of a webhook. A `method` without a profile chooses one: `slack` the profile slack,
/// `https` the default instead of it, or the standard one if that is slack too.
fn profile(
    profile: Profile,
    is_named: bool,
    method: Option<Method>,
    default: Profile,
) -> Result<Profile, Invalid> {
    match method {
        None => Ok(profile),
        Some(method) if profile.method() == method => Ok(profile),
        Some(_) if is_named => Err(Invalid::field(
            "method",
            "invalid_method",
            "the method slack and the profile slack belong together",
        )),
        Some(Method::Slack) => Ok(Profile::Slack),
        Some(Method::Https) if default.method() == Method::Https => Ok(default),
        Some(Method::Https) => Ok(Profile::default()),
    }
}

#[cfg(feature = "openapi")]
mod document {
    use super::{Beside, Settings};
    use crate::input::openapi::{Body, Described, Field, Named, sent};

    /// The body of a registration.
    pub struct RegisterWebhook;

    /// The body of a change.
    pub struct ChangeWebhook;

    fn fields() -> impl Iterator<Item = Field> {
        Settings::fields().into_iter().chain(Beside::fields())
    }

    impl utoipa::PartialSchema for RegisterWebhook {
        fn schema() -> Described {
            sent(
                "The settings that a webhook is registered with. A `null` is the same as a field \
                 that is left out.",
                fields(),
            )
        }
    }

    impl utoipa::PartialSchema for ChangeWebhook {
        fn schema() -> Described {
            sent(
                "The fields that are changed. A field that is absent stays, one that is `null` \
                 goes back to its default.",
                fields().map(Field::optional),
            )
        }
    }

    impl utoipa::ToSchema for RegisterWebhook {
        fn schemas(named: &mut Named) {
            Settings::add_fields_to(named);
            Beside::add_fields_to(named);
        }
    }

    impl utoipa::ToSchema for ChangeWebhook {
        fn schemas(named: &mut Named) {
            Settings::add_fields_to(named);
            Beside::add_fields_to(named);
        }
    }
}

#[cfg(feature = "openapi")]
pub use document::{ChangeWebhook, RegisterWebhook};
