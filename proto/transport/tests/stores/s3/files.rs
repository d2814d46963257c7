//! Large objects on bad networks, and for browsers.

use std::sync::Arc;
use std::time::Duration;

use stylefleet_proto::Digest;
use stylefleet_transport::store::{Location, Patience, PatientStore, Store, StoreError, open};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::at;
use crate::home::{fresh_prefix, in_bucket, random_file, said_by, server, unfinished_uploads};
use crate::proxy::{Proxy, Reply, first_is_lost};
use crate::stub::{Manner, serve};

/// Three parts.
const SIZE: usize = 40 << 20;
const KEY: &str = "films/a";

/// A place in the bucket, a store there on a good network, and one behind a proxy.
struct Place {
    prefix: String,
    lucky: Arc<dyn Store>,
    unlucky: Arc<dyn Store>,
    proxy: Proxy,
}

impl Place {
    async fn new(is_meant: fn(&str) -> bool, reply: fn(usize) -> Reply) -> Self {
        let prefix = fresh_prefix();
        let location = in_bucket(&prefix);
        let endpoint = server().endpoint.expect("is set");
        let proxy = Proxy::to(&endpoint, is_meant, reply).await;
        Self {
            unlucky: at(&location, proxy.address.clone()).await,
            lucky: at(&location, endpoint).await,
            prefix,
            proxy,
        }
    }

    /// Waits until there is no upload here that is neither complete nor aborted.
    async fn has_no_unfinished_uploads(&self) {
        let none = async {
            while unfinished_uploads(&self.prefix).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let waiting = timeout(Duration::from_secs(60), none).await;
        waiting.expect("none is left");
    }
}

fn is_get(line: &str) -> bool {
    line.starts_with("GET")
}

fn is_part(line: &str) -> bool {
    line.starts_with("PUT") && line.contains("partNumber=")
}

fn is_second_part(line: &str) -> bool {
    is_part(line) && line.contains("partNumber=2&")
}

fn is_completion(line: &str) -> bool {
    line.starts_with("POST") && line.contains("uploadId=")
}

/// Breaks often, but each time after something came.
fn breaks_often(nth: usize) -> Reply {
    match nth {
        0..5 => Reply::BreaksAfter(6 << 20),
        _ => Reply::Arrives,
    }
}

/// The connection breaks, and then nobody answers for longer than the client itself tries.
fn goes_away_for_a_while(nth: usize) -> Reply {
    match nth {
        0 => Reply::BreaksAfter(30 << 20),
        1..5 => Reply::BreaksAfter(0),
        _ => Reply::Arrives,
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut_off() {
    for (reply, patience) in [
        (breaks_often as fn(usize) -> Reply, Duration::ZERO),
        (goes_away_for_a_while, Duration::from_secs(600)),
    ] {
        let place = Place::new(is_get, reply).await;
        let folder = tempdir().expect("a temporary folder");
        let (path, digest) = random_file(folder.path(), SIZE).await;
        let put = place.lucky.put_file(KEY, &path, &digest).await;
        put.expect("writes");
        let store = PatientStore::new(place.unlucky.clone(), Patience::For(patience));
        let copy = folder.path().join("copy");
        let got = store.get_file(KEY, &copy, &digest).await;
        assert!(got.expect("reads"));
        let [original, copy] = [path, copy].map(|path| std::fs::read(path).expect("is there"));
        assert!(original == copy);
        // Nothing was sent twice but what was on its way when the connection broke.
        let replied = place.proxy.replied();
        assert!(replied < SIZE + (4 << 20), "{replied}");
        place.lucky.delete(KEY).await.expect("removes");
    }
}

/// Starts a server that answers one request after another as it is told to, and then hangs up.
/// Its address, and the heads of these requests.
async fn scripted(replies: Vec<String>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("has an address");
    let (asking, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for reply in replies {
            let (mut client, _) = listener.accept().await.expect("accepts");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(client.read_u8().await.expect("reads"));
            }
            let request = String::from_utf8(request).expect("is text");
            asking.send(request).expect("somebody looks");
            client.write_all(reply.as_bytes()).await.expect("answers");
        }
    });
    (format!("http://{address}"), asked)
}

#[tokio::test]
async fn halves_of_two_objects_never_mix() {
    let half = "HTTP/1.1 200 OK\r\netag: \"one\"\r\ncontent-length: 9\r\n\r\nhalf";
    let error = |status: &str, code: &str| {
        let body = format!("<Error><Code>{code}</Code></Error>");
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let rest = |status: &str, tag: &str, range: &str| {
        format!("HTTP/1.1 {status}\r\netag: \"{tag}\"\r\n{range}content-length: 5\r\n\r\nwhole")
    };
    let range = "content-range: bytes 4-8/9\r\n";
    let other = "HTTP/1.1 200 OK\r\netag: \"two\"\r\ncontent-length: 4\r\n\r\n";
    for (then, expected) in [
        (
            vec![rest("206 Partial Content", "one", range)],
            "b\"halfwhole\"",
        ),
        (
            vec![error("412 Precondition Failed", "PreconditionFailed")],
            "Changed",
        ),
        (vec![error("404 Not Found", "NoSuchKey")], "Changed"),
        // It knows no conditions; the other object may be shorter.
        (vec![rest("206 Partial Content", "two", range)], "Changed"),
        (
            vec![
                error("416 Range Not Satisfiable", "InvalidRange"),
                other.to_owned(),
            ],
            "Changed",
        ),
        // It knows no ranges.
        (vec![rest("200 OK", "one", "")], "Rejected"),
    ] {
        let replies = [vec![half.to_owned()], then.clone()].concat();
        let (server, mut asked) = scripted(replies).await;
        let store = at(&in_bucket("x"), server).await;
        let read = match store.get("a").await {
            Ok(bytes) => format!("{:?}", bytes.expect("is there")),
            Err(error) => format!("{error:?}"),
        };
        assert!(read.starts_with(expected), "{then:?}: {read}");
        asked.recv().await.expect("asks for all");
        let request = asked.recv().await.expect("asks for the rest");
        assert!(request.contains("range: bytes=4-\r\n"), "{request}");
        assert!(request.contains("if-match: \"one\"\r\n"), "{request}");
    }
}

#[tokio::test]
async fn an_upload_sends_again_what_was_lost() {
    for is_meant in [is_second_part as fn(&str) -> bool, is_completion] {
        let place = Place::new(is_meant, first_is_lost).await;
        let folder = tempdir().expect("a temporary folder");
        let (path, digest) = random_file(folder.path(), SIZE).await;
        let put = place.unlucky.put_file(KEY, &path, &digest).await;
        put.expect("writes");
        let got = place.lucky.get_file(KEY, &path, &digest).await;
        assert!(got.expect("reads"));
        place.has_no_unfinished_uploads().await;
        place.lucky.delete(KEY).await.expect("removes");
    }
}

/// The client itself tries thrice.
#[tokio::test]
async fn a_patient_upload_begins_anew_once_the_store_is_back() {
    let is_begin = |line: &str| line.starts_with("POST") && line.contains("?uploads");
    let is_away = |nth| match nth {
        0..4 => Reply::BreaksAfter(0),
        _ => Reply::Arrives,
    };
    let place = Place::new(is_begin, is_away).await;
    let folder = tempdir().expect("a temporary folder");
    let (path, digest) = random_file(folder.path(), SIZE).await;
    let patience = Patience::For(Duration::from_secs(600));
    let store = PatientStore::new(place.unlucky.clone(), patience);
    let put = store.put_file(KEY, &path, &digest).await;
    put.expect("writes");
    let got = place.lucky.get_file(KEY, &path, &digest).await;
    assert!(got.expect("reads"));
    place.lucky.delete(KEY).await.expect("removes");
}

/// A server may forget an upload once it is complete, when the reply to that was lost.
#[tokio::test]
async fn an_upload_that_is_gone_may_be_complete() {
    let folder = tempdir().expect("a temporary folder");
    let (path, digest) = random_file(folder.path(), SIZE).await;
    for other_wins in [false, true] {
        let manner = Manner::Forgetful { other_wins };
        let store = at(&in_bucket("x"), serve(manner).await).await;
        let put = store.put_file(KEY, &path, &digest).await;
        assert_eq!(put.is_err(), other_wins, "{put:?}");
    }
}

#[tokio::test]
async fn an_upload_that_fails_leaves_nothing_behind() {
    let place = Place::new(is_second_part, |_| Reply::BreaksAfter(0)).await;
    let folder = tempdir().expect("a temporary folder");
    let (path, digest) = random_file(folder.path(), SIZE).await;
    let put = place.unlucky.put_file(KEY, &path, &digest).await;
    assert!(put.expect_err("a part is lost").is_outage());
    place.has_no_unfinished_uploads().await;
    let wrong = Digest::of(b"other");
    let put = place.lucky.put_file(KEY, &path, &wrong).await;
    let error = put.expect_err("is not of that digest");
    assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
    place.has_no_unfinished_uploads().await;
    assert!(!place.lucky.contains(KEY).await.expect("looks"));
}

#[tokio::test]
async fn an_upload_that_nobody_awaits_any_more_leaves_nothing_behind() {
    let place = Place::new(is_part, |_| Reply::IsHeld).await;
    let folder = tempdir().expect("a temporary folder");
    let (path, digest) = random_file(folder.path(), SIZE).await;
    tokio::select! {
        put = place.unlucky.put_file(KEY, &path, &digest) => panic!("{put:?}"),
        () = place.proxy.meets_one() => {}
    }
    place.has_no_unfinished_uploads().await;
    assert!(!place.lucky.contains(KEY).await.expect("looks"));
}

/// What a plain HTTP client gets from the URL: status and body.
async fn fetched(url: &str) -> (u16, Vec<u8>) {
    let rest = url.strip_prefix("http://").expect("no TLS");
    let (host, path) = rest.split_once('/').expect("has a path");
    let mut server = TcpStream::connect(host).await.expect("connects");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    server.write_all(request.as_bytes()).await.expect("asks");
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).await.expect("reads");
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n");
    let body = reply.split_off(end.expect("has a head") + 4);
    let head = String::from_utf8(reply).expect("is text");
    let status = head.split(' ').nth(1).expect("has a status");
    (status.parse().expect("is a number"), body)
}

#[tokio::test]
async fn a_browser_reads_under_a_url_until_it_expires() {
    let store = at(
        &in_bucket(&fresh_prefix()),
        server().endpoint.expect("is set"),
    )
    .await;
    let key = "jobs/a b/ä+c.jpg";
    store.put(key, "a picture".into()).await.expect("writes");
    let url = async |lifetime| store.presigned_url(key, lifetime).await;

    let lasting = url(Duration::from_secs(60)).await.expect("signs");
    let lasting = lasting.expect("has a server");
    assert_eq!(fetched(&lasting).await, (200, b"a picture".to_vec()));
    let forged = lasting.replace("a%20b", "a%20c");
    assert_eq!(fetched(&forged).await.0, 403);

    let brief = url(Duration::from_secs(1)).await.expect("signs");
    let brief = brief.expect("has a server");
    let refused = async {
        loop {
            match fetched(&brief).await.0 {
                200 => tokio::task::yield_now().await,
                status => return status,
            }
        }
    };
    let refused = timeout(Duration::from_secs(60), refused).await;
    assert_eq!(refused.expect("it expires"), 403);

    let too_long = url(Duration::from_secs(8 * 24 * 3600)).await;
    assert!(
        matches!(too_long, Err(StoreError::Setting { .. })),
        "{too_long:?}"
    );
    store.delete(key).await.expect("removes");
}

/// Where [`carries_a_film`] is to carry it.
const LOCATION: &str = "STYLEFLEET_TEST_LOCATION";

#[tokio::test]
#[ignore = "run by its neighbour, in a process of its own"]
async fn carries_a_film() {
    let location: Location = std::env::var(LOCATION)
        .expect("is set")
        .parse()
        .expect("is a location");
    let store = open(&location, &server()).await.expect("opens");
    let folder = tempdir().expect("a temporary folder");
    let (path, digest) = random_file(folder.path(), FILM).await;
    let put = store.put_file(KEY, &path, &digest).await;
    put.expect("writes");
    let got = store.get_file(KEY, &path, &digest).await;
    assert!(got.expect("reads"));
    store.delete(KEY).await.expect("removes");
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    // libtest begins a line of its own.
    println!("\npeak: {}", peak.expect("is there").trim());
}

const FILM: usize = 300 << 20;

#[tokio::test]
async fn a_film_is_never_in_memory_as_a_whole() {
    let folder = tempdir().expect("a temporary folder");
    for location in [
        Location::Folder(folder.path().to_owned()),
        in_bucket(&fresh_prefix()),
    ] {
        let location = location.to_string();
        let environment = [(LOCATION, location.as_str())];
        let peak = said_by("s3::files::carries_a_film", "peak: ", &environment).await;
        let peak = peak.strip_suffix(" kB").expect("is in kB");
        let peak: usize = peak.parse().expect("is a number");
        assert!(peak << 10 < FILM / 2, "{location}: {peak} kB");
    }
}
