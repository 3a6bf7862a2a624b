//! The names that a webhook's own headers can't have.

/// Headers that Posthaste sets itself, that belong to the connection or its framing (RFC 9110,
/// section 7.6.1; RFC 9113, section 8.2.2), or with which proxies and AWS tell the servers behind
/// them who the client is, what it asked for, and by which method. Those servers believe them.
/// `CF-Access-*` is not forbidden: clients send it to show who they are.
pub(super) const FORBIDDEN: [&str; 50] = [
    "cdn-loop",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-ipcountry",
    "cf-pseudo-ipv4",
    "cf-visitor",
    "client-ip",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "fastly-client-ip",
    "fastly-ssl",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "host",
    "http2-settings",
    "keep-alive",
    "remote-addr",
    "remote-user",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-middleware-subrequest",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];
/// Every name that begins with one of these is forbidden too. `x-amz` includes `x-amzn-`, and
/// `x-ms-client-principal` is also a whole name.
pub(super) const FORBIDDEN_BEGINNINGS: [&str; 14] = [
    "cloudfront-",
    "proxy-",
    "sec-",
    "webhook-",
    "x-amz",
    "x-appengine-",
    "x-auth-request-",
    "x-azure-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-ssl-client-",
    "x-webhook-",
];

/// Tells whether a name can't be set. It is in lower case, with `-` for every character that is
/// neither a letter nor a digit.
pub(super) fn is_forbidden(folded: &str) -> bool {
    FORBIDDEN.contains(&folded)
        || FORBIDDEN_BEGINNINGS.iter().any(|beginning| folded.starts_with(beginning))
}
