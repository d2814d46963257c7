//! Batches and the results that they ask for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use stylefleet_fleet::live::Filter;
use stylefleet_fleet::state;
use stylefleet_proto::BatchId;

use super::Page;
use super::documents::{
    BatchDocument, BatchesDocument, FoundDocument, ResultDocument, ResultsDocument,
};
use crate::app::{Dashboard, now};
use crate::error::{ApiError, ErrorDocument};

/// Batches of one search that are shown.
const BATCHES_FOUND: usize = 20;

/// Batches, the latest first
#[utoipa::path(
    get,
    path = "/api/batches",
    tag = "batches",
    params(Page),
    responses((status = 200, body = BatchesDocument))
)]
pub(super) async fn batches(
    State(dashboard): State<Arc<Dashboard>>,
    Query(page): Query<Page>,
) -> Json<BatchesDocument> {
    let text = page.text();
    let (found, damaged) = dashboard.live.read(|board| {
        let found = board.batches(&text, page.offset, page.limit(), now());
        (found, board.damaged())
    });
    Json(BatchesDocument {
        total: found.total,
        batches: found.items.into_iter().map(BatchDocument::new).collect(),
        damaged,
    })
}

/// A batch
#[utoipa::path(
    get,
    path = "/api/batches/{batch}",
    tag = "batches",
    params(("batch" = String, Path, description = "Its name")),
    responses((status = 200, body = BatchDocument), (status = 404, body = ErrorDocument))
)]
pub(super) async fn batch(
    State(dashboard): State<Arc<Dashboard>>,
    Path(batch): Path<String>,
) -> Result<Json<BatchDocument>, ApiError> {
    let name: BatchId = batch.parse()?;
    dashboard.live.learn(&name).await?;
    let found = dashboard.live.read(|board| board.batch(&name, now()));
    let found = found.ok_or_else(|| missing(&name))?;
    Ok(Json(BatchDocument::new(found)))
}

/// Which results are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct OfState {
    /// Only those of this state: done, failed, cancelled, running, stopped, waiting, not-accepted.
    #[param(value_type = Option<String>)]
    state: Option<state::State>,
}

/// The results that a batch asks for, in its order
#[utoipa::path(
    get,
    path = "/api/batches/{batch}/results",
    tag = "batches",
    params(("batch" = String, Path, description = "Its name"), Page, OfState),
    responses((status = 200, body = ResultsDocument), (status = 404, body = ErrorDocument))
)]
pub(super) async fn results(
    State(dashboard): State<Arc<Dashboard>>,
    Path(batch): Path<String>,
    Query(page): Query<Page>,
    Query(of): Query<OfState>,
) -> Result<Json<ResultsDocument>, ApiError> {
    let name: BatchId = batch.parse()?;
    let filter = Filter {
        state: of.state,
        text: page.text(),
    };
    let live = &dashboard.live;
    live.learn(&name).await?;
    let found = live.read(|board| board.results(&name, &filter, page.offset, page.limit(), now()));
    Ok(Json(ResultsDocument::new(
        found.ok_or_else(|| missing(&name))?,
    )))
}

/// Batches and results by name or id
#[utoipa::path(
    get,
    path = "/api/search",
    tag = "batches",
    params(Page),
    responses((status = 200, body = FoundDocument))
)]
pub(super) async fn search(
    State(dashboard): State<Arc<Dashboard>>,
    Query(page): Query<Page>,
) -> Json<FoundDocument> {
    let text = page.text();
    let (batches, results) = dashboard.live.read(|board| {
        let batches = board.batches(&text, 0, BATCHES_FOUND, now());
        (batches, board.search(&text, page.limit(), now()))
    });
    Json(FoundDocument {
        total: results.total,
        batches: batches.items.into_iter().map(BatchDocument::new).collect(),
        results: results.items.into_iter().map(ResultDocument::new).collect(),
    })
}

pub(super) fn missing(batch: &BatchId) -> ApiError {
    ApiError::Missing(format!("there is no batch {batch} in the store"))
}
