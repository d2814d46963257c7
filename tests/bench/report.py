#!/usr/bin/env python3
"""Prints BENCHMARKS.md from the figures that bench.py left in a folder:  report.py FOLDER"""

import json
import sys
from pathlib import Path

HEAD = (
    "tool",
    "precision",
    "until",
    "wall s",
    "times faster",
    "start-up s",
    "s/evaluation",
    "evaluations",
    "peak MB",
    "internal loss",
    "saved picture's loss",
)

VIDEOS = Path(__file__).with_name("videos.md")
START = Path(__file__).with_name("start.md")
ON_A_GPU = Path(__file__).with_name("gpu.md")
TRIED = Path(__file__).with_name("tried.md")
NOTES = """\
## How this was measured

- One tool after the other, each as a process of its own with its default number of threads, nothing
  else running; all times are taken from outside. All tools get the same two pictures: the
  project's samples `lighthouse.png` and `night.png`, made as large as the table says beforehand.
- **wall**: from the start of the process to its end, the picture saved. **times faster**: the
  rival's wall divided by this one. **start-up**: from the start of the process to the first
  evaluation of loss and gradient; Stylefleet's is at its coarsest scale.
- **s/evaluation**: mean from the first evaluation at the full size to the last, what the optimiser
  does between them included. **evaluations**: at the full size + at coarser scales.
- **precision**: of the network at the end. Stylefleet's default takes bf16 where that is faster, and
  goes over to f32 when it gets no further.
- **peak MB**: `ru_maxrss` of the largest process: of `stylefleet run`, its worker.
- **internal loss**: what the tool itself says at the end. **saved picture's loss**: what
  `tests/bench/score.py` finds in the 8-bit file that was saved, in 64-bit arithmetic, for all tools
  alike. Its objectives and the notebook's port are held to an independent program's golden values
  before anything is measured.
- The other tools let pixels leave 0 to 255 while they optimise, and clamp them when they
  save: what they save scores worse than what they report. Stylefleet stays within the bounds, so
  its picture is what it reports, up to bf16 and rounding to 8 bits. Hence two goals: *saved* is the
  loss of the picture that the rival's user gets; *internal* is the loss that the rival had inside,
  which its own picture does not have, and which after many steps no picture may have: **never** says
  that Stylefleet's had not got there when its evaluations were used up.
- `notebook.py` is this project's plain port of the 2017 notebook's procedure: style and picture
  through the network as one batch at every evaluation, 50 restarts of scipy's L-BFGS-B with m=10
  and maxfun=20, 32 bits. pastiche and neural-style (the package of that name, of neural-style-pt's
  author) are unchanged, with their defaults but for the options shown; the weights are the ones that
  pastiche brings, for all.
- **memory**: runs of one length for all, 512×512, long enough that pastiche and neural-style remember
  the 100 steps that they keep, and Stylefleet its 20.
- **batch**: the seconds of the optimisations are Stylefleet's own, from each picture's record; the wall
  is that of the whole command, start-up, decoding and encoding included.
- All of it ran on the CPU.
"""


def row(cells):
    return f"| {' | '.join(cells)} |"


def times_faster(rival, result, target):
    """How many times as fast the rival's loss was reached, if it was."""
    if result["internal"] > rival[target]:
        return "never"
    return f"{rival['wall'] / result['wall']:.1f}"


def figures(result, until, faster):
    return row(
        [
            result["tool"],
            result["precision"],
            until,
            f"{result['wall']:.1f}",
            faster,
            f"{result['startup']:.1f}",
            f"{result['per_evaluation']:.3f}",
            " + ".join(str(count) for count in result["evaluations"] if count),
            f"{result['peak_mb']:.0f}",
            f"{result['internal']:.4g}",
            f"{result['saved']:.4g}",
        ]
    )


def until(result, rival, target):
    """What Stylefleet was to reach, and where it, or its picture, did not quite."""
    goal, but = rival[target], ""
    if result["internal"] > goal:
        but = ", not reached"
    elif result["saved"] > goal:
        but = f" (its picture: +{result['saved'] / goal - 1:.1%})"
    return f"{rival['tool']}'s {target} loss, {goal:.4g}{but}"


def table(rival, ours):
    """The rival's figures and Stylefleet's on the rival's objective, and the commands."""
    own_end = f"{rival['evaluations'][0]} evaluations"
    lines = [row(HEAD), row(["---"] * 3 + ["---:"] * (len(HEAD) - 3))]
    lines.append(figures(rival, own_end, "1.0"))
    for target, result in ours:
        faster = times_faster(rival, result, target)
        lines.append(figures(result, until(result, rival, target), faster))
    lines += ["", "```sh", *(result["command"] for result in (rival, *(r for _, r in ours))), "```"]
    return "\n".join(lines)


def quiet(results):
    load = max(result["load"] for result in results)
    others = max(result["others"] for result in results)
    trusted = "" if load <= 0.5 and others <= 0.05 else " **Something else ran: measure again.**"
    return (
        f"Load average before each run: at most {load:.2f};"
        f" share of the machine that other processes used during one: at most {others:.1%}.{trusted}"
    )


def measured(*results):
    """When and on what: with --keep, all of a table need not be of one day and machine."""
    tools = {}
    for result in results:
        tools.setdefault(f"on {result['date']}, {result['cpu']}", set()).add(result["tool"])
    if len(tools) == 1:
        return f"Measured {next(iter(tools))}."
    places = (f"{' and '.join(sorted(names))} {place}" for place, names in tools.items())
    return f"Measured: {'; '.join(places)}."


def batch(figures):
    work = sum(figures["seconds"])
    return (
        f"{figures['pictures']} pictures of {figures['size']} pixels in one style: {figures['wall']:.1f} s,"
        f" **{figures['wall'] / work:.3f} times** the {work:.1f} s of their optimisations."
        f" {measured(figures)}\n\n"
        f"```sh\n{figures['command']}\n```"
    )


def memory(races):
    """Peaks of runs of the same length."""
    head = ("tool", "precision", "evaluations", "peak MB", "of the other tool's")
    lines = [row(head), row(["---"] * 2 + ["---:"] * (len(head) - 2))]
    for rival, ours in races:
        for result in (rival, *ours):
            name = result["tool"]
            if result is not rival:
                name += f", {rival['tool']}'s objective"
            evaluations = f"{result['evaluations'][0]}"
            share = f"{result['peak_mb'] / rival['peak_mb']:.0%}"
            lines.append(row([name, result["precision"], evaluations, f"{result['peak_mb']:.0f}", share]))
    results = [result for rival, ours in races for result in (rival, *ours)]
    commands = "\n".join(result["command"] for result in results)
    return f"{measured(*results)}\n\n" + "\n".join(lines) + f"\n\n```sh\n{commands}\n```"


def networks(results):
    """How fast networks are, against the optimiser and PyTorch's example, and how good."""
    example, optimized = results["example-apply"], results["network-optimize"]
    head = ("a picture of 512×512", "seconds", "of PyTorch's example", "of the optimisation", "peak MB")
    lines = [row(head), row(["---"] + ["---:"] * 4)]

    def line(name, figures):
        seconds = figures["seconds"]
        than_example, than_optimizer = (other["seconds"] / seconds for other in (example, optimized))
        of_example = f"{than_example:.2f} times as fast" if than_example >= 0.01 else "-"
        peak = f"{figures['peak_mb']:.0f}" if "peak_mb" in figures else "-"
        lines.append(row([name, f"{seconds:.3f}", of_example, f"{than_optimizer:,.0f}", peak]))

    line("PyTorch's example", example)
    for width in (32, 16):
        for precision in ("f32", "bf16"):
            line(f"width {width}, {precision}", results[f"network-apply-{width}-{precision}"])
    line("the default optimisation", optimized)
    steps = results["example-train"], results["network-train"]
    share = steps[1]["seconds"] / steps[0]["seconds"]
    large = results["network-large"]
    lines += [
        "",
        f"A training step of 4 samples of 256×256, width 32: {steps[1]['seconds']:.2f} s"
        f" ({steps[1]['precision']}), **{share:.2f} times** the {steps[0]['seconds']:.2f} s of PyTorch's example"
        f" with the same layers.",
        "",
        f"4096×4096 under `--memory 2GiB`, width 32: {large['seconds']:.1f} s, a peak of {large['peak_mb']:.0f} MB.",
        "",
        "Losses of photographs that the model that ships was not trained on, 256×256:",
        "",
    ]
    losses = results["network-losses"]["losses"]
    columns = list(next(iter(losses.values())))
    names = ["the network" if name == "network" else f"{name} evaluations" for name in columns]
    lines += [row(["photograph", *names]), row(["---"] + ["---:"] * len(names))]
    for photograph, of_it in losses.items():
        lines.append(row([photograph, *(f"{of_it[name]:.4g}" for name in columns)]))
    commands = [figures["command"] for figures in results.values() if "command" in figures]
    lines += ["", "```sh", *commands, "```"]
    return f"{measured_of(results)}\n\n" + "\n".join(lines)


def measured_of(results):
    places = sorted({f"on {figures['date']}, {figures['cpu']}" for figures in results.values()})
    return f"Measured {' and '.join(places)}."


def summary(rival, ours, share):
    faster = {target: times_faster(rival, result, target) for target, result in ours}
    each = rival["per_evaluation"] / ours[0][1]["per_evaluation"]
    return row(
        [
            f"{rival['tool']}, {rival['size']}×{rival['size']}",
            faster["internal"],
            f"**{faster['saved']}**",
            f"{each:.2f}",
            "-" if share is None else f"{share:.0%}",
        ]
    )


def pairs(results, names):
    """Each rival's figures, with Stylefleet's on its objective, those of `names`."""
    rivals = [result for result in results.values() if result["tool"] != "stylefleet"]
    rivals.sort(key=lambda rival: (rival["tool"], rival["size"]))
    for rival in rivals:
        name = f"stylefleet-{rival['tool']}-{rival['size']}"
        yield rival, [results[f"{name}-{one}"] for one in names]


def read(folder):
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}


SUMMARY = ("against", "faster to its own loss", "to its picture's loss", "an evaluation", "memory")
TARGETS = ("internal", "saved")


def main():
    folder = Path(sys.argv[1]) / "results"
    if "--networks" in sys.argv:
        print(f"## Networks\n\n{networks(read(folder / 'networks'))}\n")
        return
    results = read(folder)
    about, many = results.pop("about"), results.pop("batch")
    races = [(rival, list(zip(TARGETS, ours))) for rival, ours in pairs(results, TARGETS)]
    weighed = list(pairs(read(folder / "memory"), ("auto", "f32")))
    shares = {tool["tool"]: max(r["peak_mb"] for r in ours) / tool["peak_mb"] for tool, ours in weighed}
    print(f"# Benchmarks\n\nWritten by `make bench` on {about['date']}; not to be edited.\n")
    print(
        "How many times as fast `stylefleet run` reaches the loss that another tool ends at, start-up"
        " included, how long one of its evaluations takes that tool, and how much of its memory"
        " Stylefleet needs at 512×512, in the arithmetic that takes more:\n"
    )
    print("\n".join([row(SUMMARY), row(["---"] + ["---:"] * (len(SUMMARY) - 1))]))
    print("\n".join(summary(*race, shares.get(race[0]["tool"])) for race in races))
    print()
    print("\n".join(f"- {key}: {value}" for key, value in about["machine"].items()))
    print("- versions:", ", ".join(" ".join(pair) for pair in about["versions"].items()))
    print(f"\n{quiet([*results.values(), many])}")
    for rival, ours in races:
        print(f"\n## Against {rival['tool']}, {rival['size']}×{rival['size']}\n")
        print(f"{measured(rival, *(result for _, result in ours))}\n")
        print(table(rival, ours))
    print(f"\n## Memory\n\n{memory(weighed)}")
    print(f"\n## A batch\n\n{batch(many)}\n")
    print(f"## Networks\n\n{networks(read(folder / 'networks'))}\n")
    print(NOTES)
    print(VIDEOS.read_text())
    print(START.read_text())
    print(ON_A_GPU.read_text(), end="")
    print(TRIED.read_text(), end="")


if __name__ == "__main__":
    main()
