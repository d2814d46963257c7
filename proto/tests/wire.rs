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
use stylefleet_proto::{
    BatchId, Colors, ContentLoss, Digest, Event, Format, Happening, Image, Init, Job, JobId, Layer,
    LayerWeight, MAX_EVALUATIONS, MAX_PREVIEW_EVERY, MAX_SIDE, MIN_SIDE, Means, Name, Network,
    Objective, Optimizer, Parameters, Pooling, Precision, Preset, Priority, Size, Style, StyleLoss,
    SubmitId, ToWorker, TotalVariation, keys, wire,
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

fn layers(network: Network) -> impl Strategy<Value = Vec<LayerWeight>> {
    let all: Vec<_> = (1..=5)
        .flat_map(|block| (1..=4).filter_map(move |convolution| Layer::new(block, convolution)))
        .filter(|layer| layer.is_of(network))
        .collect();
    let most = all.len();
    let some = subsequence(all, 0..=most);
    some.prop_flat_map(|layers| {
        let weights = vec(weights(1e6), layers.len());
        weights.prop_map(move |weights| {
            let entries = layers.iter().zip(weights);
            entries
                .map(|(&layer, weight)| LayerWeight { layer, weight })
                .collect()
        })
    })
}

/// From the smallest to the largest, both included, and zero in both its guises.
fn weights(most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..=most,
        1 => select(vec![0.0, -0.0, f64::MIN_POSITIVE, 5e-324, most]),
    ]
}

fn objectives() -> impl Strategy<Value = Objective> {
    let kinds = (
        select(vec![Means::Bgr, Means::Swapped]),
        select(vec![Pooling::Max, Pooling::Average]),
        select(vec![ContentLoss::HalfSum, ContentLoss::Mean]),
        select(vec![
            StyleLoss::PerPosition,
            StyleLoss::Notebook,
            StyleLoss::Wasserstein,
        ]),
        select(vec![
            TotalVariation::Notebook,
            TotalVariation::L1,
            TotalVariation::L2,
        ]),
    );
    let weights = (weights(1e12), weights(1e12), weights(1e12));
    let strength = option::of(0.0..=1.0);
    let measures = (strength, any::<bool>());
    let network = select(vec![Network::Vgg19, Network::Vgg16]);
    let layers = network.prop_flat_map(|network| (Just(network), layers(network), layers(network)));
    (kinds, layers, weights, measures).prop_map(
        |(kinds, (network, content_layers, style_layers), weights, measures)| Objective {
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
    let look = (
        sizes(),
        objectives(),
        prop_oneof![
            Just(Init::Content),
            Just(Init::Noise),
            (0..16_u32).prop_map(Init::Style),
            images().prop_map(Init::Image),
        ],
        select(vec![
            Colors::Style,
            Colors::Luminance,
            Colors::Match,
            Colors::Histogram,
        ]),
        prop_oneof![
            Just((true, 1.0)),
            (0.1..=4.0).prop_map(|scale| (false, scale))
        ],
        any::<u64>(),
        select(vec![Format::Png, Format::Jpeg, Format::Tiff]),
    );
    let effort = (
        select(vec![Optimizer::Lbfgs, Optimizer::Adam]),
        1..=MAX_EVALUATIONS,
        1..=MAX_EVALUATIONS,
        0..=10_u32,
        option::of(f64::MIN_POSITIVE..=f64::MAX),
        0.0..=1.0,
        select(vec![Precision::Auto, Precision::F32, Precision::Bf16]),
        0.0..=0.9999,
    );
    (look, effort).prop_map(|(look, effort)| Parameters {
        size: look.0,
        objective: look.1,
        init: look.2,
        colors: look.3,
        stretch_style: look.4.0,
        style_scale: look.4.1,
        seed: look.5,
        format: look.6,
        optimizer: effort.0,
        evaluations: effort.1,
        coarse_evaluations: effort.2,
        scales: effort.3,
        stop_below: effort.4,
        tolerance: effort.5,
        precision: effort.6,
        average: effort.7,
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
        parameters(),
    );
    let stores = option::of(any::<u64>().prop_map(|number| Digest::of(&number.to_le_bytes())));
    let turns = (1..=u32::MAX, priorities(), 0..=MAX_PREVIEW_EVERY, stores);
    (parts, turns).prop_filter_map("asks for nothing", |(parts, turns)| {
        let (attempt, priority, preview_every, store) = turns;
        let (batch, name, content, styles, parameters) = parts;
        let job = Job::new(batch, name, content, styles, parameters).ok()?;
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

fn happenings() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (any::<u32>(), ".*").prop_map(|(resumed_evaluations, device)| Happening::Started {
            resumed_evaluations,
            device,
        }),
        ".*".prop_map(Happening::Note),
        any::<u32>().prop_map(|evaluations| Happening::Previewed { evaluations }),
        (0.0..1e9, any::<u32>(), 0.0..1e30).prop_map(|(seconds, evaluations, loss)| {
            Happening::Finished {
                seconds,
                evaluations,
                loss,
            }
        }),
        (any::<bool>(), ".*")
            .prop_map(|(retryable, reason)| Happening::Failed { retryable, reason }),
        any::<u32>().prop_map(|evaluations| Happening::Interrupted { evaluations }),
        Just(Happening::Cancelled),
    ]
}

// What the wire does to them.

fn read(bytes: &[u8]) -> Result<Job, String> {
    let message = wire::Job::decode(bytes).map_err(|e| e.to_string())?;
    Job::try_from(message).map_err(|e| e.to_string())
}

proptest! {
    #[test]
    fn a_valid_job_comes_out_of_the_wire_as_it_went_in(job in jobs()) {
        let bytes = wire::Job::from(&job).encode_to_vec();
        prop_assert_eq!(read(&bytes), Ok(job.clone()));
        let told = ToWorker::Job(Box::new(job));
        let bytes = wire::ToWorker::from(&told).encode_to_vec();
        let heard = wire::ToWorker::decode(bytes.as_slice()).expect("decodes");
        prop_assert_eq!(ToWorker::try_from(heard), Ok(told));
    }

    #[test]
    fn an_event_comes_out_of_the_wire_as_it_went_in(
        seed in any::<u64>(), worker in ".*", attempt in 1..=u32::MAX,
        unix_millis in any::<u64>(), happening in happenings()
    ) {
        let job = Digest::of(&seed.to_le_bytes()).to_string().parse().expect("an id");
        let event = Event { job, worker, attempt, unix_millis, happening };
        let bytes = wire::Event::from(event.clone()).encode_to_vec();
        let heard = wire::Event::decode(bytes.as_slice()).expect("decodes");
        prop_assert_eq!(Event::try_from(heard), Ok(event));
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
            let spelled = |job: &Job| wire::Parameters {
                init: None,
                ..wire::Parameters::from(&job.parameters)
            };
            prop_assert_eq!(spelled(&read), spelled(&job));
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
        if let Init::Image(image) = &mut other.parameters.init {
            image.name = name;
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
    Job::new(
        "batch".parse().expect("a batch"),
        "job".parse().expect("a name"),
        image("content"),
        styles.into(),
        Preset::Gatys.parameters(),
    )
    .expect("a job")
}

type Change = fn(&mut Job);

/// Ways to ask for something else, at least one for each field.
fn other_asks() -> Vec<(&'static str, Change)> {
    // A field that is added makes this fail to compile until it has a line below.
    let Job {
        id: _,
        batch: _,
        name: _,
        attempt: _,
        priority: _,
        preview_every: _,
        store: _,
        content: _,
        styles: _,
        parameters,
    } = job();
    let Parameters {
        size: _,
        objective,
        init: _,
        colors: _,
        optimizer: _,
        evaluations: _,
        coarse_evaluations: _,
        scales: _,
        stop_below: _,
        tolerance: _,
        style_scale: _,
        stretch_style: _,
        precision: _,
        seed: _,
        format: _,
        average: _,
    } = parameters;
    let Objective {
        network: _,
        means: _,
        pooling: _,
        content_layers: _,
        content_loss: _,
        content_weight: _,
        style_layers: _,
        style_loss: _,
        style_weight: _,
        total_variation: _,
        tv_weight: _,
        strength: _,
        normalize_gradients: _,
    } = objective;
    vec![
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
        ("size", |job| job.parameters.size = Size::Longest(513)),
        ("exact size", |job| {
            job.parameters.size = Size::Exact {
                width: 512,
                height: 512,
            };
        }),
        ("exact height", |job| {
            job.parameters.size = Size::Exact {
                width: 512,
                height: 511,
            };
        }),
        ("init noise", |job| job.parameters.init = Init::Noise),
        ("init style", |job| job.parameters.init = Init::Style(0)),
        ("init style 1", |job| job.parameters.init = Init::Style(1)),
        ("init image", |job| {
            job.parameters.init = Init::Image(image("start"))
        }),
        ("another init image", |job| {
            job.parameters.init = Init::Image(image("other"))
        }),
        ("colors", |job| job.parameters.colors = Colors::Luminance),
        ("other colors", |job| {
            job.parameters.colors = Colors::Histogram
        }),
        ("optimizer", |job| {
            job.parameters.optimizer = Optimizer::Adam
        }),
        ("evaluations", |job| job.parameters.evaluations += 1),
        ("coarse_evaluations", |job| {
            job.parameters.coarse_evaluations += 1
        }),
        ("scales", |job| job.parameters.scales = 3),
        ("stop_below", |job| job.parameters.stop_below = Some(1e-9)),
        ("tolerance", |job| job.parameters.tolerance = 1e-9),
        ("style_scale", |job| {
            job.parameters.style_scale = 1.0 + f64::EPSILON
        }),
        ("stretch_style", |job| job.parameters.stretch_style = true),
        ("precision", |job| job.parameters.precision = Precision::F32),
        ("seed", |job| job.parameters.seed = 1),
        ("format", |job| job.parameters.format = Format::Tiff),
        ("network", |job| {
            job.parameters.objective.network = Network::Vgg16
        }),
        ("means", |job| {
            job.parameters.objective.means = Means::Swapped
        }),
        ("pooling", |job| {
            job.parameters.objective.pooling = Pooling::Average
        }),
        ("content_layers", |job| {
            job.parameters.objective.content_layers.clear()
        }),
        ("content_loss", |job| {
            job.parameters.objective.content_loss = ContentLoss::Mean
        }),
        ("content_weight", |job| {
            job.parameters.objective.content_weight = 0.5
        }),
        ("style_layers", |job| {
            job.parameters.objective.style_layers.truncate(2)
        }),
        ("a layer's weight", |job| {
            job.parameters.objective.style_layers[0].weight *= 2.0
        }),
        ("style_loss", |job| {
            job.parameters.objective.style_loss = StyleLoss::Notebook
        }),
        ("another style_loss", |job| {
            job.parameters.objective.style_loss = StyleLoss::Wasserstein
        }),
        ("strength", |job| {
            job.parameters.objective.strength = Some(0.5)
        }),
        ("no strength at all", |job| {
            job.parameters.objective.strength = Some(0.0)
        }),
        ("normalize_gradients", |job| {
            job.parameters.objective.normalize_gradients = true
        }),
        ("average", |job| job.parameters.average = 0.5),
        ("style_weight", |job| {
            job.parameters.objective.style_weight *= 2.0
        }),
        ("total_variation", |job| {
            job.parameters.objective.total_variation = TotalVariation::L1;
        }),
        ("tv_weight", |job| {
            job.parameters.objective.tv_weight = 1e-300
        }),
    ]
}

#[test]
fn whatever_else_is_asked_is_another_job() {
    let mut ids = HashMap::from([(job().id, "the job itself")]);
    for (what, change) in other_asks() {
        let mut other = job();
        change(&mut other);
        if let Some(same) = ids.insert(JobId::of(&other), what) {
            panic!("{what} has the id of {same}");
        }
    }
}

#[test]
fn what_was_changed_under_way_is_refused() {
    for (what, change) in other_asks() {
        let mut other = job();
        change(&mut other); // And keeps the id.
        let refused = Job::try_from(wire::Job::from(&other)).expect_err(what);
        assert!(
            refused.field == "id" || refused.field.starts_with("parameters"),
            "{refused}"
        );
    }
}

#[test]
fn what_is_out_of_its_range_is_refused_by_name() {
    type Tampering = fn(&mut wire::Job);
    fn parameters(job: &mut wire::Job) -> &mut wire::Parameters {
        job.parameters.as_mut().expect("parameters")
    }
    fn objective(job: &mut wire::Job) -> &mut wire::Objective {
        parameters(job).objective.as_mut().expect("an objective")
    }
    let cases: Vec<(&str, Tampering)> = vec![
        ("version", |job| job.version = 2),
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
        ("parameters.init", |job| {
            parameters(job).init = Some(wire::parameters::Init::Style(2));
        }),
        ("parameters.colors", |job| parameters(job).colors = 4),
        ("parameters.format", |job| parameters(job).format = -1),
        ("parameters.evaluations", |job| {
            parameters(job).evaluations = 0
        }),
        ("parameters.coarse_evaluations", |job| {
            parameters(job).coarse_evaluations = 100_001
        }),
        ("parameters.scales", |job| parameters(job).scales = 11),
        ("parameters.stop_below", |job| {
            parameters(job).stop_below = Some(0.0)
        }),
        ("parameters.stop_below", |job| {
            parameters(job).stop_below = Some(f64::INFINITY)
        }),
        ("parameters.tolerance", |job| {
            parameters(job).tolerance = f64::NAN
        }),
        ("parameters.style_scale", |job| {
            parameters(job).style_scale = 4.1
        }),
        ("parameters.objective", |job| {
            parameters(job).objective = None
        }),
        ("parameters.objective.pooling", |job| {
            objective(job).pooling = 2
        }),
        ("parameters.objective.tv_weight", |job| {
            objective(job).tv_weight = f64::NAN
        }),
        ("parameters.objective.network", |job| {
            objective(job).network = 2
        }),
        ("parameters.objective.content_layers", |job| {
            objective(job).network = Network::Vgg16.into();
            objective(job).content_layers[0].layer = "conv4_4".into();
        }),
        ("parameters.average", |job| parameters(job).average = 1.0),
        ("parameters.average", |job| {
            parameters(job).average = f64::NAN
        }),
        ("parameters.objective.strength", |job| {
            objective(job).strength = Some(1.1)
        }),
        ("parameters.objective.strength", |job| {
            objective(job).strength = Some(f64::NAN)
        }),
        ("parameters.objective.style_loss", |job| {
            objective(job).style_loss = 3
        }),
        ("styles.mask", |job| {
            let image = job.styles[0].image.clone();
            job.styles[0].mask = image.map(|image| wire::Image {
                sha256: "../secret".into(),
                ..image
            });
        }),
        ("parameters.objective.style_weight", |job| {
            objective(job).style_weight = 1e13
        }),
        ("parameters.objective.content_weight", |job| {
            objective(job).content_weight = -1.0
        }),
        ("parameters.objective.style_layers", |job| {
            objective(job).style_layers[0].layer = "conv9_9".into();
        }),
        ("parameters.objective.style_layers", |job| {
            let twice = objective(job).style_layers[0].clone();
            objective(job).style_layers.push(twice);
        }),
        ("parameters.objective.style_layers.conv1_1", |job| {
            objective(job).style_layers[0].weight = f64::NAN;
        }),
        ("parameters.objective.weights", |job| {
            let objective = objective(job);
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
