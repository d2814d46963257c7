//! Where the stores under test live.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use stylefleet_proto::{Digest, Hasher};
use stylefleet_transport::store::{Location, MemoryStore, Options, Store, open};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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

/// How many uploads under the prefix in the server's bucket are neither complete nor aborted.
pub async fn unfinished_uploads(prefix: &str) -> usize {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(http)
        .region("us-east-1")
        .endpoint_url(server().endpoint.expect("is set"));
    let config = aws_sdk_s3::config::Builder::from(&config.load().await).force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let Location::Bucket { bucket, .. } = in_bucket(prefix) else {
        panic!("it is a bucket");
    };
    let listed = client.list_multipart_uploads().bucket(bucket).send().await;
    let listed = listed.expect("lists");
    let keys = listed.uploads().iter().filter_map(|upload| upload.key());
    keys.filter(|key| key.starts_with(&format!("{prefix}/")))
        .count()
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

/// A new file of `size` bytes in the folder, and its digest.
pub async fn random_file(folder: &Path, size: usize) -> (PathBuf, Digest) {
    let path = folder.join(format!("{size}-{:016x}", fastrand::u64(..)));
    let mut file = tokio::fs::File::create(&path).await.expect("creates");
    let mut hasher = Hasher::default();
    let mut random = fastrand::Rng::new();
    let mut piece = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let piece = &mut piece[..left.min(1 << 20)];
        random.fill(piece);
        hasher.update(piece);
        file.write_all(piece).await.expect("writes");
        left -= piece.len();
    }
    file.flush().await.expect("writes");
    (path, hasher.digest())
}

/// What an ignored test of this file says after `word`, in a process of its own with this
/// environment.
pub async fn said_by(test: &str, word: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("runs");
    let said = String::from_utf8(output.stdout).expect("is text");
    let told = said.lines().find_map(|line| line.strip_prefix(word));
    told.unwrap_or_else(|| panic!("{said}")).to_owned()
}
