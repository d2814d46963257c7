"""Tests of what `make dist` made:  DIST=dist python -m unittest discover deploy/dist

The tarball is installed under a folder of its own, the .deb unpacked, the wheel installed into a venv.
"""
import glob
import gzip
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = {"bin/stylefleet": 40e6, "lib/stylefleet/stylefleet-worker": 40e6}  # and their most bytes
DIST = os.path.abspath(os.environ.get("DIST", "dist"))


def run(*command, **environment):
    """(exit code, what it said) without the libtorch that a developer's environment names."""
    clean = {name: value for name, value in os.environ.items() if name not in ("LIBTORCH", "LD_LIBRARY_PATH")}
    clean["STYLEFLEET_THREADS"] = "1"
    ended = subprocess.run(command, env=clean | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout


class Dist(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.prefix = self.path("usr")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def done(self, *command, **environment):
        code, said = run(*command, **environment)
        self.assertEqual(code, 0, said)
        return said

    def product(self, pattern):
        found = glob.glob(os.path.join(DIST, pattern))
        self.assertEqual(len(found), 1, f"{pattern} in {DIST}: run  make dist")
        return found[0]

    def check_installed(self):
        """Both commands under self.prefix are there; the worker says how to get libtorch, and takes one."""
        command = os.path.join(self.prefix, "bin", "stylefleet")
        worker = command + "-worker"
        self.assertRegex(self.done(command, "--version"), r"^stylefleet \d")
        cache = self.path("cache")
        code, said = run(worker, "doctor", STYLEFLEET_CACHE=cache)
        self.assertEqual(code, 1)
        self.assertRegex(said, "^stylefleet-worker: .* run  stylefleet-setup")
        code, said = run(command, "run", *self.pictures(), "--out", self.path("out"), STYLEFLEET_CACHE=cache)
        self.assertEqual(code, 1)
        self.assertIn("run  stylefleet-setup", said)
        # Set-up finds nothing to fetch where LIBTORCH and STYLEFLEET_WEIGHTS say what to use.
        libtorch, weights = os.environ["LIBTORCH"], os.environ["STYLEFLEET_WEIGHTS"]
        self.done(command + "-setup", STYLEFLEET_CACHE=cache, LIBTORCH=libtorch, STYLEFLEET_WEIGHTS=weights)
        self.assertRegex(self.done(worker, "--version", STYLEFLEET_CACHE=cache), r"^stylefleet-worker \d")
        self.done(command, "run", *self.pictures(), "--out", self.path("out"), STYLEFLEET_CACHE=cache)
        self.assertEqual(len(glob.glob(self.path("out", "*.png"))), 1)
        share = os.path.join(self.prefix, "share")
        for page in ("stylefleet", "stylefleet-run", "stylefleet-dead-retry", "stylefleet-worker-serve"):
            with gzip.open(os.path.join(share, "man/man1", page + ".1.gz"), "rt") as file:
                self.assertIn(f".TH {page} 1", file.read().replace("\\", ""))
        for program, word in (("stylefleet", "submit-train"), ("stylefleet-worker", "checkpoint-seconds")):
            for script in (f"bash-completion/completions/{program}", f"zsh/*/_{program}",
                           f"fish/vendor_completions.d/{program}.fish"):
                [found] = glob.glob(os.path.join(share, script))
                with open(found) as file:
                    self.assertIn(word, file.read(), script)
        with open(os.path.join(self.prefix, "share/doc/stylefleet/LICENSES-THIRD-PARTY")) as file:
            licences = file.read()
        for crate in ("tch", "lapin", "aws-sdk-s3", "ring", "image"):
            self.assertRegex(licences, rf"\n  {crate} \d")
        self.check_split()

    def check_split(self):
        """The programs are small; with their symbols beside them, debuggers name functions and lines."""
        for program, most in PROGRAMS.items():
            self.assertLess(os.path.getsize(os.path.join(self.prefix, program)), most)
        self.done("tar", "-C", self.prefix, "--strip-components", "1", "-xzf", self.product("stylefleet-*-debug.tar.gz"))
        for program in PROGRAMS:
            path = os.path.join(self.prefix, program)
            found = self.done("nm", path + ".debug")
            address = re.search(r"^(\w+) t _ZN\d+stylefleet_(?:dispatcher|worker)", found, re.M)[1]
            function, line = self.done("addr2line", "--functions", "--exe", path, address).splitlines()
            self.assertIn("stylefleet_", function)
            self.assertRegex(line, r"/src/.+\.rs:\d")

    def pictures(self):
        samples = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "samples")
        content, style = (sorted(glob.glob(os.path.join(samples, kind, "*.png")))[0] for kind in ("contents", "styles"))
        return content, "--style", style, "--size", "32", "--evaluations", "2"

    def test_tarball(self):
        self.done("tar", "-C", self.folder, "-xzf", self.product("stylefleet-*-linux.tar.gz"))
        install = glob.glob(self.path("stylefleet-*", "install.sh"))[0]
        for _ in range(2):
            self.assertIn("stylefleet-setup", self.done(install, "--prefix", self.prefix))
        code, said = run(install, "--prefx", self.prefix)
        self.assertEqual((code, said), (1, "install: usage: install.sh [--prefix FOLDER]\n"))
        self.check_installed()

    def test_deb(self):
        package = self.product("stylefleet_*.deb")
        self.done("dpkg-deb", "--extract", package, self.folder)
        self.assertRegex(self.done("dpkg-deb", "--field", package, "Depends"), r"^libc6 \(>= 2\.\d+\), ")
        self.check_installed()

    def test_wheel(self):
        self.done(sys.executable, "-m", "venv", self.path("venv"))
        self.done(self.path("venv/bin/pip"), "install", "--no-index", self.product("stylefleet-*.whl"))
        command = self.path("venv/bin/stylefleet")
        self.assertRegex(self.done(command, "--version"), r"^stylefleet \d")
        code, said = run(command, "run", *self.pictures(), "--out", self.path("out"), PATH="/usr/bin:/bin")
        self.assertEqual(code, 1)
        self.assertIn("cannot start stylefleet-worker", said)


if __name__ == "__main__":
    unittest.main()
