//! The console's files, embedded by `build.rs`.

use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/console.rs"));

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Angbu</title>\
    <p>The console is not part of this build. Run <code>cargo xtask web</code> and build again.";

/// Answers with the console's file for a path. Any other path is a page of the console, whose address bar holds
/// its state, and gets `index.html`.
pub(crate) async fn file(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let find = |wanted: &str| FILES.iter().find(|(name, _)| *name == wanted).map(|(_, bytes)| *bytes);
    if let Some(bytes) = find(path).filter(|_| path != "index.html") {
        // Vite puts a hash of the content into the names under assets/.
        let cache =
            if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        return answer(content_type(path), cache, bytes);
    }
    // Names of customers may hold dots: only what the build puts into its own folder can be missing.
    if path.starts_with("assets/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    answer("text/html; charset=utf-8", "no-cache", find("index.html").unwrap_or(NOT_BUILT.as_bytes()))
}

fn answer(content_type: &'static str, cache: &'static str, bytes: &'static [u8]) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, bytes).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
