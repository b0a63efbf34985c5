//! A file in an answer, for saving.

use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// The longest name of a file, in bytes.
const LONGEST: usize = 120;

/// An answer with a report to save. A report is opened as a file; should a browser ever show it from here, it is nobody's page.
pub(crate) fn report(file_name: &str, html: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", safe(file_name))),
        (CACHE_CONTROL, "no-store".to_owned()),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; style-src 'unsafe-inline'".to_owned()),
    ];
    (headers, html).into_response()
}

/// A name that can stand between quotes in a header and on every file system: whatever else it holds becomes `_`, so that neither a
/// line break nor a quote nor a path gets out of it.
pub(crate) fn safe(file_name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = file_name.chars().map(plain).take(LONGEST).collect();
    if name.starts_with('.') || name.is_empty() { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_name() {
        for (name, expected) in [
            ("angbu-time-demo-20261001T000000Z.html", "angbu-time-demo-20261001T000000Z.html"),
            ("a\r\nSet-Cookie: x=y", "a__Set-Cookie__x_y"),
            ("a\"; filename=\"b", "a___filename__b"),
            ("../../etc/passwd", "_.._.._etc_passwd"),
            ("보고서.html", "___.html"),
            ("", "_"),
        ] {
            assert_eq!(safe(name), expected);
            assert!(report(name, String::new()).headers().contains_key(CONTENT_DISPOSITION));
        }
        assert_eq!(safe(&"x".repeat(500)).len(), LONGEST);
    }
}
