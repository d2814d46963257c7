#!/usr/bin/env python3
"""Prints the fleet's section of BENCHMARKS.md from the figures that fleet.py left in a folder:
fleet_report.py FOLDER"""

import json
import statistics
import sys
from pathlib import Path

NOTES = """\
How this was measured:

- RabbitMQ and SeaweedFS as `make services` starts them, `stylefleet` and the workers share this one
  machine and its cores. All figures are of real processes, taken from outside.
- **submit**: one batch file of {jobs:,} jobs, one content and one style in {jobs:,} seeds, each job
  published with a confirm and mandatory. The same command again publishes nothing: it reads the
  file, and asks the store about every job. With `--again` it publishes as well.
- **done**: results as a worker writes them, put into the store for every job.
- **idle to start**: from the moment that `submit` says that a job was accepted to the moment
  that a worker, idle for three seconds, begins it. An idle worker looks for jobs every 0.5 to 1.5 s.
- **busy share**: seconds of the stage `compute` ([metrics](docs/METRICS.md)) over the time from the
  first job's start to the last one's end, its upload included, both as `watch` hears of them. Fetching
  the next job and uploading the last picture overlap the work.
- **redelivery**: from `kill -9` of a worker to the start of its job at another, which is idle.
- **slices**: one job in one piece, and given back every {slice:.0f} s or so to the queue and taken again, by one worker.
- **peak memory**: `ru_maxrss` of the process.
"""


LOOKS = (
    ("status_waiting", "status, {jobs:,} jobs that wait"),
    ("status_done", "status, {jobs:,} jobs that are done"),
    ("watch_first", "watch, {jobs:,} jobs that are done: its first line"),
    ("watch_all", "- its last line"),
    ("submit_done", "submit, {jobs:,} jobs that are done"),
    ("cancel", "cancel, {jobs:,} jobs that wait"),
)


def row(*cells):
    return f"| {' | '.join(cells)} |"


def spread(waits, unit=1.0, digits=2):
    middle, most = statistics.median(waits) / unit, max(waits) / unit
    return f"{middle:.{digits}f} s (at most {most:.{digits}f} s, of {len(waits)})"


def submit(figures):
    jobs, first, again, published = (figures[key] for key in ("jobs", "first", "again", "published"))
    yield f"submit, {jobs:,} jobs", f"**{jobs / first['seconds']:,.0f} jobs/s** ({first['seconds']:.1f} s)"
    yield "- the same again, nothing to publish", f"{jobs / again['seconds']:,.0f} jobs/s ({again['seconds']:.1f} s)"
    yield "- with `--again`, all published", f"{jobs / published['seconds']:,.0f} jobs/s ({published['seconds']:.1f} s)"


def looks(figures):
    jobs = figures["jobs"]
    for key, what in LOOKS:
        yield f"{what.format(jobs=jobs)}", f"{figures[key]:.2f} s"


def busy(figures):
    share = figures["busy"] / figures["wall"]
    each = figures["busy"] / figures["jobs"]
    size, jobs = figures["size"], figures["jobs"]
    yield f"busy share, {jobs} jobs of {size} pixels", f"**{min(share, 1):.1%}** ({each:.2f} s a job)"


def slices(figures):
    whole, sliced = figures["whole"], figures["sliced"]
    more = sliced["slices"] - whole["slices"]
    if more > 0:
        cost = (sliced["wall"] - whole["wall"]) / more
        yield (
            "slices",
            f"{cost:.2f} s each ({whole['wall']:.1f} s in one piece, {sliced['wall']:.1f} s in {sliced['slices']})",
        )


def memory(figures):
    jobs, done, status = figures["jobs"], figures["submit"], figures["status"]
    yield f"submit, {jobs:,} jobs", f"{done['peak_mb']:.0f} MB, {done['seconds']:.0f} s"
    yield f"watch, {jobs:,} jobs", f"{figures['watch_mb']:.0f} MB"
    yield f"status, {jobs:,} jobs", f"{status['peak_mb']:.0f} MB, {status['seconds']:.0f} s"


def main():
    folder = Path(sys.argv[1]) / "results"
    load = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    about = load.pop("about")
    lines = [("what", "figure"), ("---", "---:"), *submit(load["submit"]), *looks(load["looks"])]
    lines.append(("idle to start, median", spread(load["latency"]["waits"])))
    for name in ("busy-64", "busy-128"):
        lines += busy(load[name])
    lines.append(("redelivery after kill -9, median", spread(load["redelivery"]["waits"])))
    lines += slices(load["slices"])
    lines += [(f"peak memory: {what}", figure) for what, figure in memory(load["memory"])]
    print(f"## The fleet\n\nWritten by `make bench-fleet` on {about.pop('date')}; not to be edited.\n")
    print("\n".join(f"- {key}: {value}" for key, value in about.items()))
    loads = {name: figures["load"] for name, figures in load.items()}
    worst = max(loads.values())
    doubt = "" if worst <= 0.5 else " **Something else ran: measure again on a quiet machine.**"
    print(f"\nLoad average before each measurement: at most {worst:.2f}.{doubt}\n")
    print("\n".join(row(*line) for line in lines))
    slice = load["slices"]["sliced"]["wall"] / load["slices"]["sliced"]["slices"]
    print(f"\n{NOTES.format(jobs=load['submit']['jobs'], slice=slice)}", end="")


if __name__ == "__main__":
    main()
