#!/usr/bin/env python3
"""Converts networks of PyTorch's example fast_neural_style into models for  stylefleet apply.

  model.py SOURCE --style NAME --licence TEXT --out F

SOURCE is a state dict (.pth, .model) that the example's training saved, or an ONNX file made from one, as
mosaic-9.onnx of the ONNX model zoo; its content decides, not its name. NAME is what the style is to be
called, TEXT the licence of the weights in a line, which goes with the model:

  model.py mosaic.pth --style mosaic --licence "BSD-3-Clause, the authors of pytorch/examples" --out mosaic.safetensors
"""
import argparse
import json
import math
import sys
import unicodedata
from array import array

import tensorfile
from onnxfile import is_onnx, read_graph
from tensorfile import Bad, Tensor, check_finite, encode, open_tensors, sha256_of, write_new

ENDING = ".safetensors"
EXAMPLE = "fast_neural_style"
WIDTHS = range(4, 129)
EPSILON = 1e-5  # of instance normalisation
# Old versions of PyTorch saved them; they have no part in the result.
UNUSED = (".running_mean", ".running_var", ".num_batches_tracked")


def layers(width):
    """(ours, the example's convolution, its normalisation, weight shape, stride) of each layer."""
    w = width
    yield "down.1", "conv1", "in1", (w, 3, 9, 9), 1
    yield "down.2", "conv2", "in2", (2 * w, w, 3, 3), 2
    yield "down.3", "conv3", "in3", (4 * w, 2 * w, 3, 3), 2
    for block in range(1, 6):
        for number in (1, 2):
            names = f"residual.{block}.{number}", f"res{block}.conv{number}", f"res{block}.in{number}"
            yield *names, (4 * w, 4 * w, 3, 3), 1
    yield "up.1", "deconv1", "in4", (2 * w, 4 * w, 3, 3), 1
    yield "up.2", "deconv2", "in5", (w, 2 * w, 3, 3), 1
    yield "up.3", "deconv3", None, (3, w, 9, 9), 1


class Trace:
    """Follows an ONNX graph from the picture back to the photograph, and finds each layer's tensors on
    the way, by their place: exporters have named them in many ways."""

    def __init__(self, graph):
        self.graph = graph
        self.producers = {output: node for node in graph.nodes for output in node.outputs}
        self.passed_on = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.op == "Identity"}
        self.layers = {theirs: (norm, stride) for _, theirs, norm, _, stride in layers(1)}
        self.tensors = {}  # by the example's names

    def network(self):
        x = self.layer("deconv3", self.graph.outputs[0], rectified=False)
        for name in ("deconv2", "deconv1"):
            x = self.layer(name, x)
            upsample = self.node(f"what {name} enlarges", x, "Upsample", "Resize")
            self.expect(upsample, "mode", "nearest", default="nearest")
            scales = self.numbers(upsample, "scales", "F32", upsample.inputs[1:])
            if scales and [round(scale, 3) for scale in scales] != [1, 1, 2, 2]:
                raise Bad(f"the graph enlarges by {scales[2:]} before {name}, not by 2")
            x = upsample.inputs[0]
        for block in range(5, 0, -1):
            x = self.residual(f"res{block}", x)
        for name in ("conv3", "conv2", "conv1"):
            x = self.layer(name, x)
        if [self.source(x)] != self.graph.inputs[:1]:
            raise Bad("the graph does more to the photograph before conv1 than pad it")
        return self.tensors

    def residual(self, name, x):
        one, other = self.node(f"the end of {name}", x, "Add").inputs
        if self.op(one) != "InstanceNormalization":
            one, other = other, one
        begin = self.layer(f"{name}.conv1", self.layer(f"{name}.conv2", one, rectified=False))
        if self.source(begin) != self.source(other):
            raise Bad(f"{name} adds something else than what goes into it")
        return other

    def layer(self, name, x, rectified=True):
        """The tensor that goes into a layer whose result is `x`."""
        norm, stride = self.layers[name]
        if rectified:
            x = self.node(f"the end of {name}", x, "Relu").inputs[0]
        if norm:
            node = self.node(norm, x, "InstanceNormalization")
            self.expect(node, "epsilon", EPSILON, default=EPSILON)
            x = self.take(norm, node)
        convolution = self.node(name, x, "Conv")
        for attribute, value, default in (("strides", stride, 1), ("dilations", 1, 1), ("pads", 0, 0)):
            found = convolution.attributes.get(attribute, [default])
            if any(number != value for number in found):
                raise Bad(f"{name} has {attribute} {found}, not {value}: not the layout of {EXAMPLE}")
        self.expect(convolution, "group", 1, default=1)
        pad = self.node(f"the surroundings of {name}", self.take(f"{name}.conv2d", convolution), "Pad")
        self.expect(pad, "mode", "reflect", default="constant")
        kernel = self.tensors[f"{name}.conv2d.weight"].shape[-1]
        pads, margins = self.numbers(pad, "pads", "I64", pad.inputs[1:2]), 2 * [0, 0, kernel // 2, kernel // 2]
        if pads and pads != margins:
            raise Bad(f"{name} is padded by {pads}, not by {margins}")
        return pad.inputs[0]

    def take(self, name, node):
        """Keeps the weight and the bias of a node and returns what else goes in."""
        x, *parameters = node.inputs
        for kind, parameter in zip(("weight", "bias"), parameters):
            tensor = self.graph.tensors.get(self.source(parameter))
            if tensor is None:
                raise Bad(f"the {kind} of {name} is not in the file but computed")
            self.tensors[f"{name}.{kind}"] = tensor
        return x

    def source(self, name):
        """Where a tensor comes from that was passed on unchanged."""
        while name in self.passed_on:
            name = self.passed_on[name]
        return name

    def op(self, name):
        """What makes a tensor."""
        node = self.producers.get(self.source(name))
        return node.op if node else "the beginning of the graph"

    def node(self, place, name, *ops):
        op = self.op(name)
        if op not in ops:
            raise Bad(f"{place} is {op} where {EXAMPLE} has {ops[0]}: it is another network")
        return self.producers[self.source(name)]

    def numbers(self, node, attribute, dtype, inputs):
        """Numbers that are an attribute in old files, an input in new ones; None if they are computed."""
        if attribute in node.attributes:
            return node.attributes[attribute]
        for tensor in map(self.graph.tensors.get, map(self.source, inputs)):
            if tensor and tensor.dtype == dtype:
                return array({"F32": "f", "I64": "q"}[dtype], tensor.read()).tolist()
        return None

    def expect(self, node, attribute, value, default):
        found = node.attributes.get(attribute, default)
        same = math.isclose(found, value, rel_tol=1e-3) if isinstance(value, float) else found == value
        if not same:
            raise Bad(f"a node {node.op} has {attribute} {found}, not {value}: not the layout of {EXAMPLE}")


def tensors_of(source):
    """{the example's name: Tensor}."""
    if not is_onnx(source):
        return open_tensors(source)
    graph = read_graph(source)
    try:
        return Trace(graph).network()
    except Bad as error:
        raise Bad(f"{source}: {error}") from None
    except (LookupError, ValueError):
        raise Bad(f"{source}: a node of its graph lacks an input; the file is damaged, fetch it again") from None


def width_of(tensors):
    first = tensors.get("conv1.conv2d.weight", Tensor("F32", (32,), bytes))
    width = first.shape[0] if first.shape else 0
    if width not in WIDTHS:
        raise Bad(f"conv1 has {width} channels; {WIDTHS[0]} to {WIDTHS[-1]} are possible")
    return width


def check_texts(style, licence):
    """The rules of proto/model/src/trained, which reads the file."""
    if not is_line(style, 60) or set(style) & set("/\\=,+") or style.startswith(".") or style != style.strip():
        raise Bad("--style: must have 1 to 60 bytes, no control characters and none of / \\ = , + in it,"
                  " no full stop at the beginning and no spaces at the ends")
    if not is_line(licence, 400) or not licence.strip():
        raise Bad("--licence: must have 1 to 400 bytes, not spaces alone, and no control characters")


def is_line(text, most):
    return 0 < len(text.encode()) <= most and not any(unicodedata.category(c) == "Cc" for c in text)


def convert(source, style, licence):
    """The bytes of the model for the network in `source`, each value checked."""
    check_texts(style, licence)
    tensors = tensors_of(source)
    try:
        width, converted = width_of(tensors), {}
        rest = {name for name in tensors if not name.endswith(UNUSED)}
        for ours, convolution, norm, shape, _ in layers(width):
            parts = [(f"{ours}.weight", f"{convolution}.conv2d.weight", shape, shape),
                     (f"{ours}.bias", f"{convolution}.conv2d.bias", shape[:1], shape[:1])]
            if norm:
                parts += [(f"{ours}.{kind}", f"{norm}.{theirs}", shape[:1], (1, shape[0]))  # of one style
                          for kind, theirs in (("scale", "weight"), ("shift", "bias"))]
            for name, theirs, shape_there, shape_here in parts:
                data = tensorfile.read(tensors, theirs, shape_there, network=EXAMPLE)
                check_finite(theirs, data)
                converted[name] = (shape_here, data)
                rest.remove(theirs)
        if rest:
            raise Bad(f"has {min(rest)}, which {EXAMPLE} has not; is it another network?")
    except Bad as error:
        raise Bad(f"{source}: {error}") from None
    header = {"format": 1, "layout": "johnson", "width": width, "styles": [style], "licence": licence}
    return encode(converted, {"stylefleet": json.dumps(header, ensure_ascii=False),
                              "source": f"{EXAMPLE}, sha256 {sha256_of(source)}"})


def say(text):
    print(f"model: {text}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--style", required=True)
    parser.add_argument("--licence", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    try:
        if not args.out.endswith(ENDING):
            raise Bad(f"--out: {args.out} does not end in {ENDING}, as models do")
        write_new(args.out, convert(args.source, args.style, args.licence))
        say(f"wrote {args.out}")
    except Bad as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
