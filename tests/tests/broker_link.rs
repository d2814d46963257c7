//! The way to a broker: how often it is gone, what is said of brokers that are none, or that take
//! no messages, and how publishers wait.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use stylefleet_proto::queues::{self, DEAD, EVENTS, PROGRESS};
use stylefleet_proto::{Event, Job, JobId, Progress, Update, testing};
use stylefleet_tests::amqp::publish;
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::{Fleet, Services};
use stylefleet_tests::{Ended, Run, Scene, stylefleet};
use stylefleet_transport::broker::{
    BrokerError, BrokerOptions, DispatcherEnd, Notification, RabbitDispatcher, RabbitWorker,
    WorkerEnd,
};
use tokio_util::sync::CancellationToken;

/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2 --precision f32";
/// Far enough that what is asked at once is under way before the first answer is there.
const FAR: Duration = Duration::from_millis(150);
/// Round trips to a broker until it can be worked with, with that of TCP, which no relay sees.
const FEW: usize = 10;

fn options(url: &str) -> BrokerOptions {
    BrokerOptions {
        url: url.parse().expect("a URL"),
        ca: Some(Services::shared().setting("STYLEFLEET_TEST_CA").into()),
        name: "test".to_owned(),
    }
}

async fn dispatcher(url: &str) -> Result<RabbitDispatcher, BrokerError> {
    RabbitDispatcher::connect(options(url)).await
}

/// Has the administrator declare the topology.
async fn declare(fleet: &Fleet<'_>) {
    let admin = dispatcher(&fleet.broker).await;
    admin.expect("declares").close().await;
}

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("connects");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

fn job(number: u64) -> Job {
    testing::job(&format!("job-{number}"), &number.to_le_bytes(), b"style")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distant_broker_is_asked_few_times_one_after_another() {
    let fleet = Services::shared().fleet();
    let tls = Services::shared().setting("STYLEFLEET_TEST_BROKER_TLS");
    let (tls, _) = tls.rsplit_once('/').expect("names a vhost");
    let (_, vhost) = fleet.broker.rsplit_once('/').expect("names a vhost");
    // The first declares everything, the others find it.
    for (who, url) in [
        ("who may declare", &fleet.broker),
        ("who may not", &fleet.dispatcher),
        ("by TLS", &format!("{tls}/{vhost}")),
    ] {
        let relay = Relay::distant(url, FAR);
        let dispatcher = dispatcher(&relay.url).await.expect("connects");
        let connected = relay.round_trips();
        assert!(connected < FEW, "{who}: {connected} round trips");
        dispatcher.depths().await.expect("looks");
        let looked = relay.round_trips() - connected;
        assert!(looked <= 2, "{who}: {looked} round trips for the queues");
        dispatcher.close().await;
    }
    let relay = Relay::distant(&fleet.worker, FAR);
    let worker = RabbitWorker::connect(options(&relay.url), "worker".into(), "cpu".into(), None);
    let worker = worker.await.expect("connects");
    let connected = relay.round_trips();
    assert!(connected < FEW, "a worker: {connected} round trips");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_read_in_few_round_trips() {
    const LETTERS: usize = 70;
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let (_connection, channel) = channel(&fleet.broker).await;
    for number in 0..LETTERS {
        let body = format!("no job, number {number}");
        let sent = publish(&channel, "", DEAD, body.as_bytes());
        sent.await.expect("is taken");
    }
    let relay = Relay::distant(&fleet.dispatcher, FAR);
    let dispatcher = dispatcher(&relay.url).await.expect("connects");
    // They come to the front of the queue again when they are given back.
    for _ in 0..2 {
        let before = relay.round_trips();
        let letters = dispatcher.dead_letters().await.expect("reads");
        let needed = relay.round_trips() - before;
        assert!(needed <= 8, "{needed} round trips");
        let ids: HashSet<_> = letters.letters().iter().map(|letter| &letter.id).collect();
        assert_eq!(ids.len(), LETTERS);
        letters.close().await.expect("gives back");
    }
}

/// Letters that are given back, and those that are gone, are so for whoever looks at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_decided_about_dead_letters_has_done_so_when_it_leaves() {
    const ROUNDS: usize = 25;
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let (_connection, channel) = channel(&fleet.broker).await;
    for round in 0..ROUNDS {
        for body in ["one", "two"] {
            let sent = publish(&channel, "", DEAD, body.as_bytes());
            sent.await.expect("is taken");
        }
        for (found, discarded) in [(2, 0), (2, 1), (1, 1), (0, 0)] {
            let dispatcher = dispatcher(&fleet.dispatcher).await.expect("connects");
            let mut letters = dispatcher.dead_letters().await.expect("reads");
            assert_eq!(letters.letters().len(), found, "in round {round}");
            for index in 0..discarded {
                letters.discard(index).await.expect("discards");
            }
            letters.close().await.expect("gives back");
            dispatcher.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_or_is_missing_is_named() {
    let services = Services::shared();
    let last = queues::retry(89);
    for name in [EVENTS, PROGRESS, &last] {
        let fleet = services.fleet();
        let (_connection, channel) = channel(&fleet.broker).await;
        if name == PROGRESS {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            let none = FieldTable::default();
            let made = channel.exchange_declare(name.into(), ExchangeKind::Topic, options, none);
            made.await.expect("is made");
        } else {
            let mut arguments = FieldTable::default();
            arguments.insert(
                "x-queue-type".into(),
                AMQPValue::LongString("quorum".into()),
            );
            let options = QueueDeclareOptions::durable();
            let made = channel.queue_declare(name.into(), options, arguments);
            made.await.expect("is made");
        }
        let error = dispatcher(&fleet.broker).await.expect_err("differs");
        let BrokerError::Differs { name: named, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(named, name, "{error}");
        assert!(error.to_string().contains("another vhost"), "{error}");
    }
    let fleet = services.fleet();
    declare(&fleet).await;
    let (_connection, channel) = channel(&fleet.broker).await;
    let options = QueueDeleteOptions::default();
    let deleted = channel.queue_delete(last.as_str().into(), options);
    deleted.await.expect("is deleted");
    let error = dispatcher(&fleet.dispatcher).await.expect_err("is missing");
    let BrokerError::Missing { name, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*name, last, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_handed_in_whenever_the_broker_is_away() {
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let relay = Relay::before(&fleet.dispatcher);
    let dispatcher = dispatcher(&relay.url).await.expect("connects");
    let jobs: Vec<_> = (0..20).map(job).collect();
    let (first, second) = jobs.split_at(10);
    let mut accepted: Vec<JobId> = Vec::new();
    let mut accept = |job| accepted.push(job);
    let published = dispatcher.submit(first, &mut accept);
    published.await.expect("publishes");

    relay.block();
    // Until it has noticed, and found nobody.
    while !matches!(
        dispatcher.depths().await,
        Err(BrokerError::Unreachable { .. })
    ) {}
    let before = relay.turned_away();
    let published = dispatcher.submit(second, &mut accept);
    let opening = tokio::task::spawn_blocking(move || {
        wait_until("it has tried again", || relay.turned_away() > before + 2);
        relay.open();
        relay
    });
    let (published, relay) = tokio::join!(published, opening);
    relay.expect("opens");
    published.expect("publishes once the broker is back");
    let asked: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(accepted, asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_claim_is_gone_shows_no_progress() {
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let dispatcher = dispatcher(&fleet.dispatcher).await.expect("connects");
    let jobs = [job(1)];
    let published = dispatcher.submit(&jobs, &mut |_| {}).await;
    published.expect("publishes");
    let told = dispatcher.follow(SystemTime::now()).await;
    let mut told = told.expect("follows");
    let worker = RabbitWorker::connect(options(&fleet.worker), "w".into(), "cpu".into(), None);
    let worker = worker.await.expect("connects");
    let claim = worker.claim(&CancellationToken::new()).await;
    let claim = claim.expect("claims").expect("a job");
    worker.publish(Event {
        job: claim.job.id,
        worker: "w".to_owned(),
        attempt: 1,
        unix_millis: 0,
        kind: Update::Progress(Progress::default()),
    });
    let mut shows = async |progress: bool| {
        while let Some(told) = told.recv().await {
            if matches!(told, Notification::Pulse(pulse) if pulse.progress.is_some() == progress) {
                return;
            }
        }
        panic!("nothing more is told");
    };
    shows(true).await;
    // As where it is lost: nobody settles it.
    drop(claim);
    shows(false).await;
}

/// Two ways to a broker, as to two nodes, and a URL with the addresses of both.
fn two_nodes(url: &str) -> ([Relay; 2], String) {
    let relays = [Relay::before(url), Relay::before(url)];
    let [one, other] = relays.each_ref().map(|relay| server_of(&relay.url));
    let url = relays[0].url.replacen(&one, &format!("{one},{other}"), 1);
    (relays, format!("{url}?heartbeat=1"))
}

/// Host and port.
fn server_of(url: &str) -> String {
    let (_, rest) = url.rsplit_once('@').expect("names a user");
    rest.split('/').next().expect("names a server").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_takes_the_place_of_one_that_is_lost() {
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let (nodes, url) = two_nodes(&fleet.dispatcher);
    let dispatcher = dispatcher(&url).await.expect("connects");
    let (workers_nodes, url) = two_nodes(&fleet.worker);
    let worker = RabbitWorker::connect(options(&url), "worker".into(), "cpu".into(), None);
    let worker = worker.await.expect("connects");
    let stop = CancellationToken::new();
    let cut: fn(&Relay) = Relay::block;
    let mute: fn(&Relay) = Relay::hold;
    // Whichever they are at: first the one is lost, then the other, in either way.
    for (number, (lose, index)) in (0..).zip([(cut, 0), (cut, 1), (mute, 0), (mute, 1)]) {
        let lost = [&nodes[index], &workers_nodes[index]];
        lost.into_iter().for_each(lose);
        let (jobs, mut accepted) = ([job(number)], 0);
        let mut count = |_| accepted += 1;
        let published = dispatcher.submit(&jobs, &mut count).await;
        published.expect("publishes by way of the other");
        assert_eq!(accepted, 1);
        let claimed = worker.claim(&stop).await.expect("claims");
        claimed.expect("a job, by way of the other");
        lost.into_iter().for_each(Relay::open);
    }
    dispatcher.close().await;
    worker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_keeps_nobody_from_starting() {
    let fleet = Services::shared().fleet();
    declare(&fleet).await;
    let (nodes, url) = two_nodes(&fleet.dispatcher);
    nodes[0].block();
    // Each begins at a node by chance.
    for _ in 0..8 {
        let connected = dispatcher(&url).await.expect("connects to the other");
        connected.close().await;
    }
    nodes[1].block();
    let error = dispatcher(&url).await.expect_err("both are away");
    assert!(error.is_retryable(), "{error}");
    for node in &nodes {
        assert!(error.to_string().contains(&server_of(&node.url)), "{error}");
    }
}

/// Runs `stylefleet queue` with a broker, to its end.
fn queue(scene: &Scene, broker: &str, authority: Option<&Path>) -> Ended {
    let mut command = scene.command(stylefleet());
    command.arg("queue").env("STYLEFLEET_BROKER", broker);
    if let Some(path) = authority {
        command.env("STYLEFLEET_CA", path);
    }
    Run::start(command).end()
}

/// A server that says this to everybody, and hangs up.
fn server(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("is bound").to_string();
    thread::spawn(move || {
        for mut line in listener.incoming().map_while(Result::ok) {
            let _ = line.read(&mut [0; 8]);
            let _ = line.write_all(says);
        }
    });
    address
}

#[test]
fn what_answers_in_a_brokers_place_is_told_apart() {
    let services = Services::shared();
    let scene = Scene::new();
    let plain = server_of(services.setting("STYLEFLEET_BROKER"));
    let tls = server_of(services.setting("STYLEFLEET_TEST_BROKER_TLS"));
    let web = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for (scheme, address, parts) in [
        ("amqp", &tls, ["the port speaks TLS", "use amqps://"]),
        ("amqps", &plain, ["does not speak TLS", "use amqp://"]),
        ("amqp", &server(web), ["an HTTP server", "5672"]),
        ("amqps", &server(web), ["an HTTP server", "5671"]),
        (
            "amqp",
            &server(b"AMQP\0\x01\0\0"),
            ["another version of AMQP", "RabbitMQ"],
        ),
        (
            "amqp",
            &server(b"SSH-2.0-OpenSSH_9.2\r\n"),
            ["no AMQP broker", "check address and port"],
        ),
        (
            "amqp",
            &server(b""),
            ["is closed before a broker", "check address"],
        ),
        (
            "amqps",
            &server(b""),
            ["cannot be reached", "check address"],
        ),
    ] {
        let ended = queue(&scene, &format!("{scheme}://ann:s3cret@{address}/v"), None);
        let ended = ended.expect_code(1);
        ended.expect_complaint(&parts);
        ended.expect_complaint(&[&format!("broker {scheme}://ann@{address}/v: ")]);
        assert!(!ended.so_far().contains("s3cret"), "{}", ended.so_far());
    }
}

/// `openssl s_server`, which ends with this.
struct TlsServer(Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate authority that makes certificates of its own.
struct Authority(PathBuf);

impl Authority {
    fn in_folder(folder: PathBuf) -> Self {
        let authority = Self(folder);
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        authority
    }

    fn openssl(&self, args: &str) {
        let mut command = Command::new("openssl");
        command.args(args.split_whitespace()).current_dir(&self.0);
        Run::start(command).end().expect_code(0);
    }

    /// Starts a server with a certificate for this name, and gives its address.
    fn serve(&self, name: &str, days: i32) -> (TlsServer, String) {
        std::fs::write(
            self.0.join("extensions"),
            format!("subjectAltName = {name}\nbasicConstraints = critical, CA:FALSE\n"),
        )
        .expect("writes");
        self.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj /CN=server -keyout server.key -out server.csr",
        );
        self.openssl(&format!(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} \
             -extfile extensions -out server.pem"
        ));
        let mut server = Command::new("openssl")
            .args("s_server -accept 127.0.0.1:0 -cert server.pem -key server.key".split(' '))
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts openssl");
        let said = BufReader::new(server.stdout.take().expect("is piped"));
        let server = TlsServer(server);
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.to_owned()));
        (server, address.expect("says where it listens"))
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let scene = Scene::new();
    let authority = Authority::in_folder(scene.path(""));
    let trusted = scene.path("ca.pem");
    let ours = Services::shared().setting("STYLEFLEET_TEST_CA");
    for (name, days, ca, parts) in [
        (
            "IP:127.0.0.1",
            10,
            Path::new(ours),
            ["nobody that is trusted here", "STYLEFLEET_CA"],
        ),
        ("IP:127.0.0.1", -1, &trusted, ["has expired", "renewed"]),
        (
            "DNS:elsewhere",
            10,
            &trusted,
            ["\"elsewhere\"", "use a name that it is for"],
        ),
    ] {
        let (_server, address) = authority.serve(name, days);
        let broker = format!("amqps://ann:s3cret@{address}/v");
        let ended = queue(&scene, &broker, Some(ca)).expect_code(1);
        ended.expect_complaint(&parts);
        ended.expect_complaint(&[&format!("broker amqps://ann@{address}/v: is not trusted")]);
        ended.expect_complaint(&["certificate"]);
    }
    let ended = queue(
        &scene,
        "amqps://a:b@127.0.0.1:1/v",
        Some(&scene.path("ca.key")),
    );
    let ended = ended.expect_code(2);
    ended.expect_complaint(&["ca.key", "no certificate", "STYLEFLEET_CA"]);
}

#[test]
fn a_broker_that_takes_no_messages_is_found_and_waited_for() {
    let services = Services::private();
    let workshop = Workshop::new(&services);
    let doctor = || workshop.start(&["doctor"]).end();
    assert_eq!(doctor().status.code(), Some(0));
    let disk = ["set_disk_free_limit", "1000000GB", "10MB", "low on disk"];
    let memory = [
        "set_vm_memory_high_watermark",
        "0.00001",
        "0.4",
        "low on memory",
    ];
    for (seed, [limit, value, usual, reason]) in [("1", disk), ("2", memory)] {
        services.rabbitmqctl(&[limit, value]);
        // An alarm takes a moment to get about.
        let alarm = [reason, "free some"];
        wait_until("the doctor finds it", || {
            let ended = doctor();
            let found = ended.stdout.concat();
            ended.status.code() == Some(1) && alarm.iter().all(|part| found.contains(part))
        });
        let submit = workshop.command(&["submit boat.png car.png --seed", seed, SHORT]);
        let mut submit = Run::start(submit);
        submit.wait_for_line(reason);
        services.rabbitmqctl(&[limit, usual]);
        submit.wait_for_line("takes messages again");
        let ended = submit.end().expect_code(0);
        assert!(
            ended.so_far().contains("2 jobs accepted"),
            "{}",
            ended.so_far()
        );
        wait_until("the doctor is content", || doctor().status.success());
    }
}
