//! What both programs tell those who run them: logs on standard error, and traces by OTLP.
//!
//! Every line that a job causes says which one, for it is written inside the job's span. The spans
//! also make traces, one from the submit to the last attempt, if the environment names a collector
//! (see `config.rs`); otherwise nothing of OpenTelemetry is started.

mod config;
mod context;
mod export;
mod logs;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub use context::{after, current, fail, follow, rename, root};
pub use logs::{LogFormat, Logs};

/// Logs and traces, until it is dropped: then the last spans leave, which takes a few seconds if
/// the collector is away.
#[must_use]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Begins to log to `writer`, and to export traces as those of `program` where the environment
    /// asks for it. Call it once.
    pub fn start<W>(program: &'static str, logs: &Logs<'_>, writer: W) -> Self
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let (traces, refused) = match config::Export::wanted() {
            None => (None, None),
            Some(export) => match export::provider(program, &export) {
                Ok(provider) => (Some(provider), None),
                Err(error) => (None, Some(error)),
            },
        };
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer::<Registry>()
                .with_tracer(provider.tracer(program))
                .with_location(false)
                .with_target(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO))
        });
        tracing_subscriber::registry()
            .with(spans)
            .with(logs::layer(logs, writer))
            .init();
        if let Some(error) = refused {
            tracing::warn!("no traces are exported: {error}: mend the variables OTEL_*");
        }
        Self { traces }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            // Whoever is waiting for the process to end has waited long enough.
            let _ = traces.shutdown_with_timeout(export::FAREWELL);
        }
    }
}

/// Whether a span or an event is the project's own, and no detail.
fn is_ours(about: &Metadata<'_>) -> bool {
    about.target().starts_with("stylefleet") && *about.level() <= tracing::Level::INFO
}
