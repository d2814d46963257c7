//! Submitting jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use crate::app::Dashboard;
use crate::error::{ApiError, ErrorDocument};
use crate::files;
use crate::submit::{ImageDocument, Offer, Ordered, Orders, Refused, Wish};

/// Largest picture that is taken, in bytes.
pub(super) const MAX_IMAGE: usize = 256 << 20;

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(reason) => Self::Invalid(reason),
            Refused::Away(reason) => Self::Away(reason),
        }
    }
}

fn orders(dashboard: &Dashboard) -> Result<&dyn Orders, ApiError> {
    let orders = dashboard.orders.as_deref();
    orders.ok_or(ApiError::Forbidden("this dashboard does not submit jobs"))
}

/// What may be asked for
#[utoipa::path(
    get,
    path = "/api/options",
    tag = "submit",
    responses((status = 200, body = Offer), (status = 403, body = ErrorDocument))
)]
pub(super) async fn offer(
    State(dashboard): State<Arc<Dashboard>>,
) -> Result<Json<Offer>, ApiError> {
    Ok(Json(orders(&dashboard)?.offer()))
}

/// The image of a style that is at hand
#[utoipa::path(
    get,
    path = "/api/styles/{name}",
    tag = "submit",
    params(("name" = String, Path, description = "What it is called")),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = ErrorDocument))
)]
pub(super) async fn style(
    State(dashboard): State<Arc<Dashboard>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let image = orders(&dashboard)?.style(&name).ok_or_else(files::gone)?;
    let media_type = files::media_type(&image);
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "private, max-age=3600"),
    ];
    Ok((headers, image).into_response())
}

/// What a picture is called.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Called {
    /// Its file's name.
    name: String,
}

/// Brings a picture into the store
#[utoipa::path(
    post,
    path = "/api/images",
    tag = "submit",
    params(Called),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = ImageDocument), (status = 400, body = ErrorDocument))
)]
pub(super) async fn image(
    State(dashboard): State<Arc<Dashboard>>,
    Query(called): Query<Called>,
    bytes: Bytes,
) -> Result<Json<ImageDocument>, ApiError> {
    Ok(Json(orders(&dashboard)?.image(&called.name, bytes).await?))
}

/// Submits jobs: each content in each style
#[utoipa::path(
    post,
    path = "/api/batches",
    tag = "submit",
    request_body = Wish,
    responses((status = 200, body = Ordered), (status = 400, body = ErrorDocument))
)]
pub(super) async fn submit(
    State(dashboard): State<Arc<Dashboard>>,
    Json(wish): Json<Wish>,
) -> Result<Json<Ordered>, ApiError> {
    let ordered = orders(&dashboard)?.submit(wish, &dashboard.live).await?;
    dashboard.live.look();
    Ok(Json(ordered))
}
