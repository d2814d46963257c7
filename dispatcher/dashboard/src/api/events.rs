//! What changes, as it changes: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use stylefleet_proto::{BatchId, JobId};
use tokio::time::sleep;

use super::documents::{BatchDocument, ResultDocument};
use super::{fleet, jobs};
use crate::app::{Dashboard, now};
use crate::error::ApiError;

/// Time between two events of the same kind, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// What is watched beside the fleet and its batches.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Watched {
    /// The results of this batch.
    batch: Option<String>,
    /// This job.
    job: Option<String>,
}

/// Which lists are to be read anew.
#[derive(Debug, Serialize)]
struct Changed {
    batches: bool,
}

/// What a listener has seen.
struct Listener {
    dashboard: Arc<Dashboard>,
    headers: HeaderMap,
    batch: Option<BatchId>,
    job: Option<JobId>,
    version: u64,
    batches: usize,
}

/// What changes, as it changes
///
/// Events are `fleet` (as `api/fleet`), `batch` (a batch that changed, as `api/batches/{batch}`),
/// `result` (one of `batch`'s results that changed), `job` (the job, as `api/jobs/{job}`), and
/// `changed`, after which lists are to be read anew.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "events",
    params(Watched),
    responses((status = 200, content_type = "text/event-stream"))
)]
pub(super) async fn events(
    State(dashboard): State<Arc<Dashboard>>,
    Query(watched): Query<Watched>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let listener = Listener {
        batch: watched.batch.map(|batch| batch.parse()).transpose()?,
        job: watched.job.map(|job| job.parse()).transpose()?,
        version: dashboard
            .live
            .read(|board| board.version())
            .saturating_sub(1),
        batches: usize::MAX,
        dashboard,
        headers,
    };
    let events = stream::unfold(listener, |mut listener| async {
        let events = listener.next().await;
        Some((stream::iter(events), listener))
    });
    Ok(Sse::new(events.flatten().map(Ok)).keep_alive(KeepAlive::default()))
}

impl Listener {
    /// Waits until something has changed, and tells it.
    async fn next(&mut self) -> Vec<Event> {
        if self.batches != usize::MAX {
            sleep(PAUSE).await;
        }
        let dashboard = self.dashboard.clone();
        let live = &dashboard.live;
        let since = self.version;
        self.version = live.changed(since).await;
        let now = now();
        let (changed, jobs, known) = live.read(|board| {
            let names = board.changed_batches(since);
            let known = names.iter().filter_map(|name| board.batch(name, now));
            (
                known.collect::<Vec<_>>(),
                board.changed_jobs(since),
                board.batch_count(),
            )
        });
        let mut events = vec![event("fleet", &fleet::document(&dashboard, &self.headers))];
        let is_other = known != self.batches || jobs.is_none();
        self.batches = known;
        if is_other {
            events.push(event("changed", &Changed { batches: true }));
        }
        let changed = changed.into_iter().map(BatchDocument::new);
        events.extend(changed.map(|batch| event("batch", &batch)));
        let jobs = jobs.unwrap_or_default();
        if let Some(batch) = &self.batch {
            let results = live.read(|board| {
                let results = jobs.iter().flat_map(|job| board.results_of(job, now));
                results.collect::<Vec<_>>()
            });
            let own = results.into_iter().filter(|result| result.batch == *batch);
            events.extend(own.map(|result| event("result", &ResultDocument::new(result))));
        }
        if let Some(job) = self.job.filter(|job| jobs.contains(job)) {
            match jobs::document(&dashboard, job).await {
                Ok(document) => events.push(event("job", &document)),
                Err(error) => tracing::debug!("{job}: {error}"),
            }
        }
        events
    }
}

fn event(name: &str, document: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    // What cannot be written is left out: no document here is such a one.
    event.json_data(document).unwrap_or_default()
}
