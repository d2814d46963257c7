#!/usr/bin/env python3
"""Measures a whole fleet on this machine: the real broker and store, stylefleet, workers.

fleet.sh starts this. Each measurement gets a vhost and a prefix of the bucket of its own, and leaves
its figures in a JSON file of its own in the work folder's `results`; fleet_report.py makes a table.
"""

import argparse
import json
import os
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import date
from multiprocessing.pool import ThreadPool
from pathlib import Path

import machine
from measure import busy_seconds, idle_load, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "deploy/samples"
CONTENT, STYLE = SAMPLES / "contents/lighthouse.png", SAMPLES / "styles/night.png"
ENDLESS = 100_000  # evaluations of jobs that are not to end by themselves
PATIENCE = 1800  # seconds that anything may take


def wait_for(what, look, patience=PATIENCE):
    """Looks until there is something to see."""
    until = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > until:
            raise SystemExit(f"bench: waited in vain for {what}")
        time.sleep(0.01)
    return seen


class Services:
    """The broker and the store of this benchmark alone."""

    def __init__(self, folder):
        self.script = [str(ROOT / "deploy/services/services.sh"), "--dir", str(folder)]
        self.call("start")
        lines = self.call("env").splitlines()
        self.env = dict(shlex.split(line)[1].split("=", 1) for line in lines)

    def call(self, *args):
        return subprocess.run(
            [*self.script, *args], check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def fleet(self, name, bin):
        """A fleet with a vhost and a place in the bucket of its own, both empty."""
        vhost = f"{name}-{random.randrange(10**9)}"
        self.call("rabbitmqctl", "--silent", "add_vhost", vhost)
        self.call("rabbitmqctl", "--silent", "set_permissions", "-p", vhost, "stylefleet", ".*", ".*", ".*")
        broker = self.env["STYLEFLEET_BROKER"].rsplit("/", 1)[0]
        own = {
            "STYLEFLEET_BROKER": f"{broker}/{vhost}",
            "STYLEFLEET_STORE": f"s3://stylefleet/{vhost}",
        }
        objects = f"{self.env['STYLEFLEET_TEST_FILER']}/buckets/stylefleet/{vhost}"
        return Fleet({**os.environ, **self.env, **own}, objects, bin)


class Fleet:
    def __init__(self, env, objects, bin):
        self.env, self.objects, self.bin = env, objects, bin

    def call(self, *args):
        """Runs stylefleet; what it says, its seconds, its peak memory in MB and its CPU seconds."""
        begin = time.monotonic()
        process = subprocess.Popen(
            [self.bin / "stylefleet", *map(str, args), "--json"],
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"bench: stylefleet {' '.join(map(str, args))} failed:\n{said}")
        return {
            "said": said,
            "seconds": time.monotonic() - begin,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss * 1024 / 1e6,
        }

    def submit(self, *args):
        """Hands jobs in; the same figures, with what became of the jobs."""
        called = self.call("submit", *args)
        return {**called, **json.loads(called.pop("said").splitlines()[-1])}

    def object(self, key):
        """A JSON document of the store, if it is there: read past S3, which has more to do."""
        try:
            with urllib.request.urlopen(f"{self.objects}/{key}", timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError:
            return None

    def put(self, key, document):
        """Writes a JSON document, past S3 too."""
        body = json.dumps(document).encode()
        request = urllib.request.Request(f"{self.objects}/{key}", data=body, method="PUT")
        urllib.request.urlopen(request, timeout=60).close()

    def jobs(self, batch):
        status = self.call("status", batch, "--jobs")
        return [picture["job"] for picture in json.loads(status["said"])["jobs"]]

    def started(self, job, by_other_than=None):
        """When a worker began a job, in seconds, and who; waits for it."""
        def look():
            start = self.object(f"started/{job}.json")
            return start if start and start["worker"] != by_other_than else None

        start = wait_for(f"a start of {job}", look)
        return start["unix_millis"] / 1000, start["worker"]


class Worker:
    """A `stylefleet-worker serve`, ready for jobs; ended when it is left."""

    def __init__(self, fleet, name, work, **settings):
        settings = {
            "NAME": name,
            "DEVICE": "cpu",
            "CACHE": str(work / f"cache-{name}"),
            "HEALTH": "127.0.0.1:0",
            "LOG": "stylefleet=info",
            **settings,
        }
        self.name = name
        self.log = work / f"{name}.log"
        own = {f"STYLEFLEET_{key}": str(value) for key, value in settings.items()}
        with socket_for_health() as port:
            own["STYLEFLEET_HEALTH"] = f"127.0.0.1:{port}"
        self.address = own["STYLEFLEET_HEALTH"]
        with open(self.log, "w") as log:
            command = [fleet.bin / "stylefleet-worker", "serve"]
            self.process = subprocess.Popen(command, env={**fleet.env, **own}, stderr=log)
        wait_for(f"{name} to be ready", self.is_ready)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def is_ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: {self.name} ended:\n{self.log.read_text()[-2000:]}")
        return self.ask("/readyz") is not None

    def busy_seconds(self):
        found = re.search(r'^stylefleet_stage_seconds_sum{.*stage="compute"} (.+)$', self.ask("/metrics"), re.M)
        return float(found[1]) if found else 0.0


class socket_for_health:
    """A port that was free a moment ago."""

    def __enter__(self):
        import socket

        self.socket = socket.create_server(("127.0.0.1", 0))
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.socket.close()


class Watch:
    """`stylefleet watch`, and when it told what."""

    def __init__(self, fleet, batch):
        self.events = []
        self.process = subprocess.Popen(
            [fleet.bin / "stylefleet", "watch", batch, "--json"],
            env=fleet.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def end(self, interrupt=False):
        """Waits until all is over, or ends it; peak memory in MB."""
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.reader.join()
        return usage.ru_maxrss * 1024 / 1e6

    def times(self, kind):
        return [at for at, event in self.events if event["event"] == kind]


def batch_file(path, jobs, seed=1, **options):
    """A file of jobs that differ in their seeds."""
    lines = [f"{key.replace('_', '-')} = {value}" for key, value in options.items()]
    defaults = ["[defaults]", f'style = "{STYLE}"', *lines]
    tables = (f'[[job]]\ncontent = "{CONTENT}"\nseed = {n}\n' for n in range(seed, seed + jobs))
    path.write_text("\n".join(defaults) + "\n\n" + "\n".join(tables))
    return path


class Bench:
    def __init__(self, args, services):
        self.args, self.services, self.work = args, services, args.work

    def measure(self, name, how):
        """The figures of a measurement: those of an earlier run if it left any."""
        file = self.work / "results" / f"{name}.json"
        if file.exists() or self.args.only not in (None, name):
            return
        load = idle_load(self.args.patience)
        say(name)
        begin, busy = time.monotonic(), busy_seconds()
        figures = how(self.services.fleet(name, self.args.bin))
        seconds = time.monotonic() - begin
        figures |= {"load": load, "machine_busy": (busy_seconds() - busy) / (seconds * os.cpu_count())}
        file.write_text(json.dumps(figures, indent=1))

    def submit(self, fleet):
        """The whole, then the same without what is to be published, then without what is not."""
        file = batch_file(self.work / "submit.toml", self.args.jobs)
        first = fleet.submit("--file", file)
        again = fleet.submit("--file", file)
        published = fleet.submit("--file", file, "--again")
        assert first["accepted"] == again["pending"] == published["accepted"] == self.args.jobs
        return {"jobs": self.args.jobs, "first": first, "again": again, "published": published}

    def memory(self, fleet):
        """Submitting, watching and asking after very many jobs."""
        file = batch_file(self.work / "memory.toml", self.args.many)
        submit = fleet.submit("--file", file)
        assert submit["accepted"] == self.args.many
        watch = Watch(fleet, submit["batch"])
        time.sleep(self.args.watch)
        peak = watch.end(interrupt=True)
        status = fleet.call("status", submit["batch"])
        status["said"] = json.loads(status["said"])
        return {"jobs": self.args.many, "submit": submit, "watch_mb": peak, "status": status}

    def looks(self, fleet):
        """Asking after very many jobs that wait, and after as many that are done."""
        options = {"size": 64, "scales": 1, "evaluations": 1}
        file = batch_file(self.work / "one.toml", 1, self.args.jobs + 1, **options)
        with Worker(fleet, "looks", self.work) as _:
            made = fleet.jobs(fleet.submit("--file", file)["batch"])[0]
            record = wait_for("a result", lambda: fleet.object(f"results/{made}.json"))
        file = batch_file(self.work / "looks.toml", self.args.jobs, **options)
        batch = fleet.submit("--file", file)["batch"]
        waiting = fleet.call("status", batch)
        assert json.loads(waiting.pop("said"))["states"]["waiting"] == self.args.jobs
        # As workers would leave them.
        def finish(job):
            outputs = [{**output, "key": output["key"].replace(made, job)} for output in record["outputs"]]
            fleet.put(f"results/{job}.json", {**record, "job": job, "outputs": outputs})

        with ThreadPool(16) as pool:
            pool.map(finish, fleet.jobs(batch))
        done = fleet.call("status", batch)
        assert json.loads(done.pop("said"))["states"]["done"] == self.args.jobs
        begin = time.monotonic()
        watch = Watch(fleet, batch)
        watch.end()
        kept = watch.times("kept")
        assert len(kept) == self.args.jobs
        again = fleet.submit("--file", file)
        assert again["done"] == self.args.jobs
        file = batch_file(self.work / "unwanted.toml", self.args.jobs, self.args.jobs + 2, **options)
        fleet.submit("--file", file, "--batch", "unwanted")
        cancelled = fleet.call("cancel", "unwanted")
        assert json.loads(cancelled.pop("said"))["cancelled"] == self.args.jobs
        return {
            "jobs": self.args.jobs,
            "status_waiting": waiting["seconds"],
            "status_done": done["seconds"],
            "watch_first": kept[0] - begin,
            "watch_all": kept[-1] - begin,
            "submit_done": again["seconds"],
            "cancel": cancelled["seconds"],
        }

    def latency(self, fleet):
        """From the moment that `submit` says so to the moment that the worker, idle until then, begins."""
        waits = []
        with Worker(fleet, "idle", self.work) as _:
            for seed in range(self.args.repeats):
                # By then it looks for jobs as seldom as it ever does; and not in step with us.
                time.sleep(3 + random.random())
                file = batch_file(self.work / "one.toml", 1, seed, size=64, scales=1, evaluations=60)
                batch = fleet.submit("--file", file)["batch"]
                accepted = time.time()
                start, _ = fleet.started(fleet.jobs(batch)[0])
                waits.append(start - accepted)
                result = f"results/{fleet.jobs(batch)[0]}.json"
                wait_for("the result", lambda: fleet.object(result))
        return {"waits": waits}

    def busy(self, size, evaluations):
        def measured(fleet):
            jobs = self.args.back_to_back
            options = {"size": size, "scales": 1, "evaluations": evaluations}
            file = batch_file(self.work / "busy.toml", jobs, **options)
            batch = fleet.submit("--file", file)["batch"]
            watch = Watch(fleet, batch)
            time.sleep(2)  # for it to listen
            with Worker(fleet, "busy", self.work) as worker:
                wait_for("the end", lambda: watch.times("summary"))
                busy = worker.busy_seconds()
                watch.end()
            started, finished = watch.times("started"), watch.times("finished")
            assert len(started) == len(finished) == jobs
            gaps = [begin - end for begin, end in zip(started[1:], finished)]
            return {
                "size": size,
                "jobs": jobs,
                "wall": finished[-1] - started[0],
                "busy": busy,
                "last_upload": finished[-1] - started[-1],
                "gaps": gaps,
            }

        return measured

    def redelivery(self, fleet):
        """From a worker's end by SIGKILL to the start of its job at another."""
        waits = []
        workers = {}
        try:
            for number in range(self.args.deaths):
                # The job goes to one of two workers; whichever is killed is replaced.
                while len(workers) < 2:
                    worker = Worker(fleet, f"worker-{number}-{len(workers)}", self.work, THREADS=1)
                    workers[worker.name] = worker
                file = batch_file(
                    self.work / "one.toml", 1, number, size=128, scales=1, evaluations=ENDLESS, tolerance="0.0"
                )
                batch = fleet.submit("--file", file)["batch"]
                job = fleet.jobs(batch)[0]
                _, name = fleet.started(job)
                time.sleep(2 + random.random())
                victim = workers.pop(name).process
                killed = time.time()
                victim.kill()
                start, _ = fleet.started(job, by_other_than=name)
                waits.append(start - killed)
                victim.wait()
                fleet.call("cancel", batch)
                wait_for("the job's end", lambda: fleet.object(f"started/{job}.json") is None)
        finally:
            for worker in workers.values():
                worker.__exit__()
        return {"waits": waits}

    def slices(self, fleet):
        """The same job in one piece, and in slices."""
        walls = {}
        for name, slice in (("whole", 1200), ("sliced", self.args.slice)):
            options = {"size": 128, "scales": 1, "evaluations": self.args.evaluations, "tolerance": 0.0}
            file = batch_file(self.work / "one.toml", 1, slice, **options)
            batch = fleet.submit("--file", file)["batch"]
            watch = Watch(fleet, batch)
            time.sleep(2)
            with Worker(fleet, name, self.work, SLICE_SECONDS=slice) as worker:
                wait_for("the end", lambda: watch.times("summary"))
                walls[name] = {
                    "wall": watch.times("finished")[-1] - watch.times("started")[0],
                    "slices": len(watch.times("started")),
                    "busy": worker.busy_seconds(),
                }
                watch.end()
        return walls


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, required=True, help="where stylefleet was built")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--jobs", type=int, default=10_000, help="to submit and time")
    parser.add_argument("--only", help="the one measurement to take")
    parser.add_argument("--many", type=int, default=100_000, help="to submit and weigh")
    parser.add_argument("--watch", type=float, default=60, help="seconds to watch that many")
    parser.add_argument("--repeats", type=int, default=20, help="of an idle worker's start")
    parser.add_argument("--back-to-back", type=int, default=50, help="jobs that keep a worker busy")
    parser.add_argument("--deaths", type=int, default=10, help="of workers")
    parser.add_argument("--slice", type=int, default=5, help="seconds")
    parser.add_argument("--evaluations", type=int, default=1000, help="of the job in slices")
    parser.add_argument("--patience", type=int, default=180, help="seconds to wait for quiet")
    args = parser.parse_args()
    # A SIGTERM too ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (args.work / "results").mkdir(parents=True, exist_ok=True)
    services = Services(args.work / "services")
    try:
        bench = Bench(args, services)
        bench.measure("submit", bench.submit)
        bench.measure("looks", bench.looks)
        bench.measure("latency", bench.latency)
        bench.measure("busy-64", bench.busy(64, 60))
        bench.measure("busy-128", bench.busy(128, 100))
        bench.measure("redelivery", bench.redelivery)
        bench.measure("slices", bench.slices)
        bench.measure("memory", bench.memory)
    finally:
        services.call("stop")
    about = {**machine.hardware(), "date": date.today().isoformat()}
    (args.work / "results/about.json").write_text(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
