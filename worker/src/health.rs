//! What a supervisor may ask: is the worker alive, is it ready, what has it counted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use stylefleet_transport::broker::RabbitWorker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::job::Bench;
use crate::metrics;

/// What the answers depend on.
#[derive(Clone)]
pub struct Health {
    /// Alive while its engine is.
    pub bench: Arc<Bench>,
    /// Ready while it can be reached.
    pub broker: Arc<RabbitWorker>,
    /// Not ready once it is cancelled.
    pub drain: CancellationToken,
    /// What was counted.
    pub numbers: PrometheusHandle,
}

/// Answers at `address` from now on.
pub async fn serve(address: SocketAddr, health: Health) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .with_state(health);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

type Answer = (StatusCode, &'static str);

async fn healthz(State(health): State<Health>) -> Answer {
    match health.bench.engine.is_alive() {
        true => (StatusCode::OK, "alive\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the engine is broken\n"),
    }
}

async fn readyz(State(health): State<Health>) -> Answer {
    if health.drain.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if !health.broker.is_connected() {
        (StatusCode::SERVICE_UNAVAILABLE, "the broker is away\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn numbers(State(health): State<Health>) -> String {
    metrics::connected(health.broker.is_connected());
    health.numbers.render()
}
