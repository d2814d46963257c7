//! The fleet as a whole: numbers, queues, workers, and who may do what.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use stylefleet_fleet::live::Depth;
use stylefleet_proto::VERSION;

use super::Page;
use super::documents::{FleetDocument, LogIn, Rights, WorkersDocument};
use crate::access::Access;
use crate::app::{Dashboard, now};
use crate::error::{ApiError, ErrorDocument};

/// Logs in
#[utoipa::path(
    post,
    path = "/api/session",
    tag = "fleet",
    request_body = LogIn,
    responses(
        (status = 204, description = "The answer sets a cookie"),
        (status = 401, body = ErrorDocument, description = "The token is another one"),
    )
)]
pub(super) async fn log_in(
    State(dashboard): State<Arc<Dashboard>>,
    Json(given): Json<LogIn>,
) -> Result<Response, ApiError> {
    let cookie = dashboard
        .access
        .log_in(&given.token, dashboard.base_path())
        .ok_or(ApiError::Unauthorized)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// Logs out
#[utoipa::path(
    delete,
    path = "/api/session",
    tag = "fleet",
    responses((status = 204, description = "The cookie is gone"))
)]
pub(super) async fn log_out(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let cookie = Access::log_out(dashboard.base_path());
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

/// The fleet in numbers, and what whoever asks may do
#[utoipa::path(
    get,
    path = "/api/fleet",
    tag = "fleet",
    responses((status = 200, body = FleetDocument))
)]
pub(super) async fn fleet(
    State(dashboard): State<Arc<Dashboard>>,
    headers: HeaderMap,
) -> Json<FleetDocument> {
    Json(document(&dashboard, &headers))
}

pub(super) fn document(dashboard: &Dashboard, headers: &HeaderMap) -> FleetDocument {
    let access = &dashboard.access;
    let (read, act) = (access.may_read(headers), access.may_act(headers));
    FleetDocument {
        version: dashboard.build.version,
        contract: VERSION,
        store: dashboard.live.store().locate(""),
        needs_token: access.needs_token(),
        may: Rights {
            read,
            act,
            submit: act && dashboard.orders.is_some(),
        },
        summary: read.then(|| dashboard.live.read(|board| board.summary(now()))),
    }
}

/// How deep the queues were during the last hour, the oldest first
#[utoipa::path(
    get,
    path = "/api/history",
    tag = "fleet",
    responses((status = 200, body = Vec<Depth>))
)]
pub(super) async fn history(State(dashboard): State<Arc<Dashboard>>) -> Json<Vec<Depth>> {
    Json(dashboard.live.read(|board| board.history()))
}

/// Workers that live, by name
#[utoipa::path(
    get,
    path = "/api/workers",
    tag = "fleet",
    params(Page),
    responses((status = 200, body = WorkersDocument))
)]
pub(super) async fn workers(
    State(dashboard): State<Arc<Dashboard>>,
    Query(page): Query<Page>,
) -> Json<WorkersDocument> {
    let text = page.text();
    let read = dashboard
        .live
        .read(|board| board.workers(&text, page.offset, page.limit()));
    Json(WorkersDocument {
        total: read.total,
        workers: read.items,
    })
}
