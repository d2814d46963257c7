//! The door of the contract: what is valid passes through the wire unchanged, what is not is
//! refused, and an id says what is asked and nothing else.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use prost::Message;
use serde::Deserialize;
use serde_json::json;
use stylefleet_model::Choice;
use stylefleet_model::stylize::{
    Init, Layer, LayerWeight, Layers, MAX_SIDE, MIN_SIDE, Network, Overrides, Parameters, Preset,
    Size, table,
};
use stylefleet_proto::{
    BatchId, Delivery, Digest, Ended, Event, EventKind, Image, Job, JobId, MAX_PREVIEW_EVERY, Name,
    Priority, Progress, Pulse, Style, SubmitId, ToWorker, Update, VERSION, Valid, keys, wire,
};

// Every valid job.

fn names() -> impl Strategy<Value = Name> {
    "[^\\p{Cc}]{1,60}".prop_map(|text| text.parse().expect("a name"))
}

fn images() -> impl Strategy<Value = Image> {
    (any::<[u8; 8]>(), names()).prop_map(|(bytes, name)| Image {
        sha256: Digest::of(&bytes),
        name,
    })
}

fn layers(network: Network) -> impl Strategy<Value = Layers> {
    let all: Vec<_> = Layer::all().filter(|layer| layer.is_of(network)).collect();
    let most = all.len();
    let some = subsequence(all, 0..=most);
    some.prop_flat_map(|layers| {
        let weights = vec(weights(1e6), layers.len());
        weights
            .prop_map(move |weights| {
                let entries = layers.iter().zip(weights);
                entries
                    .map(|(&layer, weight)| LayerWeight { layer, weight })
                    .collect::<Vec<_>>()
            })
            .prop_map(Layers)
    })
}

/// From the smallest to the largest, both included, and zero in both its guises.
fn weights(most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..=most,
        1 => select(vec![0.0, -0.0, f64::MIN_POSITIVE, 5e-324, most]),
    ]
}

fn any_of<T: Choice + std::fmt::Debug>() -> impl Strategy<Value = T> {
    select(T::ALL)
}

/// Parameters, as far as they say what the picture is to be like.
fn objectives() -> impl Strategy<Value = Parameters> {
    let kinds = (any_of(), any_of(), any_of(), any_of(), any_of());
    let weights = (weights(1e12), weights(1e12), weights(1e12));
    let strength = option::of(0.0..=1.0);
    let measures = (strength, any::<bool>());
    let network = any_of::<Network>();
    let layers = network.prop_flat_map(|network| (Just(network), layers(network), layers(network)));
    (kinds, layers, weights, measures).prop_map(
        |(kinds, (network, content_layers, style_layers), weights, measures)| Parameters {
            network,
            means: kinds.0,
            pooling: kinds.1,
            content_layers,
            content_loss: kinds.2,
            content_weight: weights.0,
            style_layers,
            style_loss: kinds.3,
            style_weight: weights.1,
            total_variation: kinds.4,
            tv_weight: weights.2,
            strength: measures.0,
            normalize_gradients: measures.1,
            ..Preset::Studio.parameters()
        },
    )
}

fn sizes() -> impl Strategy<Value = Size> {
    let side = || MIN_SIDE..=MAX_SIDE;
    prop_oneof![
        side().prop_map(Size::Longest),
        (side(), side()).prop_map(|(width, height)| Size::Exact { width, height }),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let init = prop_oneof![
        Just(Init::Content),
        Just(Init::Noise),
        (0..16_u32).prop_map(Init::Style),
        Just(Init::Image),
    ];
    let look = (
        sizes(),
        init,
        any_of(),
        prop_oneof![
            Just((true, 1.0)),
            (0.1..=4.0).prop_map(|scale| (false, scale))
        ],
        any::<u64>(),
        any_of(),
    );
    let effort = (
        any_of(),
        1..=100_000_u32,
        1..=100_000_u32,
        0..=10_u32,
        option::of(f64::MIN_POSITIVE..=f64::MAX),
        0.0..=1.0,
        any_of(),
        0.0..=0.9999,
    );
    (objectives(), look, effort).prop_map(|(objective, look, effort)| Parameters {
        size: look.0,
        init: look.1,
        keep_colors: look.2,
        stretch_style: look.3.0,
        style_scale: look.3.1,
        seed: look.4,
        format: look.5,
        optimizer: effort.0,
        evaluations: effort.1,
        coarse_evaluations: effort.2,
        scales: effort.3,
        stop_below: effort.4,
        tolerance: effort.5,
        precision: effort.6,
        average: effort.7,
        ..objective
    })
}

fn jobs() -> impl Strategy<Value = Job> {
    let styles = (images(), 1e-300..=1e6, option::of(images()));
    let styles = styles.prop_map(|(image, weight, mask)| Style {
        image,
        weight,
        mask,
    });
    let batches = "[a-z0-9-]{1,64}".prop_map(|text| text.parse().expect("a batch"));
    let parts = (
        batches,
        names(),
        images(),
        vec(styles, 1..=16),
        images(),
        parameters(),
    );
    let stores = option::of(any::<u64>().prop_map(|number| Digest::of(&number.to_le_bytes())));
    let turns = (1..=u32::MAX, priorities(), 0..=MAX_PREVIEW_EVERY, stores);
    (parts, turns).prop_filter_map("asks for nothing", |(parts, turns)| {
        let (attempt, priority, preview_every, store) = turns;
        let (batch, name, content, styles, start, parameters) = parts;
        let start = (parameters.init == Init::Image).then_some(start);
        let parameters = Valid::new(parameters).ok()?;
        let job = Job::new(batch, name, content, styles, start, parameters).ok()?;
        Some(Job {
            attempt,
            priority,
            preview_every,
            store,
            ..job
        })
    })
}

fn priorities() -> impl Strategy<Value = Priority> {
    (0..3).prop_map(|number| Priority::try_from(number).expect("a priority"))
}

fn event_kinds() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        updates().prop_map(EventKind::Update),
        ends().prop_map(EventKind::Ended),
    ]
}

fn updates() -> impl Strategy<Value = Update> {
    prop_oneof![
        (any::<u32>(), ".*").prop_map(|(resumed_evaluations, device)| Update::Started {
            resumed_evaluations,
            device,
        }),
        any::<u32>().prop_map(|evaluation| Update::Progress(Progress {
            evaluation,
            ..Progress::default()
        })),
        ".*".prop_map(Update::Note),
        any::<u32>().prop_map(|evaluations| Update::Previewed { evaluations }),
    ]
}

fn ends() -> impl Strategy<Value = Ended> {
    prop_oneof![
        (0.0..1e9, any::<u32>(), 0.0..1e30).prop_map(|(seconds, evaluations, loss)| {
            Ended::Finished {
                seconds,
                evaluations,
                loss,
            }
        }),
        (any::<bool>(), ".*").prop_map(|(retryable, reason)| Ended::Failed { retryable, reason }),
        any::<u32>().prop_map(|evaluations| Ended::Interrupted { evaluations }),
        Just(Ended::Cancelled),
    ]
}

// What the wire does to them.

fn read(bytes: &[u8]) -> Result<Job, String> {
    let message = wire::Job::decode(bytes).map_err(|e| e.to_string())?;
    Job::try_from(message).map_err(|e| e.to_string())
}

proptest! {
    #[test]
    fn a_valid_job_comes_out_of_the_wire_as_it_went_in(
        job in jobs(), redelivered in any::<bool>(), abandoned in any::<bool>()
    ) {
        let bytes = wire::Job::from(&job).encode_to_vec();
        prop_assert_eq!(read(&bytes), Ok(job.clone()));
        let delivery = ToWorker::Delivery(Box::new(Delivery { job, redelivered, abandoned }));
        let bytes = wire::ToWorker::from(&delivery).encode_to_vec();
        let read = wire::ToWorker::decode(bytes.as_slice()).expect("decodes");
        prop_assert_eq!(ToWorker::try_from(read), Ok(delivery));
    }

    #[test]
    fn an_event_comes_out_of_the_wire_as_it_went_in(
        seed in any::<u64>(), worker in ".*", attempt in 1..=u32::MAX,
        unix_millis in any::<u64>(), kind in event_kinds()
    ) {
        let job = Digest::of(&seed.to_le_bytes()).to_string().parse().expect("an id");
        let event = Event { job, worker, attempt, unix_millis, kind };
        let bytes = wire::Event::from(event.clone()).encode_to_vec();
        let read = wire::Event::decode(bytes.as_slice()).expect("decodes");
        prop_assert_eq!(Event::try_from(read), Ok(event.clone()));

        // A pulse carries progress, and nothing else.
        let pulse = wire::Pulse { progress: Some(event.clone().into()), ..wire::Pulse::default() };
        let progress = Pulse::try_from(pulse).map(|pulse| pulse.progress);
        match event.kind {
            EventKind::Update(Update::Progress(progress_of)) => {
                prop_assert_eq!(progress, Ok(Some(event.map(|_| progress_of))));
            }
            _ => prop_assert!(progress.is_err()),
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
        // These may be valid by chance.
        let _ = wire::ToWorker::decode(bytes.as_slice()).map(ToWorker::try_from);
        if let Ok(message) = wire::FromWorker::decode(bytes.as_slice())
            && let Some(wire::from_worker::Frame::Event(event)) = message.frame
        {
            let _ = Event::try_from(event);
        }
    }

    /// A damaged message is refused, or the damage was in a name, a batch or an attempt, or in
    /// bytes that no reader looks at. It never becomes another job under the same id.
    #[test]
    fn damage_never_passes_as_another_job(
        job in jobs(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = wire::Job::from(&job).encode_to_vec();
        for (place, byte) in damage {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(read) = read(&bytes) {
            prop_assert_eq!(read.id, job.id);
            prop_assert_eq!(read.id, JobId::of(&read));
            prop_assert_eq!(read.content.sha256, job.content.sha256);
            prop_assert_eq!(&read.parameters, &job.parameters);
            let start = |job: &Job| job.start.as_ref().map(|image| image.sha256);
            prop_assert_eq!(start(&read), start(&job));
        }
    }

    #[test]
    fn what_does_not_change_the_picture_is_no_part_of_the_id(
        job in jobs(), name in names(), batch in "[a-z0-9-]{1,64}", attempt in 1..=u32::MAX,
        priority in priorities(), preview_every in 0..=MAX_PREVIEW_EVERY
    ) {
        let mut other = job.clone();
        other.name = name.clone();
        other.batch = batch.parse().expect("a batch");
        other.attempt = attempt;
        other.priority = priority;
        other.preview_every = preview_every;
        other.store = Some(Digest::of(name.as_ref().as_bytes()));
        other.content.name = name.clone();
        for style in &mut other.styles {
            style.image.name = name.clone();
        }
        if let Some(start) = &mut other.start {
            start.name = name;
        }
        prop_assert_eq!(JobId::of(&other), job.id);
    }

    #[test]
    fn keys_never_climb_out_of_the_store(job in jobs()) {
        for key in [
            keys::input(&job.content.sha256),
            keys::manifest(&job.batch, &SubmitId { unix_millis: u64::MAX, random: u64::MAX }),
            keys::accepted(&job.batch, &SubmitId { unix_millis: 0, random: 0 }),
            keys::weights(&job.content.sha256),
            keys::started(&job.id),
            keys::cancelled(&job.id),
            keys::checkpoint(&job.id),
            keys::picture(&job.id, &job.content.sha256, job.parameters.format),
            keys::result(&job.id),
            keys::failed(&job.id),
        ] {
            let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
            prop_assert!(key.split('/').all(is_plain), "{}", key);
            let homes = ["inputs/", "weights/", "batches/", "started/", "checkpoints/", "jobs/",
                "results/", "failures/", "cancelled/"];
            prop_assert!(homes.iter().any(|home| key.starts_with(home)));
        }
    }
}

// One job, changed in one thing.

fn image(text: &str) -> Image {
    Image {
        sha256: Digest::of(text.as_bytes()),
        name: "x.png".parse().expect("a name"),
    }
}

fn job() -> Job {
    let styles = ["one", "two"].map(|text| Style {
        image: image(text),
        weight: 1.0,
        mask: None,
    });
    let parameters = Valid::new(Preset::Gatys.parameters()).expect("is valid");
    Job::new(
        "batch".parse().expect("a batch"),
        "job".parse().expect("a name"),
        image("content"),
        styles.into(),
        None,
        parameters,
    )
    .expect("a job")
}

/// Values for any parameter: each has some that it understands.
const VALUES: [&str; 24] = [
    "0",
    "1",
    "0.5",
    "2",
    "7",
    "513",
    "512x512",
    "512x511",
    "true",
    "false",
    "none",
    "noise",
    "style:1",
    "style:2",
    "conv1_1=0.7",
    "conv1_1=0.7,conv2_1=0.2",
    "conv2_1=0.2,conv1_1=0.7",
    "nobody's",
    "-1",
    "-0.1",
    "11",
    "1.1",
    "1e13",
    "NaN",
];

/// The job's parameters with one of them changed, whether or not that is valid.
fn changed(field: &str, written: &str) -> Option<Parameters> {
    let mut overrides = Overrides {
        preset: Some(Preset::Gatys),
        ..Overrides::default()
    };
    // A start from a file is an image, which these jobs have none of.
    let is_read = overrides.set(field, written).ok()?;
    let parameters = overrides.parameters();
    (is_read && parameters.init != Init::Image).then_some(parameters)
}

/// Jobs that ask for something else, at least one for each parameter.
fn other_asks() -> Vec<(String, Job)> {
    type Change = fn(&mut Job);
    let images: [(&str, Change); 8] = [
        ("content", |job| job.content = image("another")),
        ("a style", |job| job.styles[1].image = image("another")),
        ("a style's weight", |job| job.styles[1].weight = 2.0),
        ("the styles' order", |job| job.styles.reverse()),
        ("a mask", |job| job.styles[1].mask = Some(image("mask"))),
        ("another mask", |job| {
            job.styles[1].mask = Some(image("another mask"))
        }),
        ("a mask of another style", |job| {
            job.styles[0].mask = Some(image("mask"))
        }),
        ("fewer styles", |job| job.styles.truncate(1)),
    ];
    let mut asks: Vec<_> = images
        .into_iter()
        .map(|(what, change)| {
            let mut other = job();
            change(&mut other);
            (what.to_owned(), other)
        })
        .collect();
    for start in ["start", "another start"] {
        let mut parameters = Preset::Gatys.parameters();
        parameters.init = Init::Image;
        let other = Job {
            start: Some(image(start)),
            parameters: Valid::new(parameters).expect("is valid"),
            ..job()
        };
        asks.push((start.to_owned(), other));
    }
    for row in table() {
        let words = row.choices.unwrap_or_default();
        let values = VALUES.into_iter().chain(words.split(", "));
        let mut seen = vec![(*job().parameters).clone()];
        for value in values {
            let Some(parameters) = changed(row.field, value) else {
                continue;
            };
            let Ok(valid) = Valid::new(parameters.clone()) else {
                continue;
            };
            if !seen.contains(&parameters) {
                seen.push(parameters);
                let what = format!("{} {value}", row.field);
                asks.push((
                    what,
                    Job {
                        parameters: valid,
                        ..job()
                    },
                ));
            }
        }
        assert!(seen.len() > 1, "{} was not changed", row.field);
    }
    asks
}

#[test]
fn whatever_else_is_asked_is_another_job() {
    let mut ids = HashMap::from([(job().id, "the job itself".to_owned())]);
    for (what, other) in other_asks() {
        if let Some(same) = ids.insert(JobId::of(&other), what.clone()) {
            panic!("{what} has the id of {same}");
        }
    }
}

/// So that no version finds another's results or checkpoints.
#[test]
fn the_version_is_part_of_the_id() {
    let mut job = wire::Job::from(&job());
    let images = job.styles.iter_mut().flat_map(|style| &mut style.image);
    for image in images.chain(&mut job.content) {
        image.name.clear();
    }
    let asked = |version| wire::Job {
        version,
        content: job.content.clone(),
        styles: job.styles.clone(),
        parameters: job.parameters.clone(),
        ..wire::Job::default()
    };
    let id = |version| Digest::of(&asked(version).encode_to_vec()).to_string();
    assert_eq!(id(VERSION), job.id);
    assert_ne!(id(VERSION - 1), job.id);
}

/// Its parameters were in groups.
#[test]
fn parameters_of_a_record_of_version_1_are_refused() {
    let mut parameters = serde_json::to_value(&job().parameters).expect("is JSON");
    assert!(Valid::<Parameters>::deserialize(&parameters).is_ok());
    let flat = parameters.as_object_mut().expect("has fields");
    let weight = flat.remove("style_weight").expect("is there");
    flat.insert("objective".to_owned(), json!({ "style_weight": weight }));
    assert!(Valid::<Parameters>::deserialize(&parameters).is_err());
}

#[test]
fn what_was_changed_under_way_is_refused() {
    for (what, other) in other_asks() {
        // They have the id of the job that they were made of.
        let refused = Job::try_from(wire::Job::from(&other)).expect_err(&what);
        assert_eq!(refused.field, "id", "{what}: {refused}");
    }
}

#[test]
fn what_is_out_of_its_range_is_refused_by_name() {
    type Tampering = fn(&mut wire::Job);
    fn parameters(job: &mut wire::Job) -> &mut wire::Parameters {
        job.parameters.as_mut().expect("parameters")
    }
    let cases: Vec<(&str, Tampering)> = vec![
        ("version", |job| job.version = 1),
        ("version", |job| job.version = 0),
        ("id", |job| job.id.clear()),
        ("id", |job| job.id = job.id.to_uppercase()),
        ("id", |job| job.id = "0".repeat(64)),
        ("id", |job| job.id = format!("../{}", &job.id[3..])),
        ("id", |job| job.id.push('0')),
        ("batch", |job| job.batch = "../../etc".into()),
        ("batch", |job| job.batch = "a/b".into()),
        ("batch", |job| job.batch.clear()),
        ("batch", |job| job.batch = "b".repeat(65)),
        ("name", |job| job.name = "a\nb".into()),
        ("name", |job| job.name = "n".repeat(1025)),
        ("attempt", |job| job.attempt = 0),
        ("priority", |job| job.priority = 3),
        ("preview_every", |job| {
            job.preview_every = MAX_PREVIEW_EVERY + 1
        }),
        ("store", |job| job.store = "../identity".into()),
        ("content", |job| job.content = None),
        ("content.sha256", |job| {
            job.content.as_mut().expect("content").sha256 = "../../../etc/passwd".into();
        }),
        ("styles", |job| job.styles.clear()),
        ("styles", |job| job.styles = vec![job.styles[0].clone(); 17]),
        ("styles.image", |job| job.styles[0].image = None),
        ("styles.weight", |job| job.styles[0].weight = f64::NAN),
        ("styles.weight", |job| job.styles[0].weight = 0.0),
        ("styles.weight", |job| job.styles[0].weight = -1.0),
        ("styles.weight", |job| job.styles[0].weight = f64::INFINITY),
        ("parameters", |job| job.parameters = None),
        ("parameters.size", |job| parameters(job).size = None),
        ("parameters.size", |job| {
            parameters(job).size = Some(wire::parameters::Size::Longest(MAX_SIDE + 1));
        }),
        ("parameters.size.height", |job| {
            let extent = wire::Extent {
                width: 16,
                height: 15,
            };
            parameters(job).size = Some(wire::parameters::Size::Exact(extent));
        }),
        ("parameters.init", |job| parameters(job).init = None),
        ("init", |job| {
            parameters(job).init = Some(wire::parameters::Init::Style(2));
        }),
        ("init", |job| {
            let image = wire::InitImage {};
            parameters(job).init = Some(wire::parameters::Init::Image(image));
        }),
        ("init", |job| job.start = job.content.clone()),
        ("parameters.keep_colors", |job| {
            parameters(job).keep_colors = 4
        }),
        ("parameters.format", |job| parameters(job).format = -1),
        ("parameters.stop_below", |job| {
            parameters(job).stop_below = Some(f64::INFINITY)
        }),
        ("parameters.pooling", |job| parameters(job).pooling = 2),
        ("parameters.network", |job| parameters(job).network = 2),
        ("parameters.content_layers", |job| {
            parameters(job).network = Network::Vgg16.number();
            parameters(job).content_layers[0].layer = "conv4_4".into();
        }),
        ("parameters.style_loss", |job| {
            parameters(job).style_loss = 3
        }),
        ("styles.mask", |job| {
            let image = job.styles[0].image.clone();
            job.styles[0].mask = image.map(|image| wire::Image {
                sha256: "../secret".into(),
                ..image
            });
        }),
        ("parameters.style_layers", |job| {
            parameters(job).style_layers[0].layer = "conv9_9".into();
        }),
        ("parameters.style_layers", |job| {
            let twice = parameters(job).style_layers[0].clone();
            parameters(job).style_layers.push(twice);
        }),
        ("parameters.style_layers.conv1_1", |job| {
            parameters(job).style_layers[0].weight = f64::NAN;
        }),
        ("parameters.weights", |job| {
            let objective = parameters(job);
            objective.content_weight = 0.0;
            objective.style_weight = 0.0;
            objective.tv_weight = 0.0;
        }),
    ];
    for (field, tamper) in cases {
        let mut message = wire::Job::from(&job());
        tamper(&mut message);
        let refused = match Job::try_from(message) {
            Err(refused) => refused,
            Ok(_) => panic!("{field} passed"),
        };
        assert!(refused.field.starts_with(field), "{field}: {refused}");
    }
}

#[test]
fn no_number_passes_beyond_its_limits() {
    for row in table() {
        let mut refused = 0;
        for value in VALUES {
            let Some(parameters) = changed(row.field, value) else {
                continue;
            };
            let mut message = wire::Job::from(&job());
            message.parameters = Some(wire::Parameters::from(&parameters));
            if let Err(invalid) = Job::try_from(message)
                && invalid.field == format!("parameters.{}", row.field)
            {
                refused += 1;
            }
        }
        assert_eq!(
            refused > 0,
            row.limits.is_some() || row.field == "size",
            "{}",
            row.field
        );
    }
}

#[test]
fn a_batch_is_named_so_that_it_is_safe_in_a_path() {
    for text in ["..", "a.b", "A", "a b", "é", "a\0", ""] {
        assert!(text.parse::<BatchId>().is_err(), "{text:?}");
    }
    assert!("run-0123abc".parse::<BatchId>().is_ok());
}

#[test]
fn a_picture_lies_with_its_job() {
    let job = job();
    let picture = keys::picture(&job.id, &job.content.sha256, job.parameters.format);
    assert!(keys::is_picture(&job.id, &picture), "{picture}");
    assert!(keys::is_of_picture(&picture, &job.content.sha256));
    let other = Digest::of(b"another picture");
    assert!(!keys::is_of_picture(&picture, &other));
    assert!(!keys::is_of_picture("image.", &other));
    let id = job.id;
    for elsewhere in [
        "inputs/x".to_owned(),
        format!("results/{id}.json"),
        format!("jobs/{id}/image.../../x"),
        format!("jobs/{id}/image.a/b"),
        format!("jobs/{id}/image.png"),
        format!("jobs/{id}/image.0123456789abcdeg.png"),
        format!("jobs/{id}/image.0123456789abcdef.p/g"),
        picture.replace("jobs/", "/jobs/"),
        picture.replace(&id.to_string(), &job.content.sha256.to_string()),
    ] {
        assert!(!keys::is_picture(&id, &elsewhere), "{elsewhere}");
    }
}
