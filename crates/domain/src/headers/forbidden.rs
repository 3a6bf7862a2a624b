//! The names that a webhook's own headers can't have.

/// What Posthaste says itself, what belongs to the connection or its framing (RFC 9110, section 7.6.1; RFC 9113, section 8.2.2), and
/// what proxies and AWS say to those behind them, who believe it: who the client is, what it asked for, and by which method.
/// `CF-Access-*` is not among them: clients send it to show who they are.
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
/// The same for every name that begins so. `x-amz` is that of `x-amzn-` too, and `x-ms-client-principal` is a name by itself too.
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

/// Whether a name, in lower case and with `-` for all that is neither a letter nor a digit, can't be set.
pub(super) fn is_forbidden(folded: &str) -> bool {
    FORBIDDEN.contains(&folded) || FORBIDDEN_BEGINNINGS.iter().any(|beginning| folded.starts_with(beginning))
}
