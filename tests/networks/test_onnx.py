"""ONNX files that  stylefleet models export  writes, run by onnxruntime: against the golden values, and
against what the engine makes of the same image. See check.sh.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy
import tifffile

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "worker/engine/golden/transform"
MODEL = GOLDEN / "model.safetensors"
STYLEFLEET = os.environ["STYLEFLEET"]
# Grey levels between two programs' arithmetic in 32 bits, and half a step of a 16-bit file.
TOLERANCE = 0.01
ROUNDING = 255 / 65535 / 2


def stylefleet(*arguments):
    ended = subprocess.run([STYLEFLEET, *map(str, arguments)], text=True, capture_output=True)
    assert ended.returncode == 0, f"{ended.args}:\n{ended.stderr}"


class Onnx(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.golden = safetensors.numpy.load_file(GOLDEN / "values.safetensors")

    def export(self, *options, model=MODEL):
        """A session of onnxruntime with the exported file."""
        file = self.folder / "model.onnx"
        stylefleet("models", "export", model, "--onnx", file, *options)
        onnx.checker.check_model(str(file), full_check=True)
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def assert_close(self, picture, expected, tolerance=TOLERANCE):
        self.assertEqual(picture.shape, expected.shape)
        self.assertLess(np.abs(picture - np.clip(expected, 0, 255)).max(), tolerance)

    def test_blends_agree_with_the_golden_values(self):
        session = self.export()
        about = session.get_modelmeta().custom_metadata_map
        self.assertEqual(about["styles"], "reed,slate")
        self.assertIn("CC0", about["licence"])
        for name, shares in (("style", [1, 0]), ("blend", [0.3, 0.7])):
            inputs = {"image": self.golden["input"], "shares": np.array(shares, np.float32)}
            picture, = session.run(["picture"], inputs)
            self.assert_close(picture, self.golden[f"{name}.picture"])

    def test_one_style_agrees_with_the_golden_values(self):
        session = self.export("--style", "reed")
        self.assertEqual([value.name for value in session.get_inputs()], ["image"])
        picture, = session.run(["picture"], {"image": self.golden["input"]})
        self.assert_close(picture, self.golden["style.picture"])

    def test_a_converted_network_of_pytorchs_example_agrees(self):
        theirs = {"down.1": ("conv1", "in1"), "down.2": ("conv2", "in2"), "down.3": ("conv3", "in3")}
        theirs |= {
            f"residual.{block}.{number}": (f"res{block}.conv{number}", f"res{block}.in{number}")
            for block in range(1, 6)
            for number in (1, 2)
        }
        theirs |= {"up.1": ("deconv1", "in4"), "up.2": ("deconv2", "in5"), "up.3": ("deconv3", None)}
        tensors = {}
        for name, value in safetensors.numpy.load_file(MODEL).items():
            layer, part = name.rsplit(".", 1)
            convolution, norm = theirs[layer]
            if part in ("weight", "bias"):
                tensors[f"{convolution}.conv2d.{part}"] = value
            else:
                tensors[f"{norm}.{'weight' if part == 'scale' else 'bias'}"] = value[0].copy()
        source, converted = self.folder / "example.safetensors", self.folder / "converted.safetensors"
        safetensors.numpy.save_file(tensors, source)
        command = [sys.executable, ROOT / "deploy/setup/model.py", source, "--out", converted]
        subprocess.run([*command, "--style", "reed", "--licence", "CC0-1.0"], check=True, capture_output=True)
        picture, = self.export(model=converted).run(["picture"], {"image": self.golden["input"]})
        self.assert_close(picture, self.golden["style.picture"])

    def test_the_engine_makes_the_same_picture_at_any_size(self):
        session = self.export("--style", "slate")
        random = np.random.default_rng(16)
        for height, width in ((16, 16), (61, 34), (64, 98), (103, 75)):
            with self.subTest(height=height, width=width):
                image = random.integers(0, 256, (height, width, 3), np.uint8)
                content, out = self.folder / f"{width}x{height}.tiff", self.folder / "out"
                tifffile.imwrite(content, image, photometric="rgb")
                options = ("--style", "slate", "--format", "tiff", "--precision", "f32", "--out", out)
                stylefleet("apply", "--model", MODEL, content, *options)
                made, = out.glob(f"{width}x{height}*.tif*")
                engine = tifffile.imread(made).transpose(2, 0, 1)[None] / 257  # of 65535
                inputs = {"image": image.transpose(2, 0, 1)[None].astype(np.float32)}
                picture, = session.run(["picture"], inputs)
                self.assert_close(picture, engine, TOLERANCE + ROUNDING)


if __name__ == "__main__":
    unittest.main()
