#!/usr/bin/env python3
"""Prints the licences of all crates that are linked into the two executables.

  licences.py     from the root of the repository; asks cargo, and reads its registry
"""
import json
import re
import subprocess
from pathlib import Path

ROOTS = ("stylefleet", "stylefleet-worker-program")
FILES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def linked(metadata):
    """The packages that the executables are built of, without what only builds or tests them."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, open_ends = {}, [id for id, package in packages.items() if package["name"] in ROOTS]
    while open_ends:
        id = open_ends.pop()
        if id not in found and not any("proc-macro" in target["kind"] for target in packages[id]["targets"]):
            found[id] = packages[id]
            open_ends += [needed["pkg"] for needed in nodes[id]["deps"]
                          if any(kind["kind"] is None for kind in needed["dep_kinds"])]
    return found.values()


def texts(package):
    folder = Path(package["manifest_path"]).parent
    named = [folder / package["license_file"]] if package["license_file"] else []
    files = {*named, *(path for path in folder.iterdir() if path.is_file() and FILES.match(path.name))}
    return [path.read_text(errors="replace").strip() for path in sorted(files)]


def main():
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    foreign = sorted((p for p in linked(metadata) if p["source"]), key=lambda p: (p["name"], p["version"]))
    print("Stylefleet is linked with these crates, from crates.io, and with Rust's standard library\n"
          "(MIT OR Apache-2.0). Where one may be chosen, Stylefleet takes MIT. The texts follow.\n")
    users = {}
    for package in foreign:
        print(f"  {package['name']} {package['version']}  {package['license'] or 'see its text'}")
        for text in texts(package):
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    for text, names in users.items():
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'-' * 100}\n{text}")


if __name__ == "__main__":
    main()
