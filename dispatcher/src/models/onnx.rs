//! Models as ONNX files, for phones and browsers.

mod messages;

use std::collections::BTreeMap;
use std::io::Write;

use prost::Message;

use stylefleet_model::trained::{StyleName, Trained};

use messages::{Attribute, Dimension, Graph, Model, Node, OperatorSet, Property, Tensor, Value};

/// ONNX's operators, and the version of its files that came with them.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
/// Added to variances, so that a flat channel is no division by zero.
const EPSILON: f32 = 1e-5;

/// Names in the file, for those who run it.
const IMAGE: &str = "image";
const SHARES: &str = "shares";
const PICTURE: &str = "picture";

const ABOUT_IMAGE: &str = "R, G, B, 0 to 255; 16 rows and columns or more";
const ABOUT_SHARES: &str =
    "how much of each style, in the order of the metadata's styles; sums to 1";
const ABOUT_PICTURE: &str = "R, G, B, 0 to 255, of the image's size";

/// Why there is no ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The model has another style.
    #[error("the model has no style {style}; it has {}", list(styles, ", "))]
    Style {
        /// What was asked for.
        style: StyleName,
        /// What there is.
        styles: Vec<StyleName>,
    },
    /// The file cannot be written.
    #[error("cannot be written")]
    Write(#[from] std::io::Error),
}

/// Writes `model` as an ONNX file with its input `image` and its output `picture`, `[1, 3, H, W]`
/// each. Of several styles, the input `shares` says how much of each is meant, unless one `style`
/// is asked for, which then is the file's only one.
pub fn export(
    model: &Trained<'_>,
    style: Option<&StyleName>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let header = &model.header;
    let missing = |style: &StyleName| ExportError::Style {
        style: style.clone(),
        styles: header.styles.clone(),
    };
    let chosen = match style {
        Some(style) => Some(header.style_index(style).ok_or_else(|| missing(style))?),
        None => (header.styles.len() == 1).then_some(0),
    };
    let styles = match chosen {
        Some(index) => &header.styles[index..=index],
        None => &header.styles,
    };
    let properties = [
        ("styles", list(styles, ",")),
        ("licence", header.licence.clone()),
    ];
    let file = Model {
        ir_version: IR_VERSION,
        producer_name: "stylefleet".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "redraws an image in a style".to_owned(),
        graph: Some(Builder::new(model, chosen).graph()),
        opset_import: vec![OperatorSet { version: OPSET }],
        metadata_props: properties
            .map(|(key, value)| Property {
                key: key.to_owned(),
                value,
            })
            .to_vec(),
    };
    out.write_all(&file.encode_to_vec())?;
    Ok(())
}

fn list(styles: &[StyleName], separator: &str) -> String {
    let names: Vec<&str> = styles.iter().map(AsRef::as_ref).collect();
    names.join(separator)
}

/// Puts the graph together, from the image to the picture.
struct Builder<'a> {
    model: &'a Trained<'a>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// The only style of the file.
    style: Option<usize>,
    graph: Graph,
}

impl<'a> Builder<'a> {
    fn new(model: &'a Trained<'a>, style: Option<usize>) -> Self {
        let size = || vec![Dimension::named("height"), Dimension::named("width")];
        let pixels = || [vec![Dimension::of(1), Dimension::of(3)], size()].concat();
        let margins = |side: i64| [0, 0, side, side, 0, 0, side, side];
        let mut graph = Graph {
            name: "style_network".to_owned(),
            initializer: vec![
                Tensor::ints("margins.9", &margins(4)),
                Tensor::ints("margins.3", &margins(1)),
                Tensor::floats("double", &[4], &[1.0, 1.0, 2.0, 2.0]),
                Tensor::ints("origin", &[0, 0]),
                Tensor::ints("axes", &[2, 3]),
                Tensor::floats("black", &[], &[0.0]),
                Tensor::floats("white", &[], &[255.0]),
            ],
            input: vec![Value::floats(IMAGE, ABOUT_IMAGE, pixels())],
            output: vec![Value::floats(PICTURE, ABOUT_PICTURE, pixels())],
            ..Graph::default()
        };
        if style.is_none() {
            let count = Dimension::of(model.header.styles.len() as i64);
            graph
                .input
                .push(Value::floats(SHARES, ABOUT_SHARES, vec![count]));
        }
        Self {
            model,
            shapes: model.header.shapes().into_iter().collect(),
            style,
            graph,
        }
    }

    fn graph(mut self) -> Graph {
        let mut x = IMAGE.to_owned();
        for (layer, stride) in [("down.1", 1), ("down.2", 2), ("down.3", 2)] {
            x = self.rectified(layer, &x, stride);
        }
        for block in 1..=5 {
            let (first, second) = (format!("residual.{block}.1"), format!("residual.{block}.2"));
            let inner = self.rectified(&first, &x, 1);
            let inner = self.normalized(&second, &inner, 1);
            x = self.node("Add", &format!("residual.{block}"), &[&x, &inner], &[]);
        }
        for layer in ["up.1", "up.2"] {
            let doubled = self.doubled(layer, &x);
            x = self.rectified(layer, &doubled, 1);
        }
        let x = self.convolved("up.3", &x, 1);
        let x = self.cut(&x);
        self.node("Clip", PICTURE, &[&x, "black", "white"], &[]);
        self.graph
    }

    /// Adds a node and returns the name of its output, which is also the node's.
    fn node(
        &mut self,
        op: &str,
        output: &str,
        inputs: &[&str],
        attributes: &[Attribute],
    ) -> String {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: op.to_owned(),
            attribute: attributes.to_vec(),
        });
        output.to_owned()
    }

    /// A whole layer.
    fn rectified(&mut self, layer: &str, x: &str, stride: i64) -> String {
        let x = self.normalized(layer, x, stride);
        self.node("Relu", &format!("{layer}.rectified"), &[&x], &[])
    }

    /// A layer without its ReLU.
    fn normalized(&mut self, layer: &str, x: &str, stride: i64) -> String {
        let x = self.convolved(layer, x, stride);
        let scale = self.of_style(&format!("{layer}.scale"));
        let shift = self.of_style(&format!("{layer}.shift"));
        self.node(
            "InstanceNormalization",
            &format!("{layer}.normalized"),
            &[&x, &scale, &shift],
            &[Attribute::float("epsilon", EPSILON)],
        )
    }

    /// The convolution of a layer, surroundings reflected.
    fn convolved(&mut self, layer: &str, x: &str, stride: i64) -> String {
        let [weight, bias] = ["weight", "bias"].map(|part| self.stored(&format!("{layer}.{part}")));
        let kernel = self.shapes[&weight][2] as i64;
        let x = self.node(
            "Pad",
            &format!("{layer}.padded"),
            &[x, &format!("margins.{kernel}")],
            &[Attribute::string("mode", "reflect")],
        );
        self.node(
            "Conv",
            &format!("{layer}.convolved"),
            &[&x, &weight, &bias],
            &[
                Attribute::ints("kernel_shape", &[kernel; 2]),
                Attribute::ints("strides", &[stride; 2]),
            ],
        )
    }

    /// A tensor of the model as it is.
    fn stored(&mut self, name: &str) -> String {
        let tensor = Tensor::floats(name, &self.shapes[name], &self.model.values(name));
        self.graph.initializer.push(tensor);
        name.to_owned()
    }

    /// A row of a tensor that has one for each style: that of the only style, or a blend.
    fn of_style(&mut self, name: &str) -> String {
        let Some(style) = self.style else {
            let all = self.stored(name);
            return self.node("MatMul", &format!("{name}.blend"), &[SHARES, &all], &[]);
        };
        let channels = self.shapes[name][1];
        let values = self.model.values(name);
        let row = &values[style * channels..][..channels];
        self.graph
            .initializer
            .push(Tensor::floats(name, &[channels], row));
        name.to_owned()
    }

    /// Twice as many rows and columns, each value four times.
    fn doubled(&mut self, layer: &str, x: &str) -> String {
        self.node(
            "Resize",
            &format!("{layer}.doubled"),
            &[x, "", "double"],
            &[
                Attribute::string("mode", "nearest"),
                Attribute::string("coordinate_transformation_mode", "asymmetric"),
                Attribute::string("nearest_mode", "floor"),
            ],
        )
    }

    /// Where 4 divides rows or columns unevenly, the way up ends beyond them.
    fn cut(&mut self, x: &str) -> String {
        let size = self.node(
            "Shape",
            "size",
            &[IMAGE],
            &[Attribute::int("start", 2), Attribute::int("end", 4)],
        );
        self.node("Slice", "cut", &[x, "origin", &size, "axes"], &[])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// A model of two styles with random weights.
    fn golden() -> Vec<u8> {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/engine/golden/transform");
        std::fs::read(folder.join("model.safetensors")).expect("is there")
    }

    fn exported(model: &Trained<'_>, style: Option<&str>) -> Model {
        let style = style.map(|style| style.parse().expect("a name"));
        let mut file = Vec::new();
        export(model, style.as_ref(), &mut file).expect("exports");
        Model::decode(file.as_slice()).expect("is ONNX")
    }

    fn property<'m>(file: &'m Model, key: &str) -> Option<&'m str> {
        let mut properties = file.metadata_props.iter();
        let found = properties.find(|property| property.key == key)?;
        Some(&found.value)
    }

    fn names(values: &[Value]) -> Vec<&str> {
        values.iter().map(|value| value.name.as_str()).collect()
    }

    #[test]
    fn every_tensor_is_there_once_before_it_is_used_and_none_for_nothing() {
        let bytes = golden();
        let model = Trained::read(&bytes).expect("a model");
        for style in [None, Some("slate")] {
            let graph = exported(&model, style).graph.expect("a graph");
            let inputs = graph.input.iter().map(|value| &value.name);
            let stored = graph.initializer.iter().map(|tensor| &tensor.name);
            let mut known = BTreeSet::new();
            for name in inputs.chain(stored) {
                assert!(known.insert(name), "{name} is there twice");
            }
            let mut used = BTreeSet::new();
            for node in &graph.node {
                for name in node.input.iter().filter(|name| !name.is_empty()) {
                    assert!(known.contains(name), "{} has no {name}", node.name);
                    used.insert(name);
                }
                for name in &node.output {
                    assert!(known.insert(name), "{name} is made twice");
                }
            }
            let unused: Vec<&str> = known.difference(&used).map(|name| name.as_str()).collect();
            assert_eq!(unused, [PICTURE]);
            assert_eq!(names(&graph.output), [PICTURE]);
        }
    }

    #[test]
    fn several_styles_are_blended_by_shares_and_one_alone_is_built_in() {
        let bytes = golden();
        let model = Trained::read(&bytes).expect("a model");
        let both = exported(&model, None);
        assert_eq!(property(&both, "styles"), Some("reed,slate"));
        assert_eq!(property(&both, "licence"), Some(&*model.header.licence));
        let graph = both.graph.expect("a graph");
        assert_eq!(names(&graph.input), [IMAGE, SHARES]);

        let one = exported(&model, Some("slate"));
        assert_eq!(property(&one, "styles"), Some("slate"));
        let graph = one.graph.expect("a graph");
        assert_eq!(names(&graph.input), [IMAGE]);
        let mut tensors = graph.initializer.iter();
        let shift = tensors
            .find(|tensor| tensor.name == "down.1.shift")
            .expect("is there");
        let values = &model.values("down.1.shift")[4..];
        assert_eq!(*shift, Tensor::floats("down.1.shift", &[4], values));
    }

    #[test]
    fn a_style_that_the_model_has_not() {
        let bytes = golden();
        let model = Trained::read(&bytes).expect("a model");
        let style = "mosaic".parse().expect("a name");
        let error = export(&model, Some(&style), &mut Vec::new()).expect_err("has no mosaic");
        assert_eq!(
            error.to_string(),
            "the model has no style mosaic; it has reed, slate"
        );
    }
}
