//! What is promised of objects that are carried from file to file, and read in part.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use stylefleet_proto::Digest;
use stylefleet_transport::store::StoreError;
use tempfile::tempdir;

use crate::home::{Pair, random_file};

/// More than S3 stores send at once.
const LARGE: usize = (40 << 20) + 1;

fn names(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("lists").count()
}

pub async fn carries_files([store, _]: Pair) {
    let folder = tempdir().expect("a temporary folder");
    for size in [0, 1, 16 << 20, (16 << 20) + 1, LARGE] {
        let (path, digest) = random_file(folder.path(), size).await;
        let key = format!("inputs/{digest}");
        let put = store.put_file(&key, &path, &digest).await;
        put.expect("writes");
        let bytes = std::fs::read(&path).expect("reads");
        assert!(store.get(&key).await.expect("reads") == Some(bytes.clone().into()));

        let copy = folder.path().join(format!("new/{size}/copy"));
        let got = store.get_file(&key, &copy, &digest).await;
        assert!(got.expect("reads"));
        assert!(std::fs::read(&copy).expect("is there") == bytes, "{size}");
        assert_eq!(names(copy.parent().expect("has one")), 1);
    }
    assert_eq!(store.list("inputs/").await.expect("lists").len(), 5);
}

pub async fn leaves_the_file_alone_if_there_is_no_object([store, _]: Pair) {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    let digest = Digest::of(b"new");
    assert!(!store.get_file("a", &path, &digest).await.expect("looks"));
    assert_eq!(names(folder.path()), 0);
    std::fs::write(&path, "old").expect("writes");
    assert!(!store.get_file("a", &path, &digest).await.expect("looks"));
    assert_eq!(std::fs::read(&path).expect("is there"), b"old");
    store.put("a", "new".into()).await.expect("writes");
    assert!(store.get_file("a", &path, &digest).await.expect("reads"));
    assert_eq!(std::fs::read(&path).expect("is there"), b"new");
}

pub async fn refuses_files_with_another_digest([store, _]: Pair) {
    let folder = tempdir().expect("a temporary folder");
    store.put("old", "old".into()).await.expect("writes");
    for size in [0, 3, LARGE] {
        let (path, _) = random_file(folder.path(), size).await;
        for key in ["old", "new"] {
            let refused = store.put_file(key, &path, &Digest::of(b"other")).await;
            let Err(error @ StoreError::Mismatch { .. }) = refused else {
                panic!("{size}: {refused:?}");
            };
            assert!(!error.is_retryable());
            let shown = error.to_string();
            assert!(shown.contains(&path.display().to_string()), "{shown}");
        }
    }
    assert_eq!(store.list("").await.expect("lists"), ["old"]);
    assert_eq!(store.get("old").await.expect("reads"), Some("old".into()));
}

pub async fn refuses_objects_with_another_digest([store, _]: Pair) {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    std::fs::write(&path, "old").expect("writes");
    store.put("a", "damaged".into()).await.expect("writes");
    let refused = store.get_file("a", &path, &Digest::of(b"whole")).await;
    let Err(error @ StoreError::Mismatch { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains(&store.locate("a")), "{error}");
    assert_eq!(std::fs::read(&path).expect("is there"), b"old");
    assert_eq!(names(folder.path()), 1);
}

pub async fn says_which_file_it_cannot_read([store, _]: Pair) {
    let refused = store
        .put_file("a", Path::new("/nowhere/a"), &Digest::of(b""))
        .await;
    let error = refused.expect_err("there is no such file");
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/a"), "{error}");
    assert!(!error.is_retryable());
    assert!(!store.contains("a").await.expect("looks"));
}

pub async fn reads_ranges([store, _]: Pair) {
    store.put("a", "0123456789".into()).await.expect("writes");
    store.put("empty", Bytes::new()).await.expect("writes");
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..u64::MAX, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
        (4..u64::MAX, "456789"),
        (8..20, "89"),
        (0..0, ""),
        (5..5, ""),
        (10..11, ""),
        (10..u64::MAX, ""),
        (100..200, ""),
    ] {
        let read = store.get_range("a", range.clone()).await;
        assert_eq!(read.expect("reads"), Some(expected.into()), "{range:?}");
        let read = store.get_range("empty", range.clone()).await;
        assert_eq!(read.expect("reads"), Some(Bytes::new()), "{range:?}");
        let read = store.get_range("b", range).await;
        assert_eq!(read.expect("looks"), None);
    }
}

pub async fn resumes_in_the_same_object_only([store, _]: Pair) {
    store.put("a", "01234".into()).await.expect("writes");
    let begun = store.read("a", 0..3, None).await.expect("reads");
    let version = begun.expect("is there").version.expect("is told");
    let rest = async |range| {
        let rest = store.read("a", range, Some(&version)).await;
        rest.map(|reading| reading.is_some())
    };
    let ranges = [3..u64::MAX, 3..4, 3..3, 100..u64::MAX];
    for range in ranges.clone() {
        assert!(rest(range).await.expect("reads"));
    }
    store.put("a", "5678".into()).await.expect("writes");
    for range in ranges.clone() {
        let changed = rest(range.clone()).await;
        let Err(error @ StoreError::Changed { .. }) = changed else {
            panic!("{range:?}: {changed:?}");
        };
        assert!(error.is_retryable());
    }
    store.delete("a").await.expect("removes");
    for range in ranges {
        assert!(!rest(range).await.expect("looks"));
    }
}

pub async fn offers_urls_only_if_it_has_a_server([store, _]: Pair) {
    let url = store.presigned_url("a", Duration::from_secs(60)).await;
    let url = url.expect("signs");
    let has_server = store.locate("a").starts_with("s3://");
    assert_eq!(url.is_some(), has_server, "{url:?}");
}
