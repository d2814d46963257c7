"""The manifests before a real API server of Kubernetes. It has no nodes, and no operator behind KEDA's,
Prometheus' and RabbitMQ's kinds, whose fields it lets pass: test_deploy.py looks at those.

Run where kube-apiserver and etcd are: in $KUBEBUILDER_ASSETS, where `setup-envtest use` puts them, or in the
PATH.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml

KUBERNETES = Path(__file__).resolve().parent.parent / "kubernetes"
OVERLAYS = sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
PATIENCE = 120  # seconds
TOKEN = "only-here"
OTHERS = (
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("keda.sh", "v1alpha1", "TriggerAuthentication", "triggerauthentications"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    ("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"),
)


def definition(group, version, kind, plural):
    """Any kind of somebody else's, with any fields."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Admission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        places = os.pathsep.join([os.environ.get("KUBEBUILDER_ASSETS", ""), os.environ["PATH"]])
        etcd, apiserver = (shutil.which(name, path=places) for name in ("etcd", "kube-apiserver"))
        if not (etcd and apiserver):
            missing = "kube-apiserver and etcd are not here"
            print(f"check: {missing}: the manifests were checked against schemas alone", file=sys.stderr)
            raise unittest.SkipTest(missing)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        client, peer, cls.port = free_ports(3)
        cls.start(
            etcd, f"--data-dir={cls.folder}/etcd", "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
        )
        key = cls.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, stderr=subprocess.DEVNULL)
        tokens = cls.folder / "tokens"
        tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
        cls.start(
            apiserver, f"--etcd-servers=http://127.0.0.1:{client}", f"--cert-dir={cls.folder}",
            "--bind-address=127.0.0.1", f"--secure-port={cls.port}", f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
        )
        deadline = time.monotonic() + PATIENCE
        while cls.kubectl("get", "--raw=/readyz", check=False).returncode:
            if time.monotonic() > deadline:
                logs = [path.read_text()[-2000:] for path in sorted(cls.folder.glob("*.log"))]
                raise AssertionError("the API server is not ready:\n" + "\n".join(logs))
            time.sleep(0.2)
        cls.apply({"apiVersion": "v1", "kind": "List", "items": [definition(*other) for other in OTHERS]})
        names = [f"crd/{plural}.{group}" for group, _, _, plural in OTHERS]
        cls.kubectl("wait", "--for=condition=Established", f"--timeout={PATIENCE}s", *names)

    @classmethod
    def start(cls, program, *arguments):
        with open(cls.folder / f"{Path(program).name}.log", "w") as log:
            process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)

    @classmethod
    def kubectl(cls, *arguments, check=True, **options):
        server = [f"--server=https://127.0.0.1:{cls.port}", f"--certificate-authority={cls.folder}/apiserver.crt"]
        command = ["kubectl", "--kubeconfig=/dev/null", f"--token={TOKEN}", *server, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, **options)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    @classmethod
    def apply(cls, *documents, options=()):
        """Fields that the server does not know are errors, and so are its warnings."""
        given = "\n---\n".join(map(json.dumps, documents))
        return cls.kubectl(
            "apply", "--validate=strict", "--warnings-as-errors", *options, "--filename=-", input=given
        ).stdout

    def test_overlays_are_admitted_with_their_pods(self):
        for overlay in OVERLAYS:
            with self.subTest(overlay=overlay.name):
                built = [d for d in yaml.safe_load_all(self.kubectl("kustomize", overlay).stdout) if d]
                self.apply(*built)
                again = self.apply(*built).splitlines()
                self.assertEqual([line for line in again if not line.endswith(" unchanged")], [])
                # Of no Deployment the namespace asks what it asks of pods, by its security label.
                (deployment,) = (d for d in built if d["kind"] == "Deployment")
                template = deployment["spec"]["template"]
                place = {"name": "worker-0", "namespace": deployment["metadata"]["namespace"]}
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | place, "spec": template["spec"]}
                self.apply(pod, options=["--dry-run=server"])
                pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
                with self.assertRaisesRegex(AssertionError, "violates PodSecurity"):
                    self.apply(pod, options=["--dry-run=server"])

    def test_examples_are_admitted(self):
        for example in sorted(KUBERNETES.glob("examples/*.yaml")):
            with self.subTest(example=example.name):
                documents = [d for d in yaml.safe_load_all(example.read_text()) if d]
                for namespace in {d["metadata"]["namespace"] for d in documents}:
                    self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
                self.apply(*documents)


if __name__ == "__main__":
    unittest.main()
