use std::collections::BTreeMap;

use safetensors::serialize;

use super::*;
use crate::stylize::Preset;

fn header() -> Header {
    Header {
        format: FORMAT,
        layout: Layout::Johnson,
        width: 4,
        styles: ["waves", "stars"]
            .map(|name| name.parse().expect("a name"))
            .to_vec(),
        objective: Some(Preset::Studio.parameters()),
        training: Some(TrainingRecord {
            steps: 2,
            size: 32,
            batch: 4,
            learning_rate: 1e-3,
            temporal_weight: 0.5,
            seed: 7,
            photographs: 8,
            loss: 0.1,
            made_with: BTreeMap::from([("stylefleet".to_owned(), "0.1.0".to_owned())]),
        }),
        licence: "CC0-1.0".to_owned(),
    }
}

/// The tensors of a file: name, type, shape and bytes.
type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(header: &Header) -> Tensors {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|n| n as f32 / 64.0);
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        (name, Dtype::F32, shape, bytes)
    };
    header.shapes().into_iter().map(tensor).collect()
}

fn file(header: &str, tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.expect("has the bytes"))
    });
    let metadata = [(HEADER.to_owned(), header.to_owned())].into();
    serialize(views, Some(metadata)).expect("is written")
}

fn json(header: &Header) -> String {
    serde_json::to_string(header).expect("is written")
}

fn good() -> Vec<u8> {
    file(&json(&header()), &tensors(&header()))
}

fn complaint(bytes: &[u8]) -> String {
    let refused = Trained::read(bytes).expect_err("is refused").to_string();
    assert!(refused.starts_with("model: "), "{refused}");
    assert!(
        !refused.contains(char::is_control) && refused.len() < 400,
        "{refused}"
    );
    refused
}

#[test]
fn a_model_is_read_as_it_was_written() {
    let bytes = good();
    let model = Trained::read(&bytes).expect("is good");
    assert_eq!(model.header, header());
    assert_eq!(model.values("up.3.bias"), [0.0, 1.0 / 64.0, 2.0 / 64.0]);
    assert_eq!(model.values("up.4.bias"), [] as [f32; 0]);
    assert_eq!(model.header.style_index(&model.header.styles[1]), Some(1));
    let other = "others".parse().expect("a name");
    assert_eq!(model.header.style_index(&other), None);
}

/// Programs may know parameters that those before them did not.
#[test]
fn an_objective_of_an_older_program_is_read() {
    let mut older: serde_json::Value = serde_json::to_value(header()).expect("is written");
    let objective = older["objective"].as_object_mut().expect("is there");
    objective.remove("strength").expect("is there");
    let bytes = file(&older.to_string(), &tensors(&header()));
    assert_eq!(Trained::read(&bytes).expect("is good").header, header());
}

#[test]
fn halves_are_read_too() {
    let mut halves = tensors(&header());
    for (_, dtype, _, bytes) in &mut halves {
        let (values, _) = bytes.as_chunks();
        let values = values
            .iter()
            .map(|&value| f16::from_f32(f32::from_le_bytes(value)));
        (*dtype, *bytes) = (Dtype::F16, values.flat_map(f16::to_le_bytes).collect());
    }
    let bytes = file(&json(&header()), &halves);
    let model = Trained::read(&bytes).expect("is good");
    assert_eq!(model.values("up.3.bias"), [0.0, 1.0 / 64.0, 2.0 / 64.0]);
}

/// Those of PyTorch's example `fast_neural_style`.
#[test]
fn the_usual_network_has_its_usual_parameters() {
    let header = Header {
        width: 32,
        styles: header().styles[..1].to_vec(),
        ..header()
    };
    let shapes = header.shapes();
    let count = |(_, shape): &(String, Vec<usize>)| shape.iter().product::<usize>();
    assert_eq!(shapes.iter().map(count).sum::<usize>(), 1_679_235);
    let shape = |name: &str| {
        let mut found = shapes.iter().filter(|(other, _)| other == name);
        found.next().map(|(_, shape)| shape.clone())
    };
    assert_eq!(shape("down.1.weight"), Some(vec![32, 3, 9, 9]));
    assert_eq!(shape("residual.5.2.weight"), Some(vec![128, 128, 3, 3]));
    assert_eq!(shape("up.1.weight"), Some(vec![64, 128, 3, 3]));
    assert_eq!(shape("up.2.scale"), Some(vec![1, 32]));
    assert_eq!(shape("up.3.scale"), None);
}

#[test]
fn what_is_no_model_is_refused() {
    for bytes in [&b""[..], b"x", b"\x89PNG\r\n\x1a\nand so on", &[0xff; 100]] {
        assert!(
            complaint(bytes).contains("no safetensors file"),
            "{bytes:?}"
        );
    }
    let foreign = serialize(Vec::<(String, TensorView<'_>)>::new(), None).expect("is written");
    assert!(complaint(&foreign).contains("deploy/setup/model.py"));
    let good = good();
    for length in [9, 100, good.len() / 2, good.len() - 1] {
        assert!(complaint(&good[..length]).contains("truncated"), "{length}");
    }
    assert!(complaint(&[&good[..], b"x"].concat()).contains("damaged"));
}

#[test]
fn a_header_that_is_not_valid_is_refused_by_name() {
    type Change = fn(&mut Header);
    let cases: [(Change, &str); 10] = [
        (|h| h.format = 2, "format: is 2, this program reads 1"),
        (|h| h.width = 3, "width: is 3, must be 4 to 128"),
        (
            |h| h.width = 1_000_000_000,
            "width: is 1e9, must be 4 to 128",
        ),
        (|h| h.styles.clear(), "styles: are 0, must be 1 to 32"),
        (
            |h| {
                h.styles = (0..33)
                    .map(|n: u32| n.to_string().parse().expect("a name"))
                    .collect()
            },
            "styles: are 33, must be 1 to 32",
        ),
        (
            |h| h.styles[1] = h.styles[0].clone(),
            "styles: name waves twice",
        ),
        (
            |h| h.licence = "two\nlines".to_owned(),
            "licence: has control characters",
        ),
        (|h| h.licence = " ".to_owned(), "licence: is empty"),
        (
            |h| h.objective.as_mut().expect("is there").style_scale = 9.0,
            "objective.style_scale: is 9, must be 0.1 to 4",
        ),
        (
            |h| {
                let made_with = &mut h.training.as_mut().expect("is there").made_with;
                made_with.insert("libtorch".to_owned(), "\u{1b}[2J".to_owned());
            },
            "made_with: has control characters",
        ),
    ];
    for (change, expected) in cases {
        let mut bad = header();
        change(&mut bad);
        let refused = complaint(&file(&json(&bad), &Tensors::new()));
        assert!(refused.contains(expected), "{refused}");
    }
    for json in ["", "{}", "[]", "{\"format\": 1}", "{\"format\": -1}"] {
        assert!(
            complaint(&file(json, &Tensors::new())).contains("header: "),
            "{json}"
        );
    }
    // A later version may say other things.
    assert!(complaint(&file("{\"format\": 2}", &Tensors::new())).contains("format: is 2"));
    let odd = json(&header()).replace("johnson", "\\u001b[2J");
    assert!(complaint(&file(&odd, &Tensors::new())).contains("unknown variant"));
    let odd = json(&header()).replace("stars", "../stars");
    assert!(complaint(&file(&odd, &Tensors::new())).contains("style name"));
}

#[test]
fn other_tensors_than_the_headers_are_refused() {
    type Change = fn(&mut Tensors);
    let cases: [(Change, &str); 7] = [
        (|t| drop(t.remove(5)), "lacks the tensor down.2.bias"),
        (
            |t| t.push(("down.4.bias".to_owned(), Dtype::F32, vec![0], Vec::new())),
            "has a tensor down.4.bias, which is no part",
        ),
        (
            |t| t.push(("x\n".repeat(10_000), Dtype::F32, vec![0], Vec::new())),
            "has a tensor x x x",
        ),
        (
            |t| t[1].2 = vec![2, 2],
            "down.1.bias of the shape [2, 2], must be [4]",
        ),
        (
            |t| t[1].1 = Dtype::I32,
            "down.1.bias of the type I32, must be F32 or F16",
        ),
        (
            |t| t[1].3[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
            "down.1.bias with a value that is not finite",
        ),
        (
            |t| t[2].3[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes()),
            "down.1.scale with a value that is not finite",
        ),
    ];
    for (change, expected) in cases {
        let mut bad = tensors(&header());
        change(&mut bad);
        let refused = complaint(&file(&json(&header()), &bad));
        assert!(refused.contains(expected), "{refused}");
    }
    // A network of other width or number of styles than its tensors are.
    for change in [(|h| h.width = 8) as fn(&mut Header), |h| {
        drop(h.styles.pop())
    }] {
        let mut other = header();
        change(&mut other);
        let refused = complaint(&file(&json(&other), &tensors(&header())));
        assert!(refused.contains("of the shape"), "{refused}");
    }
}
