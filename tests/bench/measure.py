"""Runs one tool as a process of its own, and measures it from outside, all tools alike."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

QUIET = 0.5  # the load average below which nothing else is running


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def idle_load(patience):
    """The load average, once the run before no longer shows in it or `patience` seconds are over."""
    until = time.monotonic() + patience
    while (load := os.getloadavg()[0]) > QUIET and time.monotonic() < until:
        time.sleep(5)
    if load > QUIET:
        say(f"warning: the load average is {load:.2f}; something else runs, do not trust the times")
    return load


def busy_seconds():
    """CPU seconds that the whole machine has spent on something."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def run(tool, program, arguments, read, work, patience):
    """Runs `program arguments` in `work`, and returns what was measured.

    `read` makes of a line of output None, {"final": loss}, or {"evaluation", "loss", "full"}: loss
    and gradient have been computed so many times, at the full size or not. "total" in either
    counts all sizes.
    """
    load = idle_load(patience)
    command = " ".join([Path(program[-1]).name, *map(shlex.quote, arguments)])
    say(command)
    log = work / f"{tool}.log"
    trace, end = [], {}
    busy, begin = busy_seconds(), time.monotonic()
    with open(log, "w") as errors:
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=work,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    for line in process.stdout:
        event = read(line)
        if event and "final" in event:
            end = event
        elif event:
            trace.append({"seconds": time.monotonic() - begin, **event})
    # ru_maxrss is the peak of the largest process among the tool and those it started and awaited:
    # of `stylefleet`, that is its worker.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not trace:
        sys.exit(f"bench: {tool} failed:\n{log.read_text()[-2000:]}")
    others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
    others = max(0.0, others / (wall * os.cpu_count()))
    if others > 0.05:
        say(f"warning: other processes used {others:.0%} of the machine meanwhile")
    return {
        "tool": tool,
        "command": command,
        "load": load,
        "others": others,
        "startup": trace[0]["seconds"],
        "per_evaluation": per_evaluation([point for point in trace if point["full"]]),
        "wall": wall,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
        "internal": end.get("final", trace[-1]["loss"]),
        "evaluations": counted(trace[-1], end),
        "trace": trace,
    }


def counted(last, end):
    """Evaluations at the full size, and at coarser ones."""
    coarse = last.get("total", last["evaluation"]) - last["evaluation"]
    return [end.get("total", last["evaluation"] + coarse) - coarse, coarse]


def per_evaluation(points):
    """Mean seconds from the first evaluation to the last, so without start-up."""
    first, last = points[0], points[-1]
    return (last["seconds"] - first["seconds"]) / max(1, last["evaluation"] - first["evaluation"])


def read_notebook(line):
    event = json.loads(line)
    return event if "final" in event else {**event, "full": True}


def read_pastiche(line):
    """Lines of step, elapsed seconds, loss; step 0 comes before the first gradient."""
    match = re.fullmatch(r"(\d+)\s+[\d.]+\s+([\d.]+|nan|inf)", line.strip())
    if match and int(match[1]) > 0:
        return {"evaluation": int(match[1]), "loss": float(match[2]), "full": True}


class NeuralStyle:
    """Blocks of lines: the iteration, which is an evaluation, its terms, and its loss."""

    def __init__(self):
        self.evaluation = 0

    def __call__(self, line):
        match = re.fullmatch(r"Iteration (\d+) / \d+|Total loss: (\S+)", line.strip())
        if match and match[1]:
            self.evaluation = int(match[1])
        elif match:
            return {"evaluation": self.evaluation, "loss": float(match[2]), "full": True}


def read_stylefleet(line):
    event = json.loads(line)
    if event["event"] == "progress":
        scale, scales = re.match(r"scale (\d+)/(\d+)", event["phase"]).groups()
        return {
            "evaluation": event["done"],
            "total": event["steps"],
            "loss": event["figures"]["loss"],
            "full": scale == scales,
        }
    if event["event"] == "finished":
        return {"final": event["figures"]["loss"], "total": event["steps"]}


READERS = {
    "notebook": read_notebook,
    "pastiche": read_pastiche,
    "neural-style": NeuralStyle(),
    "stylefleet": read_stylefleet,
}
