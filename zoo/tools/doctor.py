"""Is this installation well? Plugins are tried in other processes, so a broken one cannot hurt."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from zoo import registry
from zoo._version import __version__
from zoo.core.errors import MissingPackageError, ZooError, installed, one_line
from zoo.release import resolve

TIMEOUT = 60
"""Seconds that a plugin may take to be imported and tried."""

Answer = dict[str, Any]
"""What is said of a plugin: its recipes, and why nothing more was tried; or its problem, and the kind of that error."""

PACKAGES = {
    "torch": "train",
    "onnx": "train",
    "onnxscript": "train",
    "scikit-learn": "train",
    "torchmetrics": "train",
}
"""What training, exporting and measuring need, and the extra that brings it."""

_CHECK = "import sys; from zoo.tools import doctor; doctor.answer(sys.argv[1:])"


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
        resolve.find(name)
    except ZooError as error:
        return str(error)
    return ""


def _plugins(timeout: float) -> list[Finding]:
    """Each plugin, tried in a process with the others of its distribution."""
    claims = registry.plugins()
    groups: dict[str, list[str]] = {}
    for name, (first, *more) in claims.items():
        if not more:
            groups.setdefault(first.distribution, []).append(name)
    with ThreadPoolExecutor(4) as pool:
        answers = {name: answer for part in pool.map(partial(_try, timeout), groups.values()) for name, answer in part}
    return [_plugin(name, plugins, answers) for name, plugins in claims.items()]


def _try(timeout: float, names: list[str]) -> list[tuple[str, Answer]]:
    """What processes that try these plugins, one after the other, say of each, each within `timeout` seconds."""
    found: dict[str, Answer] = {}
    while left := [name for name in names if name not in found]:
        answers, ending = _listen(timeout, left)
        found |= answers
        silent = next((name for name in left if name not in found), None)
        if silent is not None:  # it is the one that was being tried
            found[silent] = {"problem": ending, "kind": ""}
    return list(found.items())


def _listen(timeout: float, names: list[str]) -> tuple[dict[str, Answer], str]:
    """What one process says of these plugins until it ends, or is stopped because it says no more; and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answers")
        with open(path, "wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHECK, *names],
                stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},  # for tiny networks more threads take six times as long
            )  # fmt: skip
        heard, since = 0, time.monotonic()
        while process.poll() is None:
            time.sleep(0.02)
            if (now := len(_answers(path, names))) > heard:
                heard, since = now, time.monotonic()
            elif time.monotonic() - since > timeout:
                process.kill()
                process.wait()
                return _answers(path, names), f"it took more than {timeout:g} s and was stopped"
        return _answers(path, names), f"it ended the process with exit code {process.returncode}"


def _answers(path: Path, names: list[str]) -> dict[str, Answer]:
    found = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            answer = json.loads(line)
            found[answer["name"]] = answer
        except (ValueError, TypeError, KeyError):
            continue  # what a plugin prints itself
    return {name: answer for name, answer in found.items() if name in names}


def answer(names: list[str]) -> None:
    """Print, for the process that listens, what is found of each of these plugins: one JSON object a line."""
    for name in names:
        try:
            said: Answer = {"recipes": list(registry.load(name).recipes), "untried": _rehearsed(name)}
        except BaseException as error:
            said = {"problem": one_line(error), "kind": type(error).__name__}
        print(json.dumps({"name": name, **said}), flush=True)


def _rehearsed(name: str) -> str:
    """Try what a plugin declares, as before a training; returns why that was not possible."""
    if not installed("torch"):
        return "torch is not installed"
    import zoo_export
    from zoo.training import rehearsal

    ours = registry.find(name).distribution == registry.OWN  # whose graphs its tests make
    return rehearsal.tiny(name, graphs=not ours, trace=zoo_export.tracer())


def _plugin(name: str, plugins: tuple[registry.Plugin, ...], answers: Mapping[str, Answer]) -> Finding:
    if len(plugins) > 1:
        return Finding("plugin", name, False, registry.conflict(plugins))
    origin, answer = f"{plugins[0].distribution} {plugins[0].version}", answers[name]
    if "problem" in answer:
        runs_only = answer["kind"] == MissingPackageError.__name__  # no fault: this machine only runs models
        return Finding("plugin", name, runs_only, f"{origin}: {answer['problem']}")
    untried = f"; imported only: {answer['untried']}" if answer["untried"] else ""
    return Finding("plugin", name, True, f"{origin}: {', '.join(answer['recipes'])}{untried}")
