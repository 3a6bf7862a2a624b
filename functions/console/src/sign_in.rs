//! Signing in and out, and the mode that a visitor works in.

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use lambda_http::{RequestExt, request::RequestContext};
use maud::{Markup, html};
use posthaste_domain::access::{
    api_key::ApiKey,
    session::{LASTS, Session},
    workspace::Workspace,
};
use posthaste_runtime::{clock, random};
use posthaste_store::Bucket;

use crate::{
    Console,
    control::writable,
    cookie::{self, Cookie, Kept, is_loopback},
    form::{Fields, Posted, comes_from_here},
    layout::{self, first_page},
    trouble::Trouble,
    visitor::Visitor,
};

/// The page on which somebody signs in. It leads to the page that they wanted.
pub(crate) async fn page(request: Request) -> Response {
    let query = Fields::parse(request.uri().query().unwrap_or_default().as_bytes());
    layout::alone("Sign in", content(&query, None))
}

/// Exchanges an API key for a session.
pub(crate) async fn sign_in(
    State(console): State<Console>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Trouble> {
    comes_from_here(&headers)?;
    let bucket = Bucket::SignIns(address(&request));
    let body =
        axum::body::to_bytes(request.into_body(), 16 * 1024).await.unwrap_or_else(|_| Bytes::new());
    let fields = Fields::parse(&body);
    let again = |status, complaint: &str| {
        let content = content(&fields, Some(complaint));
        Ok((status, layout::alone("Sign in", content)).into_response())
    };
    if let Err(over) = console.sign_ins.admit(&bucket, 1).await {
        let complaint =
            format!("There were too many tries. Wait {} s and try it again.", over.seconds);
        return again(StatusCode::TOO_MANY_REQUESTS, &complaint);
    }
    let key = ApiKey::presented(fields.text("key"));
    if !key.is_well_formed() {
        let complaint = "An API key begins with spk_live_ or spk_test_ and has 43 letters and digits behind it.";
        return again(StatusCode::UNPROCESSABLE_ENTITY, complaint);
    }
    let known = console.door.look_up(key.hash()).await.map_err(|_| Trouble::Internal)?;
    let Some(info) = known else {
        return again(
            StatusCode::UNPROCESSABLE_ENTITY,
            "There is no such API key. Perhaps it was revoked.",
        );
    };
    let before = session_before(&console, &headers).await?;
    let session = Session::of_key(&key.hash(), &info, before, form_token()?, clock::now());
    let is_secure = !is_loopback(&headers);
    let kept = Kept { is_secure, is_framed: false, seconds: LASTS.as_secs() };
    let cookies = Cookie::Session.set(&session, kept, &console.keys).await?;
    tracing::info!(key.id = %info.id, workspace = %info.reach(), "somebody signed in to the console");
    let mut response = layout::redirect(own_page(fields.text("next")))?;
    cookie::add(&mut response, cookies);
    Ok(response)
}

/// Ends the session of this browser.
pub(crate) async fn sign_out(Posted { visitor, .. }: Posted) -> Result<Response, Trouble> {
    let mut response = layout::redirect("/console/sign-in")?;
    cookie::add(&mut response, Cookie::Session.forget(visitor.kept)?);
    Ok(response)
}

/// Goes on in the other mode. Where the key does not reach that, one of that mode is asked for.
pub(crate) async fn switch(Posted { visitor, .. }: Posted) -> Result<Response, Trouble> {
    let Some(session) = visitor.session.clone().switched(&visitor.key) else {
        let other = if visitor.is_in_test_mode() { "live" } else { "test" };
        return layout::redirect(&format!("/console/sign-in?mode={other}"));
    };
    let mut response = layout::redirect("/console")?;
    cookie::add(&mut response, visitor.keep(&session).await?);
    Ok(response)
}

/// Leads to the first page that the visitor can do anything on.
pub(crate) async fn home(visitor: Visitor) -> Result<Response, Trouble> {
    layout::redirect(first_page(&visitor))
}

/// The session that the browser has already, and its workspace.
async fn session_before(
    console: &Console,
    headers: &HeaderMap,
) -> Result<Option<(Session, Workspace)>, Trouble> {
    let session: Option<Session> = Cookie::Session.read(headers, &console.keys).await?;
    let Some(session) = session.filter(|session| session.is_open(clock::now())) else {
        return Ok(None);
    };
    let Some(hash) = session.key_hash() else { return Ok(None) };
    let info = console.door.look_up(hash).await.map_err(|_| Trouble::Internal)?;
    let workspace = info.and_then(|info| session.reach(&info));
    Ok(workspace.map(|workspace| (session, workspace)))
}

/// 128 random bits in hex.
pub(crate) fn form_token() -> Result<String, Trouble> {
    let bytes: [u8; 16] = random::bytes().map_err(Trouble::bug)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The page that was wanted, if it is one of the console's.
fn own_page(next: &str) -> &str {
    let is_own = next == "/console" || next.starts_with("/console/");
    if is_own && !next.contains(['\\', '\r', '\n']) { next } else { "/console" }
}

/// The address that API Gateway has the request from. All requests without one share the limit.
fn address(request: &Request) -> std::net::IpAddr {
    let of_gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    };
    let unknown = std::net::Ipv6Addr::UNSPECIFIED.into();
    of_gateway.and_then(|address| address.parse().ok()).unwrap_or(unknown)
}

fn content(fields: &Fields, complaint: Option<&str>) -> Markup {
    let next = fields.text("next");
    html! {
        section.card.narrow {
            h1 { "Sign in" }
            p {
                "Sign in with an API key of your workspace. What you can do here is what the key \
                 may do."
            }
            @match fields.text("mode") {
                "test" => p { "For test mode, take a key that begins with " code { "spk_test_" } "." },
                "live" => p { "For live mode, take a key that begins with " code { "spk_live_" } "." },
                _ => {}
            }
            form method="post" action="/console/sign-in" {
                @if !next.is_empty() { input type="hidden" name="next" value=(writable(next)); }
                div.field {
                    label for="key" { "API key" }
                    input id="key" name="key" type="password" autocomplete="current-password"
                        required autofocus spellcheck="false"
                        aria-invalid=[complaint.map(|_| "true")]
                        aria-describedby=[complaint.map(|_| "key-complaint")];
                    @if let Some(complaint) = complaint {
                        p.complaint id="key-complaint" role="alert" { (complaint) }
                    }
                }
                button.primary type="submit" { "Sign in" }
            }
            p.quiet {
                "The key is not kept. The session ends after 12 hours, or when the key is revoked."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in ["/console", "/console/webhooks/7?page=2"] {
            assert_eq!(own_page(own), own);
        }
        for other in [
            "",
            "//evil.example",
            "https://evil.example/console/",
            "/consolevil",
            "/console/\\evil",
            "/api/v1/keys",
            "/console/x\r\nSet-Cookie: a=b",
        ] {
            assert_eq!(own_page(other), "/console", "{other}");
        }
    }
}
