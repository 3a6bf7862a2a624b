//! The encryption key, from Secrets Manager: read when it is first needed, and then kept as long as
//! the process lives.
//!
//! Only who holds a [`Keys`] can open what is sealed. `register` and `console` seal and open,
//! `deliver` and `drain` open; no other function may read the key.
//!
//! Two versions of the secret count: `AWSCURRENT`, which seals, and `AWSPREVIOUS`. As long as every
//! text is sealed with the current one, only that is read. A text of another key lets both be read
//! anew, at most every [`REFRESH_INTERVAL`]: a process that began before the key was changed learns
//! the new one in this way, and one that began after it the old one.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use posthaste_domain::{
    endpoint::url::{PublicUrl, StoredUrl},
    webhook::{
        Credentials, Settings, Webhook,
        headers::{HeaderValue, Headers},
        key::WebhookKey,
        secret::{Sealed, Secret},
    },
};
use posthaste_store::{KeyRing, Purpose, SealError};
use tokio::sync::Mutex;

use crate::{clock, random};

/// The time that has to pass before the keys are read anew because of a text whose key is unknown.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The reason why something can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Secrets Manager refused or did not answer, after the SDK's own retries.
    #[error("the encryption key can't be read: {code}")]
    Call {
        /// The error code, or what kept the call from it.
        code: String,
        /// The whole of it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The secret has no text.
    #[error("the encryption key's secret has no text")]
    NoText,
    /// The key does not do.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no randomness.
    #[error("no random bytes")]
    Random(#[from] getrandom::Error),
}

/// The keys of the secret with this ARN. Clones share what was read.
#[derive(Debug, Clone)]
pub struct Keys {
    client: Client,
    secret: String,
    seals_urls: bool,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    ring: Option<Arc<KeyRing>>,
    refreshed: Option<Instant>,
}

impl Keys {
    /// Returns keys that have read nothing yet.
    pub fn new(client: Client, secret: impl Into<String>) -> Self {
        Self { client, secret: secret.into(), seals_urls: true, held: Arc::default() }
    }

    /// The same, which seals URLs or leaves them open.
    #[must_use]
    pub fn sealing_urls(self, seals_urls: bool) -> Self {
        Self { seals_urls, ..self }
    }

    /// Makes sure that there is a key. To be called while something else is waited for.
    pub async fn ready(&self) -> Result<(), KeysError> {
        self.ring().await.map(drop)
    }

    /// Opens all that a webhook stores sealed.
    pub async fn open(&self, webhook: &Webhook) -> Result<Credentials, KeysError> {
        // A secret that has ended may be sealed with a key that is gone.
        let webhook =
            &Webhook { secrets: webhook.secrets.clone().pruned(clock::now()), ..webhook.clone() };
        match self.ring().await?.credentials(webhook) {
            Err(SealError::UnknownKey(_)) => Ok(self.refreshed().await?.credentials(webhook)?),
            opened => Ok(opened?),
        }
    }

    /// Seals a signing secret.
    pub async fn seal_secret(
        &self,
        webhook: &WebhookKey,
        secret: &Secret,
    ) -> Result<Sealed, KeysError> {
        Ok(self.ring().await?.seal(webhook, Purpose::Secret, &secret.reveal(), random::bytes()?)?)
    }

    /// Seals what a browser keeps as a cookie of this name.
    pub async fn seal_cookie(&self, name: &str, text: &str) -> Result<Sealed, KeysError> {
        Ok(self.ring().await?.seal_cookie(name, text, random::bytes()?)?)
    }

    /// Opens what a browser has kept as a cookie of this name. It is none if nobody sealed it so
    /// with a key of the deployment: anybody can send any cookie.
    pub async fn open_cookie(
        &self,
        name: &str,
        sealed: &Sealed,
    ) -> Result<Option<String>, KeysError> {
        let opened = match self.ring().await?.open_cookie(name, sealed) {
            Err(SealError::UnknownKey(_)) => self.refreshed().await?.open_cookie(name, sealed),
            opened => opened,
        };
        Ok(opened.ok())
    }

    /// Seals the values of headers. Where there are none, no key is needed.
    pub async fn seal_headers(
        &self,
        webhook: &WebhookKey,
        headers: &Headers<HeaderValue>,
    ) -> Result<Headers<Sealed>, KeysError> {
        if headers.is_empty() {
            return Ok(Headers::default());
        }
        let ring = self.ring().await?;
        headers.try_map(|name, value| {
            Ok(ring.seal(webhook, Purpose::Header(name), value.reveal(), random::bytes()?)?)
        })
    }

    /// Seals where requests go, if URLs are sealed.
    pub async fn seal_url(
        &self,
        webhook: &WebhookKey,
        url: &PublicUrl,
    ) -> Result<StoredUrl, KeysError> {
        if !self.seals_urls {
            return Ok(StoredUrl::Open(url.clone()));
        }
        let sealed =
            self.ring().await?.seal(webhook, Purpose::Url, url.as_str(), random::bytes()?)?;
        Ok(StoredUrl::sealed(url, sealed))
    }

    /// Opens where a webhook's requests go. Where it is not sealed, no key is needed.
    pub async fn open_url(&self, webhook: &Webhook) -> Result<PublicUrl, KeysError> {
        if let StoredUrl::Open(url) = &webhook.settings.url {
            return Ok(url.clone());
        }
        match self.ring().await?.url(webhook) {
            Err(SealError::UnknownKey(_)) => Ok(self.refreshed().await?.url(webhook)?),
            opened => Ok(opened?),
        }
    }

    /// The webhook with all that it stores sealed as it is to be, with the newest key; none if it
    /// is so.
    pub async fn reseal(&self, webhook: &Webhook) -> Result<Option<Webhook>, KeysError> {
        let ring = self.ring().await?;
        let mut sealed =
            webhook.secrets.iter().chain(webhook.headers.iter().map(|(_, value)| value));
        let url_is_sealed = match &webhook.settings.url {
            StoredUrl::Open(_) => !self.seals_urls,
            StoredUrl::Sealed { sealed, .. } => self.seals_urls && ring.is_newest(sealed),
        };
        if url_is_sealed && sealed.all(|sealed| ring.is_newest(sealed)) {
            return Ok(None);
        }
        let plain = self.open(webhook).await?;
        let (ring, key) = (self.ring().await?, &webhook.key);
        let secrets = plain.secrets.try_map(|secret| {
            Ok::<_, KeysError>(ring.seal(
                key,
                Purpose::Secret,
                &secret.reveal(),
                random::bytes()?,
            )?)
        })?;
        let headers = self.seal_headers(key, &plain.headers).await?;
        let settings =
            Settings { url: self.seal_url(key, &plain.url).await?, ..webhook.settings.clone() };
        Ok(Some(Webhook { settings, secrets, headers, ..webhook.clone() }))
    }

    async fn ring(&self) -> Result<Arc<KeyRing>, KeysError> {
        let mut held = self.held.lock().await;
        if let Some(ring) = &held.ring {
            return Ok(Arc::clone(ring));
        }
        let current = self.version(CURRENT).await?.ok_or(KeysError::NoText)?;
        let ring = Arc::new(KeyRing::derive([current.as_str()])?);
        held.ring = Some(Arc::clone(&ring));
        Ok(ring)
    }

    /// Both versions, unless they were read a moment ago.
    async fn refreshed(&self) -> Result<Arc<KeyRing>, KeysError> {
        let mut held = self.held.lock().await;
        let is_recent = held.refreshed.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL);
        if let Some(ring) = held.ring.as_ref().filter(|_| is_recent) {
            return Ok(Arc::clone(ring));
        }
        held.refreshed = Some(Instant::now());
        let (current, previous) = tokio::try_join!(self.version(CURRENT), self.version(PREVIOUS))?;
        let current = current.ok_or(KeysError::NoText)?;
        let ring = Arc::new(KeyRing::derive(
            [Some(current.as_str()), previous.as_deref()].into_iter().flatten(),
        )?);
        tracing::info!("read the encryption keys anew");
        held.ring = Some(Arc::clone(&ring));
        Ok(ring)
    }

    /// The text that a staging label is attached to; none if it is attached to none.
    async fn version(&self, stage: &str) -> Result<Option<String>, KeysError> {
        let get = self.client.get_secret_value().secret_id(&self.secret).version_stage(stage);
        match get.send().await {
            Ok(answer) => answer.secret_string.ok_or(KeysError::NoText).map(Some),
            Err(error) if stage == PREVIOUS && is_missing(&error) => Ok(None),
            Err(error) => {
                let without_code = match &error {
                    SdkError::TimeoutError(_) => "no answer in time",
                    SdkError::DispatchFailure(_) => "the call did not get through",
                    _ => "no error code",
                };
                let code = error.code().unwrap_or(without_code).to_owned();
                Err(KeysError::Call { code, source: Box::new(error) })
            }
        }
    }
}

fn is_missing<R>(error: &SdkError<GetSecretValueError, R>) -> bool {
    error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception)
}
