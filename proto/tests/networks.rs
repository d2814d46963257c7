//! The door of the contract for jobs that train networks and apply them: what is valid passes
//! unchanged, what is not is refused, and every field is part of what is asked.

// Helpers of tests may panic as tests do.
#![allow(clippy::expect_used)]

use std::collections::HashMap;

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use stylefleet_model::apply::{Apply, Share};
use stylefleet_model::stylize::{
    self, Format, KeepColors, MAX_SIDE, MIN_SIDE, Precision, Preset, Size,
};
use stylefleet_model::train::{self, Train, Training, objective, objective_of};
use stylefleet_model::trained::StyleName;
use stylefleet_model::{Choice, Heading, Parameter};
use stylefleet_proto::{Invalid, Job, JobId, Role, Specification, Valid, testing, wire};

// Every valid ask.

fn style_names() -> impl Strategy<Value = Vec<StyleName>> {
    btree_set("[^\\p{Cc}/\\\\=,+. ]{1,15}", 1..=32).prop_map(|names| {
        let names = names.iter().filter_map(|name| name.parse().ok());
        names.collect()
    })
}

fn trainings() -> impl Strategy<Value = Training> {
    let numbers = (1..=1_000_000_u32, 4..=512_u32, 1..=64_u32, 4..=128_u32);
    let reals = (f64::MIN_POSITIVE..=f64::MAX, 0.0..=1e6);
    (numbers, reals, any::<u64>()).prop_map(
        |((steps, quarter, batch, width), (learning_rate, temporal_weight), seed)| Training {
            steps,
            size: 4 * quarter,
            batch,
            width,
            learning_rate,
            temporal_weight,
            seed,
        },
    )
}

fn objectives() -> impl Strategy<Value = stylize::Parameters> {
    let presets = select(Preset::ALL);
    let numbers = (0.0..=1e12, option::of(0.0..=1.0), any::<bool>());
    (presets, numbers, select(Precision::ALL)).prop_map(|(preset, numbers, precision)| {
        let (tv_weight, strength, normalize_gradients) = numbers;
        objective_of(&stylize::Parameters {
            tv_weight,
            strength,
            normalize_gradients,
            precision,
            ..preset.parameters()
        })
    })
}

fn trains() -> impl Strategy<Value = Valid<Train>> {
    (style_names(), trainings(), objectives()).prop_filter_map("no styles", |asked| {
        let (styles, training, objective) = asked;
        let train = Train {
            styles,
            training,
            objective,
        };
        Valid::new(train).ok()
    })
}

fn sizes() -> impl Strategy<Value = Size> {
    let side = || MIN_SIDE..=MAX_SIDE;
    prop_oneof![
        side().prop_map(Size::Longest),
        (side(), side()).prop_map(|(width, height)| Size::Exact { width, height }),
    ]
}

fn applies() -> impl Strategy<Value = Valid<Apply>> {
    let words = (
        select(&[KeepColors::None, KeepColors::Luminance][..]),
        select(Format::ALL),
        select(Precision::ALL),
    );
    let weights = proptest::collection::vec(1e-300..=1e6, 32);
    (style_names(), weights, option::of(sizes()), words).prop_filter_map(
        "no styles",
        |(styles, weights, size, (keep_colors, format, precision))| {
            let shares = styles.into_iter().zip(weights);
            let shares = shares.map(|(style, weight)| Share { style, weight });
            let apply = Apply {
                styles: shares.collect(),
                size,
                keep_colors,
                format,
                precision,
            };
            Valid::new(apply).ok()
        },
    )
}

/// A job that asks for that, with an input of each role.
fn job<S: Specification>(asked: &S) -> Job {
    let roles = asked.roles().into_iter().map(|rule| rule.role);
    with_roles(asked, roles).expect("is valid")
}

fn with_roles<S: Specification>(
    asked: &S,
    roles: impl IntoIterator<Item = Role>,
) -> Result<Job, Invalid> {
    let input = |role: Role| testing::input(role.clone(), role.as_ref().as_bytes());
    let inputs = roles.into_iter().map(input).collect();
    let (batch, name) = ("batch".parse(), "job".parse());
    Job::new(
        batch.expect("a batch"),
        name.expect("a name"),
        asked,
        inputs,
    )
}

fn sent(job: &Job) -> Job {
    let bytes = wire::Job::from(job).encode_to_vec();
    let message = wire::Job::decode(bytes.as_slice()).expect("decodes");
    Job::try_from(message).expect("passes")
}

proptest! {
    #[test]
    fn what_is_asked_comes_out_of_the_wire_as_it_went_in(train in trains(), apply in applies()) {
        prop_assert_eq!(sent(&job(&train)).specification(), Ok(train));
        prop_assert_eq!(sent(&job(&apply)).specification(), Ok(apply));
    }

    #[test]
    fn noise_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Valid::<Train>::decode(&bytes);
        let _ = Valid::<Apply>::decode(&bytes);
    }
}

// One ask, changed in one thing.

fn names(names: &[&str]) -> Vec<StyleName> {
    names
        .iter()
        .map(|name| name.parse().expect("a name"))
        .collect()
}

fn train() -> Train {
    Train {
        styles: names(&["waves", "stars"]),
        training: Training::default(),
        objective: Preset::Studio.parameters(),
    }
}

fn apply() -> Apply {
    let share = |style| Share { style, weight: 1.0 };
    Apply {
        styles: names(&["waves", "stars"]).into_iter().map(share).collect(),
        size: None,
        keep_colors: KeepColors::None,
        format: Format::Png,
        precision: Precision::Auto,
    }
}

/// Values for any parameter: each has some that it understands.
const VALUES: [&str; 14] = [
    "0",
    "1",
    "0.5",
    "2",
    "17",
    "512",
    "true",
    "false",
    "none",
    "conv1_1=0.7",
    "-1",
    "1e13",
    "1000000000",
    "NaN",
];

/// The ask with one of its parameters changed to each value that it understands, valid or not.
fn changed(row: &Parameter) -> Vec<Train> {
    let words = row.choices.clone().unwrap_or_default();
    let values = VALUES.into_iter().chain(words.split(", "));
    let mut trains = Vec::new();
    for value in values {
        let mut training = train::Overrides::default();
        let mut objective = stylize::Overrides::default();
        let is_read = if row.heading == Heading::Training {
            training.set(row.field, value)
        } else {
            objective.set(row.field, value)
        };
        if is_read == Ok(true) {
            trains.push(Train {
                training: training.training(),
                objective: objective.parameters(),
                ..train()
            });
        }
    }
    trains
}

#[test]
fn whatever_else_is_asked_of_training_is_another_job() {
    let asked = Valid::new(train()).expect("is valid");
    let mut ids = HashMap::from([(job(&asked).id, "the job itself".to_owned())]);
    let mut add = |what: String, train: Train| {
        let job = job(&Valid::new(train).expect("is valid"));
        if let Some(same) = ids.insert(job.id, what.clone()) {
            panic!("{what} has the id of {same}");
        }
    };
    for row in train::table().iter().chain(objective()) {
        let mut seen = vec![train()];
        for train in changed(row) {
            if Valid::new(train.clone()).is_ok() && !seen.contains(&train) {
                seen.push(train.clone());
                add(row.field.to_owned(), train);
            }
        }
        assert!(seen.len() > 1, "{} was not changed", row.field);
    }
    for styles in [&["stars", "waves"][..], &["waves"], &["waves", "Stars"]] {
        let styles = names(styles);
        add(format!("{styles:?}"), Train { styles, ..train() });
    }
}

#[test]
fn whatever_else_is_asked_of_a_network_is_another_job() {
    type Change = fn(&mut Apply);
    let changes: [Change; 13] = [
        |_| (),
        |a| a.styles.reverse(),
        |a| drop(a.styles.pop()),
        |a| a.styles[0].weight = 2.0,
        |a| a.styles[1].weight = 2.0,
        |a| a.size = Some(Size::Longest(512)),
        |a| {
            a.size = Some(Size::Exact {
                width: 512,
                height: 512,
            })
        },
        |a| {
            a.size = Some(Size::Exact {
                width: 512,
                height: 511,
            })
        },
        |a| a.keep_colors = KeepColors::Luminance,
        |a| a.format = Format::Jpeg,
        |a| a.format = Format::Tiff,
        |a| a.precision = Precision::F32,
        |a| a.precision = Precision::Bf16,
    ];
    let mut ids = HashMap::new();
    for (index, change) in changes.into_iter().enumerate() {
        let mut asked = apply();
        change(&mut asked);
        let job = job(&Valid::new(asked).expect("is valid"));
        if let Some(same) = ids.insert(job.id, index) {
            panic!("{index} has the id of {same}");
        }
    }
}

#[test]
fn no_number_of_training_passes_beyond_its_limits() {
    for row in train::table().iter().chain(objective()) {
        let refused = changed(row).into_iter().filter(|train| {
            let refused = decoded::<Valid<Train>>(message(train)).err();
            refused.is_some_and(|invalid| invalid.field == format!("specification.{}", row.field))
        });
        assert_eq!(refused.count() > 0, row.limits.is_some(), "{}", row.field);
    }
}

fn message(train: &Train) -> wire::Train {
    wire::Train {
        styles: train.styles.iter().map(ToString::to_string).collect(),
        training: Some((&train.training).into()),
        objective: Some((&train.objective).into()),
    }
}

fn apply_message() -> wire::Apply {
    let asked = Valid::new(apply()).expect("is valid").encode();
    wire::Apply::decode(asked.as_slice()).expect("decodes")
}

/// What is asked by a job with that specification, under the id that it has.
fn decoded<S: Specification>(message: impl Message) -> Result<S, Invalid> {
    let roles: &[&str] = match S::KIND {
        "train" => &["style.1", "style.2", "photographs"],
        _ => &["content", "model", "mask.2"],
    };
    let input = |role: &&str| testing::input(role.parse().expect("a role"), b"an input");
    let (kind, specification) = (S::KIND.parse().expect("a kind"), message.encode_to_vec());
    let inputs: Vec<_> = roles.iter().map(input).collect();
    let job = Job {
        id: JobId::of(&kind, &specification, &inputs),
        kind,
        specification,
        inputs,
        ..testing::job("job", b"content", b"style")
    };
    sent(&job).specification()
}

#[test]
fn training_that_is_not_valid_is_refused_by_name() {
    decoded::<Valid<Train>>(message(&train())).expect("is valid");
    type Tampering = fn(&mut wire::Train);
    let cases: [(&str, Tampering); 12] = [
        ("specification.styles", |t| t.styles.clear()),
        ("specification.styles", |t| t.styles[1] = "waves".into()),
        ("specification.styles", |t| t.styles[1] = "../waves".into()),
        ("inputs", |t| drop(t.styles.pop())),
        ("inputs", |t| t.styles.push("more".into())),
        ("specification.training", |t| t.training = None),
        ("specification.objective", |t| t.objective = None),
        ("specification.size", |t| {
            t.training.as_mut().expect("has one").size = 30;
        }),
        ("specification.objective.evaluations", |t| {
            t.objective.as_mut().expect("has one").evaluations = 10;
        }),
        ("specification.objective.seed", |t| {
            t.objective.as_mut().expect("has one").seed = 1;
        }),
        ("specification.objective.format", |t| {
            t.objective.as_mut().expect("has one").format = 1;
        }),
        ("specification.means", |t| {
            t.objective.as_mut().expect("has one").means = 2;
        }),
    ];
    for (field, tamper) in cases {
        let mut message = message(&train());
        tamper(&mut message);
        let refused = decoded::<Valid<Train>>(message).expect_err(field);
        assert_eq!(refused.field, field, "{refused}");
    }
}

#[test]
fn a_use_that_is_not_valid_is_refused_by_name() {
    decoded::<Valid<Apply>>(apply_message()).expect("is valid");
    type Tampering = fn(&mut wire::Apply);
    let cases: [(&str, Tampering); 11] = [
        ("specification.styles", |a| a.styles.clear()),
        ("specification.styles", |a| {
            a.styles[1].style = "waves".into()
        }),
        ("specification.styles", |a| a.styles[1].style = "a=b".into()),
        ("specification.styles.weight", |a| a.styles[1].weight = 0.0),
        ("specification.styles.weight", |a| {
            a.styles[1].weight = f64::INFINITY
        }),
        ("inputs", |a| drop(a.styles.pop())),
        ("specification.size", |a| {
            a.size = Some(wire::apply::Size::Longest(15))
        }),
        ("specification.size.width", |a| {
            let (width, height) = (MAX_SIDE + 1, 16);
            a.size = Some(wire::apply::Size::Exact(wire::Extent { width, height }));
        }),
        ("specification.keep_colors", |a| a.keep_colors = 2),
        ("specification.format", |a| a.format = 3),
        ("specification.precision", |a| a.precision = -1),
    ];
    for (field, tamper) in cases {
        let mut message = apply_message();
        tamper(&mut message);
        let refused = decoded::<Valid<Apply>>(message).expect_err(field);
        assert_eq!(refused.field, field, "{refused}");
    }
}

#[test]
fn a_job_lacks_no_input_and_has_no_other() {
    let train = Valid::new(train()).expect("is valid");
    let apply = Valid::new(apply()).expect("is valid");
    let roles = |roles: &[&str]| -> Vec<Role> {
        roles
            .iter()
            .map(|role| role.parse().expect("a role"))
            .collect()
    };
    with_roles(&apply, roles(&["content", "model"])).expect("needs no masks");
    for lacking in [&["style.1", "style.2"][..], &["style.1", "photographs"]] {
        with_roles(&train, roles(lacking)).expect_err("lacks one");
    }
    for lacking in [
        &["content"][..],
        &["model"],
        &["content", "model", "mask.3"],
    ] {
        with_roles(&apply, roles(lacking)).expect_err("lacks one, or has another");
    }
}
