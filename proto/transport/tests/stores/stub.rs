//! A server of S3 that does as some servers do and the real one here does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// How it differs; first, how it treats a write that is to happen only if there is no object.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    /// It is refused: the server knows no conditions.
    Unknown,
    /// It happens, whatever is there.
    Ignored,
    /// The first is refused since another write is under way, which then wins or is given up.
    Met { other_wins: bool },
    /// All requests are refused.
    Closed,
    /// All requests are refused, since the clocks differ.
    Skewed,
    /// So many requests are refused with a status that asks for patience.
    Busy { status: u16, times: u32 },
    /// It knows no upload that is to be completed. The object is there all the same: that upload's,
    /// whose reply was lost, or another's.
    Forgetful { other_wins: bool },
}

#[derive(Clone)]
struct Stub {
    manner: Manner,
    objects: Arc<Mutex<HashMap<String, Bytes>>>,
    met: Arc<Mutex<bool>>,
    /// What the last upload in parts calls its writer.
    writer: Arc<Mutex<Option<HeaderValue>>>,
    /// Requests so far.
    requests: Arc<AtomicU32>,
}

/// Starts the server; its address.
pub async fn serve(manner: Manner) -> String {
    let stub = Stub {
        manner,
        objects: Arc::default(),
        met: Arc::default(),
        writer: Arc::default(),
        requests: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("has an address");
    let app = Router::new().fallback(answer).with_state(stub);
    let app = app.layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn answer(
    State(stub): State<Stub>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match stub.manner {
        Manner::Forgetful { other_wins } => forget(&stub, other_wins, &method, &uri, &headers),
        _ => keep(&stub, &method, &uri, &headers, body).into_response(),
    }
}

const WRITER: &str = "x-amz-meta-writer";
const BEGUN: &str =
    "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";

/// An upload in parts: it begins, takes parts, is not known at its end, and looked for.
fn forget(
    stub: &Stub,
    other_wins: bool,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    let mut writer = stub.writer.lock().expect("is sound");
    match (method, uri.query().unwrap_or_default().contains("uploadId")) {
        (&Method::POST, false) => {
            *writer = headers.get(WRITER).cloned();
            BEGUN.into_response()
        }
        (&Method::POST, true) => {
            let code = "<Error><Code>NoSuchUpload</Code></Error>";
            (StatusCode::NOT_FOUND, code).into_response()
        }
        (&Method::HEAD, _) => {
            let winner = if other_wins {
                HeaderValue::from_static("other")
            } else {
                writer.clone().expect("it says who writes")
            };
            [(WRITER, winner)].into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

fn keep(
    stub: &Stub,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> (StatusCode, Bytes) {
    let key = uri.path().to_owned();
    let before = stub.requests.fetch_add(1, Ordering::Relaxed);
    match stub.manner {
        Manner::Closed => return (StatusCode::FORBIDDEN, Bytes::new()),
        Manner::Skewed => {
            let code = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
            return (StatusCode::FORBIDDEN, code.into());
        }
        Manner::Busy { status, times } if before < times => {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, Bytes::new());
        }
        _ => {}
    }
    let mut objects = stub.objects.lock().expect("is sound");
    if *method == Method::PUT {
        if headers.contains_key("if-none-match") {
            match stub.manner {
                Manner::Unknown => return (StatusCode::NOT_IMPLEMENTED, Bytes::new()),
                Manner::Met { other_wins } => {
                    if !std::mem::replace(&mut *stub.met.lock().expect("is sound"), true) {
                        if other_wins {
                            objects.insert(key, "the other's".into());
                        }
                        return (StatusCode::CONFLICT, Bytes::new());
                    }
                    if objects.contains_key(&key) {
                        return (StatusCode::PRECONDITION_FAILED, Bytes::new());
                    }
                }
                _ => {}
            }
        }
        objects.insert(key, body);
        return (StatusCode::OK, Bytes::new());
    }
    match objects.get(&key) {
        Some(_) if *method == Method::DELETE => {
            objects.remove(&key);
            (StatusCode::NO_CONTENT, Bytes::new())
        }
        Some(object) => (StatusCode::OK, object.clone()),
        None => {
            let code = "<Error><Code>NoSuchKey</Code></Error>";
            (StatusCode::NOT_FOUND, code.into())
        }
    }
}
