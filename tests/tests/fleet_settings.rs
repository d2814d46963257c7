//! How workers and dispatchers are set up: encryption, weights, and what is said of mistakes.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use stylefleet_proto::{Digest, keys};
use stylefleet_tests::Run;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::Services;

/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2 --precision f32";

/// The same user and vhost, by TLS.
fn by_tls(services: &Services, url: &str) -> String {
    let server = |url: &str| {
        let (_, rest) = url.rsplit_once('@').expect("names a user");
        rest.split('/').next().expect("names a server").to_owned()
    };
    let encrypted = server(services.setting("STYLEFLEET_TEST_BROKER_TLS"));
    url.replacen(&server(url), &encrypted, 1)
        .replacen("amqp://", "amqps://", 1)
}

/// A certificate authority that nobody asked for.
fn foreign_authority(folder: &Path) -> String {
    let path = folder.join("foreign.pem").display().to_string();
    let mut openssl = Command::new("openssl");
    openssl
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '))
        .args(["-subj", "/CN=somebody else", "-out", &path, "-keyout"])
        .arg(folder.join("foreign.key"));
    Run::start(openssl).end().expect_code(0);
    path
}

/// A worker that cannot begin says why in one line, which tells no secret, and exits with 2.
fn expect_refusal(services: &Services, worker: Command, parts: &[&str]) {
    let ended = Run::start(worker).end().expect_code(2);
    ended.expect_complaint(parts);
    let admin = services.setting("STYLEFLEET_BROKER");
    let password = admin.split([':', '@']).nth(2).expect("a password");
    for secret in [
        password,
        services.setting("AWS_SECRET_ACCESS_KEY"),
        "s3cret",
    ] {
        assert!(!ended.so_far().contains(secret), "{}", ended.so_far());
    }
}

#[test]
fn everything_goes_over_tls_too() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let encrypted = |mut command: Command, url: &str, authority: &str| {
        command
            .env("STYLEFLEET_BROKER", by_tls(services, url))
            .env(
                "STYLEFLEET_S3_ENDPOINT",
                services.setting("STYLEFLEET_TEST_S3_TLS"),
            )
            .env("STYLEFLEET_CA", authority);
        command
    };
    let authority = services.setting("STYLEFLEET_TEST_CA");
    let mut worker = Run::start(encrypted(
        workshop.worker(),
        &workshop.fleet.worker,
        authority,
    ));
    worker.wait_for_line("takes jobs on");
    let submit = ["submit boat.png --wait --out pictures", SHORT];
    let submit = || workshop.command(&submit);
    let user = &workshop.fleet.dispatcher;
    Run::start(encrypted(submit(), user, authority))
        .end()
        .expect_code(0);
    assert_eq!(
        workshop.scene.files("pictures"),
        ["boat.wave.json", "boat.wave.png"]
    );

    let foreign = foreign_authority(&workshop.scene.path(""));
    for authority in ["", &foreign] {
        // The store is asked first, the broker where the store is content.
        let worker = encrypted(workshop.worker(), &workshop.fleet.worker, authority);
        expect_refusal(services, worker, &["cannot trust https://", "certificate"]);
        let mut worker = encrypted(workshop.worker(), &workshop.fleet.worker, authority);
        let plain = services.setting("STYLEFLEET_S3_ENDPOINT");
        worker.env("STYLEFLEET_S3_ENDPOINT", plain);
        expect_refusal(services, worker, &["broker amqps://worker@", "certificate"]);
        let refused = Run::start(encrypted(submit(), user, authority))
            .end()
            .expect_code(1);
        refused.expect_complaint(&["broker amqps://dispatcher@", "certificate"]);
    }
}

#[test]
fn weights_come_from_the_store_and_only_the_right_ones() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let path = std::env::var_os("STYLEFLEET_WEIGHTS").expect("`make test` sets it");
    let digest = Digest::of(&std::fs::read(&path).expect("reads the weights"));
    let key = keys::weights(&digest);
    let setting = format!("store:{digest}");
    let worker = || {
        let mut worker = workshop.worker();
        worker.env("STYLEFLEET_WEIGHTS", &setting);
        worker
    };
    expect_refusal(services, worker(), &[&key, "missing"]);
    workshop.put(&key, &workshop.scene.path("boat.png"));
    expect_refusal(services, worker(), &[&key, "not what its name says"]);
    workshop.put(&key, Path::new(&path));
    let work = |content: &str| {
        let mut worker = Run::start(worker());
        worker.wait_for_line("takes jobs on");
        let batch = workshop.submit(&[content, SHORT]);
        workshop.watch(&batch).end().expect_code(0);
    };
    work("boat.png");
    // The next worker on this machine finds them there.
    workshop.remove(&key);
    work("car.png");
}

/// Settings, and what the complaint about them has to say.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn a_worker_that_cannot_begin_says_why_in_one_line() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let undeclared = services.fleet();
    let url = &workshop.fleet.worker;
    let password = url.split([':', '@']).nth(2).expect("a password");
    let (server, vhost) = url.rsplit_once('/').expect("names a vhost");
    let silent = Relay::before(url);
    silent.hold();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("is bound").to_string();
    workshop.scene.write("broken.pem", "no certificate");

    let [broker, store, endpoint] = [
        "STYLEFLEET_BROKER",
        "STYLEFLEET_STORE",
        "STYLEFLEET_S3_ENDPOINT",
    ];
    let [key, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let cases: [Case<'_>; 20] = [
        (&[(broker, "")], &["set STYLEFLEET_BROKER=amqp://"]),
        (&[(store, "")], &["set STYLEFLEET_STORE=s3://"]),
        (
            &[(broker, "http://ann:s3cret@mq")],
            &["broker", "amqp://user:password@host"],
        ),
        (
            &[(broker, &url.replacen(password, "s3cret", 1))],
            &["refuses the login", "password"],
        ),
        (
            &[(broker, &format!("{server}/nowhere"))],
            &["refuses the login", "vhost"],
        ),
        (
            &[(broker, "amqp://ann:s3cret@127.0.0.1:1/v")],
            &["amqp://ann@127.0.0.1:1", "cannot be reached"],
        ),
        (
            &[(broker, "amqp://ann:s3cret@nowhere.invalid/v")],
            &["nowhere.invalid", "cannot be reached"],
        ),
        (
            &[(broker, &undeclared.worker)],
            &["is missing", "stylefleet doctor --declare"],
        ),
        (
            &[(store, "s3://nowhere")],
            &["no bucket \"nowhere\"", "create it"],
        ),
        (&[(store, "ftp://nowhere")], &["ftp"]),
        (&[(secret, "s3cret")], &["refused", "is not the key's"]),
        (&[(key, "nobody")], &["refused", "AWS_ACCESS_KEY_ID"]),
        (&[(key, "reader")], &["cannot write", "refused"]),
        (
            &[(endpoint, "http://127.0.0.1:1")],
            &["cannot reach http://127.0.0.1:1"],
        ),
        (&[(endpoint, "http://ann:s3cret@mq")], &["S3 endpoint"]),
        (
            &[("STYLEFLEET_CA", "broken.pem")],
            &["broken.pem", "certificate"],
        ),
        (
            &[("STYLEFLEET_WEIGHTS", "nowhere.safetensors")],
            &["nowhere.safetensors"],
        ),
        (&[("STYLEFLEET_DEVICE", "cuda:77")], &["cuda:77"]),
        (
            &[("STYLEFLEET_SLICE_SECONDS", "3600")],
            &["slice_seconds", "1 to 1500"],
        ),
        (&[("STYLEFLEET_HEALTH", &taken)], &[&taken, "--health"]),
    ];
    for (settings, parts) in cases {
        let mut worker = workshop.worker();
        worker.envs(settings.iter().copied());
        expect_refusal(services, worker, parts);
    }
    let mut worker = workshop.worker();
    worker
        .env_remove(key)
        .env_remove(secret)
        .env("HOME", workshop.scene.path(""));
    expect_refusal(services, worker, &["no credentials", vhost, key]);

    let mut worker = workshop.worker();
    worker.env(broker, &silent.url);
    let ended = Run::start(worker).end().expect_code(2);
    let [word, complaint] = &ended.stderr[..] else {
        panic!("not a word first, then a complaint: {}", ended.so_far());
    };
    assert!(word.contains("no answer for 10 s"), "{word}");
    for part in ["cannot be reached", "no answer for 30 s", "check address"] {
        assert!(complaint.contains(part), "{complaint}");
    }
}
