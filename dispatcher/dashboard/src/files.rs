//! Files of the store as answers: whole, in part, or made small.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use stylefleet_formats::{Kind, kind_of};

use crate::app::Dashboard;
use crate::error::ApiError;

/// Bytes that are read from the store at once.
const PART: u64 = 4 << 20;
/// How long an address of the store works.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
/// What lies under a key that holds a hash never changes.
pub(crate) const FOREVER: &str = "private, max-age=31536000, immutable";
/// What came from outside must not act in this page's name, whatever it is.
const HARMLESS: &str = "default-src 'none'; img-src 'self'; media-src 'self'; sandbox";

/// The object under `key`, of a media type that came from outside.
pub(crate) async fn file(
    dashboard: &Dashboard,
    key: &str,
    media_type: &str,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let store = dashboard.live.store().clone();
    if dashboard.redirects
        && let Some(url) = store.presigned_url(key, LIFETIME).await?
    {
        let headers = [
            (LOCATION, url),
            (CACHE_CONTROL, "private, max-age=600".into()),
        ];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    let size = match store.stat(key).await? {
        Some(stat) => stat.size,
        None => return Err(gone()),
    };
    let (status, range) = match headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        None => (StatusCode::OK, 0..size),
        Some(range) => match wanted(range, size) {
            Some(range) => (StatusCode::PARTIAL_CONTENT, range),
            None => {
                let of = [(CONTENT_RANGE, format!("bytes */{size}"))];
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, of).into_response());
            }
        },
    };
    let length = range.end - range.start;
    let of = format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    );
    let key = key.to_owned();
    let body = stream::try_unfold(range, move |left| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let end = left.end.min(left.start + PART);
            match store.get_range(&key, left.start..end).await {
                Ok(Some(part)) => Ok(Some((part, end..left.end))),
                Ok(None) => Err(std::io::Error::other("the object is gone")),
                Err(error) => Err(std::io::Error::other(error)),
            }
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    *response.status_mut() = status;
    set(&mut response, CONTENT_LENGTH, &length.to_string());
    set(&mut response, ACCEPT_RANGES, "bytes");
    set(&mut response, CACHE_CONTROL, FOREVER);
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, CONTENT_RANGE, &of);
    }
    describe(&mut response, media_type);
    Ok(response)
}

/// A JPEG file that this program made.
pub(crate) fn jpeg(bytes: Bytes, cache: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, cache)];
    (headers, bytes).into_response()
}

/// Says what the answer is, if browsers may show such a thing; else they may only save it.
fn describe(response: &mut Response, media_type: &str) {
    let is_shown = matches!(
        media_type,
        "image/png"
            | "image/jpeg"
            | "image/webp"
            | "image/gif"
            | "image/avif"
            | "video/mp4"
            | "video/webm"
            | "application/json"
    );
    if is_shown {
        set(response, CONTENT_TYPE, media_type);
    } else {
        set(response, CONTENT_TYPE, "application/octet-stream");
        set(response, CONTENT_DISPOSITION, "attachment");
    }
    set(response, CONTENT_SECURITY_POLICY, HARMLESS);
}

fn set(response: &mut Response, name: axum::http::HeaderName, value: &str) {
    // All that is set is made of digits and of words that the program knows.
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

/// The one range that a `Range` header asks for, as far as there are bytes.
fn wanted(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        size.saturating_sub(last.parse().ok()?)..size
    } else {
        let end = if last.is_empty() {
            size
        } else {
            last.parse::<u64>().ok()?.saturating_add(1).min(size)
        };
        first.parse().ok()?..end
    };
    (range.start < range.end).then_some(range)
}

/// The media type of an input, by its first bytes.
pub(crate) fn media_type(head: &[u8]) -> &'static str {
    match kind_of(head) {
        Some(Kind::Png) => "image/png",
        Some(Kind::Jpeg) => "image/jpeg",
        Some(Kind::WebP) => "image/webp",
        Some(Kind::Gif) => "image/gif",
        Some(Kind::Avif) => "image/avif",
        _ => "application/octet-stream",
    }
}

pub(crate) fn gone() -> ApiError {
    ApiError::Missing("there is no such file in the store (any more)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        for (header, expected) in [
            ("bytes=0-", Some(0..10)),
            ("bytes=2-3", Some(2..4)),
            ("bytes=2-99", Some(2..10)),
            ("bytes=-4", Some(6..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=10-", None),
            ("bytes=5-4", None),
            ("bytes=a-b", None),
            ("lines=1-2", None),
            ("bytes=1-2,4-5", None),
            ("bytes=0-18446744073709551615", Some(0..10)),
        ] {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn what_could_act_is_only_saved() {
        for media_type in ["text/html", "image/svg+xml", "application/xhtml+xml"] {
            let mut response = Response::new(Body::empty());
            describe(&mut response, media_type);
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], "application/octet-stream");
            assert_eq!(headers[CONTENT_DISPOSITION], "attachment");
            assert_eq!(headers[CONTENT_SECURITY_POLICY], HARMLESS);
        }
    }
}
