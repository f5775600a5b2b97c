"""Is this installation well? Plugins are tried in other processes, so a broken one cannot hurt."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

from zoo import __version__, registry, sources
from zoo.errors import MissingPackageError, ZooError

TIMEOUT = 60
"""Seconds that a plugin may take to be imported."""

PACKAGES = {
    "torch": "train",
    "onnx": "train",
    "onnxscript": "train",
    "scikit-learn": "train",
    "torchmetrics": "train",
}
"""What training, exporting and measuring need, and the extra that brings it."""

_CHECK = """
import json, sys
from zoo import registry
from zoo.errors import one_line
for name in sys.argv[1:]:
    try:
        said = {"recipes": list(registry.load(name).recipes)}
    except BaseException as error:
        said = {"problem": one_line(error), "kind": type(error).__name__}
    print(json.dumps({"name": name, **said}), flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, whether it is well, and what there is to say."""

    kind: str
    name: str
    ok: bool
    text: str


def examine(timeout: float = TIMEOUT) -> list[Finding]:
    """Look at Python, the packages, the catalogues and every plugin, each for at most `timeout` seconds."""
    return [
        Finding("python", platform.python_version(), sys.version_info >= (3, 11), platform.platform()),
        Finding("package", "genzoo", True, __version__),
        *_packages(),
        *_runtime(),
        *_catalogues(),
        *_plugins(timeout),
    ]


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """The findings for scripts."""
    return {"ok": all(finding.ok for finding in findings), "findings": [asdict(finding) for finding in findings]}


def _packages() -> list[Finding]:
    found = []
    for name, extra in PACKAGES.items():
        try:
            found.append(Finding("package", name, True, version(name)))
        except PackageNotFoundError:  # not a fault: a machine that only runs models does without
            text = f"not installed; to train and export: pip install 'genzoo[{extra}]'"
            found.append(Finding("package", name, True, text))
    return found


def _runtime() -> list[Finding]:
    """ONNX Runtime, of which the CPU and the GPU build must not both be there."""
    held = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if name in held]
    if len(builds) == 2:
        text = "both builds are installed and overwrite each other. Uninstall both, then install one"
        return [Finding("package", "onnxruntime", False, text)]
    try:
        import onnxruntime
    except ImportError as error:
        return [Finding("package", "onnxruntime", False, f"{error}. To run models: pip install 'genzoo[cpu]'")]
    providers = ", ".join(onnxruntime.get_available_providers())
    return [
        Finding(
            "package",
            builds[0] if builds else "onnxruntime",
            True,
            f"{onnxruntime.__version__}, built with {providers}",
        )
    ]


def _catalogues() -> list[Finding]:
    found = []
    for name in sorted({plugin.distribution for claims in registry.plugins().values() for plugin in claims}):
        listed = registry.catalogue(name)
        own = name == registry.OWN
        text = listed.problem or f"{len(listed.models)} models, {len(listed.releases)} releases"
        lost = [problem for release in listed.releases if (problem := _lost(release))]
        if listed.problem and not own:
            text += "; its models are listed by name only. In its project, run: zoo catalogue build"
        unreadable = bool(listed.problem) and listed.path is not None and listed.path.is_file()
        found.append(Finding("catalogue", name, not (unreadable or (own and listed.problem)), text))
        found += [Finding("weights", name, False, problem) for problem in lost]
    return found


def _lost(name: str) -> str:
    """What is wrong with the weights released under a name, whose manifest pins the rest; "" where they are there."""
    try:
        sources.find(name)
    except ZooError as error:
        return str(error)
    return ""


def _plugins(timeout: float) -> list[Finding]:
    """Each plugin, tried with the others of its distribution, or alone where that process came to an end too soon."""
    claims = registry.plugins()
    groups: dict[str, list[str]] = {}
    for name, (first, *more) in claims.items():
        if not more:
            groups.setdefault(first.distribution, []).append(name)
    with ThreadPoolExecutor(4) as pool:
        answers = {name: answer for part in pool.map(partial(_try, timeout), groups.values()) for name, answer in part}
        left = [[name] for names in groups.values() for name in names if len(names) > 1 and name not in answers]
        answers |= {name: answer for part in pool.map(partial(_try, timeout), left) for name, answer in part}
    return [_plugin(name, plugins, answers) for name, plugins in claims.items()]


def _try(timeout: float, names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What a process that imports these plugins said of each; of a single one also that it said nothing, and why."""
    with tempfile.TemporaryFile() as said:
        try:
            code = subprocess.run(
                [sys.executable, "-P", "-c", _CHECK, *names],
                stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=timeout,
            ).returncode  # fmt: skip
            ending = f"its import ended the process with exit code {code}"
        except subprocess.TimeoutExpired:
            ending = f"its import took more than {timeout:g} s and was stopped"
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").splitlines()
    found = {}
    for line in lines:
        try:
            answer = json.loads(line)
            found[answer["name"]] = answer
        except (ValueError, TypeError, KeyError):
            continue  # what a plugin prints itself
    if len(names) == 1 and not found:
        found[names[0]] = {"problem": ending, "kind": ""}
    return [(name, answer) for name, answer in found.items() if name in names]


def _plugin(name: str, plugins: tuple[registry.Plugin, ...], answers: Mapping[str, Mapping[str, Any]]) -> Finding:
    if len(plugins) > 1:
        return Finding("plugin", name, False, registry.conflict(plugins))
    origin, answer = f"{plugins[0].distribution} {plugins[0].version}", answers[name]
    if "problem" in answer:
        runs_only = answer["kind"] == MissingPackageError.__name__  # no fault: this machine only runs models
        return Finding("plugin", name, runs_only, f"{origin}: {answer['problem']}")
    return Finding("plugin", name, True, f"{origin}: {', '.join(answer['recipes'])}")
