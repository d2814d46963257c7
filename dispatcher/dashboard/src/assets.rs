//! The page's files, which are part of the program.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

use crate::app::Dashboard;
use crate::error::ApiError;

/// The files, by their paths.
#[derive(Embed)]
#[folder = "web/"]
struct Web;

/// What relative addresses in the page are relative to, as its file has it.
const BASE: &str = r#"<base href="/">"#;

/// The page.
pub(crate) async fn index(State(dashboard): State<Arc<Dashboard>>) -> Result<Response, ApiError> {
    let file = Web::get("index.html").ok_or_else(|| missing("index.html"))?;
    let page = String::from_utf8_lossy(&file.data);
    let base = format!(r#"<base href="{}">"#, dashboard.base_path());
    let page = page.replacen(BASE, &base, 1);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, page).into_response())
}

/// Another of its files.
pub(crate) async fn file(Path(path): Path<String>) -> Result<Response, ApiError> {
    let file = Web::get(&path).ok_or_else(|| missing(&path))?;
    let ending = path.rsplit('.').next().unwrap_or_default();
    let media_type = match ending {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    };
    let headers = [(CONTENT_TYPE, media_type), (CACHE_CONTROL, "no-cache")];
    Ok((headers, file.data.into_owned()).into_response())
}

fn missing(path: &str) -> ApiError {
    ApiError::Missing(format!("there is nothing at {path:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_knows_where_it_is() {
        let sizes = Web::iter().filter_map(|path| Some(Web::get(&path)?.data.len()));
        let bytes: usize = sizes.sum();
        assert!((10_000..200_000).contains(&bytes), "{bytes} bytes");
        let index = Web::get("index.html").expect("is there");
        assert!(String::from_utf8_lossy(&index.data).contains(BASE));
    }
}
