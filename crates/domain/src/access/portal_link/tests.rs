use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(body: &Value) -> Result<NewPortalLink, Invalid> {
    NewPortalLink::parse(body.to_string().as_bytes())
}

/// Reads a body with one more field.
fn with(name: &str, value: Value) -> Result<NewPortalLink, Invalid> {
    let mut body = json!({ "scopes": ["webhooks:manage"] });
    body[name] = value;
    parse(&body)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn link(body: &Value) -> PortalLink {
    let workspace = Workspace::parse("acme").unwrap();
    let maker = (KeyId::new(at(0), &[1; 10]), KeyHash::from("00".repeat(32)));
    let id = PortalLinkId::new(at(0), &[2; 10]);
    PortalLink::new(id, workspace, parse(body).unwrap(), maker, at(0))
}

#[test]
fn tokens_have_their_prefix_and_43_letters_and_digits() {
    assert_eq!(PortalToken::new(&[0; 32]).reveal(), format!("plk_{}", "0".repeat(43)));
    let token = PortalToken::new(&[0xff; 32]);
    assert!(token.is_well_formed(), "{}", token.reveal());
    assert_eq!(format!("{token:?}"), "PortalToken(…)");
    assert_ne!(token.hash(), PortalToken::new(&[0xfe; 32]).hash());
    assert_eq!(token.hash(), PortalToken::presented(token.reveal()).hash());
    assert_eq!(token.hash().as_str().len(), 64);
}

#[test]
fn what_is_no_token_is_not_looked_up() {
    let good = format!("plk_{}", "a".repeat(43));
    assert!(PortalToken::presented(&good).is_well_formed());
    for bad in [
        "",
        "plk_",
        "plk_xxx",
        &good[1..],
        &format!("{good}a"),
        &good.replace("aaa", "a-a"),
        &good.replace("plk_", "spk_"),
    ] {
        assert!(!PortalToken::presented(bad).is_well_formed(), "{bad}");
    }
}

#[test]
fn a_link_of_scopes_alone_has_the_defaults() {
    let asked = parse(&json!({ "scopes": ["webhooks:manage", "events:read"] })).unwrap();
    let expected = NewPortalLink {
        scopes: [Scope::WebhooksManage, Scope::EventsRead].into(),
        expires_in_seconds: 900,
        session_seconds: 43_200,
        webhook_ids: None,
        return_url: None,
        theme: None,
        frame_origins: vec![],
    };
    assert_eq!(asked, expected);
}

#[test]
fn addresses_and_colours_are_kept_in_their_normal_form() {
    let theme = json!({
        "name": "Größe & Co",
        "logoUrl": "https://CDN.example.com:443/logo.svg",
        "accentColor": "#36A64F",
    });
    let theme = with("theme", theme).unwrap().theme.unwrap();
    let logo = theme.logo_url.unwrap();
    assert_eq!(logo.as_str(), "https://cdn.example.com/logo.svg");
    assert_eq!(logo.origin().as_deref(), Some("https://cdn.example.com"));
    assert_eq!(theme.accent_color.unwrap().as_str(), "#36a64f");
    assert_eq!(theme.name.as_deref(), Some("Größe & Co"));
    for (written, kept) in [
        ("https://Shop.example.com", "https://shop.example.com/"),
        ("https://shop.example.com/hooks?tab=1#top", "https://shop.example.com/hooks?tab=1#top"),
        ("http://localhost:3000/back", "http://localhost:3000/back"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
        ("http://[::1]:3000/", "http://[::1]:3000/"),
        ("https://10.0.0.1/intranet", "https://10.0.0.1/intranet"),
    ] {
        let asked = with("returnUrl", json!(written)).unwrap();
        assert_eq!(asked.return_url.unwrap().as_str(), kept, "{written}");
    }
    for (written, kept) in [
        ("https://Shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("https://shop.example.com:8443", "https://shop.example.com:8443"),
        ("https://192.0.2.7", "https://192.0.2.7"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://app.localhost", "http://app.localhost"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("https://müller.example", "https://xn--mller-kva.example"),
    ] {
        let asked = with("frameOrigins", json!([written])).unwrap();
        assert_eq!(asked.frame_origins[0].as_str(), kept, "{written}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long = format!("https://example.com/{}", "x".repeat(2048));
    let cases = [
        ("expiresInSeconds", json!(0), "expiresInSeconds", "out_of_range"),
        ("expiresInSeconds", json!(86_401), "expiresInSeconds", "out_of_range"),
        ("expiresInSeconds", json!("1h"), "expiresInSeconds", "wrong_type"),
        ("sessionSeconds", json!(0), "sessionSeconds", "out_of_range"),
        ("sessionSeconds", json!(43_201), "sessionSeconds", "out_of_range"),
        ("webhookIds", json!([]), "webhookIds", "wrong_count"),
        ("webhookIds", json!(vec![1; 101]), "webhookIds", "wrong_count"),
        ("webhookIds", json!(7), "webhookIds", "wrong_type"),
        ("webhookIds", json!([7, "8"]), "webhookIds[1]", "wrong_type"),
        ("webhookIds", json!([7, -8]), "webhookIds[1]", "out_of_range"),
        ("returnUrl", json!("shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("http://shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("javascript:alert(1)"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("https://me:pw@shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("https://@shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("https:\\\\shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("https:///shop.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!("https://a;b.example.com"), "returnUrl", "invalid_url"),
        ("returnUrl", json!(long), "returnUrl", "too_long"),
        ("returnUrl", json!(1), "returnUrl", "wrong_type"),
        ("theme", json!("dark"), "theme", "wrong_type"),
        ("theme", json!({ "name": "" }), "theme.name", "too_short"),
        ("theme", json!({ "name": "ü".repeat(65) }), "theme.name", "too_long"),
        ("theme", json!({ "logoUrl": "http://localhost/a.png" }), "theme.logoUrl", "invalid_url"),
        ("theme", json!({ "logoUrl": "data:image/png;,x" }), "theme.logoUrl", "invalid_url"),
        ("theme", json!({ "accentColor": "36a64f" }), "theme.accentColor", "invalid_color"),
        ("theme", json!({ "accentColor": "#36a64" }), "theme.accentColor", "invalid_color"),
        ("theme", json!({ "accentColor": "#36a64f;" }), "theme.accentColor", "invalid_color"),
        ("theme", json!({ "colour": "#36a64f" }), "theme.colour", "unknown_field"),
        ("frameOrigins", json!("https://a.example"), "frameOrigins", "wrong_type"),
        ("frameOrigins", json!(vec!["https://a.example"; 11]), "frameOrigins", "wrong_count"),
        ("frameOrigins", json!(["https://a.example", 1]), "frameOrigins[1]", "wrong_type"),
        ("workspace", json!("other"), "workspace", "unknown_field"),
    ];
    for (name, value, field, code) in cases {
        let refused = with(name, value.clone()).unwrap_err();
        assert_eq!((refused.field.as_deref(), refused.code), (Some(field), code), "{value}");
    }
    let refused = parse(&json!({})).unwrap_err();
    assert_eq!((refused.field.as_deref(), refused.code), (Some("scopes"), "missing_field"));
    let refused = parse(&json!({ "scopes": [] })).unwrap_err();
    assert_eq!((refused.field.as_deref(), refused.code), (Some("scopes"), "wrong_count"));
}

#[test]
fn an_origin_has_no_path_no_wildcard_and_no_end_of_a_header() {
    for bad in [
        "",
        "*",
        "shop.example.com",
        "https://",
        "https://*",
        "https://*.example.com",
        "https://shop.example.com/",
        "https://shop.example.com?",
        "https://shop.example.com#",
        "https://shop.example.com; script-src *",
        "https://a.example;script-src",
        "https://a.example,https://b.example",
        "https://a.example https://b.example",
        "https://a.example\nx: y",
        "https://me@shop.example.com",
        "https://shop.example.com:99999",
        "https://[2001:db8::1]",
        "http://shop.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http:localhost",
        "ftp://localhost",
        "'self'",
        "null",
        "data:,x",
    ] {
        let refused = with("frameOrigins", json!(["https://a.example", bad])).unwrap_err();
        let at = (refused.field.as_deref(), refused.code);
        assert_eq!(at, (Some("frameOrigins[1]"), "invalid_origin"), "{bad}");
    }
}

proptest! {
    /// Whatever a client sends, a header that names the origin has one source more and nothing else.
    #[test]
    fn an_origin_that_is_taken_is_one_word_of_a_header(
        origin in "https?://[ -~äß]{1,30}|https://[a-z.*;, '%:]{1,20}"
    ) {
        if let Ok(asked) = with("frameOrigins", json!([origin])) {
            let kept = asked.frame_origins[0].as_str();
            let (_, host) = kept.split_once("://").unwrap();
            prop_assert!(
                host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b)),
                "{kept}"
            );
            let again = with("frameOrigins", json!([kept])).unwrap();
            prop_assert_eq!(again.frame_origins[0].as_str(), kept);
        }
    }
}

#[test]
fn a_link_to_some_webhooks_has_no_scope_that_reaches_all() {
    for scope in ["keys:manage", "workspaces:manage"] {
        let mut body = json!({ "scopes": ["webhooks:manage", scope] });
        assert!(parse(&body).is_ok(), "{scope}");
        body["webhookIds"] = json!([7]);
        let refused = parse(&body).unwrap_err();
        assert_eq!((refused.field.as_deref(), refused.code), (Some("scopes"), "unbounded_scope"));
    }
    let some = link(&json!({ "scopes": ["webhooks:manage"], "webhookIds": [7, 9] }));
    assert!(some.sees(WebhookId(7)) && some.sees(WebhookId(9)) && !some.sees(WebhookId(8)));
    assert!(link(&json!({ "scopes": ["webhooks:manage"] })).sees(WebhookId(8)));
}

#[test]
fn nobody_gives_or_takes_away_more_than_they_have() {
    let body = json!({ "scopes": ["webhooks:manage", "events:read"] });
    let held = BTreeSet::from([Scope::KeysManage, Scope::EventsRead]);
    for beyond in [parse(&body).unwrap().beyond(&held), link(&body).beyond(&held)] {
        assert_eq!(beyond, Some(Scope::WebhooksManage));
    }
    let held = BTreeSet::from(Scope::ALL);
    assert_eq!(parse(&body).unwrap().beyond(&held), None);
    assert_eq!(link(&body).beyond(&held), None);
}

#[test]
fn a_webhook_that_does_not_exist_is_named_by_its_place() {
    let asked = with("webhookIds", json!([7, 9, 8])).unwrap();
    let refused = asked.check_webhooks(|id| id == WebhookId(7)).unwrap_err();
    let at = (refused.field.as_deref(), refused.code);
    assert_eq!(at, (Some("webhookIds[1]"), "unknown_webhook"));
    assert_eq!(asked.check_webhooks(|_| true), Ok(()));
    assert_eq!(with("webhookIds", Value::Null).unwrap().check_webhooks(|_| false), Ok(()));
}

#[test]
fn a_link_opens_once_and_before_it_expires() {
    let made =
        link(&json!({ "scopes": ["events:read"], "expiresInSeconds": 60, "sessionSeconds": 100 }));
    assert_eq!((made.expires_at, made.session_ends_at()), (at(60), None));
    let opened = made.opened(at(59)).unwrap();
    assert_eq!((opened.opened_at, opened.session_ends_at()), (Some(at(59)), Some(at(159))));
    assert_eq!(opened.opened(at(59)), Err(NotOpened::Used));
    assert_eq!(opened.opened(at(61)), Err(NotOpened::Used));
    assert_eq!(made.opened(at(60)), Err(NotOpened::Expired));
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert_eq!(made.listed_until(), at(160) + week);
}

#[test]
fn a_stored_link_is_read_as_it_was() {
    let body = json!({
        "scopes": ["webhooks:manage"],
        "webhookIds": [7],
        "returnUrl": "https://shop.example.com/back",
        "theme": { "name": "Shop", "logoUrl": "https://a.example/l.svg", "accentColor": "#000000" },
        "frameOrigins": ["https://shop.example.com"],
    });
    for made in [link(&body), link(&json!({ "scopes": ["events:read"] }))] {
        let stored = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<PortalLink>(&stored).unwrap(), made, "{stored}");
    }
}
