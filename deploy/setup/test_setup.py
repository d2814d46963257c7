"""Tests of setup.sh:  python -m unittest discover deploy/setup

With real venvs and a real pip, which gets small wheels from a folder in place of PyPI's. The driver, or
its absence, is what an ldconfig of the tests' own says.
"""
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

SETUP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "setup.sh")
TOOLKIT = {"cudart": "nvidia-cuda-runtime==13.0.96.*", "cupti": "nvidia-cuda-cupti==13.0.85.*", "cublas": "nvidia-cublas"}
# (name, version): what it holds, what it requires
WHEELS = {
    ("torch", "2.13.0"): (
        ["torch/__init__.py", "torch/version.py", "torch/nn/__init__.py", "torch/include/torch/torch.h",
         *(f"torch/lib/{name}.so" for name in ("libtorch", "libtorch_cpu", "libtorch_cuda", "libtorch_python"))],
        ["cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == 'Linux'", "nvidia-cudnn-cu13"]),
    ("cuda-toolkit", "13.0.3"): ([], [f"{package}; extra == '{extra}'" for extra, package in TOOLKIT.items()]),
    ("nvidia-cuda-runtime", "13.0.96"): (["nvidia/cu13/lib/libcudart.so.13"], []),
    ("nvidia-cuda-runtime", "13.9"): (["nvidia/cu13/lib/libcudart.so.too-new"], []),
    ("nvidia-cuda-cupti", "13.0.85"): (["nvidia/cu13/lib/libcupti.so.13"], []),
    ("nvidia-cublas", "13.1"): (["nvidia/cu13/lib/libcublas.so.13"], []),
    ("nvidia-cudnn-cu13", "9.20"): (["nvidia/cudnn/lib/libcudnn.so.9"], []),
    **{(name, "1.0"): ([f"{name}.py"], []) for name in ("numpy", "pillow", "safetensors", "h5py")},
}
CPU_HALF = ["nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13", "torch/include/torch/torch.h",
            "torch/lib/libtorch.so", "torch/lib/libtorch_cpu.so", "torch/version.py"]
CUDA_HALF = ["nvidia/cu13/lib/libcublas.so.13", "nvidia/cudnn/lib/libcudnn.so.9", "torch/lib/libtorch_cuda.so",
             "torch/lib/libtorch_python.so", "torch/__init__.py", "torch/nn/__init__.py"]


def write_wheel(folder, name, version, files, requires):
    stem = f"{name.replace('-', '_')}-{version}"
    content = dict.fromkeys(files, "") | {
        f"{stem}.dist-info/METADATA": "\n".join([
            "Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}",
            *(f"Provides-Extra: {extra}" for extra in TOOLKIT if name == "cuda-toolkit"),
            *(f"Requires-Dist: {package}" for package in requires)]) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    with zipfile.ZipFile(os.path.join(folder, f"{stem}-py3-none-any.whl"), "w") as wheel:
        for path, text in content.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(f"{path},,\n" for path in [*content, record]))


class SetUp(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.wheels, self.bin = (os.path.join(folder.name, name) for name in ("wheels", "bin"))
        self.venv = os.path.join(folder.name, "cache", "libtorch-2.13.0")
        os.mkdir(self.wheels)
        os.mkdir(self.bin)
        for (name, version), (files, requires) in WHEELS.items():
            write_wheel(self.wheels, name, version, files, requires)
        weights = os.path.join(folder.name, "weights")
        open(weights, "w").close()
        self.environment = {name: value for name, value in os.environ.items() if name != "LIBTORCH"} | {
            "PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHON": sys.executable, "STYLEFLEET_WEIGHTS": weights,
            "STYLEFLEET_CACHE": os.path.dirname(self.venv), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels}
        for name in ("ffmpeg", "ffprobe"):
            self.write_program(name, "")
        self.set_driver(False)

    def write_program(self, name, lines):
        with open(os.path.join(self.bin, name), "w") as file:
            file.write("#!/bin/sh\n" + lines)
        os.chmod(file.name, 0o755)

    def set_driver(self, there):
        libraries = ["libheif.so.1", "libcuda.so.1"] if there else ["libheif.so.1"]
        lines = [f"echo '\t{name} (libc6,x86-64) => /{name}'\n" for name in libraries]
        self.write_program("ldconfig", "".join(lines))

    def set_up(self, *options):
        return subprocess.run([SETUP, *options], env=self.environment, text=True, capture_output=True)

    def assert_installed(self, *options):
        """What setup.sh says, and what of both halves there is where it says that libtorch is."""
        ended = self.set_up("--env", *options)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        settings = dict(line.removeprefix("export ").split("=", 1) for line in ended.stdout.splitlines())
        libtorch = settings["LIBTORCH"].strip("'")
        site = os.path.dirname(libtorch)
        there = [path for path in CPU_HALF + CUDA_HALF if os.path.exists(os.path.join(site, path))]
        self.assertFalse(os.path.exists(os.path.join(site, "nvidia/cu13/lib/libcudart.so.too-new")))
        self.assertFalse(os.path.exists(os.path.join(self.venv, "wheels")))
        return ended.stderr, there

    def test_without_a_driver_the_cpu_half_until_all_is_asked_for(self):
        said, there = self.assert_installed()
        self.assertEqual(there, CPU_HALF)
        self.assertIn("a download of 540 MB", said)
        self.assertEqual(self.assert_installed(), ("", CPU_HALF))

        said, there = self.assert_installed("--cuda")
        self.assertEqual(there, CPU_HALF + CUDA_HALF)
        self.assertIn("a download of 2.8 GB", said)
        self.assertEqual(self.assert_installed("--cuda"), ("", CPU_HALF + CUDA_HALF))
        self.assertEqual(self.assert_installed(), ("", CPU_HALF + CUDA_HALF))

    def test_with_a_driver_the_whole(self):
        self.set_driver(True)
        self.assertEqual(self.assert_installed()[1], CPU_HALF + CUDA_HALF)
        self.set_driver(False)
        self.assertEqual(self.assert_installed(), ("", CPU_HALF + CUDA_HALF))

    def test_the_cpu_half_outlives_a_download_that_fails(self):
        self.assert_installed()
        os.remove(os.path.join(self.wheels, "nvidia_cublas-13.1-py3-none-any.whl"))
        ended = self.set_up("--cuda")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("nvidia-cublas", ended.stderr)
        self.assertRegex(ended.stderr, "setup: libtorch was not installed .*: run this again")
        said, there = self.assert_installed()
        self.assertEqual((said, there), ("", CPU_HALF))

    def test_an_install_that_was_cut_off_is_done_anew(self):
        self.assert_installed()
        os.remove(os.path.join(self.venv, "complete-cpu"))
        self.assertEqual(self.assert_installed()[1], CPU_HALF)

    def test_options(self):
        ended = self.set_up("--gpu")
        self.assertEqual((ended.returncode, ended.stderr), (1, "setup: --gpu is not known; usage: setup.sh [--cuda] [--env]\n"))


if __name__ == "__main__":
    unittest.main()
