//! The way of spans to a collector: OTLP over HTTP, from a thread of its own. What the collector
//! does, or does not do, holds nobody up: spans that find no room are dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Builder, Runtime};

use crate::config::Export;

/// How long the last spans may take to leave.
pub(crate) const FAREWELL: Duration = Duration::from_secs(3);
/// How OpenTelemetry begins the name of a service that nobody named.
const UNNAMED: &str = "unknown_service";

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// A variable is invalid.
    #[error(transparent)]
    Settings(#[from] ExporterBuildError),
    /// The operating system refused something, or TLS cannot be set up.
    #[error("no HTTP client: {0}")]
    Client(#[from] std::io::Error),
}

/// Makes traces and exports them as those of `program`, unless a variable names the service.
pub(crate) fn provider(
    program: &'static str,
    export: &Export,
) -> Result<SdkTracerProvider, ExportError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(export.timeout)?)
        .build()?;
    let exporter = Watched {
        exporter,
        is_away: AtomicBool::new(false),
    };
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(program))
        .build())
}

fn resource(program: &'static str) -> Resource {
    let version = || KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version()).build();
    let name = resource.get(&"service.name".into());
    if name.is_some_and(|name| !name.as_str().starts_with(UNNAMED)) {
        return resource;
    }
    let builder = Resource::builder().with_service_name(program);
    builder.with_attribute(version()).build()
}

/// Makes requests for the exporter, whose thread has no tokio.
#[derive(Debug)]
struct Client {
    runtime: Runtime,
    http: HyperClient<HttpsConnector<HttpConnector>>,
}

impl Client {
    fn new(timeout: Duration) -> std::io::Result<Self> {
        let connector = HttpsConnectorBuilder::new();
        let provider = ring::default_provider();
        let connector = match connector.with_provider_and_native_roots(provider) {
            Ok(connector) => connector,
            // A machine without authorities may have a collector without TLS.
            Err(_) => HttpsConnectorBuilder::new().with_tls_config(without_authorities()?),
        };
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            http: HyperClient::new(
                connector.https_or_http().enable_http1().build(),
                timeout,
                None,
            ),
        })
    }
}

/// TLS that trusts nobody.
fn without_authorities() -> std::io::Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(std::io::Error::other)?;
    Ok(config
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.block_on(self.http.send_bytes(request))
    }
}

/// An exporter that is told of in the log when it begins to fail, and when it works again.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    is_away: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let was_away = self.is_away.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_away => tracing::warn!(
                "traces are lost: {error}: look at the collector that OTEL_EXPORTER_OTLP_ENDPOINT \
                 names; jobs go on without it"
            ),
            Ok(()) if was_away => tracing::warn!("traces are exported again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
