"""Tests of model.py:  python -m unittest discover deploy/setup  with the Python that setup.sh --cuda
installs (torch, safetensors).

State dicts are written by torch; ONNX files by the few lines below, as PyTorch's exporter of 2018 wrote
those of the ONNX model zoo.
"""
import contextlib
import io
import json
import os
import struct
import sys
import tempfile
import unittest
from unittest import mock

import model
import tensorfile

try:
    import safetensors.torch
    import torch
except ImportError as missing:
    raise unittest.SkipTest(f"{missing.name} is not installed here; setup.sh --cuda installs a Python that has it") from None

WIDTH = 4
LICENCE = "CC0-1.0: random numbers"
PAIRS = {  # ours: the example's convolution and normalisation
    "down.1": ("conv1", "in1"), "down.2": ("conv2", "in2"), "down.3": ("conv3", "in3"),
    **{f"residual.{block}.{number}": (f"res{block}.conv{number}", f"res{block}.in{number}")
       for block in range(1, 6) for number in (1, 2)},
    "up.1": ("deconv1", "in4"), "up.2": ("deconv2", "in5"), "up.3": ("deconv3", None)}
SHAPES = {"down.1": (4, 3, 9, 9), "down.2": (8, 4, 3, 3), "down.3": (16, 8, 3, 3),
          "up.1": (8, 16, 3, 3), "up.2": (4, 8, 3, 3), "up.3": (3, 4, 9, 9)}


def random_network():
    """({name in the example: tensor}, {name in a model: tensor})."""
    random, theirs, ours = torch.Generator().manual_seed(1), {}, {}
    for layer, (convolution, norm) in PAIRS.items():
        shape = SHAPES.get(layer, (16, 16, 3, 3))
        names = [("weight", f"{convolution}.conv2d.weight", shape), ("bias", f"{convolution}.conv2d.bias", shape[:1])]
        if norm:
            names += [("scale", f"{norm}.weight", shape[:1]), ("shift", f"{norm}.bias", shape[:1])]
        for part, name, shape in names:
            theirs[name] = torch.randn(shape, generator=random)
            ours[f"{layer}.{part}"] = theirs[name][None] if part in ("scale", "shift") else theirs[name]
    return theirs, ours


THEIRS, OURS = random_network()


def varint(value):
    value, data = value & (1 << 64) - 1, bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(data + bytes([value]))


def message(*fields):
    """A protobuf message of (number, value) pairs."""
    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            data += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(value)) + value
    return data


def tensor(name, value, raw=True):
    dtype, letter, field = (1, "f", 4) if value.dtype == torch.float32 else (7, "q", 7)
    data = struct.pack(f"<{value.numel()}{letter}", *value.flatten().tolist())
    if not raw and dtype == 7:
        data = b"".join(map(varint, value.flatten().tolist()))
    return message(*((1, side) for side in value.shape), (2, dtype), (8, name), (9 if raw else field, data))


def attribute(name, value):
    if isinstance(value, list):
        values = [(8, number) for number in value] if isinstance(value[0], int) else [(7, number) for number in value]
    else:
        values = [({int: 3, float: 2, str: 4, bytes: 5}[type(value)], value)]
    return message((1, name), *values)


class Onnx:
    """An ONNX file of the example's network. `edit` may change each node's (op, inputs, attributes)."""

    def __init__(self, opset=9, tensors=THEIRS, by_name=True, raw=True, swapped=False, computed=False, edit=lambda *node: node):
        self.opset, self.tensors, self.by_name, self.raw, self.edit = opset, tensors, by_name, raw, edit
        self.computed = computed  # from constants, by nodes
        self.nodes, self.initializers = [], []
        x = self.layer("conv1", "in1", "photograph")
        x = self.layer("conv2", "in2", x, stride=2)
        x = self.layer("conv3", "in3", x, stride=2)
        for block in range(1, 6):
            inner = self.layer(f"res{block}.conv1", f"res{block}.in1", x)
            inner = self.layer(f"res{block}.conv2", f"res{block}.in2", inner, relu=False)
            x = self.node("Add", [x, inner] if swapped else [inner, x])
        x = self.layer("deconv1", "in4", self.double(x))
        x = self.layer("deconv2", "in5", self.double(x))
        self.output = self.layer("deconv3", None, x, relu=False)

    def bytes(self):
        def value(name):
            return message((1, name), (2, message((1, message((1, 1))))))

        names = ["photograph", *(name for name, _ in self.initializers)]  # as files of the time had it
        graph = message(*((1, node) for node in self.nodes), (2, "torch-jit-export"),
                        *((5, data) for _, data in self.initializers),
                        *((11, value(name)) for name in names), (12, value(self.output)))
        return message((1, 3), (2, "pytorch"), (3, "0.4"), (7, graph), (8, message((1, ""), (2, self.opset))))

    def node(self, op, inputs, **attributes):
        op, inputs, attributes = self.edit(op, inputs, attributes)
        output = f"made.{len(self.nodes)}"
        self.nodes.append(message(*((1, name) for name in inputs), (2, output), (4, op),
                                  *((5, attribute(*pair)) for pair in attributes.items())))
        return output

    def stored(self, name, value=None):
        known = name if self.by_name else str(len(self.initializers))
        data = tensor(known, self.tensors[name] if value is None else value, self.raw)
        self.initializers.append((known, data))
        return known

    def layer(self, name, norm, x, stride=1, relu=True):
        kernel = self.tensors[f"{name}.conv2d.weight"].shape[-1]
        pads = 2 * [0, 0, kernel // 2, kernel // 2]
        if self.opset < 11:
            x = self.node("Pad", [x], mode="reflect", pads=pads)
        else:
            pads = self.computed_or_not(self.stored(f"{name}.pads", torch.tensor(pads)))
            x = self.node("Pad", [x, pads], mode="reflect")
        parameters = [self.stored(f"{name}.conv2d.{kind}") for kind in ("weight", "bias")]
        x = self.node("Conv", [x, *parameters], dilations=[1, 1], group=1, kernel_shape=[kernel] * 2,
                      pads=[0] * 4, strides=[stride] * 2)
        if norm:
            parameters = [self.stored(f"{norm}.{kind}") for kind in ("weight", "bias")]
            x = self.node("InstanceNormalization", [x, *parameters], epsilon=1e-5)
        return self.node("Relu", [x]) if relu else x

    def double(self, x):
        scales = [1.0, 1.0, 2.0, 2.0]
        if self.opset < 9:
            return self.node("Upsample", [x], mode="nearest", scales=scales)
        scales = self.node("Constant", [], value=tensor("", torch.tensor(scales), self.raw))
        return self.node("Upsample", [x, self.computed_or_not(scales)], mode="nearest")

    def computed_or_not(self, constant):
        return self.node("Cast", [constant], to=1) if self.computed else constant


def edit_at(wanted, op=None, inputs=None, **changes):
    """An edit of the node of this op and place, counted from 0."""
    wanted_op, place = wanted
    count = -1

    def edit(op_here, inputs_here, attributes):
        nonlocal count
        count += op_here == wanted_op
        if op_here != wanted_op or count != place:
            return op_here, inputs_here, attributes
        return op or op_here, inputs_here if inputs is None else inputs(inputs_here), attributes | changes

    return edit


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, content, legacy=False):
        torch.save(content, self.path("source.pth"), _use_new_zipfile_serialization=not legacy)
        return self.path("source.pth")

    def write(self, data):
        with open(self.path("source.onnx"), "wb") as file:
            file.write(data)
        return self.path("source.onnx")

    def assert_converted(self, source):
        data = model.convert(source, "mosaic", LICENCE)
        converted = safetensors.torch.load(data)
        self.assertEqual(converted.keys(), OURS.keys())
        for name, value in OURS.items():
            self.assertTrue(torch.equal(converted[name], value), name)
        return data

    def assert_bad(self, message, source, style="mosaic", licence=LICENCE):
        with self.assertRaisesRegex(tensorfile.Bad, message) as caught:
            model.convert(source, style, licence)
        self.assertNotIn("\n", str(caught.exception))


class StateDicts(WithFolder):
    def test_of_every_container(self):
        for legacy in (False, True):
            with self.subTest(legacy=legacy):
                self.assert_converted(self.save(THEIRS, legacy))

    def test_what_old_versions_of_pytorch_kept_for_no_use_is_left_out(self):
        unused = {"in1.running_mean": torch.zeros(4), "res1.in1.running_var": torch.ones(16),
                  "in1.num_batches_tracked": torch.tensor(3)}
        self.assert_converted(self.save(THEIRS | unused))

    def test_the_header_says_what_the_model_is(self):
        source = self.save(THEIRS)
        data = self.assert_converted(source)
        self.assertEqual(data, model.convert(source, "mosaic", LICENCE))
        tensorfile.write_atomically(self.path("out"), data)
        with safetensors.safe_open(self.path("out"), "pt") as file:
            metadata = file.metadata()
        header = {"format": 1, "layout": "johnson", "width": WIDTH, "styles": ["mosaic"], "licence": LICENCE}
        self.assertEqual(json.loads(metadata["stylefleet"]), header)
        self.assertRegex(metadata["source"], "^fast_neural_style, sha256 [0-9a-f]{64}$")

    def test_bad_ones(self):
        def changed(**tensors):
            return self.save({name: tensors.get(name.replace(".", "_"), value) for name, value in THEIRS.items()})

        self.assert_bad("cannot be read", self.path("nowhere.pth"))
        self.assert_bad("not a dict", self.save([torch.ones(2)]))
        self.assert_bad("has no conv1.conv2d.weight", self.save({"features.0.weight": torch.ones(2)}))
        self.assert_bad("has extra.weight, which", self.save(THEIRS | {"extra.weight": torch.ones(2)}))
        self.assert_bad("has no res5.in2.bias", self.save({n: t for n, t in THEIRS.items() if n != "res5.in2.bias"}))
        self.assert_bad(r"res1.conv1.conv2d.weight is \[16, 16, 5, 5\]", changed(res1_conv1_conv2d_weight=torch.ones(16, 16, 5, 5)))
        self.assert_bad("in4.weight is F16", changed(in4_weight=torch.ones(8).half()))
        self.assert_bad("deconv3.conv2d.bias holds NaN", changed(deconv3_conv2d_bias=torch.tensor([0.0, float("nan"), 0.0])))
        self.assert_bad("conv1 has 2 channels; 4 to 128", changed(conv1_conv2d_weight=torch.ones(2, 3, 9, 9)))
        self.assert_bad("conv1 has 1000000000 channels", changed(conv1_conv2d_weight=torch.ones(1).expand(10**9, 3, 9, 9)))
        for legacy in (False, True):
            source = self.save(THEIRS, legacy)
            os.truncate(source, os.path.getsize(source) // 2)
            self.assert_bad("cut short", source)

    def test_bad_names_and_licences(self):
        source = self.save(THEIRS)
        for style in ("", "a" * 61, "é" * 31, "two\nlines", ".hidden", "a/b", "a=b", "a,b", "a+b", "a\\b", " a", "a "):
            self.assert_bad("--style", source, style)
        for licence in ("", "two\nlines", "a" * 401):
            self.assert_bad("--licence", source, licence=licence)


class OnnxFiles(WithFolder):
    def test_of_every_age(self):
        for options in ({"opset": 8}, {"opset": 9}, {"opset": 11}, {"by_name": False}, {"raw": False},
                        {"opset": 11, "raw": False}, {"swapped": True}, {"opset": 11, "computed": True}):
            with self.subTest(**options):
                self.assert_converted(self.write(Onnx(**options).bytes()))

    def test_tensors_that_are_passed_on(self):
        # Later exporters store equal tensors once.
        onnx = Onnx(edit=lambda op, inputs, attributes: (op, [x + ".same" if "in2.bias" in x else x for x in inputs], attributes))
        for name, _ in list(onnx.initializers):
            if "in2.bias" in name:
                onnx.nodes.append(message((1, name), (2, name + ".same"), (4, "Identity")))
        self.assert_converted(self.write(onnx.bytes()))

    def test_what_differs_from_the_layout_is_said(self):
        flaws = [
            (("Pad", 0), dict(mode="constant"), r"mode constant, not reflect"),
            (("Pad", 3), dict(pads=[0] * 8), r"res1.conv1 is padded by \[0, .* not by \[0, 0, 1, 1"),
            (("Conv", 1), dict(strides=[1, 1]), r"conv2 has strides \[1, 1\], not 2"),
            (("Conv", 5), dict(dilations=[2, 2]), r"res2.conv1 has dilations"),
            (("Conv", 5), dict(pads=[1] * 4), r"res2.conv1 has pads"),
            (("Conv", 5), dict(group=2), "group 2, not 1"),
            (("Conv", 13), dict(op="ConvTranspose"), "deconv1 is ConvTranspose where fast_neural_style has Conv"),
            (("InstanceNormalization", 0), dict(op="BatchNormalization"), "in1 is BatchNormalization"),
            (("InstanceNormalization", 0), dict(epsilon=1e-2), "epsilon 0.0"),
            (("Relu", 3), dict(op="Sigmoid"), "the end of res1.conv1 is Sigmoid where .* has Relu"),
            (("Upsample", 0), dict(mode="linear"), "mode linear, not nearest"),
            (("Constant", 0), dict(value=tensor("", torch.tensor([1.0, 1, 4, 4]))), r"enlarges by \[4.0, 4.0\] before deconv1"),
            (("Add", 1), dict(inputs=lambda inputs: [inputs[0], "made.0"]), "res2 adds something else"),
            (("Add", 1), dict(op="Concat"), "the end of res2 is Concat"),
            (("Pad", 0), dict(inputs=lambda _: ["made.9"]), "does more to the photograph before conv1"),
            (("Conv", 2), dict(inputs=lambda inputs: [inputs[0], "made.0"]), "the weight of conv3.conv2d is not in the file"),
            (("Conv", 2), dict(inputs=lambda inputs: inputs[:2]), "has no conv3.conv2d.bias"),
            (("Conv", 2), dict(inputs=lambda _: []), "lacks an input"),
        ]
        for where, change, said in flaws:
            with self.subTest(where=where, said=said):
                self.assert_bad(said, self.write(Onnx(edit=edit_at(where, **change)).bytes()))

    def test_bad_files(self):
        whole = Onnx().bytes()
        for length in (20, len(whole) // 2, len(whole) - 30):
            self.assert_bad("damaged or cut short", self.write(whole[:length]))
        self.assert_bad("damaged or cut short", self.write(b"\x08\x03 no graph at all"))
        self.assert_bad("damaged or cut short", self.write(message((1, 3), (2, "no graph"))))
        nan = THEIRS | {"in1.bias": torch.full((4,), float("nan"))}
        self.assert_bad("in1.bias holds NaN", self.write(Onnx(tensors=nan).bytes()))
        huge = message((1, 10**9), (1, 3), (1, 9), (1, 9), (2, 1), (8, "conv1.conv2d.weight"), (9, b""))
        onnx = Onnx()
        onnx.initializers[0] = ("conv1.conv2d.weight", huge)
        self.assert_bad("conv1 has 1000000000 channels", self.write(onnx.bytes()))
        apart = message((1, 4), (2, 1), (8, "in1.bias"), (14, 1))
        onnx = Onnx()
        place = next(i for i, (name, _) in enumerate(onnx.initializers) if name == "in1.bias")
        onnx.initializers[place] = ("in1.bias", apart)
        self.assert_bad("keeps its weights in another file", self.write(onnx.bytes()))


class Command(WithFolder):
    def run_with(self, *arguments):
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["model.py", *arguments]), contextlib.redirect_stderr(said):
            try:
                model.main()
            except SystemExit as end:
                return end.code, said.getvalue()
        return 0, said.getvalue()

    def test_it_writes_the_model_or_says_one_line(self):
        out = self.path("out.safetensors")
        options = ["--style", "mosaic", "--licence", LICENCE, "--out", out]
        self.assertEqual(self.run_with(self.save(THEIRS), *options), (0, f"model: wrote {out}\n"))
        self.assertEqual(safetensors.torch.load_file(out).keys(), OURS.keys())
        os.remove(out)
        code, said = self.run_with(self.path("no"), *options)
        self.assertEqual(code, 1)
        self.assertRegex(said, r"^model: .*/no: cannot be read \(No such file or directory\)\n$")
        self.assertFalse(os.path.exists(out))
        code, said = self.run_with(self.save(THEIRS), *options[:-1], self.path("model.pt"))
        self.assertEqual(code, 1)
        self.assertRegex(said, r"^model: --out: .*/model.pt does not end in .safetensors, as models do\n$")
        self.assertEqual(self.run_with(self.save(THEIRS), "--style", "mosaic", "--out", "x")[0], 2)

    def test_it_writes_over_nothing(self):
        taken = self.path("taken.safetensors")
        with open(taken, "wb") as file:
            file.write(b"precious")
        code, said = self.run_with(self.save(THEIRS), "--style", "mosaic", "--licence", LICENCE, "--out", taken)
        self.assertEqual(code, 1)
        self.assertRegex(said, r"^model: .*/taken.safetensors: is there already; choose another --out, or remove it\n$")
        with open(taken, "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_it_does_not_wait_for_a_pipe(self):
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        out = self.path("out.safetensors")
        code, said = self.run_with(pipe, "--style", "mosaic", "--licence", LICENCE, "--out", out)
        self.assertEqual((code, said), (1, f"model: {pipe}: is no file\n"))


if __name__ == "__main__":
    unittest.main()
