//! Where the stores under test live.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_transport::store::{Location, MemoryStore, Options, Store, open};
use tempfile::TempDir;

/// Two stores side by side.
pub type Pair = [Arc<dyn Store>; 2];

pub async fn folders(folder: &TempDir) -> Pair {
    let open = async |name| {
        let location = Location::Folder(folder.path().join(name));
        open(&location, &Options::default()).await.expect("opens")
    };
    // One name begins with the other.
    [open("store").await, open("store2").await]
}

pub fn memories() -> Pair {
    [
        Arc::new(MemoryStore::default()),
        Arc::new(MemoryStore::default()),
    ]
}

/// Runs a test with two stores in the bucket, and empties them, whatever becomes of the test.
pub async fn with_prefixes<F>(test: impl FnOnce(Pair) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let prefix = fresh_prefix();
    let open = async |end: &str| {
        let location = in_bucket(&format!("{prefix}{end}"));
        open(&location, &server()).await.expect("opens")
    };
    let pair = [open("").await, open("2").await];
    let outcome = tokio::spawn(test(pair.clone())).await;
    for store in pair {
        for key in store.list("").await.expect("lists") {
            store.delete(&key).await.expect("removes");
        }
    }
    if let Err(failure) = outcome {
        resume_unwind(failure.into_panic());
    }
}

/// A prefix for one test alone.
pub fn fresh_prefix() -> String {
    format!("tests/{:016x}", fastrand::u64(..))
}

/// A prefix in the server's bucket.
pub fn in_bucket(prefix: &str) -> Location {
    format!("{}/{prefix}", variable("STYLEFLEET_STORE"))
        .parse()
        .expect("a bucket")
}

/// The server.
pub fn server() -> Options {
    Options {
        endpoint: Some(variable("STYLEFLEET_S3_ENDPOINT")),
        ca: None,
    }
}

/// The same server over TLS, and the file with its authority.
pub fn tls() -> (String, PathBuf) {
    (
        variable("STYLEFLEET_TEST_S3_TLS"),
        variable("STYLEFLEET_TEST_CA").into(),
    )
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or eval \"$(deploy/services/services.sh env)\"")
    })
}
