//! The session of a portal link for some webhooks sees a part of the API: those webhooks, and of each
//! list only what is about them. Every call of a page passes here.

use axum::http::Method;
use posthaste_domain::{access::portal_link::PortalLink, id::WebhookId};
use serde_json::Value;

/// The reach of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The call is made as it is.
    Whole,
    /// The answer is a list, of which the visitor sees the items whose member of this name is one
    /// of the link's webhooks.
    Part(&'static str),
    /// The call is not made.
    Nothing,
}

/// The reach of a call in the session of this link.
pub(crate) fn reach(link: &PortalLink, method: &Method, path: &str) -> Reach {
    if link.webhook_ids.is_none() {
        return Reach::Whole;
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let reads = *method == Method::GET;
    match parts[..] {
        ["webhooks"] if reads => Reach::Part("id"),
        ["deliveries"] | ["events", _, "deliveries"] if reads => Reach::Part("webhookId"),
        ["webhooks", _] if *method == Method::DELETE => Reach::Nothing,
        ["webhooks", id, ..] if id.parse::<WebhookId>().is_ok_and(|id| link.sees(id)) => {
            Reach::Whole
        }
        ["workspace"] if reads => Reach::Whole,
        // A dry run tells of every webhook of the workspace.
        ["events"] if reads || !query.contains("dry_run") => Reach::Whole,
        ["events", _] | ["event-types"] | ["event-types", _] if reads => Reach::Whole,
        _ => Reach::Nothing,
    }
}

/// Leaves out of a list what is about other webhooks.
pub(crate) fn cut(link: &PortalLink, member: &str, mut list: Value) -> Value {
    if let Some(items) = list.get_mut("items").and_then(Value::as_array_mut) {
        items.retain(|item| {
            let id = item[member].as_u64().and_then(|id| id.to_string().parse().ok());
            id.is_some_and(|id| link.sees(id))
        });
    }
    list
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn link(ids: Option<&[u64]>) -> PortalLink {
        let link = json!({
            "id": "01890000-0000-7000-8000-000000000000",
            "workspace": "acme",
            "scopes": ["webhooks:manage", "events:read", "events:publish"],
            "webhookIds": ids,
            "createdAt": "2026-01-01T00:00:00Z",
            "createdBy": "01890000-0000-7000-8000-000000000000",
            "keyHash": "00",
            "expiresAt": "2026-01-01T00:15:00Z",
            "sessionSeconds": 43200
        });
        serde_json::from_value(link).unwrap()
    }

    #[test]
    fn a_link_for_some_webhooks_reaches_those_and_nothing_of_others() {
        let link = link(Some(&[7, 9]));
        for (method, path, expected) in [
            (Method::GET, "/webhooks?limit=20", Reach::Part("id")),
            (Method::POST, "/webhooks", Reach::Nothing),
            (Method::GET, "/webhooks/7", Reach::Whole),
            (Method::PATCH, "/webhooks/7", Reach::Whole),
            (Method::DELETE, "/webhooks/7", Reach::Nothing),
            (Method::DELETE, "/webhooks/7/replay/x", Reach::Whole),
            (Method::POST, "/webhooks/9/test", Reach::Whole),
            (Method::GET, "/webhooks/8", Reach::Nothing),
            (Method::GET, "/webhooks/8/deliveries", Reach::Nothing),
            (Method::GET, "/webhooks/7?x=/webhooks/8", Reach::Whole),
            (Method::GET, "/deliveries?status=exhausted", Reach::Part("webhookId")),
            (Method::GET, "/events/x/deliveries", Reach::Part("webhookId")),
            (Method::GET, "/events/x", Reach::Whole),
            (Method::POST, "/events", Reach::Whole),
            (Method::POST, "/events?dry_run=true", Reach::Nothing),
            (Method::PATCH, "/workspace", Reach::Nothing),
            (Method::PUT, "/event-types/a.b", Reach::Nothing),
            (Method::GET, "/keys", Reach::Nothing),
            (Method::POST, "/portal-links", Reach::Nothing),
            (Method::POST, "/simulations", Reach::Nothing),
            (Method::GET, "/deployment", Reach::Nothing),
            (Method::GET, "/", Reach::Nothing),
        ] {
            assert_eq!(reach(&link, &method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_link_for_a_workspace_reaches_what_its_scopes_reach() {
        assert_eq!(reach(&link(None), &Method::POST, "/webhooks"), Reach::Whole);
    }

    #[test]
    fn lists_are_cut_to_the_webhooks_of_the_link() {
        let list = json!({ "items": [{ "webhookId": 7 }, { "webhookId": 8 }, {}], "next": "c" });
        assert_eq!(
            cut(&link(Some(&[7])), "webhookId", list),
            json!({ "items": [{ "webhookId": 7 }], "next": "c" })
        );
    }
}
