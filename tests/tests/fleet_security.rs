//! What hostile messages, bad inputs and curious users can do to a fleet: nothing.

use std::collections::HashMap;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind, ExchangeKind};
use prost::Message;
use serde_json::Value;
use stylefleet_model::stylize::{Preset, Size, Stylize};
use stylefleet_proto::queues::{self, ABANDONED, DEAD, EVENTS, JOBS, PROGRESS, WATCH};
use stylefleet_proto::{Digest, Input, Job, JobId, Priority, Record, Role, Valid, keys, wire};
use stylefleet_tests::amqp::{connect, publish};
use stylefleet_tests::fleet::Workshop;
use stylefleet_tests::processes::wait_until;
use stylefleet_tests::relay::Relay;
use stylefleet_tests::services::Services;
use stylefleet_tests::{Run, png_header};

/// Over in a moment.
const SHORT: &str = "--style wave.png --size 16 --scales 1 --evaluations 2 --precision f32";

/// Brings a file of the scene into the store, as an input.
fn input(workshop: &Workshop<'_>, role: Role, file: &str) -> Input {
    let sha256 = Digest::of(&workshop.scene.read(file));
    workshop.put(&keys::input(&sha256), &workshop.scene.path(file));
    let name = file.parse().expect("a name");
    Input { role, sha256, name }
}

/// A job of batch `b` that is over in a moment.
fn job(content: Input, style: Input) -> Job {
    let mut parameters = Preset::default().parameters();
    parameters.size = Size::Longest(16);
    (parameters.scales, parameters.evaluations) = (1, 2);
    let specification = Valid::new(Stylize {
        weights: vec![1.0],
        parameters,
    });
    let [batch, name] = ["b", "picture"];
    Job::new(
        batch.parse().expect("a batch"),
        name.parse().expect("a name"),
        &specification.expect("is valid"),
        vec![content, style],
    )
    .expect("a job")
}

/// The reasons of all dead letters, by id.
fn dead(workshop: &Workshop<'_>) -> HashMap<String, String> {
    let list = workshop.ask(&["dead list"]);
    let text = |letter: &Value, field: &str| letter[field].as_str().expect("text").to_owned();
    let letters = list["dead"].as_array().expect("a list").iter();
    letters
        .map(|letter| (text(letter, "id"), text(letter, "reason")))
        .collect()
}

/// A message that no worker should act on.
struct Hostile {
    message: Vec<u8>,
    /// What it is listed as among the dead letters.
    id: String,
    /// A part of the reason.
    part: &'static str,
}

impl Hostile {
    /// One that is no job.
    fn message(message: Vec<u8>, part: &'static str) -> Self {
        let id = Digest::of(&message).to_string();
        Self { message, id, part }
    }

    /// A job whose envelope is changed.
    fn envelope(good: &Job, part: &'static str, change: impl Fn(&mut wire::Job)) -> Self {
        let mut job = wire::Job::from(good);
        change(&mut job);
        Self::message(job.encode_to_vec(), part)
    }

    /// A job that asks for something else, under the id that it then has.
    fn specification(
        good: &Job,
        part: &'static str,
        change: impl Fn(&mut wire::Stylize, &mut wire::Parameters),
    ) -> Self {
        let asked = wire::Stylize::decode(good.specification.as_slice());
        let mut asked = asked.expect("is one");
        let mut parameters = asked.parameters.take().expect("has some");
        change(&mut asked, &mut parameters);
        asked.parameters = Some(parameters);
        let specification = asked.encode_to_vec();
        let id = JobId::of(&good.kind, &specification, &good.inputs);
        let job = Job {
            id,
            specification,
            ..good.clone()
        };
        Self {
            message: wire::Job::from(&job).encode_to_vec(),
            id: id.to_string(),
            part,
        }
    }
}

fn hostile(good: &Job) -> Vec<Hostile> {
    let message = Hostile::message;
    let mut cut = wire::Job::from(good).encode_to_vec();
    cut.truncate(cut.len() / 2);
    let messages = [
        message(Vec::new(), "version"),
        message(
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            "no job of this contract",
        ),
        message(b"{\"job\": 1}".to_vec(), "no job of this contract"),
        message(cut, "no job of this contract"),
        message(vec![0; 2 << 20], "2097152 bytes"),
    ];
    type Change = fn(&mut wire::Job);
    let envelopes: [(&str, Change); 15] = [
        ("version: is 99", |job| job.version = 99),
        ("hashes to", |job| job.id = "0".repeat(64)),
        ("id.sha256: ", |job| job.id = "../../etc/passwd".into()),
        ("batch: ", |job| job.batch = "../b".into()),
        ("name: ", |job| job.name = "a\nb".into()),
        ("name: ", |job| job.name = "a".repeat(100_000)),
        ("inputs.sha256: ", |job| {
            job.inputs[0].sha256 = "../../../etc/passwd".into();
        }),
        ("inputs.sha256: ", |job| {
            job.inputs[0].sha256 = "A".repeat(64);
        }),
        ("inputs.role: ", |job| job.inputs[0].role = "../x".into()),
        ("inputs: are 1000", |job| {
            job.inputs = vec![job.inputs[0].clone(); 1000];
        }),
        ("kind: ", |job| job.kind = "../x".into()),
        ("hashes to", |job| job.kind = "other".into()),
        ("hashes to", |job| job.specification.push(0)),
        ("attempt: ", |job| job.attempt = 0),
        ("priority: ", |job| job.priority = 7),
    ];
    type Other = fn(&mut wire::Stylize, &mut wire::Parameters);
    let specifications: [(&str, Other); 13] = [
        ("styles: are 0", |asked, _| asked.weights.clear()),
        ("styles: are 1000", |asked, _| {
            asked.weights = vec![1.0; 1000]
        }),
        ("lack one: style.2", |asked, _| asked.weights.push(1.0)),
        ("styles.weight: ", |asked, _| asked.weights[0] = f64::NAN),
        ("styles.weight: ", |asked, _| {
            asked.weights[0] = f64::INFINITY
        }),
        ("size: ", |_, p| {
            p.size = Some(wire::parameters::Size::Longest(u32::MAX));
        }),
        (".evaluations: ", |_, p| p.evaluations = u32::MAX),
        ("scales: ", |_, p| p.scales = 11),
        ("tolerance: ", |_, p| p.tolerance = -1.0),
        ("stop_below: ", |_, p| p.stop_below = Some(f64::NAN)),
        ("init: ", |_, p| {
            p.init = Some(wire::parameters::Init::Style(9));
        }),
        ("style_weight: ", |_, p| p.style_weight = f64::NAN),
        ("style_layers: ", |_, p| {
            p.style_layers[0].layer = "../x".into()
        }),
    ];
    let envelopes = envelopes.map(|(part, change)| Hostile::envelope(good, part, change));
    let specifications =
        specifications.map(|(part, change)| Hostile::specification(good, part, change));
    messages
        .into_iter()
        .chain(envelopes)
        .chain(specifications)
        .collect()
}

#[tokio::test]
async fn hostile_messages_are_set_aside_and_the_worker_works_on() {
    let workshop = Workshop::new(Services::shared());
    let content = input(&workshop, Stylize::content(), "boat.png");
    let style = input(&workshop, Stylize::style(0), "wave.png");
    let hostile = hostile(&job(content, style));
    let channel = connect(&workshop.fleet.dispatcher).await;
    for (number, Hostile { message, .. }) in hostile.iter().enumerate() {
        let key = Priority::ORDER[number % 3].word();
        publish(&channel, JOBS, key, message)
            .await
            .expect("is taken");
    }
    let worker = workshop.start_worker(&[]);
    let batch = workshop.submit(&["boat.png --priority low", SHORT]);
    workshop.watch(&batch).end().expect_code(0);

    let dead = dead(&workshop);
    for Hostile { id, part, .. } in &hostile {
        let reason = dead.get(id);
        let reason = reason.unwrap_or_else(|| panic!("not set aside: the one about {part}"));
        assert!(reason.contains(part), "{part:?} is not in: {reason}");
        assert!(
            reason.len() < 400 && !reason.contains('\n'),
            "no line: {reason}"
        );
    }
    assert_eq!(dead.len(), hostile.len(), "{dead:?}");
    worker.signal("TERM");
    worker.end().expect_code(0);
}

#[tokio::test]
async fn a_damaged_result_makes_way_for_a_good_one() {
    let workshop = Workshop::new(Services::shared());
    let content = input(&workshop, Stylize::content(), "boat.png");
    let style = input(&workshop, Stylize::style(0), "wave.png");
    let job = job(content, style);
    let message = wire::Job::from(&job).encode_to_vec();
    let channel = connect(&workshop.fleet.dispatcher).await;
    let worker = workshop.start_worker(&[]);
    let key = keys::result(&job.id);
    let is_good = || {
        let result = workshop.object(&key);
        let result = result.and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        result.filter(|record| record.check(&job.id).is_ok())
    };
    for damage in ["", "{", "{\"figures\": {\"loss\": null}}"] {
        let sent = publish(&channel, JOBS, Priority::Normal.word(), &message).await;
        sent.expect("is taken");
        wait_until("there is a good result", || is_good().is_some());
        workshop.scene.write("damaged", damage);
        workshop.put(&key, &workshop.scene.path("damaged"));
    }
    worker.signal("TERM");
    worker.end().expect_code(0);
}

#[tokio::test]
async fn bad_inputs_fail_their_jobs_alone() {
    let workshop = Workshop::new(Services::shared());
    let style = input(&workshop, Stylize::style(0), "wave.png");
    workshop.scene.write("bomb.png", png_header(60_000, 60_000));
    workshop.scene.write("text.png", "hello, hello, hello");
    workshop.scene.write("empty.png", "");
    let mut bad = Vec::new();
    for (file, part) in [
        ("bomb.png", "60000x60000"),
        ("text.png", "no image"),
        ("empty.png", "no image"),
    ] {
        let content = input(&workshop, Stylize::content(), file);
        bad.push((job(content, style.clone()), part));
    }
    let image = |name: &str| Input {
        role: Stylize::content(),
        sha256: Digest::of(name.as_bytes()),
        name: name.parse().expect("a name"),
    };
    bad.push((
        job(image("missing.png"), style.clone()),
        "is not in the store",
    ));
    let altered = image("altered.png");
    let key = keys::input(&altered.sha256);
    workshop.put(&key, &workshop.scene.path("boat.png"));
    bad.push((job(altered, style), "is not the file it should be"));

    let channel = connect(&workshop.fleet.dispatcher).await;
    for (job, _) in &bad {
        let message = wire::Job::from(job).encode_to_vec();
        publish(&channel, JOBS, "normal", &message)
            .await
            .expect("is taken");
    }
    let _worker = workshop.start_worker(&[]);
    let batch = workshop.submit(&["boat.png", SHORT]);
    workshop.watch(&batch).end().expect_code(0);
    let dead = dead(&workshop);
    for (job, part) in &bad {
        let reason = &dead[&job.id.to_string()];
        assert!(reason.contains(part), "{part:?} is not in: {reason}");
        assert!(
            reason.contains(job.inputs[0].name.as_ref()),
            "about what? {reason}"
        );
        let why = workshop
            .document(&keys::failed(&job.id))
            .expect("a record of it");
        assert_eq!(
            (&why["reason"], &why["attempts"]),
            (&reason.as_str().into(), &1.into())
        );
    }
    assert_eq!(dead.len(), bad.len(), "{dead:?}");
}

#[test]
fn what_a_stray_hand_removed_or_altered_is_mended_by_another_submit() {
    let workshop = Workshop::new(Services::shared());
    let batch = workshop.submit(&["boat.png car.png", SHORT]);
    let input = |file: &str| keys::input(&Digest::of(&workshop.scene.read(file)));
    workshop.remove(&input("boat.png"));
    // Of the same size, which is all that a mere look shows.
    let mut altered = workshop.scene.read("car.png");
    altered.reverse();
    let path = workshop.scene.path("altered");
    std::fs::write(&path, altered).expect("writes");
    workshop.put(&input("car.png"), &path);
    let _worker = workshop.start_worker(&[]);
    let ended = workshop.watch(&batch).end().expect_code(1);
    assert_eq!(ended.events_of("failed").len(), 2, "{}", ended.so_far());
    let dead = || {
        let list = workshop.ask(&["dead list"])["dead"].clone();
        let list = list.as_array().expect("a list").clone();
        let since = |dead: &Value| dead["since"].as_str().map(str::to_owned);
        list.iter().map(since).collect::<Vec<_>>()
    };
    assert_eq!(dead(), [None, None], "they wait for a decision");
    workshop.submit(&["boat.png car.png --again", SHORT]);
    workshop.watch(&batch).end().expect_code(0);

    // Nobody has to decide about them any more.
    let done = || Some("done".to_owned());
    assert_eq!(dead(), [done(), done()]);
    let one = workshop.ask(&["dead list"])["dead"][0]["id"].clone();
    let retried = workshop.ask(&["dead retry", one.as_str().expect("an id")]);
    assert_eq!(
        (&retried["retried"], &retried["dropped"]),
        (&0.into(), &1.into())
    );
    assert_eq!(workshop.ask(&["dead drop --all --done"])["dropped"], 1);
    assert_eq!(dead(), []);
    assert_eq!(workshop.ask(&["queue"])["waiting"]["normal"], 0);
}

/// Whether the broker refuses a user something for want of a right. Any other refusal fails.
async fn is_refused(
    url: &str,
    what: &str,
    action: impl AsyncFnOnce(&Channel) -> Result<(), lapin::Error>,
) -> bool {
    let channel = connect(url).await;
    let Err(error) = action(&channel).await else {
        return false;
    };
    let refused = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
    match error.kind() {
        ErrorKind::ProtocolError(e) if *e.kind() == refused => true,
        _ => panic!("{what}: {error}"),
    }
}

#[tokio::test]
async fn users_have_the_rights_that_they_need_and_no_more() {
    let workshop = Workshop::new(Services::shared());
    let (dispatcher, worker) = (&workshop.fleet.dispatcher, &workshop.fleet.worker);
    let [high, normal, low] = Priority::ORDER.map(queues::jobs);
    let retry = queues::retry(2);
    let durable = QueueDeclareOptions::durable;

    let get = async |user: &str, queue: &str| {
        is_refused(user, queue, async |channel| {
            let options = BasicGetOptions::default();
            channel.basic_get(queue.into(), options).await.map(drop)
        })
        .await
    };
    let consume = async |user: &str, queue: &str| {
        is_refused(user, queue, async |channel| {
            let options = BasicConsumeOptions::default();
            channel
                .basic_consume(queue.into(), "".into(), options, FieldTable::default())
                .await
                .map(drop)
        })
        .await
    };
    let purge = async |user: &str, queue: &str| {
        is_refused(user, queue, async |channel| {
            let options = QueuePurgeOptions::default();
            channel.queue_purge(queue.into(), options).await.map(drop)
        })
        .await
    };
    let publish = async |user: &str, exchange: &str, key: &str| {
        is_refused(user, exchange, async |channel| {
            publish(channel, exchange, key, b"x").await
        })
        .await
    };
    let declare = async |user: &str, queue: &str| {
        is_refused(user, queue, async |channel| {
            let declared = channel.queue_declare(queue.into(), durable(), FieldTable::default());
            declared.await.map(drop)
        })
        .await
    };
    let delete = async |user: &str, queue: &str| {
        is_refused(user, queue, async |channel| {
            let options = QueueDeleteOptions::default();
            channel.queue_delete(queue.into(), options).await.map(drop)
        })
        .await
    };

    // Who has jobs done cannot take them away, nor lie about them.
    assert!(!publish(dispatcher, JOBS, "normal").await);
    assert!(!get(dispatcher, DEAD).await);
    for queue in [&high, &normal, &low] {
        assert!(get(dispatcher, queue).await, "may get {queue}");
        assert!(consume(dispatcher, queue).await, "may consume {queue}");
        assert!(purge(dispatcher, queue).await, "may purge {queue}");
        assert!(delete(dispatcher, queue).await, "may delete {queue}");
    }
    for exchange in [ABANDONED, DEAD, EVENTS, PROGRESS, &retry, ""] {
        assert!(
            publish(dispatcher, exchange, &high).await,
            "may publish to {exchange}"
        );
    }
    assert!(declare(dispatcher, "stylefleet.v2.jobs.mine").await);
    let eavesdrops = async |channel: &Channel| {
        let queue = format!("{WATCH}ear");
        let (own, none) = (QueueDeclareOptions::exclusive(), FieldTable::default());
        let declared = channel.queue_declare(queue.as_str().into(), own, none.clone());
        declared.await.expect("may watch");
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(queue.into(), JOBS.into(), "normal".into(), options, none);
        bound.await
    };
    assert!(is_refused(dispatcher, "a second copy of all jobs", eavesdrops).await);

    // Who does jobs cannot change the queues, nor see what is none of its business.
    assert!(!get(worker, &normal).await);
    for exchange in [JOBS, DEAD, EVENTS, PROGRESS, &retry] {
        assert!(
            !publish(worker, exchange, "normal").await,
            "may not publish to {exchange}"
        );
    }
    for queue in [&high, &retry, DEAD, ABANDONED, EVENTS] {
        assert!(declare(worker, queue).await, "may declare {queue}");
        assert!(delete(worker, queue).await, "may delete {queue}");
    }
    for queue in [&retry, DEAD, EVENTS] {
        assert!(get(worker, queue).await, "may get {queue}");
        assert!(consume(worker, queue).await, "may consume {queue}");
        assert!(purge(worker, queue).await, "may purge {queue}");
    }
    for exchange in [ABANDONED, ""] {
        assert!(
            publish(worker, exchange, &high).await,
            "may publish to {exchange}"
        );
    }
    let meddles = async |channel: &Channel| {
        let options = ExchangeDeclareOptions::default();
        let none = FieldTable::default();
        let declared = channel.exchange_declare("own".into(), ExchangeKind::Fanout, options, none);
        declared.await
    };
    assert!(is_refused(worker, "an exchange of its own", meddles).await);
    let removes = async |channel: &Channel| {
        let options = ExchangeDeleteOptions::default();
        channel.exchange_delete(JOBS.into(), options).await
    };
    assert!(is_refused(worker, "no jobs any more", removes).await);
}

#[test]
fn no_log_has_a_secret_in_it() {
    let services = Services::shared();
    let workshop = Workshop::new(services);
    let relay = Relay::before(&workshop.fleet.worker);
    let log = (
        "STYLEFLEET_LOG",
        "debug,stylefleet=trace,stylefleet_worker=trace,stylefleet_transport=trace",
    );
    let mut worker = workshop.start_worker(&[log, ("STYLEFLEET_BROKER", &relay.url)]);
    relay.cut();
    worker.wait_for_line("connected again");
    let mut submit = workshop.command(&["submit boat.png --wait", SHORT]);
    submit.envs([log]);
    let submitted = Run::start(submit).end().expect_code(0);
    worker.signal("TERM");
    let worked = worker.end().expect_code(0);

    let password = workshop.fleet.worker.split([':', '@']).nth(2);
    let secrets = [
        password.expect("a password"),
        services.setting("AWS_SECRET_ACCESS_KEY"),
    ];
    for (who, ended) in [("stylefleet", submitted), ("stylefleet-worker", worked)] {
        let said = ended.so_far();
        assert!(said.contains("DEBUG"), "{who} logs too little to tell");
        for secret in secrets {
            let leak = said.lines().find(|line| line.contains(secret));
            assert_eq!(leak, None, "{who} tells a secret");
        }
    }
}
