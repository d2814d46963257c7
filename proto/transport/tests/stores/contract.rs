//! The promises. Each takes two empty stores that lie side by side.

mod files;

pub use files::*;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stylefleet_proto::Digest;
use stylefleet_transport::store::{Check, Store, StoreError, check};

use crate::home::Pair;

pub async fn keeps_replaces_and_removes([store, _]: Pair) {
    assert_eq!(store.get("a/b").await.expect("reads"), None);
    assert!(!store.contains("a/b").await.expect("looks"));
    assert!(store.put_new("a/b", "1".into()).await.expect("writes"));
    assert!(!store.put_new("a/b", "2".into()).await.expect("declines"));
    assert_eq!(store.get("a/b").await.expect("reads"), Some("1".into()));
    store.put("a/b", "3".into()).await.expect("writes");
    assert_eq!(store.get("a/b").await.expect("reads"), Some("3".into()));
    assert!(store.contains("a/b").await.expect("looks"));
    store.delete("a/b").await.expect("removes");
    store.delete("a/b").await.expect("removes what is gone");
    assert!(!store.contains("a/b").await.expect("looks"));
    assert!(store.put_new("a/b", "4".into()).await.expect("writes"));
}

pub async fn one_of_many_writers_wins([store, _]: Pair) {
    // The first writes to a server may go another way than later ones.
    for round in 0..2 {
        let key = format!("jobs/{round}");
        let writers: Vec<_> = (0..16)
            .map(|i| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move {
                    let bytes = Bytes::from(i.to_string());
                    store
                        .put_new(&key, bytes)
                        .await
                        .expect("writes")
                        .then_some(i)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            winners.extend(writer.await.expect("ends"));
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let kept = store.get(&key).await.expect("reads").expect("is there");
        assert_eq!(kept, winners[0].to_string());
    }
}

pub async fn knows_size_and_age([store, _]: Pair) {
    assert_eq!(store.stat("a").await.expect("looks"), None);
    store.put("a", "12345".into()).await.expect("writes");
    let stat = store.stat("a").await.expect("looks").expect("is there");
    assert_eq!(stat.size, 5);
    let age = SystemTime::now().duration_since(stat.modified);
    assert!(age.is_ok_and(|age| age < Duration::from_secs(10)));
}

pub async fn lists_what_is_in_a_folder([store, _]: Pair) {
    let empty: [&str; 0] = [];
    assert_eq!(store.list("").await.expect("lists"), empty);
    for key in ["b/2", "b/1/x", "a", "bc/1", "b/10"] {
        store.put(key, "1".into()).await.expect("writes");
    }
    assert_eq!(
        store.list("").await.expect("lists"),
        ["a", "b/1/x", "b/10", "b/2", "bc/1"]
    );
    assert_eq!(
        store.list("b/").await.expect("lists"),
        ["b/1/x", "b/10", "b/2"]
    );
    assert_eq!(store.list("b/1/").await.expect("lists"), ["b/1/x"]);
    assert_eq!(store.list("z/").await.expect("lists"), empty);
    for no_folder in ["b", "/", "../", "b//"] {
        let refused = store.list(no_folder).await;
        assert!(matches!(refused, Err(StoreError::Key(_))), "{no_folder}");
    }
}

pub async fn lists_more_than_a_page([store, _]: Pair) {
    let keys: BTreeSet<_> = (0..1100).map(|i| format!("many/{i}")).collect();
    write_all(&store, &keys).await;
    let listed = store.list("many/").await.expect("lists");
    assert!(
        listed.iter().eq(&keys),
        "{} of {}",
        listed.len(),
        keys.len()
    );
}

pub async fn knows_which_of_many_are_there([store, other]: Pair) {
    let empty: [bool; 0] = [];
    assert_eq!(store.present(&[]).await.expect("looks"), empty);
    let keys = |range: std::ops::Range<u32>| range.map(|i| format!("many/{i:04}.json"));
    write_all(
        &store,
        &keys(0..2500)
            .filter(|key| !key.ends_with("7.json"))
            .collect(),
    )
    .await;
    write_all(&other, &keys(0..20).collect()).await;
    store
        .put("many/0007.json/x", "1".into())
        .await
        .expect("writes");
    store.put("zoo", "1".into()).await.expect("writes");
    let is_there = |key: &String| !key.ends_with("7.json") && key < &"many/2500".to_owned();
    // All of them, a few that lie far apart, a single one; in no order, and twice.
    for mut wanted in [
        keys(0..3000).collect::<Vec<_>>(),
        keys(0..3000).step_by(611).collect(),
        keys(2400..2401).collect(),
        keys(4000..4001).collect(),
    ] {
        fastrand::Rng::with_seed(7).shuffle(&mut wanted);
        wanted.push(wanted[0].clone());
        let expected: Vec<_> = wanted.iter().map(is_there).collect();
        assert_eq!(store.present(&wanted).await.expect("looks"), expected);
    }
    let mixed = ["zoo", "many/0001.json", "many", "many/0007.json", "a"].map(str::to_owned);
    let expected = [true, true, false, false, false];
    assert_eq!(store.present(&mixed).await.expect("looks"), expected);
    let climbing = ["many/0001.json", "../x"].map(str::to_owned);
    let refused = store.present(&climbing).await;
    assert!(matches!(refused, Err(StoreError::Key(_))), "{refused:?}");
}

async fn write_all(store: &Arc<dyn Store>, keys: &BTreeSet<String>) {
    let waiting = Arc::new(tokio::sync::Semaphore::new(32));
    let writers: Vec<_> = (keys.iter().cloned())
        .map(|key| {
            let (store, waiting) = (store.clone(), waiting.clone());
            tokio::spawn(async move {
                let _turn = waiting.acquire().await.expect("is open");
                store.put(&key, Bytes::new()).await.expect("writes");
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("ends");
    }
}

pub async fn has_no_folders_as_objects([store, _]: Pair) {
    store.put("a/b/c", "1".into()).await.expect("writes");
    assert_eq!(store.get("a/b").await.expect("reads"), None);
    assert_eq!(store.stat("a/b").await.expect("looks"), None);
    assert_eq!(store.get("a/b/c/d").await.expect("reads"), None);
    assert_eq!(store.stat("a/b/c/d").await.expect("looks"), None);
}

pub async fn holds_big_objects([store, _]: Pair) {
    // More than S3 stores send at once, and no whole number of parts.
    let mut bytes = vec![0; (150 << 20) + 1];
    fastrand::Rng::with_seed(7).fill(&mut bytes);
    let bytes = Bytes::from(bytes);
    store.put("big", bytes.clone()).await.expect("writes");
    assert!(store.get("big").await.expect("reads") == Some(bytes));
}

pub async fn holds_empty_objects([store, _]: Pair) {
    store.put("empty", Bytes::new()).await.expect("writes");
    assert_eq!(store.get("empty").await.expect("reads"), Some(Bytes::new()));
    assert!(store.contains("empty").await.expect("looks"));
    assert!(!store.put_new("empty", "1".into()).await.expect("declines"));
    assert_eq!(store.list("").await.expect("lists"), ["empty"]);
}

pub async fn takes_odd_keys([store, _]: Pair) {
    let mut keys = [
        "a b", "a+b", "a%20b", "a?b=c&d", "a#b", "a:b", "a=b", "ä/字", "..a", "a..", ".a", "~a",
        "A", "a'\"b", "a*", "a<b>", "a,b;c",
    ];
    for key in keys {
        store.put(key, key.into()).await.expect(key);
    }
    for key in keys {
        assert_eq!(store.get(key).await.expect(key), Some(key.into()));
    }
    keys.sort_unstable();
    assert_eq!(store.list("").await.expect("lists"), keys);
}

pub async fn refuses_keys_that_climb([store, _]: Pair) {
    let file = tempfile::NamedTempFile::new().expect("creates");
    let digest = Digest::of(b"");
    for key in [
        "../x",
        "a/../../x",
        "a/..",
        "/etc/passwd",
        "a//b",
        "a/",
        "",
        "a/./b",
        "a\\b",
        "a\0",
    ] {
        for refused in [
            store.get(key).await.map(drop),
            store.stat(key).await.map(drop),
            store.get_file(key, file.path(), &digest).await.map(drop),
            store.put(key, Bytes::new()).await,
            store.put_file(key, file.path(), &digest).await,
            store.put_new(key, Bytes::new()).await.map(drop),
            store.delete(key).await,
        ] {
            assert!(matches!(refused, Err(StoreError::Key(_))), "{key}");
        }
    }
}

pub async fn keeps_to_its_own_part([ours, theirs]: Pair) {
    ours.put("a", "ours".into()).await.expect("writes");
    assert_eq!(theirs.get("a").await.expect("reads"), None);
    assert!(theirs.put_new("a", "theirs".into()).await.expect("writes"));
    theirs.put("b", "theirs".into()).await.expect("writes");
    assert_eq!(ours.list("").await.expect("lists"), ["a"]);
    theirs.delete("a").await.expect("removes");
    assert_eq!(ours.get("a").await.expect("reads"), Some("ours".into()));
}

pub async fn stands_the_check([store, _]: Pair) {
    let Check { one_writer, skew } = check(&*store, "probes/1").await.expect("works");
    assert!(one_writer);
    assert!(skew.abs() <= 2, "{skew}");
    assert!(store.list("").await.expect("lists").is_empty());
}
