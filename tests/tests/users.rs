//! What deploy/rabbitmq/users.sh makes of a broker: users that can do their part and no more, whose
//! passwords no other process sees; and what KEDA learns with the monitor's rights.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Acker, BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::Value;
use stylefleet_proto::queues::{self, ABANDONED, DEAD, JOBS};
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::services::{Services, curl, root};
use stylefleet_tests::{Run, Scene};
use stylefleet_transport::broker::{BrokerOptions, DispatcherEnd, RabbitDispatcher, RabbitWorker};

const USERS: [&str; 4] = ["admin", "dispatcher", "worker", "monitor"];
/// A name that URLs have to escape, and how.
const VHOST: &str = "team/stylefleet";
const ESCAPED: &str = "team%2Fstylefleet";
/// Seconds after which the script hangs.
const LIMIT: &str = "150";

/// A broker with the users that the script makes.
struct Broker {
    services: Services,
    scene: Scene,
    passwords: BTreeMap<&'static str, String>,
}

impl Broker {
    /// A broker that has no such user yet, not even those of other tests.
    fn new() -> Self {
        let services = Services::private();
        for user in ["dispatcher", "worker"] {
            services.rabbitmqctl(&["delete_user", user]);
        }
        Self {
            services,
            scene: Scene::new(),
            passwords: BTreeMap::new(),
        }
    }

    /// Has the script make the users or give them new passwords, by that command of rabbitmqctl.
    /// Nobody learns a password from the arguments of a process.
    fn make_users(&mut self, verb: &str, run: impl FnOnce(&Scene, &[(String, String)]) -> Command) {
        let password = |user| (user, format!("{user}-{:016x}", fastrand::u64(..)));
        self.passwords = USERS.map(password).into();
        let mut settings = vec![("STYLEFLEET_VHOST".to_owned(), VHOST.to_owned())];
        for (user, password) in &self.passwords {
            let name = format!("STYLEFLEET_{}_PASSWORD", user.to_uppercase());
            settings.push((name, password.clone()));
        }
        let mut command = run(&self.scene, &settings);
        let tools = self.services.tools();
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{}:{path}", tools.display()));

        let script = thread::spawn(|| Run::start(command).end().expect_code(0));
        let mut seen = BTreeSet::new();
        while !script.is_finished() {
            seen.extend(arguments());
            thread::sleep(Duration::from_millis(5));
        }
        script.join().expect("users.sh succeeds");
        for (user, password) in &self.passwords {
            let call = format!("{verb} {user}");
            assert!(seen.iter().any(|a| a.contains(&call)), "{call} went unseen");
            let leak = seen.iter().find(|a| a.contains(password));
            assert_eq!(leak, None, "the password of {user} is there to read");
        }
    }

    fn url(&self, user: &str) -> String {
        let administrators = self.services.setting("STYLEFLEET_BROKER");
        let (_, rest) = administrators.rsplit_once('@').expect("names a user");
        let (address, _) = rest.split_once('/').expect("names a vhost");
        format!("amqp://{user}:{}@{address}/{ESCAPED}", self.passwords[user])
    }

    fn options(&self, user: &str) -> BrokerOptions {
        BrokerOptions {
            url: self.url(user).parse().expect("a URL"),
            ca: None,
            name: "test".to_owned(),
        }
    }

    async fn channel(&self, user: &str) -> Channel {
        let connection = connect(&self.url(user)).await;
        let connection = connection.unwrap_or_else(|e| panic!("{user}: {e}"));
        connection.create_channel().await.expect("a channel")
    }
}

/// What `list_permissions --formatter json` says, by user.
fn rights(list: &str) -> BTreeMap<String, Value> {
    let list: Vec<Value> = serde_json::from_str(list).expect("JSON");
    let named = |mut rights: Value| {
        let user = rights["user"].take();
        (user.as_str().expect("a name").to_owned(), rights)
    };
    list.into_iter().map(named).collect()
}

/// The arguments of every process that there is.
fn arguments() -> impl Iterator<Item = String> {
    let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let arguments = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    arguments.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
}

async fn connect(url: &str) -> Result<Connection, lapin::Error> {
    Connection::connect(url, ConnectionProperties::default()).await
}

async fn publish(channel: &Channel, exchange: &str, key: &str) {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await.expect("confirms");
    let sent = channel.basic_publish(exchange.into(), key.into(), options, b"x", properties);
    let confirmed = sent.await.expect("sends").await;
    confirmed.unwrap_or_else(|e| panic!("{exchange}: {e}"));
}

/// Takes a message and leaves it unacknowledged.
async fn take(channel: &Channel, queue: &str) -> Acker {
    let taken = channel.basic_get(queue.into(), BasicGetOptions::default());
    let taken = taken.await.unwrap_or_else(|e| panic!("{queue}: {e}"));
    let taken = taken.unwrap_or_else(|| panic!("{queue} is empty"));
    taken.delivery.acker
}

/// The value of the first line of a manifest that begins with this key.
fn manifest(path: &str, key: &str) -> String {
    let text = fs::read_to_string(root().join("deploy/kubernetes").join(path)).expect("is there");
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    let value = value.unwrap_or_else(|| panic!("{path} has no {key} any more"));
    value.trim_matches('"').to_owned()
}

/// The management interface of a broker, on a port of its own.
struct Management<'a> {
    broker: &'a Broker,
    address: String,
}

impl<'a> Management<'a> {
    fn of(broker: &'a Broker) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("is bound");
        drop(free);
        let listener = format!("[{{ip, \"127.0.0.1\"}}, {{port, {}}}]", address.port());
        let set = format!(
            "application:set_env(rabbitmq_management, tcp_config, {listener}, \
             [{{persistent, true}}])."
        );
        broker.services.rabbitmqctl(&["eval", &set]);
        broker
            .services
            .rabbitmq_plugins(&["enable", "rabbitmq_management"]);
        Self {
            broker,
            address: address.to_string(),
        }
    }

    /// Where the example's secret leads KEDA, with the vhost at the end.
    fn host(&self) -> String {
        let password = &self.broker.passwords["monitor"];
        let example = manifest("examples/secrets.yaml", "host");
        let host = example
            .replacen("https:", "http:", 1)
            .replacen("PASSWORD", password, 1)
            .replacen("rabbitmq.example.com:15671", &self.address, 1);
        let host = host
            .strip_suffix("stylefleet")
            .expect("names the vhost")
            .to_owned()
            + ESCAPED;
        assert_eq!(
            host,
            format!("http://monitor:{password}@{}/{ESCAPED}", self.address)
        );
        host
    }

    /// The status of an answer to a user.
    fn status(&self, user: &str, request: &[&str], path: &str) -> String {
        let login = format!("{user}:{}", self.broker.passwords[user]);
        let url = format!("http://{}/api/{path}", self.address);
        let code = ["-o", "/dev/null", "-w", "%{http_code}", "--no-fail"];
        curl(&[&code[..], &["-u", &login, &url], request].concat())
    }

    /// What KEDA asks for by the trigger and makes of the answer: how many messages there are, and
    /// how many of them are not acknowledged.
    fn messages(&self) -> (u64, u64) {
        let trigger = |key| manifest("base/scaledobject.yaml", key);
        assert_eq!(
            ["protocol", "useRegex", "operation", "mode"].map(trigger),
            ["http", "true", "sum", "QueueLength"],
            "else KEDA asks otherwise"
        );
        let host = self.host();
        let (server, vhost) = host.rsplit_once('/').expect("has a path");
        let name = format!("name={}", trigger("queueName"));
        let answer = curl(&[
            "-G",
            &format!("{server}/api/queues/{vhost}"),
            "-d",
            "page=1&use_regex=true&pagination=false&page_size=100",
            "--data-urlencode",
            &name,
        ]);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["page_count"], 1, "KEDA reads one page");
        let sum = |field: &str| {
            let queues = answer["items"].as_array().expect("a list").iter();
            // A queue that was just made has no numbers yet.
            queues.map(|queue| queue[field].as_u64().unwrap_or(0)).sum()
        };
        (sum("messages"), sum("messages_unacknowledged"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_do_their_part_and_no_more() {
    let mut broker = Broker::new();
    let script = root().join("deploy/rabbitmq/users.sh");
    broker.make_users("add_user", |scene, settings| {
        let mut command = scene.command("timeout");
        command.args([LIMIT, "sh"]).arg(&script);
        command.envs(settings.iter().cloned());
        command
    });
    let list = ["list_permissions", "--formatter", "json"];
    let in_vhost = [&list[..], &["--vhost", VHOST]].concat();
    let made = rights(&broker.services.rabbitmqctl(&in_vhost));
    let users: Vec<_> = made.keys().collect();
    assert_eq!(users, ["admin", "dispatcher", "monitor", "worker"]);
    // The same rights are tried out, one by one, in fleet_security.rs.
    let tried = rights(&broker.services.fleet().rabbitmqctl(&list));
    for user in ["dispatcher", "worker"] {
        assert_eq!(made[user], tried[user], "{user}");
    }

    // Again, as in a pod: settings and script by standard input.
    let old = USERS.map(|user| broker.url(user));
    broker.make_users("change_password", |scene, settings| {
        let settings = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        let script = fs::read_to_string(&script).expect("is there");
        scene.write("input", settings.chain([script]).collect::<String>());
        let mut command = scene.command("timeout");
        command.args([LIMIT, "sh", "-s"]);
        command.stdin(File::open(scene.path("input")).expect("is there"));
        command
    });
    for url in &old {
        assert!(connect(url).await.is_err(), "an old password still works");
    }
    let admin = RabbitDispatcher::connect(broker.options("admin")).await;
    admin.expect("declares all queues").close().await;
    let dispatcher = RabbitDispatcher::connect(broker.options("dispatcher")).await;
    dispatcher.expect("finds them").close().await;
    let worker = broker.options("worker");
    let worker = RabbitWorker::connect(worker, "worker".into(), "cpu".into(), None).await;
    drop(worker.expect("finds them"));

    keda_counts_jobs(&broker).await;
}

/// Those that wait and those that workers have, but not what waits for a retry or for people.
async fn keda_counts_jobs(broker: &Broker) {
    let management = Management::of(broker);
    let [admin, dispatcher, worker] = ["admin", "dispatcher", "worker"].map(|u| broker.channel(u));
    let (admin, dispatcher, worker) = tokio::join!(admin, dispatcher, worker);
    for priority in ["high", "high", "normal", "normal", "low"] {
        publish(&dispatcher, JOBS, priority).await;
    }
    for other in [ABANDONED, DEAD, &queues::retry(89)] {
        publish(&admin, other, "normal").await;
    }
    let high = take(&worker, &format!("{JOBS}.high")).await;
    let _low = take(&worker, &format!("{JOBS}.low")).await;
    let counts = |expected: (u64, u64)| {
        // RabbitMQ counts every few seconds.
        let what = format!("KEDA is told of {expected:?}");
        tokio::task::block_in_place(|| wait_until(&what, || management.messages() == expected));
    };
    counts((6, 2));
    let done = high.ack(BasicAckOptions::default()).await;
    done.expect("is still ours");
    counts((5, 1));

    // The monitor sees numbers, not jobs, and changes nothing; the others see not even those.
    let queue = format!("queues/{ESCAPED}/{JOBS}.normal");
    let read = r#"{"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}"#;
    let message = management.status("monitor", &["-d", read], &format!("{queue}/get"));
    let deletion = management.status("monitor", &["-X", "DELETE"], &queue);
    for refused in [
        message,
        deletion,
        management.status("monitor", &[], "users"),
    ] {
        assert!(["400", "401", "403"].contains(&&*refused), "{refused}");
    }
    for user in ["admin", "dispatcher", "worker"] {
        assert_eq!(management.status(user, &[], &queue), "401", "{user}");
    }
    assert_eq!(management.status("monitor", &[], &queue), "200");
    assert_eq!(management.messages(), (5, 1));
}
