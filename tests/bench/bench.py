#!/usr/bin/env python3
"""Measures the notebook's procedure, pastiche and Stylefleet, one after the other.

run.sh starts this, with all that it needs installed. Each tool's figures land in a JSON file of
its own in the work folder's `results`; report.py makes tables of them.
"""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

from PIL import Image

import machine
import measure

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "deploy/samples"
IMAGES = ["--content", "content.png", "--style", "style.png"]
PLENTY = 1000  # evaluations, since --stop-below is what shall end Stylefleet's runs


def prepare(work, size):
    """The inputs at their final size, so that every tool gets the same pixels."""
    (work / "results").mkdir(parents=True, exist_ok=True)
    for name, sample in (("content", "contents/lighthouse"), ("style", "styles/night")):
        picture = Image.open(SAMPLES / f"{sample}.png").convert("RGB")
        picture.resize((size, size), Image.BICUBIC).save(work / f"{name}.png")


def score(work, objective, picture):
    """The loss of a saved picture, computed in a process of its own: this one stays small."""
    command = [sys.executable, HERE / "score.py", "--objective", objective, *IMAGES, picture]
    scored = subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE)
    return json.loads(scored.stdout)["loss"]


def precision(picture):
    """What the network computed in. Stylefleet alone has a choice; it says so beside the picture."""
    record = picture.with_suffix(".json")
    return json.loads(record.read_text())["precision"] if record.exists() else "f32"


class Bench:
    def __init__(self, args):
        self.args = args

    def measure(self, tool, objective, program, arguments, picture):
        """The tool's figures: those of an earlier run if it left any."""
        work, file = self.args.work, self.args.work / "results" / f"{tool}.json"
        if not file.exists():
            shutil.rmtree(work / tool, ignore_errors=True)
            read = measure.READERS[tool.split("-")[0]]
            result = measure.run(tool, program, arguments, read, work, self.args.patience)
            result |= {"objective": objective, "saved": score(work, objective, picture)}
            result["precision"] = precision(work / picture)
            file.write_text(json.dumps(result, indent=1))
        return json.loads(file.read_text())

    def notebook(self):
        program = [sys.executable, str(HERE / "notebook.py")]
        arguments = [*IMAGES, "--out", "notebook.png", "--restarts", str(self.args.restarts)]
        return self.measure("notebook", "notebook", program, arguments, "notebook.png")

    def pastiche(self):
        program = [str(Path(sys.executable).parent / "pastiche")]
        arguments = ["--content", "content.png", "--styles", "style.png"]
        arguments += ["--output", "pastiche.png", "--size", str(self.args.size), "--device", "cpu"]
        arguments += ["--num-steps", str(self.args.steps), "--info-step", "1"]
        return self.measure("pastiche", "pastiche", program, arguments, "pastiche.png")

    def stylefleet(self, rival, target):
        """To the rival's loss: that of its saved picture, or the lower one it had inside."""
        objective = rival["objective"]
        tool = f"stylefleet-{objective}-{target}"
        program = [str(self.args.bin / "stylefleet")]
        arguments = ["run", "content.png", "--style", "style.png", "--out", tool, "--json"]
        arguments += ["--preset", objective, "--size", f"{self.args.size}x{self.args.size}"]
        arguments += ["--device", "cpu", "--evaluations", str(PLENTY)]
        arguments += ["--stop-below", repr(rival[target])]
        return self.measure(tool, objective, program, arguments, f"{tool}/content.style.png")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, required=True, help="where stylefleet was built")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--keep", action="store_true", help="measure only what is missing there")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--restarts", type=int, default=50, help="of the notebook's optimiser")
    parser.add_argument("--steps", type=int, default=300, help="of pastiche")
    parser.add_argument("--patience", type=int, default=180, help="seconds to wait for quiet")
    args = parser.parse_args()
    if not args.keep:
        shutil.rmtree(args.work, ignore_errors=True)
    prepare(args.work, args.size)
    bench = Bench(args)
    for rival in (bench.notebook(), bench.pastiche()):
        for target in ("internal", "saved"):
            bench.stylefleet(rival, target)
    about = machine.describe(args.bin)
    about |= {"date": date.today().isoformat(), "size": args.size}
    (args.work / "results/about.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
