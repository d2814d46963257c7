#!/usr/bin/env python3
"""Measures how light the programs are, and how soon `run` computes; start.md has the figures.

    env=$(deploy/setup/setup.sh --env) && eval "$env" && tests/bench/start.py ~/.cache/stylefleet/target/release
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import measure

SAMPLES = Path(__file__).resolve().parents[2] / "deploy/samples"
TIMES = 20


def command(*arguments):
    """Seconds and peak MB of a command that says something and ends."""
    begin = time.monotonic()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.monotonic() - begin, usage.ru_maxrss * 1024 / 1e6


def run(program):
    """Seconds from the start of `stylefleet run` to its first evaluation of loss and gradient."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["run", str(SAMPLES / "contents/lighthouse.png"), "--device", "cpu", "--json", "--out", "out"]
        arguments += ["--style", str(SAMPLES / "styles/night.png"), "--size", "64", "--evaluations", "1"]
        read = measure.READERS["stylefleet"]
        return measure.run("stylefleet", [program], arguments, read, Path(folder), patience=0)["startup"]


def main():
    bin = Path(sys.argv[1])
    for name in ("stylefleet", "stylefleet-worker"):
        print(f"{name}: {(bin / name).stat().st_size / 1e6:.0f} MB")
    for name, option in (("stylefleet", "--help"), ("stylefleet-worker", "--version")):
        seconds, peaks = zip(*(command(bin / name, option) for _ in range(TIMES)))
        figures = f"{median(seconds) * 1e3:.0f} ms (at least {min(seconds) * 1e3:.0f})"
        print(f"{name} {option}: {figures}, {max(peaks):.0f} MB")
    starts = [run(str(bin / "stylefleet")) for _ in range(TIMES)]
    print(f"run to its first evaluation: {median(starts):.2f} s (at least {min(starts):.2f})")


if __name__ == "__main__":
    main()
