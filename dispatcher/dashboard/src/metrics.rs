//! What Prometheus reads of the fleet, under the names in [`stylefleet_proto::metrics`]: what the
//! board says at the time. What it does not know just now is absent.

use std::iter::zip;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics::{Label, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use stylefleet_fleet::live::{Board, FleetSummary};
use stylefleet_proto::Build;
use stylefleet_proto::metrics::{
    BatchState, FLEET, FLEET_BATCHES, FLEET_BUILD, FLEET_CONNECTED, FLEET_QUEUES, FLEET_RESULTS,
    FLEET_STUCK, FLEET_WORKERS, Metric, Queue, ResultState, Service, WorkerState,
};

use crate::app::{Dashboard, now};

/// All metrics.
pub(crate) async fn metrics(State(dashboard): State<Arc<Dashboard>>) -> impl IntoResponse {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        FLEET
            .iter()
            .for_each(|metric| describe_gauge!(metric.name, metric.help));
        tell_build(dashboard.build);
        dashboard.live.read(tell);
    });
    let text = recorder.handle().render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn tell_build(build: Build) {
    set(
        &FLEET_BUILD,
        [build.version, build.commit.unwrap_or_default()],
        1,
    );
}

fn tell(board: &Board) {
    let FleetSummary {
        waiting,
        workers,
        busy,
        stuck,
        store_trouble,
        broker_trouble,
        ..
    } = board.summary(now());
    let has_store = board.has_looked() && store_trouble.is_none();
    for (to, is_connected) in [
        (Service::Broker, broker_trouble.is_none()),
        (Service::Store, has_store),
    ] {
        set(&FLEET_CONNECTED, [to.word()], usize::from(is_connected));
    }
    if let Some(waiting) = waiting {
        for (queue, jobs) in [
            (Queue::High, waiting.high),
            (Queue::Normal, waiting.normal),
            (Queue::Low, waiting.low),
            (Queue::Retrying, waiting.retrying),
            (Queue::Abandoned, waiting.abandoned),
            (Queue::Dead, waiting.dead),
        ] {
            set(&FLEET_QUEUES, [queue.word()], jobs as usize);
        }
    }
    set(&FLEET_WORKERS, [WorkerState::Busy.word()], busy);
    set(&FLEET_WORKERS, [WorkerState::Idle.word()], workers - busy);
    tell_batches(board);
    set(&FLEET_STUCK, [], stuck);
}

fn tell_batches(board: &Board) {
    let batches: Vec<_> = board.results_by_batch().collect();
    let open = batches.iter().filter(|results| results.open() > 0).count();
    for (state, count) in [
        (BatchState::Open, open),
        (BatchState::Over, batches.len() - open),
        (BatchState::Damaged, board.damaged().len()),
    ] {
        set(&FLEET_BATCHES, [state.word()], count);
    }
    for state in ResultState::ALL {
        let count = batches.iter().map(|results| match state {
            ResultState::Done => results.done,
            ResultState::Failed => results.failed,
            ResultState::Cancelled => results.cancelled,
            ResultState::Running => results.running,
            ResultState::Stopped => results.stopped,
            ResultState::Waiting => results.waiting,
            ResultState::NotAccepted => results.not_accepted,
        });
        set(&FLEET_RESULTS, [state.word()], count.sum());
    }
}

/// Sets the series of a metric that has these values of its labels.
fn set<const N: usize>(metric: &Metric, values: [&'static str; N], value: usize) {
    let labels = zip(metric.labels, values);
    let labels: Vec<_> = labels
        .map(|(label, value)| Label::new(label.name, value))
        .collect();
    gauge!(metric.name, labels).set(value as f64);
}
