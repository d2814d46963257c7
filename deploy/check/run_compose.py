"""deploy/compose.yaml, up and at work on a Docker engine. Run by `check.sh --run`, which brings the modules.

A copy of the checkout becomes a project of its own, with its own names, passwords and ports. All that it
makes is removed at the end, but for BuildKit's cache, which makes the next run a matter of minutes.

  STYLEFLEET_S3=seaweedfs   the S3 server, where it is not to be that of deploy/compose/env.sh
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import pika
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

ROOT = Path(__file__).resolve().parents[2]
PROJECT = f"stylefleet-run-{os.getpid()}"
IMAGES = {f"{PROJECT}-dispatcher": 60e6, f"{PROJECT}-worker": 700e6}  # and their most bytes
PATIENCE = 300  # seconds, for what takes a few
STYLE = ("--style", "deploy/samples/styles/wave.png", "--scales", "1", "--tolerance", "0")
SHORT = (*STYLE, "--size", "48", "--evaluations")
LONG = (*STYLE, "--size", "160", "--evaluations")
FIGURES = []


class Fleet:
    """The project: a folder, and what runs from it."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PROJECT}-"))
        given = {name: value for name, value in os.environ.items() if not name.startswith(("STYLEFLEET_", "AWS_", "COMPOSE_"))}
        dispatcher, worker = IMAGES
        self.environment = given | {
            "COMPOSE_PROJECT_NAME": PROJECT, "STYLEFLEET_IMAGE": dispatcher, "STYLEFLEET_WORKER_IMAGE": worker,
            "STYLEFLEET_BROKER_PORT": "0", "STYLEFLEET_BROKER_UI_PORT": "0", "STYLEFLEET_S3_PORT": "0",
            "STYLEFLEET_DASHBOARD_PORT": "0", "STYLEFLEET_THREADS": "1"}
        if "STYLEFLEET_S3" in os.environ:
            self.environment["STYLEFLEET_S3"] = os.environ["STYLEFLEET_S3"]
        head = (ROOT / "deploy/compose.yaml").read_text().partition("\nname:")[0]
        lines = re.sub(r"\\\n\s*", "", "\n".join(re.findall("^#   (.*)$", head, re.M))).splitlines()
        self.make_passwords, self.up, self.submit, self.page, self.down = (line.partition("  #")[0] for line in lines)

    def start(self):
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for file in filter(None, files.split("\0")):
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.folder / file)
        self.run(self.make_passwords)
        settings = (self.folder / "deploy/.env").read_text()
        self.secrets = dict(re.findall(r"^STYLEFLEET_(\w+)_(?:PASSWORD|SECRET|TOKEN)=(\w+)$", settings, re.M))
        with measured("the first `up`, images built"):
            subprocess.run(self.up, shell=True, cwd=self.folder, env=self.environment, check=True)

    def run(self, command, code=0):
        """Standard output of a command, which is a shell's if it is one text. It ends with `code`."""
        ended = subprocess.run(command, shell=isinstance(command, str), cwd=self.folder, env=self.environment,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ended.returncode != code:
            raise AssertionError(f"{command} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def compose(self, *arguments, code=0):
        return self.run(["docker", "compose", "--file", "deploy/compose.yaml", *arguments], code)

    def stylefleet(self, *arguments, code=0):
        return self.compose("run", "--rm", "dispatcher", *arguments, code=code)

    def ask(self, *arguments):
        return json.loads(self.stylefleet(*arguments, "--json"))

    def containers(self, service=""):
        """What Docker knows of each container, those that have ended too."""
        names = self.compose("ps", "--all", "--quiet", *filter(None, [service])).split()
        return json.loads(self.run(["docker", "inspect", *names])) if names else []

    def volumes(self):
        """Those that the compose files name."""
        return set(self.run(["docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"]).split())

    def port(self, service, port):
        return int(self.compose("port", service, str(port)).rpartition(":")[2])

    def scale(self, workers):
        self.compose("up", "--detach", "--scale", f"worker={workers}", "--no-recreate")

    def at_work(self, picture, but=None):
        """The mark of the worker that is at a picture, one other than `but`."""
        def look():
            mark = self.ask("status", picture).get("started")
            return mark if mark and mark["worker"] != but else None
        return wait_until(f"a worker is at {picture}", look)

    def remove(self):
        self.compose("--profile", "tools", "down", "--volumes", "--remove-orphans")
        for image in IMAGES:
            subprocess.run(["docker", "image", "rm", image], capture_output=True)
        shutil.rmtree(self.folder)


def wait_until(what, look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(1)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


class measured:
    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.begun = time.monotonic()

    def __exit__(self, *_):
        FIGURES.append(f"{self.what}: {time.monotonic() - self.begun:.1f} s")


def setUpModule():
    global fleet
    fleet = Fleet()
    unittest.addModuleCleanup(fleet.remove)
    fleet.start()


class Commands(unittest.TestCase):
    def test_the_head_comments_submit(self):
        batch = re.search(r"b-[0-9a-f]{16}", fleet.run(fleet.submit))[0]
        fleet.stylefleet("cancel", batch)
        over = lambda: fleet.ask("status", batch)["states"]["cancelled"] == 2
        wait_until("both jobs are cancelled", over)

    def test_submit_watch_fetch(self):
        fleet.stylefleet("submit", "deploy/samples/contents", *SHORT, "10", "--batch", "whole")
        fleet.stylefleet("watch", "whole")
        fleet.stylefleet("fetch", "whole", "--out", "out")
        for name in ("lighthouse.wave.png", "still-life.wave.png"):
            self.assertEqual((fleet.folder / "out" / name).stat().st_uid, os.getuid())

    def test_status_and_fetch_with_the_broker_down(self):
        fleet.stylefleet("submit", "deploy/samples/contents", *SHORT, "11", "--batch", "away", "--wait")
        with measured("`compose run --rm dispatcher status`"):
            fleet.stylefleet("status")
        fleet.compose("stop", "broker")
        try:
            self.assertEqual(fleet.ask("status", "away")["states"]["done"], 2)
            fleet.stylefleet("fetch", "away", "--out", "away")
            self.assertTrue((fleet.folder / "away/lighthouse.wave.png").exists())
            (broker,) = fleet.containers("broker")
            self.assertFalse(broker["State"]["Running"], "a command started the broker")
        finally:
            fleet.compose("start", "broker")
        fleet.compose("up", "--detach", "--wait", "broker")


class Faults(unittest.TestCase):
    def test_a_workers_job_goes_to_another(self):
        ends = {"killed": ("kill", "--signal", "KILL"), "stopped": ("stop",)}
        for number, (batch, end) in enumerate(ends.items()):
            with self.subTest(batch):
                fleet.scale(2)
                fleet.stylefleet("submit", "deploy/samples/contents/lighthouse.png", *LONG, str(200 + number), "--batch", batch)
                picture = f"{batch}/lighthouse.wave"
                first = fleet.at_work(picture)
                (container,) = (c["Id"] for c in fleet.containers("worker") if first["worker"].startswith(c["Config"]["Hostname"]))
                fleet.run(["docker", *end, container])
                if batch == "stopped":
                    (code,) = (c["State"]["ExitCode"] for c in fleet.containers("worker") if c["Id"] == container)
                    self.assertEqual(code, 0)
                second = fleet.at_work(picture, but=first["worker"])
                if batch == "stopped":
                    self.assertGreater(second["steps"], 0, "it began anew")
                fleet.stylefleet("watch", batch)
        fleet.scale(1)

    def test_the_broker_is_restarted(self):
        fleet.stylefleet("submit", "deploy/samples/contents", *LONG, "101", "--batch", "restart")
        fleet.at_work("restart/lighthouse.wave")
        fleet.compose("restart", "broker")
        fleet.stylefleet("watch", "restart")
        self.assertEqual(fleet.ask("status", "restart")["states"]["done"], 2)

    def test_down_and_up(self):
        volumes = fleet.volumes()
        fleet.stylefleet("submit", "deploy/samples/contents", *LONG, "100", "--batch", "down")
        fleet.at_work("down/lighthouse.wave")
        with measured("`down`, with a job at work"):
            fleet.run(fleet.down)
        self.assertEqual(fleet.containers(), [])
        self.assertEqual(fleet.volumes(), volumes)
        with measured("`up`, with images and volumes there"):
            fleet.run(fleet.up)
        fleet.stylefleet("watch", "down")
        self.assertEqual(fleet.ask("status", "down")["states"]["done"], 2)
        self.assertEqual(fleet.volumes(), volumes)


class Containers(unittest.TestCase):
    def test_no_volume_is_left_behind(self):
        named = fleet.volumes()
        for container in fleet.containers():
            for mount in container["Mounts"]:
                if mount["Type"] == "volume":
                    self.assertIn(mount["Name"], named, f"{container['Name']} leaves its {mount['Destination']} behind")

    def test_images_are_small(self):
        for image, most in IMAGES.items():
            with self.subTest(image):
                (about,) = json.loads(fleet.run(["docker", "image", "inspect", image]))
                FIGURES.append(f"{image.rpartition('-')[2]} image: {about['Size'] / 1e6:.0f} MB")
                self.assertLess(about["Size"], most)
                self.assertEqual(about["Config"]["User"], "10001:10001")

    def test_everything_becomes_healthy(self):
        for service in ("broker", "store", "worker"):
            with self.subTest(service):
                healthy = lambda: all(c["State"]["Health"]["Status"] == "healthy" for c in fleet.containers(service))
                wait_until(f"the {service} is healthy", healthy)

    def test_programs_have_no_more_rights_than_they_need(self):
        for container in sum(map(fleet.containers, ("worker", "topology", "dashboard")), []):
            with self.subTest(container["Name"]):
                host = container["HostConfig"]
                self.assertTrue(host["ReadonlyRootfs"])
                self.assertEqual((host["CapDrop"], host["CapAdd"]), (["ALL"], None))
                self.assertIn("no-new-privileges:true", host["SecurityOpt"])
        inside = lambda *command, code=0: fleet.compose("exec", "worker", *command, code=code)
        self.assertEqual(inside("id", "-u").strip(), "10001")
        inside("touch", "/var/cache/stylefleet/x", "/tmp/x")
        for path in ("/x", "/weights/x", "/usr/local/bin/stylefleet-worker"):
            inside("touch", path, code=1)


class Dashboard(unittest.TestCase):
    def answer(self, path, action=None, **headers):
        """What the dashboard answers: a code, and a body."""
        address = fleet.page.strip().replace("8780", str(fleet.port("dashboard", 8780)))
        body = json.dumps(action).encode() if action else None
        headers |= {"Content-Type": "application/json", "X-Stylefleet": "1"}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{address}/{path}", body, headers)) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def test_it_shows_what_was_submitted(self):
        fleet.stylefleet("submit", "deploy/samples/contents", *SHORT, "12", "--batch", "shown", "--wait")
        self.assertEqual(self.answer("healthz"), (200, b"alive\n"))
        self.assertIn(b"<html", self.answer("")[1])

        def done():
            code, batch = self.answer("api/batches/shown")
            return code == 200 and (batch := json.loads(batch))["states"]["done"] == 2 and batch
        batch = wait_until("the dashboard shows both jobs as done", done)
        code, picture = self.answer(f"api/jobs/{batch['latest']}/thumbnail")
        self.assertEqual((code, picture[:2]), (200, b"\xff\xd8"), "no JPEG")
        seen = lambda: json.loads(self.answer("api/workers")[1])["total"]
        wait_until("the dashboard hears the worker", seen)

    def test_actions_need_the_token(self):
        fleet.stylefleet("submit", "deploy/samples/contents", *LONG, "1000", "--batch", "unwanted")
        cancel = "api/cancel", {"batch": "unwanted"}
        self.assertEqual(self.answer(*cancel)[0], 401)
        code, answer = self.answer(*cancel, Authorization=f"Bearer {fleet.secrets['DASHBOARD']}")
        self.assertEqual((code, json.loads(answer)["cancelled"]), (200, 2), answer)
        over = lambda: fleet.ask("status", "unwanted")["states"]["cancelled"] == 2
        wait_until("both jobs are cancelled", over)


class Broker(unittest.TestCase):
    def connect(self, user, password=None, vhost="stylefleet"):
        credentials = pika.PlainCredentials(user, password or fleet.secrets[user.upper()])
        connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", fleet.port("broker", 5672), vhost, credentials))
        self.addCleanup(lambda: connection.is_open and connection.close())
        return connection

    def test_strangers_are_turned_away(self):
        for user, password in (("guest", "guest"), ("worker", "guess")):
            self.assertRaises(ProbableAuthenticationError, self.connect, user, password)
        self.assertRaises(ProbableAccessDeniedError, self.connect, "worker", vhost="/")

    def test_users_may_not_do_what_is_not_theirs(self):
        queue = "stylefleet.v2.{}".format
        denied = {
            "worker": [
                lambda c: c.queue_declare("mine"),
                lambda c: c.queue_delete(queue("jobs.normal")),
                lambda c: c.exchange_declare(queue("mine")),
                lambda c: c.basic_get(queue("dead")),
                lambda c: c.basic_publish("", queue("jobs.normal"), b""),
                lambda c: c.basic_publish("amq.fanout", "", b""),
            ],
            "dispatcher": [
                lambda c: c.queue_declare("mine"),
                lambda c: c.queue_delete(queue("jobs.normal")),
                lambda c: c.queue_purge(queue("jobs.normal")),
                lambda c: c.basic_get(queue("jobs.normal")),
                lambda c: c.basic_publish(queue("events"), "", b""),
                lambda c: c.basic_publish("", queue("jobs.normal"), b""),
            ],
        }
        for user, actions in denied.items():
            connection = self.connect(user)
            for number, action in enumerate(actions):
                with self.subTest(user=user, action=number):
                    channel = connection.channel()
                    channel.confirm_delivery()
                    with self.assertRaises(ChannelClosedByBroker) as refusal:
                        action(channel)
                    self.assertEqual(refusal.exception.reply_code, 403, refusal.exception)


class Store(unittest.TestCase):
    def test_users_may_not_do_what_is_not_theirs(self):
        if fleet.environment.get("STYLEFLEET_S3") == "external":
            self.skipTest("the S3 server is not ours")
        port = fleet.port("store", 9000)

        def request(user, method, path):
            """What the server answers: its code, or why it refuses. What is put is empty."""
            config = ""
            if user != "nobody":
                secret = fleet.secrets[f"S3_{user.upper()}"]
                config = f'user = "stylefleet-{user}:{secret}"\naws-sigv4 = "aws:amz:us-east-1:s3"\n'
            asked = subprocess.run(
                ["curl", "--silent", "--show-error", "--config", "-", "--write-out", "%{http_code}", "--request", method,
                 f"http://127.0.0.1:{port}/{path}"],
                input=config, capture_output=True, text=True, check=True)
            refusal = re.search("<Code>(.*)</Code>", asked.stdout)
            return refusal[1] if refusal else int(asked.stdout[-3:])

        self.addCleanup(lambda: [request("owner", "DELETE", f"stylefleet/{key}/run") for key in ("inputs", "results", "batches")])
        for user, method, path, allowed in (
                ("dispatcher", "PUT", "stylefleet/inputs/run", True),
                ("dispatcher", "PUT", "stylefleet/batches/run", True),
                ("worker", "PUT", "stylefleet/results/run", True),
                ("worker", "GET", "stylefleet/inputs/run", True),
                ("dispatcher", "GET", "stylefleet/results/run", True),
                ("worker", "PUT", "stylefleet/inputs/run", False),
                ("worker", "DELETE", "stylefleet/inputs/run", False),
                ("worker", "GET", "stylefleet/batches/run", False),
                ("worker", "PUT", "stylefleet/batches/run", False),
                ("worker", "PUT", "stylefleet/cancelled/run", False),
                ("worker", "PUT", "stylefleet/weights/run", False),
                ("worker", "PUT", "another-bucket", False),
                ("dispatcher", "PUT", "stylefleet/results/run", False),
                ("dispatcher", "DELETE", "stylefleet/results/run", False),
                ("dispatcher", "DELETE", "stylefleet/inputs/run", False),
                ("dispatcher", "PUT", "stylefleet/jobs/run", False),
                ("dispatcher", "PUT", "stylefleet/weights/run", False),
                ("dispatcher", "PUT", "another-bucket", False),
                ("dispatcher", "DELETE", "stylefleet", False),
                ("nobody", "GET", "stylefleet/inputs/run", False),
                ("nobody", "PUT", "stylefleet/inputs/run", False)):
            with self.subTest(f"{user} {method} {path}"):
                self.assertEqual(request(user, method, path), 200 if allowed else "AccessDenied")


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    print("\n".join(FIGURES), file=sys.stderr)
    sys.exit(not result.wasSuccessful())
