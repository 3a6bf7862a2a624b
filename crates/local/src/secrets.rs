//! Secrets Manager, as far as it is used: values made once, and GetSecretValue.

use std::{collections::BTreeMap, fmt, fs, io, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::Context;
use bytes::Bytes;
use http::{Response, StatusCode};
use posthaste_local_template::Secret;
use serde_json::json;

use crate::serve::json as answer;

const LETTERS_AND_DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The values by ARN. Debug shows none.
pub(crate) struct Secrets(BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// Makes the values. With a directory they are kept there, readable by the owner alone, and read again next time.
    pub(crate) fn make(secrets: &[Secret], data: Option<&Path>) -> anyhow::Result<Self> {
        let file = data.map(|directory| directory.join("secrets.json"));
        let mut values: BTreeMap<String, String> = match &file {
            Some(file) if file.exists() => {
                serde_json::from_slice(&fs::read(file)?).with_context(|| format!("{} can't be read", file.display()))?
            }
            _ => BTreeMap::new(),
        };
        for secret in secrets {
            if !values.contains_key(&secret.arn) {
                values.insert(secret.arn.clone(), generate(secret)?);
            }
        }
        if let Some(file) = file {
            let mut open = fs::OpenOptions::new();
            let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(file)?;
            io::Write::write_all(&mut file, &serde_json::to_vec(&values)?)?;
        }
        Ok(Self(values))
    }

    /// The value of a secret.
    pub(crate) fn value(&self, arn: &str) -> Option<&str> {
        self.0.get(arn).map(String::as_str)
    }

    /// Answers GetSecretValue.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub(crate) fn respond(&self, operation: &str, body: &serde_json::Value) -> Response<Bytes> {
        let id = body["SecretId"].as_str().unwrap_or_default();
        match (operation, self.value(id)) {
            ("GetSecretValue", Some(value)) => answer(StatusCode::OK, &json!({ "ARN": id, "SecretString": value })),
            ("GetSecretValue", None) => {
                let message = "Secrets Manager can't find the specified secret.";
                answer(StatusCode::BAD_REQUEST, &json!({ "__type": "ResourceNotFoundException", "message": message }))
            }
            _ => answer(StatusCode::BAD_REQUEST, &json!({ "__type": "UnknownOperationException" })),
        }
    }
}

/// Letters and digits; punctuation is not made, whether or not it is excluded.
fn generate(secret: &Secret) -> anyhow::Result<String> {
    let mut text = String::new();
    while text.len() < secret.generate.length {
        let mut byte = [0];
        getrandom::fill(&mut byte).context("no randomness")?;
        // 248 is the largest multiple of 62 in a byte: above it the first digits would come more often.
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
