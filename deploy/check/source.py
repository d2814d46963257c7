"""Reads the repository's files, for tests that compare them."""
import re
import tomllib
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent.parent
ROOT = DEPLOY.parent


def text(path):
    return (ROOT / path).read_text()


def document(path):
    return yaml.safe_load(text(path))


def documents(path):
    return [d for d in yaml.safe_load_all(text(path)) if d]


def constant(path, name):
    """The value of a constant of Rust or Python; durations are seconds."""
    found = re.search(rf"^(?:.*\bconst )?{name}(?:: [^=\n]+)? = ([^;\n]+)", text(path), re.M)
    assert found, f"{path} has no {name} any more"
    value = re.sub(r"Duration::from_secs\((\d+)\)", r"\1", found[1])
    value = re.sub(r"Duration::from_millis\((\d+)\)", r"\1 / 1000", value)
    return eval(value, {"__builtins__": {}})


# The worker's settings and their defaults.
SETTINGS = tomllib.loads(text("worker/src/config.default.toml"))
