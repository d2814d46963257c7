//! A small collector: what it is sent over HTTP or HTTPS, in the encoding of OTLP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use axum::serve::Listener;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self, span, status};
use prost::Message;
use stylefleet_tests::processes::wait_until;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// A span that arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// The program that it is of.
    pub service: String,
    pub name: String,
    pub kind: span::SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty: it has none.
    pub parent: String,
    /// The traces and spans that it is linked to.
    pub links: Vec<(String, String)>,
    pub attributes: BTreeMap<String, String>,
    pub has_failed: bool,
    /// Beginning and end, in nanoseconds.
    pub time: [u64; 2],
}

/// A collector at work.
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    _runtime: Runtime,
}

impl Collector {
    /// One that speaks HTTP.
    pub fn start() -> Self {
        Self::at("http", |listener| listener)
    }

    /// One that speaks HTTPS, with the certificate `server.pem` and the key `server.key` in a
    /// folder.
    pub fn with_tls(folder: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("server.pem"));
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("is a key");
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("is a certificate")], key)
            .expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::at("https", |listener| TlsListener { listener, acceptor })
    }

    fn at<L>(scheme: &str, listener: impl FnOnce(TcpListener) -> L) -> Self
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let spans = Arc::<Mutex<Vec<_>>>::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(spans.clone());
        let bound = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let bound = bound.expect("a port");
        let address = bound.local_addr().expect("an address");
        let listener = listener(bound);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("{scheme}://{address}"),
            spans,
            _runtime: runtime,
        }
    }

    /// What tells a program to export to it.
    pub fn variable(&self) -> (&'static str, String) {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.clone())
    }

    /// What arrived so far, the earliest first.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.lock().expect("is not poisoned").clone();
        spans.sort_by_key(|span| span.time[0]);
        spans
    }

    /// What arrived of that name.
    pub fn named(&self, name: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        spans
    }

    /// Waits until so many spans of that name have arrived.
    pub fn wait_for(&self, name: &str, count: usize) -> Vec<Span> {
        let what = format!("{count} spans {name} have arrived");
        wait_until(&what, || self.named(name).len() >= count);
        self.named(name)
    }
}

/// Takes connections that speak TLS; whoever does not is turned away.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) -> Vec<u8> {
    let request = ExportTraceServiceRequest::decode(body).expect("is OTLP");
    let mut spans = spans.lock().expect("is not poisoned");
    for of_service in request.resource_spans {
        let service = service(of_service.resource);
        let all = of_service.scope_spans.into_iter();
        spans.extend(all.flat_map(|of_scope| of_scope.spans).map(|span| Span {
            service: service.clone(),
            ..read(span)
        }));
    }
    ExportTraceServiceResponse::default().encode_to_vec()
}

fn service(resource: Option<Resource>) -> String {
    let attributes = resource.expect("says whose").attributes;
    let name = texts(attributes).remove("service.name");
    name.expect("has a name")
}

fn read(span: v1::Span) -> Span {
    let code = span.status.as_ref().map(v1::Status::code);
    let links = span.links.iter();
    Span {
        service: String::new(),
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        has_failed: code == Some(status::StatusCode::Error),
        time: [span.start_time_unix_nano, span.end_time_unix_nano],
        attributes: texts(span.attributes),
        name: span.name,
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let read = |attribute: KeyValue| Some((attribute.key, text(attribute.value?.value?)));
    attributes.into_iter().filter_map(read).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
