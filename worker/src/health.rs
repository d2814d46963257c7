//! What a supervisor may ask: is the worker alive, is it ready, what has it counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use stylefleet_proto::metrics::Service;
use stylefleet_proto::{Digest, keys};
use stylefleet_transport::broker::RabbitWorker;
use stylefleet_transport::store::{PatientStore, Store};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::job::WorkerContext;
use crate::memory;
use crate::metrics;

/// Time between two checks whether the store answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the answers depend on.
#[derive(Clone)]
pub struct Health {
    /// Alive while its engine is.
    pub context: Arc<WorkerContext>,
    /// Ready while it can be reached.
    pub broker: Arc<RabbitWorker>,
    /// Ready while it answers.
    pub store: Arc<PatientStore>,
    /// Not ready once this is cancelled.
    pub drain: CancellationToken,
    /// The metrics.
    pub numbers: PrometheusHandle,
}

/// Answers at `address` from now on.
pub async fn serve(address: SocketAddr, health: Health) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .with_state(health.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::spawn(probe(health.store, health.numbers));
    Ok(())
}

/// Asks the store for something now and then, so that an idle worker also notices whether it
/// answers. Sums up what was counted too, or it would pile up where nobody asks for it.
async fn probe(store: Arc<PatientStore>, numbers: PrometheusHandle) {
    let key = keys::probe(&Digest::of(&fastrand::u128(..).to_le_bytes()));
    loop {
        sleep(LOOK_EVERY).await;
        // The store itself keeps track of whether it answers.
        let _ = store.contains(&key).await;
        numbers.run_upkeep();
    }
}

type Answer = (StatusCode, &'static str);

async fn healthz(State(health): State<Health>) -> Answer {
    if health.context.engine.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine is broken\n")
    }
}

async fn readyz(State(health): State<Health>) -> Answer {
    if health.drain.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if !health.broker.is_connected() {
        (StatusCode::SERVICE_UNAVAILABLE, "the broker is away\n")
    } else if health.store.is_away() {
        (StatusCode::SERVICE_UNAVAILABLE, "the store is away\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn numbers(State(health): State<Health>) -> String {
    metrics::connected(Service::Broker, health.broker.is_connected());
    metrics::connected(Service::Store, !health.store.is_away());
    let device = health.context.engine.description().device.clone();
    metrics::device(health.context.activity.ages(), memory::of(device).await);
    metrics::refused(health.broker.refused());
    health.numbers.render()
}
