"""Checks figures in SCALING.md and ARCHITECTURE.md against the code that they follow from."""
import math
import re
import unittest

from source import SETTINGS, constant, document, documents, text

SERVICE = "worker/src/service.rs"
LIFECYCLE = "proto/src/lifecycle.rs"
TOPOLOGY = "proto/transport/src/broker/rabbitmq/topology.rs"
IDLE = "proto/transport/src/broker/rabbitmq/worker.rs"
PARTS = "proto/transport/src/store/s3/parts.rs"
MIB = 2**20
FRACTIONS = {20: "a twentieth"}
WORDS = {2: "two", 4: "four", 5: "five", 7: "seven", 10: "ten", 20: "twenty"}

ATTEMPTS = constant(LIFECYCLE, "ATTEMPTS")
WAITS = constant(LIFECYCLE, "RETRY_SECONDS")
DELIVERIES = constant("proto/src/queues.rs", "DELIVERY_LIMIT")
AHEAD = constant(SERVICE, "AHEAD")
DAYS = int(constant(TOPOLOGY, "MEMORY").removesuffix("D"))
EVENT_GB = constant(TOPOLOGY, "MEMORY_BYTES") // 10**9
EVERY = int(SETTINGS["checkpoint_seconds"])
# Of x, its gradient, and the two of each pair.
TENSORS = 2 + 2 * constant("worker/engine/src/memory.rs", "PAIRS")[0]


def checkpoint(side):
    """Bytes of a checkpoint of a square picture: three channels of f32 a tensor."""
    return TENSORS * 12 * side**2


def requests(side):
    """Requests that one checkpoint takes: more where it goes up in parts."""
    parts = math.ceil(checkpoint(side) / constant(PARTS, "PART"))
    return 1 if parts == 1 else parts + 2


def size(count):
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def parameter(name):
    """The default of a parameter that is the same in every preset."""
    found = re.search(rf"^ +{name}: u32 {{.*?default: \|_\| (\d+),", text("proto/model/src/stylize/table.rs"), re.M | re.S)
    return int(found[1])


class Figures(unittest.TestCase):
    def says(self, path, *phrases):
        words = " ".join(text(path).split())
        for phrase in phrases:
            with self.subTest(path=path, phrase=phrase):
                self.assertIn(phrase, words)

    def scaling(self, *phrases):
        self.says("deploy/SCALING.md", *phrases)

    def architecture(self, *phrases):
        self.says("ARCHITECTURE.md", *phrases)

    def test_evaluations(self):
        fine, coarse = parameter("evaluations"), parameter("coarse_evaluations")
        whole = fine + coarse / 3
        (flops,) = re.findall(r"\*\*(\d+) GFLOP at 512×512\*\*", text("deploy/SCALING.md"))
        self.scaling(
            f"{fine} fine evaluations and {coarse} at each coarser scale: about {whole:.0f} fine ones, "
            f"{int(flops) * whole / 1000:.0f} TFLOP at 512×512"
        )

    def test_queues(self):
        scaled = documents("deploy/kubernetes/base/scaledobject.yaml")
        (triggers,) = (o["spec"]["triggers"] for o in scaled if o["kind"] == "ScaledObject")
        value = triggers[0]["metadata"]["value"]
        self.scaling(f"`value` being {value} in")
        self.assertEqual(constant("worker/src/watch.rs", "NEARLY_DONE"), AHEAD)
        self.scaling(f"next job {AHEAD} s before")
        self.architecture(f"no sooner than {AHEAD} seconds before")

    def test_idle_workers(self):
        _, pause = constant(IDLE, "PAUSES")
        queues = 4  # of three priorities, and of abandoned jobs
        each = queues / pause
        self.scaling(
            f"about {each:g} `basic.get` a second: it looks into {queues} queues every {pause / 2:g} to {pause * 1.5:g} s",
            f"1,000 idle workers are {1000 * each:,.0f} a second",
        )

    def test_connections(self):
        (number,) = re.findall(r"connections: \[Connection; (\d+)\]", text("proto/transport/src/broker/rabbitmq/link.rs"))
        self.scaling(f"{number} a worker, {number} a command of `stylefleet`: 1,000 workers are {1000 * int(number):,}")
        self.architecture(f"A link is {WORDS[int(number)]} connections")

    def test_events_and_progress(self):
        self.scaling(f"{1 / constant(IDLE, 'PULSE'):g} message a second and worker")
        self.scaling(f"at most {DAYS} days and {EVENT_GB} GB")
        self.architecture(f"kept for {WORDS[DAYS]} days and {EVENT_GB} GB")

    def test_settings(self):
        for name in ("slice", "grace", "checkpoint"):
            self.scaling(f"| `STYLEFLEET_{name.upper()}_SECONDS` | {SETTINGS[f'{name}_seconds']:g} |")
        self.architecture(f"a slice lasts {SETTINGS['slice_seconds'] / 60:g} minutes at most")
        self.scaling(
            f"`STYLEFLEET_CACHE_BYTES`, {SETTINGS['cache_bytes'] // 10**9} GB",
            f"`STYLEFLEET_MAX_PIXELS`, {SETTINGS['max_pixels'] // 10**6} megapixels",
        )

    def test_supervisors(self):
        compose = document("deploy/compose.yaml")["services"]["worker"]["stop_grace_period"].removesuffix("s")
        pods = "deploy/kubernetes/base/worker.yaml", "deploy/kubernetes/overlays/spot/kustomization.yaml"
        pod, spot = (re.search(r"terminationGracePeriodSeconds: (\d+)", text(path))[1] for path in pods)
        (grace,) = re.findall(r'STYLEFLEET_GRACE_SECONDS: "(\d+)"', text(pods[1]))
        (slurm,) = re.findall(r"^#SBATCH --signal=TERM@(\d+)$", text("deploy/slurm/worker.sbatch"), re.M)
        self.scaling(
            f"compose {compose} s, Kubernetes {pod} s, Slurm's `GraceTime` and `--signal` {slurm} s; "
            f"{grace} s on spot machines that leave {spot}",
            f"{size(checkpoint(1024))} in {grace} s (1024², below) is {size(checkpoint(1024) / int(grace))}/s a worker",
        )

    def test_checkpoints(self):
        pause = constant("worker/src/checkpoints.rs", "PATIENCE")
        sizes = " | ".join(size(checkpoint(side)) for side in (512, 1024, 2048, 3264))
        traffic = [f"{50 * checkpoint(1024) / seconds / 1e9:.1f} GB/s" for seconds in (EVERY, 120)]
        self.scaling(
            f"up to {TENSORS} × 12 × W × H: place, gradient, {TENSORS // 2 - 1} pairs, f32; {TENSORS + 1} with `--average`",
            f"| checkpoint | {sizes} |",
            f"max(STYLEFLEET_CHECKPOINT_SECONDS, {pause} × seconds to write)",
            f"over {FRACTIONS[pause]} of the time",
            f"50 workers at 1024² and {EVERY} s are {traffic[0]}; at 120 s, {traffic[1]},",
        )

    def test_requests(self):
        look = constant(SERVICE, "LOOK_EVERY")
        writes, reads = (
            int(re.search(rf"^    {name} += +(\d+) \+ T / {every}\b", text("deploy/SCALING.md"), re.M)[1])
            for name, every in (("writes", EVERY), ("reads", look))
        )
        at_once, part, piece = (constant(PARTS, name) for name in ("AT_ONCE", "PART", "FILE_PART"))
        self.scaling(
            f"the marker of `cancel`, every {look} s",
            f"Objects over {part // MIB} MiB go up in parts of that size, files over {piece // MIB} MiB in parts of "
            f"{piece // MIB} MiB, {WORDS[at_once]} at a time",
            f"1 up to {part // MIB} MiB",
        )
        for side in (256, 512, 1024):
            written, read = writes + 60 // EVERY * requests(side), reads + 60 // look
            cost = 5 * written + 0.4 * read
            self.scaling(f"| {side}² | {requests(side)} | {written} | {read} | ${round(cost, -1):.0f} |")

    def test_limits(self):
        most = constant("proto/transport/src/broker/rabbitmq/message.rs", "MAX_BYTES")
        self.assertIn(f"max_message_size = {most}\n", text("deploy/rabbitmq/rabbitmq.conf"))
        values = "proto/model/src/stylize/values.rs"
        least, longest = constant(values, "MIN_SIDE"), constant(values, "MAX_SIDE")
        self.scaling(
            f"| a message | {most // MIB} MiB",
            f"sides of {least} to {longest:,} pixels",
            f"{ATTEMPTS} attempts, {WAITS[0]} to {WAITS[-1]} s apart",
            f"| deliveries | {DELIVERIES} that end",
        )
        self.architecture(
            f"waits in a queue of {WAITS[0]} to {WAITS[-1]} s",
            f"failed for good, or {WORDS[ATTEMPTS]} times",
            f"{WORDS[constant(LIFECYCLE, 'DEATHS')]} deaths in a row",
            f"after {WORDS[DELIVERIES]} deliveries",
        )

    def test_outages(self):
        heartbeat = constant("proto/transport/src/broker/rabbitmq/url.rs", "HEARTBEAT")
        silence = "proto/transport/src/store/s3/silence.rs"
        self.architecture(
            f"after {WORDS[2 * heartbeat]} to thirteen seconds (heartbeats every {WORDS[heartbeat]})",
            f"{constant('proto/transport/src/broker/rabbitmq/patience.rs', 'SILENCE')} seconds of silence",
            f"says nothing for {constant(silence, 'LONGEST')} s, or {constant(silence, 'LONGEST_UPLOADING')} s during an upload",
            f"waits up to {WORDS[constant('dispatcher/src/stores.rs', 'PATIENCE') // 60]} minutes",
        )


if __name__ == "__main__":
    unittest.main()
