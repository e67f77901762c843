//! The web page: `GET` of its paths and files, out of the binary.
//!
//! Keeps true: a browser that has a file gets 304 for it, and one that takes gzip gets the bytes
//! that were made when the program was built.
//! Not here: the files (`plimsoll_ui`), security headers (`layers`), the page without script
//! (`page`).

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use plimsoll_ui::{Asset, PAGES};

use crate::layers::no_such_path;
use crate::state::Server;

/// Paths of files, besides those of pages.
const FILES: &[&str] = &["/assets/{*path}", "/icon.svg"];

/// Files with a hash in their name never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// All others are asked for again each time, which costs a 304.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The routes of the page.
pub(crate) fn routes() -> Router<Server> {
    PAGES.iter().chain(FILES).fold(Router::new(), |router, path| router.route(path, get(file)))
}

async fn file(State(_): State<Server>, uri: Uri, headers: HeaderMap) -> Response {
    match plimsoll_ui::asset(uri.path()) {
        Some(asset) => answer(&asset, &headers),
        None => no_such_path(uri).await.into_response(),
    }
}

fn answer(asset: &Asset, asked: &HeaderMap) -> Response {
    let fixed: [(HeaderName, HeaderValue); 3] = [
        (header::ETAG, HeaderValue::from_static(asset.etag)),
        (header::CACHE_CONTROL, if asset.is_immutable { FOR_EVER } else { ASK_AGAIN }),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if names(asked, &header::IF_NONE_MATCH, asset.etag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type))];
    match asset.gzip {
        Some(gzip) if takes_gzip(asked) => {
            let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
            (fixed, kind, encoding, gzip).into_response()
        }
        _ => (fixed, kind, asset.bytes).into_response(),
    }
}

/// Whether a comma list of tags holds this one or `*`; weak tags count, as RFC 9110 says.
fn names(asked: &HeaderMap, header: &HeaderName, etag: &str) -> bool {
    let lists = asked.get_all(header).iter().filter_map(|list| list.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether gzip is among the encodings that are taken, and not with weight 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter();
    lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip && weight.and_then(|text| text.parse::<f32>().ok()).is_none_or(|q| q > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: Asset = Asset {
        bytes: b"long text",
        gzip: Some(b"short"),
        content_type: "text/plain",
        etag: "\"a1\"",
        is_immutable: true,
    };

    fn asked(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let headers = asked(&[(header::ACCEPT_ENCODING, accepted)]);
            let is_gzip = answer(&ASSET, &headers).headers().contains_key(header::CONTENT_ENCODING);
            assert_eq!(is_gzip, expected, "{accepted}");
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        for (tags, status) in [
            ("\"a1\"", StatusCode::NOT_MODIFIED),
            ("\"b2\", W/\"a1\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"b2\"", StatusCode::OK),
        ] {
            let headers = asked(&[(header::IF_NONE_MATCH, tags)]);
            assert_eq!(answer(&ASSET, &headers).status(), status, "{tags}");
        }
    }
}
