//! The style sheet, the script and the icon. Their addresses have a part that changes with them, so
//! browsers keep them for good.

use std::{io::Write, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};

use crate::{accent, trouble::Trouble};

/// One file.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const CSS: &str = "text/css; charset=utf-8";

const ALL: [Asset; 3] = [
    Asset { name: "console.css", media_type: CSS, text: include_str!("../assets/console.css") },
    Asset {
        name: "console.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("../assets/console.js"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        text: include_str!("../assets/icon.svg"),
    },
];

/// The part of the addresses that changes with the files.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let bytes = ALL.iter().flat_map(|asset| asset.text.bytes());
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, fnv_1a))
});

/// A step of FNV-1a (<https://www.rfc-editor.org/rfc/rfc9923>), which is no secret's hash.
fn fnv_1a(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The address of a file.
pub(crate) fn address(name: &str) -> String {
    format!("/console/assets/{}/{name}", *EDITION)
}

pub(crate) async fn show(
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let known = ALL.iter().find(|asset| asset.name == name);
    let (media_type, body) = match known {
        Some(asset) => (asset.media_type, Bytes::from_static(asset.text.as_bytes())),
        None => (CSS, Bytes::from(accent::style_sheet(&name).ok_or(Trouble::NotFound)?)),
    };
    let kept = "public, max-age=31536000, immutable";
    let head = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, kept)];
    Ok(compressed(&headers, (StatusCode::OK, head).into_response(), body))
}

/// The response with this body, compressed where the browser takes that.
pub(crate) fn compressed(asked: &HeaderMap, mut response: Response, body: Bytes) -> Response {
    let codings = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let takes_gzip = codings.unwrap_or_default().split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    });
    let smaller = takes_gzip.then(|| gzip(&body)).flatten();
    let headers = response.headers_mut();
    headers.insert(header::VARY, header::HeaderValue::from_static("accept-encoding"));
    let body = match smaller {
        Some(smaller) => {
            headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
            smaller
        }
        None => body,
    };
    *response.body_mut() = body.into();
    response
}

/// The bytes compressed; none if that can't be done, or makes them no smaller.
fn gzip(bytes: &Bytes) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from).filter(|smaller| smaller.len() < bytes.len())
}
