//! One job: what is known of it, and its files.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use stylefleet_fleet::live::LiveCurve;
use stylefleet_fleet::{documents, state};
use stylefleet_proto::{Curve, Input, JobId, Record, Role, Start, keys};

use super::documents::{
    CheckpointDocument, FailureDocument, InputDocument, JobDocument, OutputDocument,
    PreviewDocument, RecordDocument, ResultDocument, preview as preview_url,
};
use crate::app::{Dashboard, now};
use crate::error::{ApiError, ErrorDocument};
use crate::files::{self, FOREVER, gone};

/// Bytes of a curve that are read: of some hundred thousand points.
const MAX_CURVE: u64 = 16 << 20;
/// Bytes of an input that tell what kind of file it is.
const HEAD: u64 = stylefleet_formats::HEAD as u64;
/// What may be another file later.
const BRIEFLY: &str = "private, max-age=15";

/// How large a picture is wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Size {
    /// As a JPEG file whose longer side has about so many pixels at most; none: the file itself.
    side: Option<u32>,
}

/// A job
#[utoipa::path(
    get,
    path = "/api/jobs/{job}",
    tag = "jobs",
    params(("job" = String, Path, description = "Its id")),
    responses((status = 200, body = JobDocument), (status = 404, body = ErrorDocument))
)]
pub(super) async fn job(
    State(dashboard): State<Arc<Dashboard>>,
    Path(job): Path<String>,
) -> Result<Json<JobDocument>, ApiError> {
    Ok(Json(document(&dashboard, job.parse()?).await?))
}

pub(super) async fn document(dashboard: &Dashboard, job: JobId) -> Result<JobDocument, ApiError> {
    let live = &dashboard.live;
    let store = &**live.store();
    let (known, names, work, diary, has_live_curve) = live.read(|board| {
        let work = board.work(&job);
        let work = work.map(|work| {
            let progress = work.progress.clone();
            (work.worker.clone(), work.attempt, work.since, progress)
        });
        let has_curve = board
            .curve(&job)
            .is_some_and(|curve| !curve.steps.is_empty());
        (
            board.state(&job),
            board.results_of(&job, now()),
            work,
            board.diary(&job),
            has_curve,
        )
    });
    let (mark, folder) = (keys::started(&job), keys::previews(&job));
    let kept = keys::checkpoint(&job);
    let (record, failure, started, previews, checkpoint) = tokio::join!(
        state::record(store, &job),
        state::failure(store, &job),
        documents::read::<Start>(store, &mark),
        store.list(&folder),
        store.stat(&kept),
    );
    let (record, failure, started) = (record?, failure?, started?);
    let state = match known {
        Some(state) => state,
        None => state::of(store, job, None).await?,
    };
    if state == state::State::Unknown && diary.is_empty() {
        return Err(ApiError::Missing(format!("nothing is known of job {job}")));
    }
    let asked = started.as_ref().and_then(|started| started.asked.clone());
    let kind = record.as_ref().map(|record| record.kind.clone());
    let kind = kind.or_else(|| asked.as_ref().map(|asked| asked.kind.clone()));
    let kind = kind.or_else(|| names.iter().find_map(|name| name.kind.clone()));
    let inputs = match (&record, &asked) {
        (Some(record), _) => record.inputs.clone(),
        (None, Some(asked)) => asked.inputs.clone(),
        (None, None) => Vec::new(),
    };
    let outputs = record.iter().flat_map(|record| &record.outputs);
    let has_curve = has_live_curve
        || record
            .as_ref()
            .is_some_and(|record| curve_of(record).is_some());
    let (worker, attempt, since, progress) = match (work, &started) {
        (Some((worker, attempt, since, progress)), _) => {
            (Some(worker), Some(attempt), Some(since / 1000), progress)
        }
        (None, Some(started)) => (
            Some(started.worker.clone()),
            Some(started.attempt),
            Some(started.unix_millis / 1000),
            None,
        ),
        (None, None) => (None, None, None, None),
    };
    Ok(JobDocument {
        job,
        state,
        kind,
        names: names.into_iter().map(ResultDocument::new).collect(),
        inputs: inputs
            .into_iter()
            .map(|input| InputDocument::new(&job, input))
            .collect(),
        specification: match &record {
            Some(record) => Some(record.specification.clone()),
            None => asked.map(|asked| asked.specification),
        },
        outputs: outputs
            .map(|output| OutputDocument::new(&job, output))
            .collect(),
        previews: previews_of(&job, &previews?),
        has_curve,
        record: record.map(RecordDocument::from),
        progress,
        worker,
        attempt,
        since,
        deaths: started.map_or(0, |started| started.deaths),
        failure: failure.map(|failure| FailureDocument {
            reason: failure.reason,
            attempts: failure.attempts,
        }),
        checkpoint: checkpoint?.map(|stat| CheckpointDocument {
            bytes: stat.size,
            unix_seconds: stat
                .modified
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }),
        diary,
    })
}

fn previews_of(job: &JobId, keys: &[String]) -> Vec<PreviewDocument> {
    let steps = keys.iter().filter_map(|key| {
        let name = key.rsplit('/').next()?;
        name.strip_suffix(".jpg")?.parse().ok()
    });
    let preview = |steps| PreviewDocument {
        steps,
        url: preview_url(job, steps),
    };
    steps.map(preview).collect()
}

/// How the loss of a job fell, or falls
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/curve",
    tag = "jobs",
    params(("job" = String, Path, description = "Its id")),
    responses((status = 200, body = LiveCurve), (status = 404, body = ErrorDocument))
)]
pub(super) async fn curve(
    State(dashboard): State<Arc<Dashboard>>,
    Path(job): Path<String>,
) -> Result<Json<LiveCurve>, ApiError> {
    let job: JobId = job.parse()?;
    if let Some(curve) = dashboard.live.read(|board| board.curve(&job)) {
        return Ok(Json(curve));
    }
    let none = || ApiError::Missing("the job has no curve (yet)".to_owned());
    let store = &**dashboard.live.store();
    let record = state::record(store, &job).await?.ok_or_else(none)?;
    let key = curve_of(&record).ok_or_else(none)?;
    match store.stat(key).await? {
        Some(stat) if stat.size <= MAX_CURVE => {}
        _ => return Err(none()),
    }
    let curve = documents::read::<Curve>(store, key)
        .await?
        .ok_or_else(none)?;
    Ok(Json(curve.into()))
}

fn curve_of(record: &Record) -> Option<&str> {
    record.output(Curve::ROLE).map(|curve| curve.key.as_str())
}

/// A small picture of a job: of what it made, or of how it looks so far
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/thumbnail",
    tag = "jobs",
    params(("job" = String, Path, description = "Its id"), Size),
    responses(
        (status = 200, content_type = "image/jpeg"),
        (status = 404, body = ErrorDocument, description = "There is no picture of it"),
    )
)]
pub(super) async fn thumbnail(
    State(dashboard): State<Arc<Dashboard>>,
    Path(job): Path<String>,
    Query(size): Query<Size>,
) -> Result<Response, ApiError> {
    let job: JobId = job.parse()?;
    let store = dashboard.live.store();
    let (key, cache) = match state::record(&**store, &job).await? {
        Some(record) => {
            let mut outputs = record.outputs.into_iter();
            let picture = outputs.find(|output| output.media_type.starts_with("image/"));
            (picture.map(|picture| picture.key), FOREVER)
        }
        None => (store.list(&keys::previews(&job)).await?.pop(), BRIEFLY),
    };
    let key = key.ok_or_else(gone)?;
    let side = size.side.unwrap_or(320);
    let file = dashboard.thumbnails.get(store, &key, side).await?;
    Ok(files::jpeg(file, cache))
}

/// A file that a job made
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/outputs/{role}",
    tag = "jobs",
    params(
        ("job" = String, Path, description = "The job's id"),
        ("role" = String, Path, description = "What it is to the job"),
        Size,
    ),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 307, description = "The store serves it"),
        (status = 404, body = ErrorDocument),
    )
)]
pub(super) async fn output(
    State(dashboard): State<Arc<Dashboard>>,
    Path((job, role)): Path<(String, String)>,
    Query(size): Query<Size>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (job, role): (JobId, Role) = (job.parse()?, role.parse()?);
    let store = dashboard.live.store();
    let record = state::record(&**store, &job).await?.ok_or_else(gone)?;
    let output = record.output(role.as_ref()).ok_or_else(gone)?;
    if let Some(side) = size.side {
        let file = dashboard.thumbnails.get(store, &output.key, side).await?;
        return Ok(files::jpeg(file, FOREVER));
    }
    files::file(&dashboard, &output.key, &output.media_type, &headers).await
}

/// A file that a job works on
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/inputs/{role}",
    tag = "jobs",
    params(
        ("job" = String, Path, description = "The job's id"),
        ("role" = String, Path, description = "What it is to the job"),
        Size,
    ),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 307, description = "The store serves it"),
        (status = 404, body = ErrorDocument),
    )
)]
pub(super) async fn input(
    State(dashboard): State<Arc<Dashboard>>,
    Path((job, role)): Path<(String, String)>,
    Query(size): Query<Size>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (job, role): (JobId, Role) = (job.parse()?, role.parse()?);
    let store = dashboard.live.store();
    let inputs = inputs(&dashboard, &job).await?;
    let input = inputs
        .into_iter()
        .find(|input| input.role == role)
        .ok_or_else(gone)?;
    let key = keys::input(&input.sha256);
    if let Some(side) = size.side {
        let file = dashboard.thumbnails.get(store, &key, side).await?;
        return Ok(files::jpeg(file, FOREVER));
    }
    let head = store.get_range(&key, 0..HEAD).await?.ok_or_else(gone)?;
    files::file(&dashboard, &key, files::media_type(&head), &headers).await
}

async fn inputs(dashboard: &Dashboard, job: &JobId) -> Result<Vec<Input>, ApiError> {
    let store = &**dashboard.live.store();
    if let Some(record) = state::record(store, job).await? {
        return Ok(record.inputs);
    }
    let started = documents::read::<Start>(store, &keys::started(job)).await?;
    let asked = started.and_then(|started| started.asked);
    Ok(asked.ok_or_else(gone)?.inputs)
}

/// How a job looked after so many steps
#[utoipa::path(
    get,
    path = "/api/jobs/{job}/previews/{steps}",
    tag = "jobs",
    params(
        ("job" = String, Path, description = "The job's id"),
        ("steps" = u64, Path, description = "After how many steps"),
    ),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = ErrorDocument))
)]
pub(super) async fn preview(
    State(dashboard): State<Arc<Dashboard>>,
    Path((job, steps)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job: JobId = job.parse()?;
    files::file(
        &dashboard,
        &keys::preview(&job, steps),
        "image/jpeg",
        &headers,
    )
    .await
}
