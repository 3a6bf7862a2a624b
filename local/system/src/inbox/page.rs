//! A browser sees the requests that have arrived as a plain page.

use std::fmt::Write;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Arrived;
use crate::serve;

pub(super) fn render(name: &str, arrived: &[Arrived]) -> Response<Bytes> {
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh \
         content=2><title>{name}</title><style>body{{font:14px/1.5 \
         system-ui;margin:2em;max-width:70em}}pre{{background:#f4f4f4;padding:1em;overflow:auto}}</style><h1>inbox {name}</h1><p>{count} requests, newest first. This page reloads every 2 s.</p>",
        name = escape(name),
        count = arrived.len(),
    );
    for request in arrived.iter().rev() {
        let headers: String =
            request.header_lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let signatures = match request.signatures {
            None => "signatures not verified: no secret is told".to_owned(),
            Some(valid) => {
                format!(
                    "webhook-signature {}, x-webhook-signature {}",
                    word(valid.standard),
                    word(valid.spectra)
                )
            }
        };
        let _ = write!(
            page,
            "<h2>{} {}</h2><p>at {} ms, answered {}; {signatures}</p><pre>{}\n{}</pre>",
            escape(&request.method),
            escape(&request.path),
            request.at_ms,
            request.answered,
            escape(&headers),
            escape(&request.body),
        );
    }
    serve::with_type(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn word(valid: bool) -> &'static str {
    if valid { "valid" } else { "NOT VALID" }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
