"""Measures networks: how fast they are applied and trained, and how good their pictures are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from PIL import Image
import skimage

import measure

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "deploy/samples"
MODEL = SAMPLES / "models/samples.safetensors"
STYLE = "night"
# Photographs that the model was not trained on.
HELD_OUT = ("astronaut", "camera", "chelsea", "coffee", "motorcycle_left", "rocket")
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
# The layers of PyTorch's example.
EXAMPLE = ["--style-layers", "conv1_2,conv2_2,conv3_3,conv4_3", "--content-layers", "conv2_2"]
EXAMPLE += ["--tv-weight", "0"]


class Networks:
    def __init__(self, args, results, measured):
        self.args = args
        self.work = args.work / "networks"
        self.results = results
        self.results.mkdir(parents=True, exist_ok=True)
        self.measured = measured

    def once(self, name, make):
        """The figures of that name: those of an earlier run if there are any."""
        file = self.results / f"{name}.json"
        if not file.exists():
            measure.say(name)
            load = measure.idle_load(self.args.patience)
            figures = make() | {"load": load} | self.measured
            file.write_text(json.dumps(figures, indent=1))
        return json.loads(file.read_text())

    def stylefleet(self, out, *arguments):
        """Runs it; the records of what it made, the command, and the most memory that it took."""
        shutil.rmtree(self.work / out, ignore_errors=True)
        program, arguments = self.args.bin / "stylefleet", [*map(str, arguments), "--device", "cpu"]
        process = subprocess.Popen([program, *arguments], cwd=self.work, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        command = " ".join(["stylefleet", *arguments]).replace(f"{SAMPLES}/", "")
        if process.returncode != 0:
            sys.exit(f"bench: {command} failed")
        records = (json.loads(file.read_text()) for file in sorted((self.work / out).glob("*.json")))
        # Of the worker, which is the largest of the processes that it awaited.
        return list(records), {"command": command, "peak_mb": usage.ru_maxrss * 1024 / 1e6}

    def example(self, what, *arguments):
        """PyTorch's example."""
        command = ["fast_neural_style.py", what, *map(str, arguments)]
        program = [sys.executable, HERE / command[0], *command[1:]]
        made = subprocess.run(program, check=True, stdout=subprocess.PIPE)
        return json.loads(made.stdout) | {"command": " ".join(command)}

    def contents(self, folder, pictures, size):
        """Parts of a picture, each a little less of it, and so another."""
        (self.work / folder).mkdir(parents=True, exist_ok=True)
        picture = Image.open(SAMPLES / "contents/lighthouse.png").convert("RGB")
        for number in range(pictures):
            part = picture.crop((number, 0, picture.width, picture.height))
            part.resize((size, size), Image.BICUBIC).save(self.work / folder / f"{number:02}.png")

    def train(self, steps, size, batch):
        """Seconds of a step with the example's layers, of a network of its width."""
        self.contents("photographs", 8, 2 * size)
        options = ["--size", size, "--batch", batch, "--width", 32, "--steps"]
        arguments = ["train", "--style", SAMPLES / f"styles/{STYLE}.png", "--photos", "photographs"]
        arguments += ["--out", "trained/model.safetensors", *EXAMPLE, *options]
        # Of the one and of the other, the start is the same.
        (few,), _ = self.stylefleet("trained", *arguments, 2)
        (many,), about = self.stylefleet("trained", *arguments, 2 + steps)
        seconds = (many["seconds"] - few["seconds"]) / steps
        return {"seconds": seconds, "precision": many["made_with"]["precision"]} | about

    def apply(self, model, pictures, size, *options):
        """Seconds of a picture."""
        self.contents(f"contents-{size}", pictures, size)
        arguments = ["apply", "--model", model, f"contents-{size}", "--out", "applied"]
        records, about = self.stylefleet("applied", *arguments, *options)
        return {"seconds": median(record["seconds"] for record in records)} | about

    def untrained(self, width):
        """A model of that width: how it was trained is of no matter to the time."""
        out = f"width-{width}"
        if not (self.work / out / "model.safetensors").exists():
            self.contents("photographs", 8, 64)
            arguments = ["train", "--style", SAMPLES / f"styles/{STYLE}.png", "--photos", "photographs"]
            arguments += ["--size", 32, "--steps", 1, "--batch", 1, "--width", width]
            self.stylefleet(out, *arguments, "--out", f"{out}/model.safetensors")
        return f"{out}/model.safetensors"

    def optimize(self, size):
        """Seconds of the default optimisation."""
        self.contents(f"content-{size}", 1, size)
        arguments = ["run", f"content-{size}", "--style", SAMPLES / f"styles/{STYLE}.png"]
        (record,), about = self.stylefleet("optimized", *arguments, "--size", size, "--out", "optimized")
        return {"seconds": record["seconds"]} | about

    def losses(self, counts, size):
        """Losses of the network's saved pictures, and of the optimiser's after so many evaluations
        from the content at one scale, by photograph."""
        folder = self.work / "held-out"
        folder.mkdir(parents=True, exist_ok=True)
        for name in HELD_OUT:
            photograph = Image.open(next(PHOTOGRAPHS.glob(f"{name}.*"))).convert("RGB")
            side = min(photograph.size)
            left, top = ((length - side) // 2 for length in photograph.size)
            part = photograph.crop((left, top, left + side, top + side))
            part.resize((size, size), Image.BICUBIC).save(folder / f"{name}.png")
        arguments = ["apply", "--model", MODEL, "held-out", "--style", STYLE, "--out", "redrawn"]
        _, about = self.stylefleet("redrawn", *arguments)
        run = ["--style", SAMPLES / f"styles/{STYLE}.png", "--size", size, "--scales", 1]
        # What the model was trained for, with strokes of as many pixels.
        trained = json.loads(MODEL.with_suffix(".json").read_text())["specification"]
        objective, side = trained["objective"], trained["training"]["size"]
        run += ["--style-weight", objective["style_weight"]]
        run += ["--style-scale", objective["style_scale"] * side / size]
        losses = {}
        for name in HELD_OUT:
            # The loss that a run begins at, which one evaluation does not change.
            begun = ["--init", f"redrawn/{name}.{STYLE}.png", "--evaluations", 1, "--out", "scored"]
            (scored,), _ = self.stylefleet("scored", "run", f"held-out/{name}.png", *run, *begun)
            losses[name] = {"network": scored["figures"]["loss"]}
            for count in counts:
                length = ["--evaluations", count, "--out", "optimized"]
                (record,), _ = self.stylefleet("optimized", "run", f"held-out/{name}.png", *run, *length)
                losses[name][str(count)] = record["figures"]["loss"]
        return {"losses": losses} | about

    def measure(self, quick=False):
        """All of it; `quick`: small and short, to check the chain."""
        size, pictures, steps, batch = (64, 2, 2, 2) if quick else (512, 10, 6, 4)
        self.once("example-apply", lambda: self.example("apply", "--size", size, "--pictures", pictures))
        for width in (32, 16):
            for precision in ("f32", "bf16"):
                model = self.untrained(width)
                name = f"network-apply-{width}-{precision}"
                options = ("--precision", precision)
                self.once(name, lambda: self.apply(model, pictures, size, *options))
        large = 512 if quick else 4096
        tight = ("--memory", "2GiB", "--max-pixels", large * large)
        self.once("network-large", lambda: self.apply(self.untrained(32), 1, large, *tight))
        self.once("network-optimize", lambda: self.optimize(size))
        options = ["--size", size // 2, "--batch", batch, "--steps", steps]
        self.once("example-train", lambda: self.example("train", *options))
        self.once("network-train", lambda: self.train(steps, size // 2, batch))
        self.once("network-losses", lambda: self.losses((5, 10) if quick else (5, 10, 25, 50, 100), size // 2))
