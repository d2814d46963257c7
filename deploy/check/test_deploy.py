"""Checks deploy/'s files against the code and each other. Run by check.sh, which brings the modules."""
import json
import re
import subprocess
import tomllib
import unittest
from fnmatch import fnmatchcase
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from source import DEPLOY, SETTINGS, constant, document, documents, text

# The code's names.
NAMES = {name: constant("proto/src/queues.rs", name) for name in ("JOBS", "ABANDONED", "DEAD", "EVENTS", "PROGRESS", "WATCH")}
WAITS = constant("proto/src/lifecycle.rs", "RETRY_SECONDS")
JOBS = [f"{NAMES['JOBS']}.{priority}" for priority in ("high", "normal", "low")]
RETRY = [f"stylefleet.v2.retry.{seconds}s" for seconds in WAITS]
WATCH = NAMES["WATCH"] + "x"
ALL = {*NAMES.values(), *JOBS, *RETRY, WATCH} - {NAMES["WATCH"]}

# Read by more than the worker.
SHARED = {"STYLEFLEET_" + name for name in ("BROKER", "STORE", "S3_ENDPOINT", "CA", "CACHE")}
OVERLAYS = sorted(path.parent.name for path in DEPLOY.glob("kubernetes/overlays/*/kustomization.yaml"))


def build(overlay):
    """The overlay as Kubernetes gets it."""
    command = ["kubectl", "kustomize", DEPLOY / "kubernetes/overlays" / overlay]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [d for d in yaml.safe_load_all(built.stdout) if d]


def one(objects, kind):
    (found,) = (o for o in objects if o["kind"] == kind)
    return found


def validate(manifest):
    schemas = json.loads(text("deploy/check/keda.schema.json"))
    if manifest["kind"] in schemas:
        jsonschema.validate(manifest, schemas[manifest["kind"]])
    else:
        kubernetes_validate.validate(manifest, "1.37", strict=True)


class Broker(unittest.TestCase):
    def rights(self, user):
        found = re.search(rf"^user {user} .*?((?:\s+(?:\\\s+)?'\^[^']*'){{3}})", text("deploy/rabbitmq/users.sh"), re.M)
        patterns = re.findall(r"'([^']*)'", found.group(1))
        return [{name for name in ALL if re.search(pattern, name)} for pattern in patterns]

    def test_users_may_do_what_they_need_and_no_more(self):
        self.assertEqual(self.rights("admin"), [ALL, ALL, ALL])
        self.assertEqual(self.rights("dispatcher"), [
            {WATCH},
            {NAMES["JOBS"], WATCH},
            {NAMES["DEAD"], NAMES["EVENTS"], NAMES["PROGRESS"], WATCH},
        ])
        self.assertEqual(self.rights("worker"), [
            set(),
            {NAMES["JOBS"], *RETRY, NAMES["DEAD"], NAMES["EVENTS"], NAMES["PROGRESS"]},
            {*JOBS, NAMES["ABANDONED"]},
        ])

    def test_the_cluster_has_the_same_settings_and_version(self):
        lines = lambda config: {line for line in config.splitlines() if line and not line.startswith("#")}
        example = document("deploy/kubernetes/examples/rabbitmq.yaml")["spec"]
        ours = {line for line in lines(text("deploy/rabbitmq/rabbitmq.conf")) if not line.startswith("log.")}
        self.assertLessEqual(ours, lines(example["rabbitmq"]["additionalConfig"]))
        self.assertEqual(example["image"], document("deploy/compose.yaml")["services"]["broker"]["image"])


def listed(value):
    """A policy's value, which is one string or a list of them, as a list."""
    return [value] if isinstance(value, str) else value


class Bucket(unittest.TestCase):
    CODE = text("proto/src/keys.rs")
    NAMED = dict(re.findall(r'pub const (\w+): &str = "([^"]+)"', CODE))
    KEYS = [NAMED["IDENTITY"]]
    for key in re.findall(r'format!\("([^"]+)"', CODE):
        # Constants stand for what they are, all else for anything.
        for name, value in NAMED.items():
            key = key.replace(f"{{{name}}}", value)
        KEYS.append(re.sub(r"\{\w*\}", "x", key))
    WORKERS = ("started/*", "checkpoints/*", "jobs/*", "results/*", "failures/*")

    def may(self, user, action):
        allowed = [
            resource
            for statement in json.loads(text(f"deploy/s3/{user}.policy.json"))["Statement"]
            if statement["Effect"] == "Allow" and action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]
        return {key for key in self.KEYS if any(fnmatchcase(f"arn:aws:s3:::stylefleet/{key}", r) for r in allowed)}

    def under(self, *patterns):
        return {key for key in self.KEYS if any(fnmatchcase(key, pattern) for pattern in patterns)}

    def test_users_may_do_what_they_need_and_no_more(self):
        expected = {
            ("worker", "s3:GetObject"): self.under(
                "identity", "inputs/*", "weights/*", "cancelled/*", *self.WORKERS
            ),
            ("worker", "s3:PutObject"): self.under(*self.WORKERS),
            ("worker", "s3:DeleteObject"): self.under("checkpoints/*", "started/*", "results/*"),
            ("dispatcher", "s3:GetObject"): self.under("*"),
            ("dispatcher", "s3:PutObject"): self.under("identity", "inputs/*", "batches/*", "cancelled/*"),
            ("dispatcher", "s3:DeleteObject"): self.under("cancelled/*", "failures/*"),
        }
        for (user, action), keys in expected.items():
            with self.subTest(user=user, action=action):
                self.assertEqual(self.may(user, action), keys)

    def test_who_writes_may_remove_the_parts_of_an_upload_that_failed(self):
        for user in "dispatcher", "worker":
            with self.subTest(user=user):
                self.assertEqual(self.may(user, "s3:AbortMultipartUpload"), self.may(user, "s3:PutObject"))

    def test_parts_that_nobody_removed_are_dropped(self):
        rules = json.loads(text("deploy/s3/lifecycle.json"))["Rules"]
        rule = next(rule for rule in rules if "AbortIncompleteMultipartUpload" in rule)
        self.assertEqual((rule["Status"], rule["Filter"]), ("Enabled", {}))

    def test_only_what_nobody_asks_for_any_more_expires(self):
        rules = json.loads(text("deploy/s3/lifecycle.json"))["Rules"]
        expiring = [rule["Filter"]["Prefix"] for rule in rules if "Expiration" in rule]
        self.assertEqual(expiring, ["checkpoints/", "started/"])
        for prefix in expiring:
            self.assertTrue(self.under(prefix + "*"), prefix)

    def test_the_patterns_above_meet_the_codes_keys(self):
        for pattern in ("identity", "inputs/*", "weights/*", "batches/*", "cancelled/*", *self.WORKERS):
            self.assertTrue(self.under(pattern), pattern)


class Kubernetes(unittest.TestCase):
    def test_manifests_are_valid(self):
        for overlay in OVERLAYS:
            for manifest in build(overlay):
                with self.subTest(overlay=overlay, kind=manifest["kind"]):
                    validate(manifest)
        base = [p for folder in ("base", "dashboard") for p in DEPLOY.glob(f"kubernetes/{folder}/*.yaml")
                if p.name != "kustomization.yaml"]
        for path in [*base, DEPLOY / "kubernetes/examples/secrets.yaml"]:
            for manifest in documents(path):
                with self.subTest(path=path.name, kind=manifest["kind"]):
                    validate(manifest)

    def test_a_pod_is_given_longer_than_a_drain_takes(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay=overlay):
                objects = build(overlay)
                grace = int(one(objects, "ConfigMap")["data"]["STYLEFLEET_GRACE_SECONDS"])
                pod = one(objects, "Deployment")["spec"]["template"]["spec"]
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], grace + 5)

    def test_workers_scale_with_the_queues_that_they_take_from(self):
        scaled = one(documents("deploy/kubernetes/base/scaledobject.yaml"), "ScaledObject")["spec"]
        (trigger,) = scaled["triggers"]
        counted = {name for name in ALL if re.search(trigger["metadata"]["queueName"], name)}
        self.assertEqual(counted, {*JOBS, NAMES["ABANDONED"]})
        self.assertEqual(trigger["metadata"]["protocol"], "http")
        self.assertGreater(scaled["cooldownPeriod"], max(WAITS))

    def test_what_the_pod_names_is_there(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay=overlay):
                objects = build(overlay)
                secrets = {s["metadata"]["name"]: s for s in documents("deploy/kubernetes/examples/secrets.yaml")}
                (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
                names = {next(iter(source)): next(iter(source.values()))["name"] for source in container["envFrom"]}
                self.assertEqual(names["configMapRef"], one(objects, "ConfigMap")["metadata"]["name"])
                self.assertIn(names["secretRef"], secrets)
                (ref,) = one(objects, "TriggerAuthentication")["spec"]["secretTargetRef"]
                self.assertIn(ref["key"], secrets[ref["name"]]["stringData"])

    def test_the_cache_fits_its_volume(self):
        volumes = one(documents("deploy/kubernetes/base/worker.yaml"), "Deployment")["spec"]["template"]["spec"]["volumes"]
        (cache,) = (v["emptyDir"]["sizeLimit"] for v in volumes if v["name"] == "cache")
        self.assertGreater(int(cache.removesuffix("Gi")) * 2**30, SETTINGS["cache_bytes"] + 1e9)

    def test_examples_hold_no_secrets(self):
        for secret in documents("deploy/kubernetes/examples/secrets.yaml"):
            for name, value in secret["stringData"].items():
                if "ID" not in name:
                    self.assertRegex(value, "PASSWORD|^SECRET$|^TOKEN$")

    def test_the_port_is_the_images(self):
        worker = one(documents("deploy/kubernetes/base/worker.yaml"), "Deployment")["spec"]["template"]["spec"]
        (port,) = worker["containers"][0]["ports"]
        settings = document("deploy/kubernetes/base/settings.yaml")["data"]
        monitor = self.monitor("worker")
        policy = document("deploy/kubernetes/base/networkpolicy.yaml")["spec"]
        dockerfile = text("deploy/docker/Dockerfile")
        self.assertEqual(settings["STYLEFLEET_HEALTH"], f"0.0.0.0:{port['containerPort']}")
        self.assertIn(f"STYLEFLEET_HEALTH={settings['STYLEFLEET_HEALTH']}", dockerfile)
        self.assertIn(f"/dev/tcp/127.0.0.1/{port['containerPort']}", dockerfile)
        self.assertEqual(policy["ingress"][0]["ports"][0]["port"], port["containerPort"])
        self.assertEqual(monitor["podMetricsEndpoints"][0]["port"], port["name"])
        self.assertIn(f"--uid {worker['securityContext']['runAsUser']} ", dockerfile)

    def monitor(self, program):
        """The PodMonitor of that program's pods."""
        monitors = [m["spec"] for m in documents("deploy/kubernetes/examples/podmonitor.yaml")]
        (found,) = [m for m in monitors if m["selector"]["matchLabels"]["app.kubernetes.io/name"] == program]
        return found

    def test_the_dashboard_is_found_where_it_listens(self):
        objects = list(documents("deploy/kubernetes/dashboard/dashboard.yaml"))
        pod = one(objects, "Deployment")["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        (port,) = container["ports"]
        self.assertIn(f"0.0.0.0:{port['containerPort']}", container["args"])
        service = one(objects, "Service")["spec"]
        self.assertEqual(service["ports"][0]["targetPort"], port["name"])
        self.assertEqual(service["selector"], pod["metadata"]["labels"])
        policy = one(objects, "NetworkPolicy")["spec"]
        self.assertEqual(policy["podSelector"]["matchLabels"], pod["metadata"]["labels"])
        self.assertEqual(policy["ingress"][0]["ports"][0]["port"], port["containerPort"])
        secrets = {s["metadata"]["name"]: s["stringData"] for s in documents("deploy/kubernetes/examples/secrets.yaml")}
        token = {"name": container["envFrom"][1]["secretRef"]["name"], "key": "STYLEFLEET_DASHBOARD_TOKEN"}
        self.assertIn(token["key"], secrets[token["name"]])
        (endpoint,) = self.monitor("dashboard")["podMetricsEndpoints"]
        self.assertEqual((endpoint["port"], endpoint["authorization"]["credentials"]), (port["name"], token))
        (compose,) = document("deploy/compose.yaml")["services"]["dashboard"]["ports"]
        self.assertTrue(compose.endswith(f":{port['containerPort']}"))


class Compose(unittest.TestCase):
    FILES = ["deploy/compose.yaml"] + [f"deploy/compose/{p.name}" for p in sorted(DEPLOY.glob("compose/*.yaml"))]

    def services(self):
        return [(path, name, s) for path in self.FILES for name, s in document(path).get("services", {}).items()]

    def test_nothing_is_published_beyond_this_machine(self):
        for path, name, service in self.services():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{path}: {name} publishes {port}")

    def test_passwords_are_required_and_made(self):
        made = set(re.findall(r"^(\w+)=\$\(secret\)$", text("deploy/compose/env.sh"), re.M))
        used = set()
        for path in self.FILES:
            for name, rest in re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN))([^}]*)\}", text(path)):
                self.assertTrue(rest.startswith(":?"), f"{path}: {name} has a default or none")
                used.add(name)
        self.assertEqual(used, made)

    def test_images_are_pinned(self):
        for path, name, service in self.services():
            image = service.get("image", "") # none where a file adds to a service of another
            if image and not image.startswith("${STYLEFLEET_"):
                self.assertRegex(image, r":[\w.-]*\d+\.\d+|:RELEASE\.[\w-]+@sha256:[0-9a-f]{64}$", f"{path}: {name}")

    def test_what_is_built_here_is_not_looked_for_elsewhere(self):
        for name, service in document("deploy/compose.yaml")["services"].items():
            if "build" in service:
                self.assertEqual(service["pull_policy"], "never", name)

    def test_commands_wait_for_nothing(self):
        self.assertNotIn("depends_on", document("deploy/compose.yaml")["services"]["dispatcher"])

    def test_every_store_has_what_the_others_wait_for(self):
        for path in self.FILES:
            store = Path(path).stem
            if store in ("minio", "seaweedfs", "external"):
                self.assertIn("store-init", document(path)["services"])

    def test_a_worker_is_given_longer_than_a_drain_takes(self):
        worker = document("deploy/compose.yaml")["services"]["worker"]
        self.assertGreaterEqual(int(worker["stop_grace_period"].rstrip("s")), worker["environment"]["STYLEFLEET_GRACE_SECONDS"] + 5)


class Everywhere(unittest.TestCase):
    def test_settings_are_the_workers(self):
        known = SHARED | {f"STYLEFLEET_{name.upper()}" for name in SETTINGS}
        sources = {
            "compose": set(document("deploy/compose.yaml")["services"]["worker"]["environment"]),
            "nvidia": set(document("deploy/compose/nvidia.yaml")["services"]["worker"]["environment"]),
            "kubernetes": set(document("deploy/kubernetes/base/settings.yaml")["data"]),
            "slurm": set(re.findall(r"^(?:export )?(STYLEFLEET_\w+)=", text("deploy/slurm/worker.sbatch")
                                    + text("deploy/slurm/worker.env.example"), re.M)),
        }
        for source, names in sources.items():
            with self.subTest(source):
                self.assertLessEqual({name for name in names if name.startswith("STYLEFLEET_")}, known)

    def test_rust_is_the_same_everywhere(self):
        (version,) = re.findall(r'^channel = "(.*)"$', text("rust-toolchain.toml"), re.M)
        (least,) = re.findall(r'^rust-version = "(.*)"$', text("Cargo.toml"), re.M)
        self.assertEqual(version.rpartition(".")[0], least)
        for path in ("deploy/docker/Dockerfile", ".github/workflows/ci.yml"):
            (image,) = re.findall(r"\brust:([\d.]+)-", text(path))
            self.assertEqual(image, version, path)

    def test_images_are_built_with_every_crate(self):
        """Cargo reads the manifest of each member, and looks for its sources."""
        members = tomllib.loads(text("Cargo.toml"))["workspace"]["members"]
        taken = {line[1:] for line in text("deploy/docker/Dockerfile.dockerignore").splitlines() if line.startswith("!")}
        for member in members:
            for path in (f"{member}/Cargo.toml", f"{member}/src"):
                above = {"/".join(path.split("/")[:depth]) for depth in range(1, 9)}
                self.assertTrue(above & taken, f"Dockerfile.dockerignore leaves out {path}")

    def test_images_are_built_with_what_programs_contain(self):
        taken = {line[1:] for line in text("deploy/docker/Dockerfile.dockerignore").splitlines() if line.startswith("!")}
        root = DEPLOY.parent.resolve()
        sources = [source for crate in ("dispatcher", "proto", "worker") for source in (root / crate).rglob("*.rs")
                   if "#[test]" not in source.read_text().partition("#[cfg(test)]")[0]] # a file of tests alone
        for source in sources:
            program = source.read_text().partition("#[cfg(test)]")[0]
            for file in re.findall(r'include_(?:bytes|str)!\(\s*"([^"]+)"', program):
                path = (source.parent / file).resolve().relative_to(root).as_posix()
                above = {"/".join(path.split("/")[:depth]) for depth in range(1, 9)}
                self.assertTrue(above & taken, f"Dockerfile.dockerignore leaves out {path}")

    def test_weights_are_those_of_the_setup(self):
        digest = constant("deploy/setup/weights.py", "CONVERTED_SHA256")
        file = f"vgg19-{digest[:8]}.safetensors"
        self.assertEqual(document("deploy/kubernetes/base/settings.yaml")["data"]["STYLEFLEET_WEIGHTS"], f"store:{digest}")
        for path in ("deploy/compose.yaml", "deploy/docker/Dockerfile", "deploy/slurm/worker.env.example",
                     "deploy/kubernetes/README.md"):
            for named in re.findall(r"vgg19-[0-9a-f]+\.safetensors", text(path)):
                self.assertEqual(named, file, path)

    def test_json_is_valid(self):
        for path in DEPLOY.rglob("*.json"):
            with self.subTest(path=path.name):
                json.loads(path.read_text())


if __name__ == "__main__":
    unittest.main()
