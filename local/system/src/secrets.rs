//! Secrets Manager is played as far as it is used: its values are made once, GetSecretValue reads
//! them, and PutSecretValue replaces them.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use bytes::Bytes;
use http::{Response, StatusCode};
use posthaste_local_template::Secret;
use serde_json::json;

use crate::{private, serve::json as answer};

const LETTERS_AND_DIGITS: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The staging label of the value that a secret had before.
const PREVIOUS: &str = "AWSPREVIOUS";

/// The secrets with their values, which `Debug` does not show.
pub(crate) struct Secrets {
    values: Mutex<Values>,
    file: Option<PathBuf>,
}

/// The values by ARN. The previous value of a secret is under its ARN followed by [`PREVIOUS`].
type Values = BTreeMap<String, String>;

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.values.lock().unwrap_or_else(PoisonError::into_inner).keys())
            .finish()
    }
}

impl Secrets {
    /// Makes a value for each secret. If there is a directory, the values are kept there, readable
    /// by the owner alone, and read again next time.
    pub(crate) fn make(secrets: &[Secret], data: Option<&Path>) -> anyhow::Result<Self> {
        let file = data.map(|directory| directory.join("secrets.json"));
        let mut values: Values = match &file {
            Some(file) if file.exists() => serde_json::from_slice(&fs::read(file)?)
                .with_context(|| format!("{} can't be read", file.display()))?,
            _ => BTreeMap::new(),
        };
        for secret in secrets {
            if !values.contains_key(&secret.arn) {
                values.insert(secret.arn.clone(), generate(secret)?);
            }
        }
        let made = Self { values: Mutex::new(values), file };
        made.keep(&made.values.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(made)
    }

    /// The value of a secret.
    pub(crate) fn value(&self, arn: &str) -> Option<String> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned()
    }

    /// Answers GetSecretValue and PutSecretValue.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    pub(crate) fn respond(&self, operation: &str, body: &serde_json::Value) -> Response<Bytes> {
        let id = body["SecretId"].as_str().unwrap_or_default();
        match operation {
            "GetSecretValue" => {
                let value = match body["VersionStage"].as_str() {
                    None | Some("AWSCURRENT") => self.value(id),
                    Some(PREVIOUS) => self.value(&previous(id)),
                    Some(_) => None,
                };
                match value {
                    Some(value) => {
                        answer(StatusCode::OK, &json!({ "ARN": id, "SecretString": value }))
                    }
                    None => refused(
                        "ResourceNotFoundException",
                        "Secrets Manager can't find the specified secret, or none with this \
                         staging label.",
                    ),
                }
            }
            "PutSecretValue" => match (self.value(id), body["SecretString"].as_str()) {
                (Some(_), Some(value)) => match self.put(id, value) {
                    Ok(()) => answer(
                        StatusCode::OK,
                        &json!({ "ARN": id, "VersionStages": ["AWSCURRENT"] }),
                    ),
                    Err(error) => {
                        tracing::error!("a secret could not be kept: {error:#}");
                        refused("InternalServiceError", "The secret could not be kept.")
                    }
                },
                (Some(_), None) => refused("InvalidParameterException", "SecretString is missing."),
                (None, _) => refused(
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret.",
                ),
            },
            _ => refused("UnknownOperationException", ""),
        }
    }

    /// Gives a secret a new value. The one that was current becomes the previous value.
    fn put(&self, arn: &str, value: &str) -> anyhow::Result<()> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = values.insert(arn.to_owned(), value.to_owned()) {
            values.insert(previous(arn), old);
        }
        self.keep(&values)
    }

    /// Writes the values to their file, all or nothing: half a file would lose what nobody can make
    /// again.
    fn keep(&self, values: &Values) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        Ok(private::write(file, &serde_json::to_vec(values)?)?)
    }
}

fn refused(kind: &str, message: &str) -> Response<Bytes> {
    answer(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": message }))
}

fn previous(arn: &str) -> String {
    format!("{arn} {PREVIOUS}")
}

/// Makes a random text of letters and digits. Punctuation never occurs, excluded or not.
fn generate(secret: &Secret) -> anyhow::Result<String> {
    let mut text = String::new();
    while text.len() < secret.generate.length {
        let mut byte = [0];
        getrandom::fill(&mut byte).context("no randomness")?;
        // 248 is the largest multiple of 62 in a byte: above it the first digits would come more
        // often.
        if byte[0] < 248 {
            text.push(char::from(LETTERS_AND_DIGITS[usize::from(byte[0] % 62)]));
        }
    }
    match (&secret.generate.template, &secret.generate.key) {
        (Some(template), Some(key)) => {
            let mut value: serde_json::Value =
                serde_json::from_str(template).context("SecretStringTemplate is not JSON")?;
            value[key] = text.into();
            Ok(value.to_string())
        }
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_local_template::GenerateSecret;
    use serde_json::Value;

    use super::*;

    const ARN: &str =
        "arn:aws:secretsmanager:us-east-1:000000000000:secret:posthaste-EncryptionKey-000000";

    fn make(data: Option<&Path>) -> Secrets {
        let generate =
            GenerateSecret { length: 64, exclude_punctuation: true, template: None, key: None };
        let (logical_id, name) = ("EncryptionKey".to_owned(), "posthaste-EncryptionKey".to_owned());
        Secrets::make(&[Secret { logical_id, name, arn: ARN.to_owned(), generate }], data).unwrap()
    }

    fn get(secrets: &Secrets, stage: Option<&str>) -> Result<String, String> {
        let response =
            secrets.respond("GetSecretValue", &json!({ "SecretId": ARN, "VersionStage": stage }));
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        body["SecretString"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| body["__type"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_value_is_kept_and_so_is_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let first = make(Some(directory.path()));
        let value = get(&first, None).unwrap();
        assert_eq!(value.len(), 64);
        assert_eq!(get(&first, Some(PREVIOUS)), Err("ResourceNotFoundException".to_owned()));
        let put = json!({ "SecretId": ARN, "SecretString": "another" });
        assert_eq!(first.respond("PutSecretValue", &put).status(), StatusCode::OK);
        let second = make(Some(directory.path()));
        assert_eq!(get(&second, None), Ok("another".to_owned()));
        assert_eq!(get(&second, Some("AWSCURRENT")), Ok("another".to_owned()));
        assert_eq!(get(&second, Some(PREVIOUS)), Ok(value.clone()));
        assert_ne!(get(&make(None), None), Ok(value));
    }
}
