//! The real servers that tests use, and the relay before them, do what tests trust them to do.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::{Server, Services, curl};

/// Greets a broker and takes the first bytes of its answer: a frame of type 1 on channel 0.
fn greet(url: &str) -> std::io::Result<TcpStream> {
    let address = url
        .rsplit('@')
        .next()
        .and_then(|rest| rest.split('/').next());
    let mut stream = TcpStream::connect(address.expect("an address"))?;
    stream.set_read_timeout(Some(stylefleet_tests::PATIENCE))?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    let mut frame = [0; 3];
    stream.read_exact(&mut frame)?;
    assert_eq!(frame, [1, 0, 0], "this is no AMQP");
    Ok(stream)
}

#[test]
fn a_fleet_has_its_own_vhost_and_bucket() {
    let services = Services::shared();
    let (fleet, other) = (services.fleet(), services.fleet());
    assert_ne!((&fleet.broker, &fleet.store), (&other.broker, &other.store));
    greet(&fleet.broker).expect("the broker answers");
    let permissions = fleet.rabbitmqctl(&["list_permissions"]);
    for user in ["stylefleet", "dispatcher", "worker"] {
        assert!(permissions.contains(user), "{permissions}");
    }
    assert!(
        permissions.contains(r"^stylefleet\.v2\.(jobs\..*|abandoned)$"),
        "{permissions}"
    );

    let endpoint = services.setting("STYLEFLEET_S3_ENDPOINT");
    let status = |url: &str, args: &[&str]| {
        let code = ["-o", "/dev/null", "-w", "%{http_code}", "--no-fail", url];
        curl(&[&code, args].concat())
    };
    let key = services.setting("AWS_ACCESS_KEY_ID");
    let user = format!("{key}:{}", services.setting("AWS_SECRET_ACCESS_KEY"));
    let signed = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user];
    let url = |store: &str| store.replacen("s3:/", endpoint, 1);
    let bucket = url(&fleet.store);
    assert_eq!(
        status(&bucket, &[]),
        "403",
        "who asks without a key is refused"
    );
    assert_eq!(status(&bucket, &signed), "200");
    let tls = url(&fleet.store).replacen(endpoint, services.setting("STYLEFLEET_TEST_S3_TLS"), 1);
    let authority = ["--cacert", services.setting("STYLEFLEET_TEST_CA")];
    assert_eq!(status(&tls, &[&signed[..], &authority].concat()), "200");

    let vhost = fleet.broker.rsplit('/').next().expect("a vhost").to_owned();
    drop(fleet);
    assert!(!services.rabbitmqctl(&["list_vhosts"]).contains(&vhost));
    assert_eq!(status(&bucket, &signed), "404");
    assert_eq!(status(&url(&other.store), &signed), "200");
}

#[test]
fn a_relay_can_cut_and_block_and_fall_silent() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = server.local_addr().expect("is bound");
    let relay = Relay::before(&format!("amqp://user:password@{address}/vhost"));
    let parts = (relay.url.strip_prefix("amqp://user:password@"))
        .and_then(|rest| rest.strip_suffix("/vhost"));
    let connect = || {
        let client =
            TcpStream::connect(parts.expect("the rest of the URL stays")).expect("listens");
        let patience = Some(stylefleet_tests::PATIENCE);
        client.set_read_timeout(patience).expect("is not zero");
        client
    };
    let link = || {
        let (mut client, mut end) = (connect(), server.accept().expect("is passed on").0);
        let mut word = [0; 4];
        client.write_all(b"ping").expect("is open");
        end.read_exact(&mut word).expect("is passed on");
        end.write_all(b"pong").expect("is open");
        client.read_exact(&mut word).expect("is passed back");
        assert_eq!(&word, b"pong");
        (client, end)
    };
    let is_over = |mut client: TcpStream| match client.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    let (client, _end) = link();
    relay.cut();
    assert!(is_over(client));
    let (client, _end) = link();
    relay.block();
    assert!(is_over(client));
    assert!(is_over(connect()));
    relay.open();
    let (mut client, mut end) = link();
    relay.hold();
    client.write_all(b"late").expect("is open");
    end.set_read_timeout(Some(Duration::from_millis(100)))
        .expect("is not zero");
    let silence = end.read(&mut [0]).expect_err("nothing passes");
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    relay.open();
    end.set_read_timeout(None).expect("may wait");
    let mut word = [0; 4];
    end.read_exact(&mut word).expect("is passed on");
    assert_eq!(&word, b"late");
}

#[test]
fn a_private_broker_crashes_and_comes_back_as_it_was() {
    let services = Services::private();
    let fleet = services.fleet();
    greet(&fleet.broker).expect("the broker answers");
    services.kill(Server::Broker);
    assert!(greet(&fleet.broker).is_err());
    services.start(Server::Broker);
    greet(&fleet.broker).expect("the same address");
    assert!(fleet.rabbitmqctl(&["list_permissions"]).contains("worker"));
}
