//! What only S3 can get wrong: rights, addresses, certificates, networks, other servers' ways.

mod files;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stylefleet_transport::store::{
    Location, Options, Patience, PatientStore, Store, StoreError, check, open,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::home::{fresh_prefix, in_bucket, said_by, server, tls};
use crate::proxy::{Proxy, first_is_lost};
use crate::stub::{Manner, serve};

async fn at(location: &Location, endpoint: String) -> Arc<dyn Store> {
    let options = Options {
        endpoint: Some(endpoint),
        ca: None,
    };
    open(location, &options).await.expect("opens")
}

/// What reading, writing, listing and looking come to.
async fn all_ways(store: &dyn Store) -> Vec<Result<(), StoreError>> {
    vec![
        store.get("a").await.map(drop),
        store.put("a", "1".into()).await,
        store.put_new("b", "1".into()).await.map(drop),
        store.delete("a").await,
        store.list("").await.map(drop),
        store.stat("a").await.map(drop),
    ]
}

#[tokio::test]
async fn names_a_missing_bucket() {
    let location: Location = "s3://nobody-made-this".parse().expect("a bucket");
    let store = open(&location, &server()).await.expect("opens");
    let outcomes = all_ways(&*store).await;
    // The reply to a mere look has no body, and so cannot say what is missing.
    for outcome in &outcomes[..5] {
        let Err(error @ StoreError::NoBucket { .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("\"nobody-made-this\""));
    }
}

#[tokio::test]
async fn tells_soon_that_nobody_answers() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = closed.local_addr().expect("has an address");
    drop(closed);
    let store = at(&in_bucket("x"), format!("http://{address}")).await;
    let begun = Instant::now();
    let error = store.get("a").await.expect_err("nobody is there");
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert!(matches!(error, StoreError::Unreachable { .. }) && error.is_retryable());
    let shown = error.to_string();
    assert!(
        shown.contains(&address.to_string()) && shown.contains("refused"),
        "{shown}"
    );
    // What the system said is there for programs.
    let mut chain = std::iter::successors(error.source(), |&error| error.source());
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    assert!(chain.any(|error| error.downcast_ref().is_some_and(refused)));
}

#[tokio::test]
async fn trusts_the_authority_it_is_told_of_and_no_other() {
    let (endpoint, ca) = tls();
    let location = in_bucket(&fresh_prefix());
    let with = async |ca| {
        let endpoint = Some(endpoint.clone());
        open(&location, &Options { endpoint, ca }).await
    };
    let trusting = with(Some(ca)).await.expect("opens");
    assert!(check(&*trusting, "probe").await.expect("works").one_writer);

    let wary = with(None).await.expect("opens");
    let error = wary.get("a").await.expect_err("an unknown authority");
    assert!(matches!(error, StoreError::Untrusted { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");

    for ca in [
        "/nowhere/ca.pem",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ] {
        let refused = with(Some(ca.into())).await.map(drop);
        let Err(error @ StoreError::Authorities(_)) = refused else {
            panic!("{refused:?}");
        };
        assert!(error.to_string().contains(ca), "{error}");
    }
}

#[tokio::test]
async fn refuses_addresses_that_are_none() {
    for endpoint in [
        "localhost:9000",
        "ftp://host",
        "https://",
        "http://user:hidden@host",
    ] {
        let options = Options {
            endpoint: Some(endpoint.into()),
            ca: None,
        };
        let error = open(&in_bucket("x"), &options)
            .await
            .map(drop)
            .expect_err(endpoint);
        assert!(matches!(error, StoreError::Setting { .. }));
        assert!(!error.to_string().contains("hidden"));
    }
}

/// The error that a process meets in the bucket whose environment differs in that.
async fn met_with(environment: &[(&str, &str)]) -> String {
    said_by("s3::tells_what_it_meets", "met: ", environment).await
}

#[tokio::test]
#[ignore = "run by its neighbours, with other environment variables"]
async fn tells_what_it_meets() {
    let location = in_bucket(&fresh_prefix());
    let store = open(&location, &server()).await.expect("opens");
    // libtest begins a line of its own.
    println!();
    for outcome in all_ways(&*store).await {
        match outcome {
            Ok(()) => println!("met: nothing"),
            Err(error) => println!("met: {error:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn tells_a_wrong_secret_from_a_wrong_key() {
    let told = met_with(&[("AWS_SECRET_ACCESS_KEY", "not-the-secret")]).await;
    assert!(
        told.starts_with("Denied") && told.contains("AWS_SECRET_ACCESS_KEY"),
        "{told}"
    );
    assert!(!told.contains("not-the-secret"), "{told}");
    let told = met_with(&[("AWS_ACCESS_KEY_ID", "nobody")]).await;
    assert!(
        told.starts_with("Denied") && told.contains("AWS_ACCESS_KEY_ID"),
        "{told}"
    );
}

/// Without any in the environment, in files, or from a metadata service that is silent or closed.
#[tokio::test]
async fn asks_for_credentials_where_there_are_none() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = silent.local_addr().expect("has an address");
    let closed = serve(Manner::Closed).await;
    for metadata in [format!("http://{address}"), closed] {
        let begun = Instant::now();
        let told = met_with(&[
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata),
        ])
        .await;
        assert!(told.starts_with("NoCredentials"), "{told}");
        assert!(told.contains("AWS_ACCESS_KEY_ID"), "{told}");
        // Six requests, one after the other.
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn takes_credentials_from_a_profile() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("credentials");
    let of = |name| std::env::var(name).expect(name);
    let profile = format!(
        "[fleet]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        of("AWS_ACCESS_KEY_ID"),
        of("AWS_SECRET_ACCESS_KEY")
    );
    std::fs::write(&file, profile).expect("writes");
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        (
            "AWS_SHARED_CREDENTIALS_FILE",
            file.to_str().expect("is text"),
        ),
        ("AWS_PROFILE", "fleet"),
    ];
    assert_eq!(met_with(&environment).await, "nothing");
}

#[tokio::test]
async fn a_writer_whose_answer_was_lost_still_knows_that_it_won() {
    let location = in_bucket(&fresh_prefix());
    let endpoint = server().endpoint.expect("is set");
    let proxy = Proxy::to(&endpoint, |line| line.starts_with("PUT"), first_is_lost).await;
    let unlucky = at(&location, proxy.address).await;
    assert!(unlucky.put_new("a", "1".into()).await.expect("writes"));
    let late = at(&location, endpoint).await;
    assert!(!late.put_new("a", "2".into()).await.expect("declines"));
    assert_eq!(late.get("a").await.expect("reads"), Some("1".into()));
    late.delete("a").await.expect("removes");
}

#[tokio::test]
async fn looks_before_it_writes_where_conditions_do_not_hold() {
    for manner in [Manner::Unknown, Manner::Ignored] {
        let store = at(&in_bucket("x"), serve(manner).await).await;
        assert!(store.put_new("a", "1".into()).await.expect("writes"));
        assert!(!store.put_new("a", "2".into()).await.expect("declines"));
        assert_eq!(store.get("a").await.expect("reads"), Some("1".into()));
        assert!(!check(&*store, "probe").await.expect("works").one_writer);
    }
}

#[tokio::test]
async fn writers_that_meet_find_out_who_won() {
    for other_wins in [true, false] {
        let store = at(&in_bucket("x"), serve(Manner::Met { other_wins }).await).await;
        let won = store.put_new("a", "ours".into()).await.expect("decides");
        assert_eq!(won, !other_wins);
        let kept = if other_wins { "the other's" } else { "ours" };
        assert_eq!(store.get("a").await.expect("reads"), Some(kept.into()));
    }
}

/// The client itself tries thrice.
#[tokio::test]
async fn tries_again_where_a_server_asks_for_patience() {
    for status in [429, 500, 503] {
        let busy = Manner::Busy { status, times: 2 };
        let store = at(&in_bucket("x"), serve(busy).await).await;
        assert_eq!(store.get("a").await.expect("reads"), None, "{status}");
        let busier = Manner::Busy { status, times: 3 };
        let store = at(&in_bucket("x"), serve(busier).await).await;
        let error = store.get("a").await.expect_err("is busy");
        assert!(error.is_outage() && error.is_retryable(), "{error}");
    }
}

#[tokio::test]
async fn a_patient_store_waits_as_long_as_it_is_to_and_no_longer() {
    let busy = |times| serve(Manner::Busy { status: 503, times });
    let patient = async |times, time| {
        let store = at(&in_bucket("x"), busy(times).await).await;
        PatientStore::new(store, Patience::For(time))
    };
    let store = patient(4, Duration::from_secs(600)).await;
    assert!(store.put_new("a", "1".into()).await.expect("writes"));
    assert!(!store.is_away());

    let store = patient(u32::MAX, Duration::ZERO).await;
    let error = store.get("a").await.expect_err("is busy");
    assert!(error.is_outage(), "{error}");

    // What is no outage is told at once.
    let store = at(&in_bucket("x"), serve(Manner::Closed).await).await;
    let store = PatientStore::new(store, Patience::For(Duration::from_secs(600)));
    let error = store.get("a").await.expect_err("is closed");
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    assert!(!store.is_away());
}

#[tokio::test]
async fn a_patient_store_is_away_until_it_is_back_and_stops_when_told_to() {
    let store = at(&in_bucket("x"), serve(Manner::Closed).await).await;
    let stop = CancellationToken::new();
    let store = PatientStore::new(store, Patience::Until(stop.clone()));
    let waiting = async {
        while !store.is_away() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (read, ()) = tokio::join!(store.get("a"), waiting);
    assert!(matches!(read, Err(StoreError::Denied { .. })), "{read:?}");
    assert!(store.is_away());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_soon() {
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = mute.local_addr().expect("has an address");
    let store = at(&in_bucket("x"), format!("http://{address}")).await;
    let asking =
        async { tokio::join!(store.get("a"), store.put("a", "1".into()), store.stat("a")) };
    let asked = timeout(Duration::from_secs(60), asking).await;
    let (read, written, seen) = asked.expect("it is given up");
    for outcome in [read.map(drop), written, seen.map(drop)] {
        let error = outcome.expect_err("nobody answers");
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("no answer for 10 s"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_amid_an_object_is_given_up() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = server.local_addr().expect("has an address");
    let store = at(&in_bucket("x"), format!("http://{address}")).await;
    let serving = async {
        let mut open = Vec::new();
        while let Ok((mut client, _)) = server.accept().await {
            let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
            client.write_all(begun).await.expect("answers");
            open.push(client);
        }
    };
    let read = async {
        tokio::select! {
            read = store.get("a") => read,
            () = serving => unreachable!("it serves on"),
        }
    };
    let read = timeout(Duration::from_secs(120), read).await;
    let error = read.expect("it is given up").expect_err("half is missing");
    assert!(error.is_outage(), "{error}");
}

/// The reply to a mere look has no body to say it in.
#[tokio::test]
async fn says_that_clocks_differ_whatever_was_asked() {
    let store = at(&in_bucket("x"), serve(Manner::Skewed).await).await;
    for outcome in all_ways(&*store).await {
        let error = outcome.expect_err("is refused");
        assert!(matches!(error, StoreError::ClockSkew { .. }), "{error}");
    }
}
