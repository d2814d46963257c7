"""Tests of weights.py:  python -m unittest discover deploy/setup  with the Python that setup.sh
--cuda installs (torch, numpy, safetensors, h5py).

Files are written by the libraries that people write them with, and the converted network is run
against the source's own convention.
"""
import contextlib
import io
import itertools
import math
import os
import sys
import tempfile
import unittest
from unittest import mock

import tensorfile
import weights

try:
    import numpy
    import safetensors.torch
    import torch
    import torch.nn.functional as F
except ImportError as missing:
    raise unittest.SkipTest(f"{missing.name} is not installed here; setup.sh --cuda installs a Python that has it") from None
try:
    import h5py
except ImportError:
    h5py = None

BGR_MEAN = torch.tensor(weights.BGR_MEAN).view(3, 1, 1)


def random_vgg():
    """{(our layer, weight or bias): tensor}, large enough to compute with."""
    random = torch.Generator().manual_seed(1)
    return {(ours, kind): torch.randn(shape if kind == "weight" else shape[:1], generator=random) / 20
            for ours, _, _, shape in weights.layers("VGG19") for kind in ("weight", "bias")}


VGG = random_vgg()


def named(name, network):
    """The network's tensors under the names that name(a layer as weights.layers has it, kind) gives."""
    return {name(layer, kind): VGG[layer[0], kind].clone()
            for layer in weights.layers(network) for kind in ("weight", "bias")}


def state_dict(network="VGG19"):
    return named(lambda layer, kind: f"{layer[2]}.{kind}", network)


def ours(network="VGG19"):
    return named(lambda layer, kind: f"{layer[0]}.{kind}", network)


class WithFolder(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, content, legacy=False):
        torch.save(content, self.path("source.pth"), _use_new_zipfile_serialization=not legacy)
        return self.path("source.pth")

    def convert(self, source, convention="auto"):
        data = weights.convert(source, convention)
        tensorfile.write_atomically(self.path("out.safetensors"), data)
        return safetensors.torch.load(data)

    def assert_same(self, converted, expected):
        self.assertEqual(converted.keys(), expected.keys())
        for name, value in expected.items():
            self.assertTrue(torch.equal(converted[name], value), name)

    def assert_bad(self, message, source, convention="state-dict"):
        with self.assertRaisesRegex(tensorfile.Bad, message) as caught:
            weights.convert(source, convention)
        self.assertNotIn("\n", str(caught.exception))


class Converters(WithFolder):
    def test_torchs_indices_are_those_of_its_networks(self):
        for network, indices in [("VGG19", (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)),
                                 ("VGG16", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))]:
            found = [torch_name for _, _, torch_name, _ in weights.layers(network)]
            self.assertEqual(found, [f"features.{index}" for index in indices])

    def test_state_dict_of_every_container(self):
        for network, legacy in itertools.product(weights.NETWORKS, (False, True)):
            with self.subTest(network=network, legacy=legacy):
                source = self.save(state_dict(network), legacy)
                self.assert_same(self.convert(source, "state-dict"), ours(network))
        for network in weights.NETWORKS:
            with self.subTest(network=network):
                safetensors.torch.save_file(ours(network), self.path("source.safetensors"))
                self.assert_same(self.convert(self.path("source.safetensors")), ours(network))

    def test_parameters_and_views_of_a_storage_shared_by_others(self):
        content = {name: torch.nn.Parameter(value) for name, value in state_dict().items()}
        content["features.0.bias"] = torch.cat([torch.ones(7), content["features.0.bias"].data])[7:]
        content["note"], content["epoch"] = "not a tensor", 3
        self.assert_same(self.convert(self.save(content), "state-dict"), ours())

    def test_torchvision_agrees_inside_and_nearly_at_the_border(self):
        converted = self.convert(self.save(state_dict()), "torchvision")
        rgb = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        mean, deviation = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1)
                           for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        weight = VGG["conv1_1", "weight"].double()
        theirs = F.conv2d((rgb - mean) / deviation, weight, VGG["conv1_1", "bias"].double(), padding=1)
        mine = F.conv2d(255 * rgb.flip(0) - BGR_MEAN.double(), converted["conv1_1.weight"].double(),
                        converted["conv1_1.bias"].double(), padding=1)
        apart = (theirs - mine).abs()
        self.assertLess(apart[:, 1:-1, 1:-1].max(), 1e-6)
        self.assertLess(apart.max(), 0.0088 * weight.abs().sum((1, 2, 3)).max())
        self.assertGreater(apart.max(), 1e-4)  # else the comment in fold_normalisation is wrong
        rest = ours()
        del rest["conv1_1.weight"], rest["conv1_1.bias"], converted["conv1_1.weight"], converted["conv1_1.bias"]
        self.assert_same(converted, rest)

    def test_torchvisions_vgg16_is_its_vgg19_without_three_layers(self):
        vgg19, vgg16 = (self.convert(self.save(state_dict(network)), "torchvision") for network in ("VGG19", "VGG16"))
        self.assert_same(vgg16, {name: vgg19[name] for name in ours("VGG16")})

    def test_codebook(self):
        for network in weights.NETWORKS:
            content, expected = {}, {}
            for layer, keras, _, shape in weights.layers(network):
                codes = torch.randint(256, shape, dtype=torch.uint8)
                table = torch.randn(256)
                content |= {f"{keras}_W_q": codes, f"{keras}_W_table": table, f"{keras}_b": VGG[layer, "bias"]}
                expected |= {f"{layer}.weight": table[codes.long()], f"{layer}.bias": VGG[layer, "bias"]}
            with self.subTest(network=network):
                self.assert_same(self.convert(self.save(content, legacy=True)), expected)

    @unittest.skipIf(h5py is None, "h5py is not installed here: the .h5 converter goes untested")
    def test_keras(self):
        leaves = ("{layer}/{layer}_{short}_1:0", "{layer}/{layer}/{long}:0", "model_weights/{layer}/{long}")
        for network, leaf in itertools.product(weights.NETWORKS, leaves):
            with self.subTest(network=network, leaf=leaf), h5py.File(self.path("source.h5"), "w") as file:
                file.create_dataset("block1_pool/nothing", data=numpy.zeros(()))
                for (layer, kind), value in named(lambda layer, kind: (layer[1], kind), network).items():
                    value = value.permute(2, 3, 1, 0) if kind == "weight" else value
                    short, long = ("W", "kernel") if kind == "weight" else ("b", "bias")
                    file[leaf.format(layer=layer, short=short, long=long)] = value.numpy()
                file.flush()
                self.assert_same(self.convert(self.path("source.h5")), ours(network))

    def test_output_is_the_same_bytes_every_time_and_says_what_it_is(self):
        for network in weights.NETWORKS:
            source = self.save(ours(network))
            first = weights.convert(source)
            self.assertEqual(first, weights.convert(source))
            tensorfile.write_atomically(self.path("out"), first)
            with safetensors.safe_open(self.path("out"), "pt") as file:
                self.assertEqual(file.metadata()["format"], f"stylefleet-{network.lower()}")
                self.assertRegex(file.metadata()["source"], "^state-dict, sha256 [0-9a-f]{64}$")


class BadInput(WithFolder):
    def test_files_of_another_kind(self):
        self.assert_bad("cannot be read", self.path("nowhere.pth"))
        for content in (b"", b"<html>404</html>", b"\x80\x02 no pickle", b"PK\x03\x04 no zip"):
            with open(self.path("file"), "wb") as file:
                file.write(content)
            self.assert_bad("neither a torch|damaged", self.path("file"))
        self.assert_bad("not a dict", self.save([torch.ones(2)]))

    def test_cut_short(self):
        for legacy in (True, False):
            source = self.save(state_dict(), legacy)
            os.truncate(source, os.path.getsize(source) // 2)
            self.assert_bad("cut short", source)

    def test_a_pickle_that_would_run_code(self):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (self.folder,)

        Evil.folder = self.path("run")
        for legacy in (True, False):
            self.assert_bad(r"holds a posix.mkdir, not tensors", self.save({"features.0.weight": Evil()}, legacy))
        self.assertFalse(os.path.exists(self.path("run")))

    def test_another_network(self):
        self.assert_bad("has no features.0.weight", self.save({"layer1.weight": torch.ones(2)}))
        self.assert_bad("holds no layer of VGG", self.save({"layer1.weight": torch.ones(2)}), "auto")
        content = state_dict()
        del content["features.34.bias"]
        self.assert_bad("has no features.34.bias", self.save(content))
        for network, lost in (("VGG19", "features.16"), ("VGG16", "features.17")):
            content = state_dict(network)
            del content[f"{lost}.weight"], content[f"{lost}.bias"]
            self.assert_bad(f"has no {lost}.weight", self.save(content))

    def test_wrong_shape_type_order_and_values(self):
        flaws = [(torch.ones(64, 3, 5, 5), r"is \[64, 3, 5, 5\], VGG's is \[64, 3, 3, 3\]"),
                 (torch.ones(64, 3, 3, 3).half(), "is F16, not F32"),
                 (torch.ones(64, 3, 3, 3).to(memory_format=torch.channels_last), "contiguous"),
                 (torch.full((64, 3, 3, 3), math.nan), "weight of conv1_1 holds NaN"),
                 (torch.full((64, 3, 3, 3), math.inf), "weight of conv1_1 holds NaN or infinite")]
        for value, message in flaws:
            self.assert_bad(message, self.save(state_dict() | {"features.0.weight": value}))

    def test_which_convention_is_not_guessed_where_both_fit(self):
        self.assert_bad("say --from torchvision .* or --from state-dict", self.save(state_dict()), "auto")

    def test_wrong_checksum(self):
        with self.assertRaisesRegex(tensorfile.Bad, "w.whl: its sha256 is aa, not bb"):
            weights.check("/x/w.whl", "aa", "bb")

    def test_no_disk(self):
        with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=10)):
            with self.assertRaisesRegex(tensorfile.Bad, "MB free; make room"):
                tensorfile.write_atomically(self.path("out"), bytes(1000))
        self.assertEqual(os.listdir(self.folder), [])

    def test_the_command_ends_with_one_line_and_status_1(self):
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["weights.py", "convert", self.path("no"), "--out", self.path("out")]):
            with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end:
                weights.main()
        self.assertEqual(end.exception.code, 1)
        self.assertRegex(said.getvalue(), r"^weights: .*/no: cannot be read \(No such file or directory\)\n$")
        self.assertFalse(os.path.exists(self.path("out")))


if __name__ == "__main__":
    unittest.main()
