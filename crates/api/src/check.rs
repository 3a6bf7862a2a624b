//! Holds an answer of the API against the document.

use std::{collections::BTreeMap, sync::OnceLock};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

use crate::openapi;

const LOCATION: &str = "https://posthaste.invalid/openapi.json";

/// Checks an answer in JSON: whether the document knows the call, that it can answer with this
/// status, and that this body is one of those answers, without any field that the document does not
/// name. `path` is that of the request, such as `/api/v1/webhooks/42/deliveries?limit=7`.
///
/// A call that the document does not know has to fail with 404 or 405. The error is a text for a
/// person.
pub fn answer(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    static CHECKS: OnceLock<Result<Checks, String>> = OnceLock::new();
    let checks = CHECKS.get_or_init(Checks::new).as_ref().map_err(Clone::clone)?;
    checks
        .answer(method, path, status, body)
        .map_err(|error| format!("{method} {path}, status {status}: {error}"))
}

/// The answers that an operation can give: the schema for each status.
type Answers = BTreeMap<u16, SchemaIndex>;

struct Checks {
    schemas: Schemas,
    /// By template and method, such as `/api/v1/webhooks/{id}` and `get`.
    operations: Vec<(String, String, Answers)>,
    failure: SchemaIndex,
}

impl Checks {
    fn new() -> Result<Self, String> {
        let mut document =
            serde_json::to_value(openapi::document()).map_err(|error| error.to_string())?;
        close(&mut document);
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(LOCATION, document.clone()).map_err(|error| error.to_string())?;
        let mut schemas = Schemas::new();
        let mut compile = |at: &str| {
            compiler
                .compile(&format!("{LOCATION}#{at}"), &mut schemas)
                .map_err(|error| format!("{at}: {error:#}"))
        };
        let failure = compile("/components/schemas/Failure")?;
        let mut operations = Vec::new();
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                let mut answers = Answers::new();
                for (status, response) in members(&operation["responses"]) {
                    let path = path.replace('~', "~0").replace('/', "~1");
                    let own = format!("/paths/{path}/{method}/responses/{status}");
                    // What calls share is described elsewhere.
                    let shared =
                        response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
                    let at = format!("{}/content/application~1json/schema", shared.unwrap_or(&own));
                    let status =
                        status.parse().map_err(|_| format!("{at}: a status has to be a number"))?;
                    answers.insert(status, compile(&at)?);
                }
                operations.push((path.clone(), method.clone(), answers));
            }
        }
        Ok(Self { schemas, operations, failure })
    }

    fn answer(&self, method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
        let path = path.split('?').next().unwrap_or_default();
        let method = method.to_ascii_lowercase();
        // A path without parameters is closer than one with them.
        let fitting = self
            .operations
            .iter()
            .filter(|(template, known, _)| *known == method && fits(template, path));
        let schema = match fitting.min_by_key(|(template, ..)| template.matches('{').count()) {
            Some((template, _, answers)) => answers
                .get(&status)
                .ok_or_else(|| format!("{template} has no such status in the document"))?,
            None if matches!(status, 404 | 405) => &self.failure,
            None => return Err("the document has no such operation".to_owned()),
        };
        self.schemas.validate(body, *schema).map_err(|error| format!("{error:#}\n{body}"))
    }
}

/// Returns whether this is a path of the template.
fn fits(template: &str, path: &str) -> bool {
    let mut path = path.split('/');
    let all = template.split('/').all(|wanted| {
        path.next()
            .is_some_and(|part| wanted == part || (wanted.starts_with('{') && !part.is_empty()))
    });
    all && path.next().is_none()
}

/// Makes every object schema that names its properties take no others. A client has to expect more,
/// a test must not.
pub(crate) fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            for (name, value) in members {
                if !matches!(name.as_str(), "example" | "examples" | "default" | "enum") {
                    close(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failure(code: &str) -> Value {
        json!({ "success": false, "error": { "code": code, "message": "No.", "requestId": "1" } })
    }

    #[test]
    fn an_answer_is_held_against_its_operation() {
        let removed = json!({ "success": true, "data": { "id": 42, "deleted": true } });
        assert_eq!(answer("DELETE", "/api/v1/webhooks/42", 200, &removed), Ok(()));
        assert_eq!(answer("delete", "/api/v1/webhooks/{id}", 200, &removed), Ok(()));
        assert!(answer("DELETE", "/api/v1/keys/42", 200, &removed).is_err(), "a key has a UUID");
        assert!(answer("GET", "/api/v1/webhooks/42", 200, &removed).is_err());
        let page = json!({ "success": true, "data": { "items": [], "next": null } });
        assert_eq!(answer("GET", "/api/v1/webhooks/42/deliveries?limit=7", 200, &page), Ok(()));
        assert!(answer("GET", "/api/v1/webhooks/42", 200, &page).is_err());
    }

    #[test]
    fn a_field_or_a_status_that_is_not_in_the_document_is_found() {
        let more = json!({ "success": true, "data": { "id": 42, "deleted": true, "name": "x" } });
        assert!(answer("DELETE", "/api/v1/webhooks/42", 200, &more).unwrap_err().contains("name"));
        let page = json!({ "success": true, "data": { "items": [], "next": null }, "page": 1 });
        assert!(answer("GET", "/api/v1/webhooks", 200, &page).is_err());
        assert!(
            answer("GET", "/api/v1/webhooks", 409, &failure("conflict"))
                .unwrap_err()
                .contains("no such status")
        );
        assert_eq!(answer("PATCH", "/api/v1/webhooks/42", 409, &failure("conflict")), Ok(()));
    }

    #[test]
    fn what_api_gateway_answers_itself_is_in_the_document() {
        let message = json!({ "message": "Too Many Requests" });
        for status in [429, 500, 503, 504] {
            assert_eq!(answer("GET", "/api/v1/webhooks", status, &message), Ok(()), "{status}");
        }
        assert_eq!(answer("POST", "/api/v1/events", 413, &message), Ok(()));
        assert_eq!(answer("GET", "/api/v1/openapi.json", 503, &message), Ok(()));
        for status in [401, 403, 422] {
            assert!(
                answer("GET", "/api/v1/webhooks", status, &message).is_err(),
                "{status} has the envelope"
            );
        }
        assert_eq!(answer("GET", "/api/v1/webhooks", 429, &failure("too_many_calls")), Ok(()));
        assert!(answer("GET", "/api/v1/webhooks", 503, &failure("internal_error")).is_err());
    }

    #[test]
    fn a_call_that_is_not_in_the_document_has_to_fail() {
        assert_eq!(answer("GET", "/api/v1/nothing", 404, &failure("not_found")), Ok(()));
        assert_eq!(answer("PUT", "/api/v1/webhooks", 405, &failure("method_not_allowed")), Ok(()));
        for path in ["/api/v1/webhooks/", "/api/v1/webhooks/42/", "/webhooks"] {
            assert!(
                answer("GET", path, 200, &json!({})).unwrap_err().contains("no such operation"),
                "{path}"
            );
        }
        assert!(answer("GET", "/api/v1/nothing", 404, &json!({ "message": "Not Found" })).is_err());
    }
}
