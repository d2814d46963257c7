//! What people do with jobs: cancel them, and decide about those that were set aside.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stylefleet_fleet::cancel::{Cancelled, cancel as cancel_jobs};
use stylefleet_fleet::dead::{Choice, DeadJob, DeadJobs, Decided};
use stylefleet_fleet::state;
use stylefleet_proto::{BatchId, JobId};

use super::batches::missing;
use crate::app::Dashboard;
use crate::error::{ApiError, ErrorDocument};

/// Jobs that were set aside.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DeadDocument {
    /// In the order in which they were first set aside.
    dead: Vec<DeadJob>,
}

/// Which dead jobs are meant: exactly one of these.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Chosen {
    /// Those of these ids, or of ids that begin so.
    ids: Option<Vec<String>>,
    /// All of a batch.
    batch: Option<String>,
    /// All.
    all: bool,
}

/// Which jobs are meant: exactly one of jobs and batch.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Unwanted {
    /// These.
    jobs: Option<Vec<String>>,
    /// All of a batch.
    batch: Option<String>,
    /// Only those that no worker is at.
    only_waiting: bool,
}

impl Chosen {
    fn choice(self) -> Result<Choice, ApiError> {
        match (self.ids, self.batch, self.all) {
            (Some(ids), None, false) => Ok(Choice::Ids(ids)),
            (None, Some(batch), false) => Ok(Choice::Batch(batch.parse()?)),
            (None, None, true) => Ok(Choice::All),
            _ => Err(ApiError::Invalid(
                "say which jobs: exactly one of ids, batch and all".to_owned(),
            )),
        }
    }
}

/// Takes all dead jobs, until what this returns is closed.
async fn take(dashboard: &Dashboard) -> Result<DeadJobs, ApiError> {
    let broker = dashboard.live.broker().await?;
    Ok(DeadJobs::take(&*broker, &**dashboard.live.store()).await?)
}

/// Jobs that were set aside
#[utoipa::path(
    get,
    path = "/api/dead",
    tag = "actions",
    responses((status = 200, body = DeadDocument), (status = 503, body = ErrorDocument))
)]
pub(super) async fn dead(
    State(dashboard): State<Arc<Dashboard>>,
) -> Result<Json<DeadDocument>, ApiError> {
    let taken = take(&dashboard).await?;
    let dead = taken.list().dead.to_vec();
    taken.close().await?;
    Ok(Json(DeadDocument { dead }))
}

/// Tries dead jobs again
#[utoipa::path(
    post,
    path = "/api/dead/retry",
    tag = "actions",
    request_body = Chosen,
    responses((status = 200, body = Decided), (status = 404, body = ErrorDocument))
)]
pub(super) async fn retry(
    State(dashboard): State<Arc<Dashboard>>,
    Json(chosen): Json<Chosen>,
) -> Result<Json<Decided>, ApiError> {
    let choice = chosen.choice()?;
    let mut dead = take(&dashboard).await?;
    let chosen = dead.choose(&choice)?;
    let decided = dead.retry(&chosen, &**dashboard.live.store()).await?;
    dead.close().await?;
    dashboard.live.look();
    Ok(Json(decided))
}

/// Drops dead jobs for good
#[utoipa::path(
    post,
    path = "/api/dead/drop",
    tag = "actions",
    request_body = Chosen,
    responses((status = 200, body = Decided), (status = 404, body = ErrorDocument))
)]
pub(super) async fn discard(
    State(dashboard): State<Arc<Dashboard>>,
    Json(chosen): Json<Chosen>,
) -> Result<Json<Decided>, ApiError> {
    let choice = chosen.choice()?;
    let mut dead = take(&dashboard).await?;
    let chosen = dead.choose(&choice)?;
    let decided = dead.discard(&chosen).await?;
    dead.close().await?;
    Ok(Json(decided))
}

/// Cancels jobs that are not over
#[utoipa::path(
    post,
    path = "/api/cancel",
    tag = "actions",
    request_body = Unwanted,
    responses((status = 200, body = Cancelled), (status = 404, body = ErrorDocument))
)]
pub(super) async fn cancel(
    State(dashboard): State<Arc<Dashboard>>,
    Json(unwanted): Json<Unwanted>,
) -> Result<Json<Cancelled>, ApiError> {
    let live = &dashboard.live;
    let only_waiting = unwanted.only_waiting;
    let jobs: Vec<JobId> = match (unwanted.jobs, unwanted.batch) {
        (Some(jobs), None) => {
            let jobs = jobs.iter().map(|job| job.parse());
            let mut jobs = jobs.collect::<Result<Vec<JobId>, _>>()?;
            live.read(|board| jobs.retain(|job| !only_waiting || board.waits(job)));
            jobs
        }
        (None, Some(batch)) => {
            let batch: BatchId = batch.parse()?;
            live.learn(&batch).await?;
            let jobs = live.read(|board| board.jobs_of(&batch, only_waiting));
            jobs.ok_or_else(|| missing(&batch))?
        }
        _ => {
            let reason = "say which jobs: exactly one of jobs and batch".to_owned();
            return Err(ApiError::Invalid(reason));
        }
    };
    let ended = state::ends(&**live.store(), &jobs).await?;
    let cancelled = cancel_jobs(&**live.store(), &jobs).await?;
    let open: Vec<_> = jobs
        .into_iter()
        .filter(|job| !ended.contains_key(job))
        .collect();
    live.set(&open, state::State::Cancelled);
    Ok(Json(cancelled))
}
