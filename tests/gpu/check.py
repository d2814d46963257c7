#!/usr/bin/env python3
"""Checks Stylefleet on a machine with a CUDA device, and measures it there.

  check.py --bin DIR --out DIR [--tests DIR] [--device D] [--photos PHOTOS]... [--only PART]...

`--bin` has both programs, `--tests` the engine's test programs, which then compute on the device.
STYLEFLEET_WEIGHTS names the weights. The Python that runs this has Pillow, and the PyTorch whose
example is measured. Each part prints its figures as it ends and writes them to DIR/PART.json; a
part that fails says why, and the others go on. Exits with 1 if one failed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from statistics import median

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "deploy/samples"
CONTENT = SAMPLES / "contents/lighthouse.png"
STYLE = SAMPLES / "styles/night.png"
BENCH = ROOT / "tests/bench"
SIZES = (256, 512, 1024, 2048)


class Memory:
    """Most memory of the device that was in use meanwhile, by nvidia-smi, in MB, and its load."""

    QUERY = ["nvidia-smi", "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader,nounits"]

    def __enter__(self):
        self.most, self.busy, self.over = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.2):
            seen = subprocess.run(self.QUERY, stdout=subprocess.PIPE, text=True).stdout.split("\n")[0]
            used, busy = map(int, seen.split(","))
            self.most = max(self.most, used)
            self.busy.append(busy)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def figures(self):
        return {"device_mb": self.most, "device_busy": median(self.busy) if self.busy else None}


class Check:
    def __init__(self, args):
        self.args = args
        self.out = args.out.resolve()
        self.bin = args.bin.resolve()

    def run(self, program, *arguments, timeout=240, **options):
        """The standard output of a program, which must succeed."""
        command = [program, *map(str, arguments)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **options
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}: {done.stderr[-1500:]}")
        return done.stdout

    def stylefleet(self, name, *arguments):
        """What a command on this device reported, each event with the second of its arrival."""
        command = [self.bin / "stylefleet", *map(str, arguments), "--device", self.args.device, "--json"]
        log = self.out / f"{name}.log"
        begin, events = time.monotonic(), []
        with open(log, "w") as errors:
            process = subprocess.Popen(
                command, cwd=self.out, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            for line in process.stdout:
                events.append(json.loads(line) | {"at": time.monotonic() - begin})
        if process.wait() != 0:
            said = [log.read_text()[-1500:], *events[-1:]]
            raise RuntimeError(f"{' '.join(map(str, command))}: {said}")
        return events

    def redraw(self, name, size, *options):
        """Redraws the sample; the events and the record."""
        arguments = ["run", CONTENT, "--style", STYLE, "--out", name, "--size", size]
        events = self.stylefleet(name, *arguments, *options)
        return events, self.record(name)

    def record(self, folder):
        return json.loads(next((self.out / folder).glob("*.json")).read_text())

    # The parts. The last takes longest.

    def doctor(self):
        """Whether the device is found and computes."""
        return json.loads(
            self.run(self.bin / "stylefleet-worker", "doctor", "--device", self.args.device, "--json")
        )

    def golden(self):
        """The engine's tests on the device."""
        found = {}
        for program in sorted(self.args.tests.iterdir()):
            log = self.out / f"{program.name}.log"
            subprocess.run(
                [program.resolve(), "--test-threads", "8"],
                env=os.environ
                | {
                    "STYLEFLEET_TEST_DEVICE": self.args.device,
                    # As the worker does, before anything else.
                    "NVIDIA_TF32_OVERRIDE": "0",
                    # libtorch looks only once for its CUDA half: at what a test does first.
                    "LD_PRELOAD": "libtorch_cuda.so",
                    # Tests run side by side: more threads would get in each other's way.
                    "OMP_NUM_THREADS": "1",
                },
                stdout=log.open("w"),
                stderr=subprocess.STDOUT,
            )
            said = log.read_text()
            failed = re.findall(r"^test (\S+) \.\.\. FAILED", said, re.M)
            result = re.findall(r"^test result: .*", said, re.M)
            found[program.name.rsplit("-", 1)[0]] = {"result": result, "failed": failed}
        return found

    def evaluations(self):
        """Seconds of an evaluation at one scale, by size and precision."""
        found = {}
        for precision in ("f32", "bf16"):
            for size in SIZES:
                name = f"evaluation-{precision}-{size}"
                options = ["--scales", 1, "--evaluations", 60, "--precision", precision]
                with Memory() as memory:
                    events, record = self.redraw(name, size, *options)
                found[f"{precision} {size}"] = {
                    "seconds": pace(events),
                    "loss": record["figures"]["loss"],
                    "precision": record["made_with"]["precision"],
                } | memory.figures()
        return found

    def pictures(self):
        """The sample at the defaults, twice: how long, and whether the bytes are the same."""
        found = {}
        for size in (512, 1024):
            made = []
            for turn in ("first", "again"):
                events, record = self.redraw(f"picture-{size}-{turn}", size)
                picture = next((self.out / f"picture-{size}-{turn}").glob("*.png")).read_bytes()
                made.append((picture, record, events[-1]["at"]))
            found[size] = {
                "seconds": [record["seconds"] for _, record, _ in made],
                "wall": [wall for _, _, wall in made],
                "losses": [record["figures"]["loss"] for _, record, _ in made],
                "same_bytes": made[0][0] == made[1][0],
                "made_with": made[0][1]["made_with"],
            }
        return found

    def side_by_side(self):
        """Evaluations a second of one worker and of two on the device."""
        found = {}
        for size in (256, 1024):
            for workers in (1, 2):
                paces = [None] * workers

                def work(number):
                    options = ["--scales", 1, "--evaluations", 120]
                    name = f"side-{size}-{workers}-{number}"
                    paces[number] = pace(self.redraw(name, size, *options)[0])

                threads = [threading.Thread(target=work, args=[number]) for number in range(workers)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                found[f"{workers} at {size}"] = sum(1 / seconds for seconds in paces)
        return found

    def batch(self):
        """Twelve small pictures, one after the other: seconds at work, and in all."""
        folder = self.out / "contents"
        folder.mkdir(exist_ok=True)
        for number in range(12):
            picture = Image.open(CONTENT).convert("RGB").resize((256, 256))
            picture.rotate(number).save(folder / f"{number:02}.png")
        arguments = ["run", folder, "--style", STYLE, "--out", "batch", "--size", 256]
        with Memory() as memory:
            events = self.stylefleet("batch", *arguments, "--evaluations", 100)
        records = [json.loads(file.read_text()) for file in (self.out / "batch").glob("*.json")]
        began = next(event["at"] for event in events if event["event"] == "started")
        work = sum(record["seconds"] for record in records)
        return {"work": work, "from_the_first": events[-1]["at"] - began} | memory.figures()

    def large(self):
        """A picture that the device has no room for at once: it is worked on in tiles."""
        side = 8192
        with Memory() as memory:
            options = ["--scales", 1, "--evaluations", 3, "--max-pixels", side * side]
            options += ["--precision", "f32"]
            events, record = self.redraw("large", f"{side}x{side}", *options)
        notes = [event for event in events if event["event"] not in ("progress", "preview")]
        return {"seconds": pace(events), "record": record["figures"], "events": notes} | memory.figures()

    def notebook(self):
        """The notebook's procedure in PyTorch, and seconds of its evaluation."""
        found = {}
        for size in (512, 1024):
            for name, image in (("content", CONTENT), ("style", STYLE)):
                Image.open(image).convert("RGB").resize((size, size)).save(self.out / f"{name}.png")
            arguments = ["--content", "content.png", "--style", "style.png", "--out", "notebook.png"]
            arguments += ["--restarts", 4, "--device", self.args.device]
            command = [sys.executable, BENCH / "notebook.py", *map(str, arguments)]
            process = subprocess.Popen(command, cwd=self.out, stdout=subprocess.PIPE, text=True)
            begin = time.monotonic()
            at = [time.monotonic() - begin for line in process.stdout if "evaluation" in line]
            found[size] = {"seconds": (at[-1] - at[5]) / (len(at) - 6)}
            if process.wait() != 0:
                raise RuntimeError("notebook.py failed")
        return found

    def networks(self):
        """Seconds of a picture and of a step of training, beside PyTorch's example."""
        found = {}
        for width in (16, 32):
            for size in (512, 1024, 4096):
                for precision in ("f32", "bf16"):
                    name = f"apply-{width}-{size}-{precision}"
                    found[name] = self.apply(name, self.model(width), size, precision)
        for size in (512, 1024):
            arguments = [BENCH / "fast_neural_style.py", "apply", "--size", size, "--pictures", 100]
            found[f"example-{size}"] = self.example(*arguments)
        arguments = [BENCH / "fast_neural_style.py", "train", "--size", 256, "--steps", 50]
        found["example-train"] = self.example(*arguments)
        layers = ["--style-layers", "conv1_2,conv2_2,conv3_3,conv4_3", "--content-layers", "conv2_2"]
        for precision in ("f32", "bf16"):
            name = f"train-{precision}"
            with Memory() as memory:
                events = self.train(name, 32, *layers, "--steps", 80, "--precision", precision)
            found[name] = {"seconds": pace(events)} | memory.figures()
        return found

    def model(self, width):
        """A model of that width: how it was trained is of no matter to the time."""
        name = f"width-{width}"
        if not (self.out / name / "model.safetensors").exists():
            self.train(name, width, "--steps", 1, "--size", 32, "--batch", 1)
        return f"{name}/model.safetensors"

    def train(self, name, width, *options):
        photographs = [part for photos in self.args.photos for part in ("--photos", photos)]
        arguments = ["train", "--style", STYLE, *photographs, "--width", width]
        return self.stylefleet(name, *arguments, "--out", f"{name}/model.safetensors", *options)

    def apply(self, name, model, size, precision):
        pictures = 4 if size > 2048 else 40
        folder = self.out / f"contents-{size}"
        if not folder.exists():
            folder.mkdir()
            whole = Image.open(CONTENT).convert("RGB").resize((size + pictures, size))
            for number in range(pictures):
                whole.crop((number, 0, number + size, size)).save(folder / f"{number:02}.png")
        arguments = ["apply", "--model", model, folder, "--out", name, "--max-pixels", size * size]
        arguments += ["--precision", precision, "--format", "jpeg"]
        with Memory() as memory:
            events = self.stylefleet(name, *arguments)
        records = [json.loads(file.read_text()) for file in (self.out / name).glob("*.json")]
        ends = [event["at"] for event in events if event["event"] == "finished"]
        return {
            "seconds": median(record["seconds"] for record in records),
            "apart": (ends[-1] - ends[0]) / (len(ends) - 1),
        } | memory.figures()

    def example(self, *arguments):
        return json.loads(self.run(sys.executable, *arguments, "--device", self.args.device))

    PARTS = "doctor evaluations pictures networks batch side_by_side large notebook golden".split()


def pace(events):
    """Mean seconds of a step, from the fifth that was reported to the last."""
    progress = [event for event in events if event["event"] == "progress"]
    first, last = progress[min(5, len(progress) - 2)], progress[-1]
    return (last["at"] - first["at"]) / (last["steps"] - first["steps"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tests", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--photos", action="append", default=[], help="what networks are trained on")
    parser.add_argument("--only", action="append", choices=Check.PARTS)
    args = parser.parse_args()
    args.photos = [Path(photos).resolve() for photos in args.photos]
    args.out.mkdir(parents=True, exist_ok=True)
    check, failed = Check(args), []
    for part in args.only or Check.PARTS:
        begin = time.monotonic()
        try:
            figures = getattr(check, part)()
            (check.out / f"{part}.json").write_text(json.dumps(figures, indent=1))
            print(f"{part}, {time.monotonic() - begin:.1f} s: {json.dumps(figures)}", flush=True)
        except Exception:
            failed.append(part)
            print(f"{part} FAILED: {traceback.format_exc()[-1800:]}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
