//! The door of the contract: what is valid passes through the wire unchanged, what is not is
//! refused, and an id says what is asked and nothing else.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use std::collections::HashMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use prost::Message;
use serde::Deserialize;
use stylefleet_model::Choice;
use stylefleet_model::stylize::{
    Init, Layer, LayerWeight, Layers, MAX_SIDE, MIN_SIDE, Network, Overrides, Parameters, Preset,
    Size, Stylize, table,
};
use stylefleet_proto::{
    BatchId, Curve, Delivery, Digest, Ended, Event, EventKind, Figures, Input, Job, JobId,
    MAX_PREVIEW_EVERY, Name, Output, Priority, Progress, Pulse, Record, Role, SubmitId, ToWorker,
    Update, VERSION, Valid, keys, testing, wire,
};

// Every valid job.

fn names() -> impl Strategy<Value = Name> {
    "[^\\p{Cc}]{1,60}".prop_map(|text| text.parse().expect("a name"))
}

/// Inputs of that role.
fn inputs(role: Role) -> impl Strategy<Value = Input> {
    (any::<[u8; 8]>(), names()).prop_map(move |(bytes, name)| Input {
        role: role.clone(),
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

/// What is asked, and an input for each role that there must be, or may be.
fn asks() -> impl Strategy<Value = (Valid<Stylize>, Vec<Input>)> {
    let weights = vec(1e-300..=1e6, 1..=16);
    let asked = (weights, parameters()).prop_filter_map("asks for nothing", |asked| {
        let (weights, parameters) = asked;
        Valid::new(Stylize {
            weights,
            parameters,
        })
        .ok()
    });
    asked.prop_flat_map(|asked| {
        let roles = asked.roles().into_iter().map(|rule| {
            let input = inputs(rule.role);
            if rule.is_required {
                input.prop_map(Some).boxed()
            } else {
                option::of(input).boxed()
            }
        });
        let inputs = roles.collect::<Vec<_>>();
        (
            Just(asked),
            inputs.prop_map(|inputs| inputs.into_iter().flatten().collect()),
        )
    })
}

fn jobs() -> impl Strategy<Value = Job> {
    let batches = "[a-z0-9-]{1,64}".prop_map(|text| text.parse().expect("a batch"));
    let stores = option::of(any::<u64>().prop_map(|number| Digest::of(&number.to_le_bytes())));
    let turns = (1..=u32::MAX, priorities(), 0..=MAX_PREVIEW_EVERY, stores);
    (batches, names(), asks(), turns).prop_map(|(batch, name, (asked, inputs), turns)| {
        let (attempt, priority, preview_every, store) = turns;
        Job {
            attempt,
            priority,
            preview_every,
            store,
            ..Job::new(batch, name, &asked, inputs).expect("is valid")
        }
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
        (any::<u64>(), ".*").prop_map(|(steps, device)| Update::Started { steps, device }),
        progress().prop_map(Update::Progress),
        ".*".prop_map(Update::Note),
        any::<u64>().prop_map(|steps| Update::Previewed { steps }),
    ]
}

fn progress() -> impl Strategy<Value = Progress> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>());
    (words(), words(), counts, figures(), option::of(0.0..1e9)).prop_map(
        |(phase, unit, (done, total, steps), figures, seconds_left)| Progress {
            phase,
            done,
            total,
            unit,
            steps,
            figures,
            seconds_left,
        },
    )
}

fn figures() -> impl Strategy<Value = Figures> {
    btree_map(words(), -1e300..1e300, 0..64)
}

/// Text that fits into a line.
fn words() -> impl Strategy<Value = String> {
    "\\PC{0,30}"
}

fn ends() -> impl Strategy<Value = Ended> {
    prop_oneof![
        (0.0..1e9, any::<u64>(), figures()).prop_map(|(seconds, steps, figures)| {
            Ended::Finished {
                seconds,
                steps,
                figures,
            }
        }),
        (any::<bool>(), ".*").prop_map(|(retryable, reason)| Ended::Failed { retryable, reason }),
        any::<u64>().prop_map(|steps| Ended::Interrupted { steps }),
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
        let asked = job.specification::<Valid<Stylize>>();
        prop_assert!(asked.is_ok(), "{:?}", asked);
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
        match event.kind.clone() {
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
            prop_assert_eq!(read.id, JobId::of(&read.kind, &read.specification, &read.inputs));
            let asked = |job: &Job| {
                let inputs = job.inputs.iter().map(|input| (input.role.clone(), input.sha256));
                let mut inputs: Vec<_> = inputs.collect();
                inputs.sort();
                (job.kind.clone(), job.specification.clone(), inputs)
            };
            prop_assert_eq!(asked(&read), asked(&job));
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
        for input in &mut other.inputs {
            input.name = name.clone();
        }
        other.inputs.reverse();
        let id = JobId::of(&other.kind, &other.specification, &other.inputs);
        prop_assert_eq!(id, job.id);
    }

    #[test]
    fn keys_never_climb_out_of_the_store(job in jobs()) {
        for key in [
            keys::input(&job.inputs[0].sha256),
            keys::manifest(&job.batch, &SubmitId { unix_millis: u64::MAX, random: u64::MAX }),
            keys::accepted(&job.batch, &SubmitId { unix_millis: 0, random: 0 }),
            keys::weights(&job.inputs[0].sha256),
            keys::started(&job.id),
            keys::cancelled(&job.id),
            keys::checkpoint(&job.id),
            keys::output(&job.id, &job.inputs[0].role, &job.inputs[0].sha256, "tiff"),
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

fn job() -> Job {
    blend(&["content", "style.1", "style.2"], |_| ())
}

/// A job of batch `batch`, with inputs of these roles.
fn blend(roles: &[&str], change: impl FnOnce(&mut Stylize)) -> Job {
    let mut asked = Stylize {
        weights: vec![1.0, 1.0],
        parameters: Preset::Gatys.parameters(),
    };
    change(&mut asked);
    let inputs = roles.iter().map(|role| {
        let role = role.parse().expect("a role");
        testing::input(role, b"an image")
    });
    Job::new(
        "batch".parse().expect("a batch"),
        "job".parse().expect("a name"),
        &Valid::new(asked).expect("is valid"),
        inputs.collect(),
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
    let images = ["content", "style.1", "style.2"];
    let other = |index: usize| {
        let mut job = job();
        job.inputs[index].sha256 = Digest::of(b"another image");
        job.id = JobId::of(&job.kind, &job.specification, &job.inputs);
        job
    };
    let with = |more: &[&str]| blend(&[&images, more].concat(), |_| ());
    let mut asks = vec![
        ("content".to_owned(), other(0)),
        ("a style".to_owned(), other(1)),
        ("another style".to_owned(), other(2)),
        (
            "a weight".to_owned(),
            blend(&images, |asked| asked.weights[0] = 2.0),
        ),
        (
            "another weight".to_owned(),
            blend(&images, |asked| asked.weights[1] = 2.0),
        ),
        ("a mask".to_owned(), with(&["mask.1"])),
        ("another mask".to_owned(), with(&["mask.2"])),
        (
            "fewer styles".to_owned(),
            blend(&images[..2], |asked| asked.weights.truncate(1)),
        ),
    ];
    let start = blend(&[&images[..], &["start"]].concat(), |asked| {
        asked.parameters.init = Init::Image;
    });
    asks.push(("a start".to_owned(), start));
    for row in table() {
        let words = row.choices.clone().unwrap_or_default();
        let values = VALUES.into_iter().chain(words.split(", "));
        let mut seen = vec![Preset::Gatys.parameters()];
        for value in values {
            let Some(parameters) = changed(row.field, value) else {
                continue;
            };
            let is_valid = Valid::new(parameters.clone()).is_ok();
            if is_valid && !seen.contains(&parameters) {
                seen.push(parameters.clone());
                let job = blend(&images, |asked| asked.parameters = parameters);
                asks.push((format!("{} {value}", row.field), job));
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
        if let Some(same) = ids.insert(other.id, what.clone()) {
            panic!("{what} has the id of {same}");
        }
    }
}

/// So that no version finds another's results or checkpoints.
#[test]
fn the_version_is_part_of_the_id() {
    let mut job = wire::Job::from(&job());
    job.inputs.iter_mut().for_each(|input| input.name.clear());
    let asked = |version| wire::Job {
        version,
        kind: job.kind.clone(),
        specification: job.specification.clone(),
        inputs: job.inputs.clone(),
        ..wire::Job::default()
    };
    let id = |version| Digest::of(&asked(version).encode_to_vec()).to_string();
    assert_eq!(id(VERSION), job.id);
    assert_ne!(id(VERSION - 1), job.id);
}

/// It had one picture in the place of outputs, and content, styles and parameters in that of kind,
/// inputs and specification.
#[test]
fn a_record_of_version_1_is_refused() {
    let mut record = serde_json::to_value(testing::record(job().id, b"a picture")).expect("JSON");
    Record::deserialize(&record).expect("is one of this version");
    let fields = record.as_object_mut().expect("has fields");
    for field in ["kind", "inputs", "specification", "outputs"] {
        fields.remove(field);
    }
    fields.insert("picture".to_owned(), "p".into());
    assert!(Record::deserialize(&record).is_err());
}

#[test]
fn what_was_changed_under_way_is_refused() {
    for (what, other) in other_asks() {
        let other = Job {
            id: job().id,
            ..other
        };
        let refused = Job::try_from(wire::Job::from(&other)).expect_err(&what);
        assert_eq!(refused.field, "id", "{what}: {refused}");
    }
}

#[test]
fn an_envelope_that_is_not_valid_is_refused_by_name() {
    type Tampering = fn(&mut wire::Job);
    let cases: [(&str, Tampering); 27] = [
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
        ("kind", |job| job.kind.clear()),
        ("kind", |job| job.kind = "../x".into()),
        ("kind", |job| job.kind = "Stylize".into()),
        ("specification", |job| {
            job.specification = vec![0; (1 << 20) + 1]
        }),
        ("inputs", |job| job.inputs = vec![job.inputs[0].clone(); 65]),
        ("inputs.role", |job| job.inputs[0].role = "a/b".into()),
        ("inputs.role", |job| job.inputs[0].role = ".a".into()),
        ("inputs.role", |job| job.inputs[0].role = "r".repeat(33)),
        ("inputs.name", |job| job.inputs[0].name.clear()),
        ("inputs.sha256", |job| {
            job.inputs[0].sha256 = "../../../etc/passwd".into();
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

/// The job with another specification, under the id that it then has.
fn specified(change: impl FnOnce(&mut wire::Stylize)) -> Job {
    let job = job();
    let mut asked = wire::Stylize::decode(job.specification.as_slice()).expect("is one");
    change(&mut asked);
    with_specification(asked.encode_to_vec())
}

fn with_specification(specification: Vec<u8>) -> Job {
    let job = job();
    let changed = Job {
        id: JobId::of(&job.kind, &specification, &job.inputs),
        specification,
        ..job
    };
    // The envelope knows no kind.
    Job::try_from(wire::Job::from(&changed)).expect("is an envelope")
}

#[test]
fn a_specification_that_is_not_valid_is_refused_by_name() {
    type Tampering = fn(&mut wire::Stylize, &mut wire::Parameters);
    let cases: [(&str, Tampering); 13] = [
        ("specification.styles", |asked, _| asked.weights.clear()),
        ("specification.styles.weight", |asked, _| {
            asked.weights[1] = f64::NAN
        }),
        ("inputs", |asked, _| asked.weights.push(1.0)),
        ("inputs", |asked, _| asked.weights.truncate(1)),
        ("specification.size", |_, p| p.size = None),
        ("specification.size", |_, p| {
            p.size = Some(wire::parameters::Size::Longest(MAX_SIDE + 1));
        }),
        ("specification.size.height", |_, p| {
            let (width, height) = (16, 15);
            let extent = wire::Extent { width, height };
            p.size = Some(wire::parameters::Size::Exact(extent));
        }),
        ("specification.init", |_, p| p.init = None),
        ("specification.init", |_, p| {
            p.init = Some(wire::parameters::Init::Style(2));
        }),
        ("inputs", |_, p| {
            p.init = Some(wire::parameters::Init::Image(wire::InitImage {}));
        }),
        ("specification.keep_colors", |_, p| p.keep_colors = 4),
        ("specification.format", |_, p| p.format = -1),
        ("specification.style_layers", |_, p| {
            p.style_layers[0].layer = "conv9_9".into();
        }),
    ];
    for (field, tamper) in cases {
        let job = specified(|asked| {
            let mut parameters = asked.parameters.take().expect("has some");
            tamper(asked, &mut parameters);
            asked.parameters = Some(parameters);
        });
        let refused = job.specification::<Valid<Stylize>>().expect_err(field);
        assert_eq!(refused.field, field, "{refused}");
    }
    let nothing = specified(|asked| asked.parameters = None);
    let refused = nothing.specification::<Valid<Stylize>>();
    assert_eq!(
        refused.expect_err("lacks them").field,
        "specification.parameters"
    );
}

#[test]
fn what_a_newer_program_asks_for_is_refused() {
    // Field 15 of a later `Stylize`, a number.
    let newer = [&job().specification[..], &[0x78, 1]].concat();
    let refused = with_specification(newer).specification::<Valid<Stylize>>();
    let refused = refused.expect_err("is not understood").to_string();
    assert!(refused.contains("update the older side"), "{refused}");
    let noise = with_specification(vec![0xff; 9]).specification::<Valid<Stylize>>();
    assert_eq!(
        noise.expect_err("is none").field,
        "specification.specification"
    );
}

#[test]
fn a_job_of_another_kind_is_none_of_this_one() {
    let job = Job {
        kind: "other".parse().expect("a kind"),
        ..job()
    };
    let refused = job
        .specification::<Valid<Stylize>>()
        .expect_err("is another");
    assert_eq!(refused.to_string(), "kind: is other, not stylize");
}

#[test]
fn no_number_passes_beyond_its_limits() {
    for row in table() {
        let mut refused = 0;
        for value in VALUES {
            let Some(parameters) = changed(row.field, value) else {
                continue;
            };
            let job = specified(|asked| asked.parameters = Some((&parameters).into()));
            if let Err(invalid) = job.specification::<Valid<Stylize>>()
                && invalid.field == format!("specification.{}", row.field)
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
fn an_output_lies_with_its_job() {
    let job = job();
    let (role, file) = (&job.inputs[0].role, job.inputs[0].sha256);
    let output = keys::output(&job.id, role, &file, "png");
    assert!(keys::is_output(&job.id, role, &output), "{output}");
    assert!(keys::is_of_output(&output, &file));
    let other = Digest::of(b"another file");
    assert!(!keys::is_of_output(&output, &other));
    assert!(!keys::is_of_output("content.", &other));
    let id = job.id;
    for elsewhere in [
        "inputs/x".to_owned(),
        format!("results/{id}.json"),
        format!("jobs/{id}/content.../../x"),
        format!("jobs/{id}/content.a/b"),
        format!("jobs/{id}/content.png"),
        format!("jobs/{id}/content.0123456789abcdeg.png"),
        format!("jobs/{id}/content.0123456789abcdef.p/g"),
        output.replace("content", "mask"),
        output.replace("jobs/", "/jobs/"),
        output.replace(&id.to_string(), &file.to_string()),
    ] {
        assert!(!keys::is_output(&id, role, &elsewhere), "{elsewhere}");
    }
}

/// What a store may hold in the place of a job's result.
#[test]
fn a_record_is_checked() {
    let job = job().id;
    let good = testing::record(job, b"a picture");
    good.check(&job).expect("is good");
    let curve = Output {
        role: Curve::ROLE.parse().expect("a role"),
        key: keys::output(
            &job,
            &Curve::ROLE.parse().expect("a role"),
            &Digest::of(b"{}"),
            "json",
        ),
        media_type: "application/json".to_owned(),
    };
    let output = |change: fn(&mut Output)| {
        let mut outputs = good.outputs.clone();
        change(&mut outputs[0]);
        outputs
    };
    let with = |outputs: Vec<Output>| Record {
        outputs,
        ..good.clone()
    };
    let two = with([good.outputs.clone(), vec![curve]].concat());
    two.check(&job).expect("has two outputs");
    assert_eq!(two.output("curve"), two.outputs.get(1));
    let figure = |value| Record {
        figures: [("loss".to_owned(), value)].into(),
        ..good.clone()
    };
    let other = Digest::of(b"another job").to_string();
    for (field, bad) in [
        ("outputs", with(Vec::new())),
        (
            "outputs",
            with([good.outputs.clone(), good.outputs.clone()].concat()),
        ),
        ("outputs", with(output(|o| o.key = "jobs/../x".to_owned()))),
        (
            "outputs",
            with(output(|o| o.media_type = "image".to_owned())),
        ),
        (
            "outputs",
            with(output(|o| o.media_type = "image/p\n".to_owned())),
        ),
        ("figures.loss", figure(f64::NAN)),
        ("figures.loss", figure(f64::INFINITY)),
        (
            "figures",
            Record {
                figures: (0..65).map(|n: u32| (n.to_string(), 1.0)).collect(),
                ..good.clone()
            },
        ),
        (
            "figures",
            Record {
                figures: [("\u{1b}[2J".to_owned(), 1.0)].into(),
                ..good.clone()
            },
        ),
        ("outputs", with(output(|o| o.key += &"g".repeat(12)))),
        ("outputs", with(output(|o| o.key += "G"))),
        (
            "seconds",
            Record {
                seconds: -1.0,
                ..good.clone()
            },
        ),
        (
            "job",
            Record {
                job: other.parse().expect("an id"),
                ..good.clone()
            },
        ),
    ] {
        assert_eq!(bad.check(&job).expect_err(field).field, field);
    }
}

/// Progress is shown to people, on a line.
#[test]
fn an_event_with_lines_or_floods_of_figures_is_refused() {
    let event = |progress| wire::Event {
        job: Digest::of(b"a job").to_string(),
        attempt: 1,
        kind: Some(wire::event::Kind::Progress(progress)),
        ..wire::Event::default()
    };
    let named = |names: &mut dyn Iterator<Item = String>| wire::Progress {
        figures: names.map(|name| (name, 1.0)).collect(),
        ..wire::Progress::default()
    };
    let number = |number: u32| number.to_string();
    Event::try_from(event(named(&mut (0..64).map(number)))).expect("are not too many");
    for (field, progress) in [
        (
            "phase",
            wire::Progress {
                phase: "a\nb".to_owned(),
                ..wire::Progress::default()
            },
        ),
        (
            "unit",
            wire::Progress {
                unit: "u".repeat(121),
                ..wire::Progress::default()
            },
        ),
        (
            "figures",
            named(&mut std::iter::once("\u{1b}[2J".to_owned())),
        ),
        ("figures", named(&mut (0..65).map(number))),
        (
            "seconds_left",
            wire::Progress {
                seconds_left: Some(f64::NAN),
                ..wire::Progress::default()
            },
        ),
        (
            "seconds_left",
            wire::Progress {
                seconds_left: Some(-1e308),
                ..wire::Progress::default()
            },
        ),
    ] {
        let refused = Event::try_from(event(progress)).expect_err(field);
        assert_eq!(refused.field, field);
    }
}
