"""``zoo doctor``: check this installation. Plugins run in other processes, so a broken one does no harm."""

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
from zoo.core.errors import MissingPackageError, installed, one_line
from zoo.hub import resolve

TIMEOUT = 60
"""Seconds allowed for importing and trying a plugin."""

Answer = dict[str, Any]
"""The result of trying a plugin: what it has and why it was only imported; or its problem and the error type."""

PACKAGES = {
    "torch": "train",
    "onnx": "train",
    "onnxscript": "train",
    "scikit-learn": "train",
    "torchmetrics": "train",
}
"""The packages that training, export and evaluation need, and the extra that installs each."""

_CHECK = "import sys; from zoo.tools import doctor; doctor.answer(sys.argv[1], sys.argv[2:])"
_CHECK_LOGGER = "import sys; from zoo.tools import doctor; doctor.answer_logger(sys.argv[1])"


@dataclass(frozen=True)
class Finding:
    """One row of the report: what was checked, whether it is fine, and a text."""

    kind: str
    name: str
    ok: bool
    text: str


def examine(timeout: float = TIMEOUT) -> list[Finding]:
    """Check Python, the packages, the registries and every plugin, each plugin for at most `timeout` seconds."""
    return [
        Finding("python", platform.python_version(), sys.version_info >= (3, 11), platform.platform()),
        Finding("package", "genzoo", True, __version__),
        *_packages(),
        *_runtime(),
        *_registry_files(),
        *_plugins(registry.MODELS, timeout),
        *_plugins(registry.DATA, timeout),
        *_loggers(timeout),
    ]


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings as a JSON object, for scripts."""
    return {"ok": all(finding.ok for finding in findings), "findings": [asdict(finding) for finding in findings]}


def _packages() -> list[Finding]:
    found = []
    for name, extra in PACKAGES.items():
        try:
            found.append(Finding("package", name, True, version(name)))
        except PackageNotFoundError:  # fine: running models does not need these packages
            text = f"not installed; to train and export: pip install 'genzoo[{extra}]'"
            found.append(Finding("package", name, True, text))
    return found


def _runtime() -> list[Finding]:
    """Check ONNX Runtime. The CPU and the GPU build must not both be installed."""
    versions = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if name in versions]
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


def _registry_files() -> list[Finding]:
    found = []
    groups = [registry.plugins(group) for group in (registry.MODELS, registry.DATA)]
    for name in sorted({plugin.distribution for group in groups for claims in group.values() for plugin in claims}):
        listed = registry.read_file(name)
        own = name == registry.OWN
        text = listed.problem or (
            f"{len(listed.models)} models, {len(listed.releases)} releases, {len(listed.data)} data sets"
        )
        lost = [problem for release in listed.releases if (problem := resolve.lost(release))]
        if listed.problem and not own:
            text += "; its models and data sets are listed by name only. In its project, run: zoo registry build"
        unreadable = bool(listed.problem) and listed.path is not None and listed.path.is_file()
        found.append(Finding("registry", name, not (unreadable or (own and listed.problem)), text))
        found += [Finding("weights", name, False, problem) for problem in lost]
    return found


def _plugins(group: str, timeout: float) -> list[Finding]:
    """Try every plugin of a group, in one process for each distribution."""
    claims = registry.plugins(group)
    groups: dict[str, list[str]] = {}
    for name, (first, *more) in claims.items():
        if not more:
            groups.setdefault(first.distribution, []).append(name)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(partial(_try, group, timeout), groups.values())
        answers = {name: answer for part in parts for name, answer in part}
    kind = "plugin" if group == registry.MODELS else "data"
    return [_plugin(kind, name, plugins, answers) for name, plugins in claims.items()]


def _loggers(timeout: float) -> list[Finding]:
    """Import every logger, each in a process of its own; a package that one needs may be missing."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(partial(_logger, timeout), registry.plugins(registry.LOGGERS).items()))


def _logger(timeout: float, claims: tuple[str, tuple[registry.Plugin, ...]]) -> Finding:
    name, (plugin, *more) = claims
    if more:
        return Finding("logger", name, False, registry.conflict((plugin, *more)))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHECK_LOGGER, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, timeout=timeout, text=True,
        )  # fmt: skip
        kind, _, problem = done.stdout.strip().rpartition("\n")[2].partition(" ")
        problem = problem or ("" if done.returncode == 0 else f"it ended the process with exit code {done.returncode}")
    except subprocess.TimeoutExpired:
        kind, problem = "", f"it took more than {timeout:g} s and was stopped"
    fine = not problem or kind == MissingPackageError.__name__  # this logger is not used here
    return Finding("logger", name, fine, f"{plugin.distribution} {plugin.version}: {problem or f'--log {name}'}")


def answer_logger(name: str) -> None:
    """Print why a logger cannot be used, after the type of the error, for the parent process."""
    try:
        registry.load_value(name, registry.LOGGERS)
    except BaseException as error:
        print("\n" + type(error).__name__, one_line(error), flush=True)


def _try(group: str, timeout: float, names: list[str]) -> list[tuple[str, Answer]]:
    """Try plugins one after the other, each for `timeout` seconds; after a crash a new process tries the rest."""
    found: dict[str, Answer] = {}
    while left := [name for name in names if name not in found]:
        answers, ending = _listen(group, timeout, left)
        found |= answers
        silent = next((name for name in left if name not in found), None)
        if silent is not None:  # this plugin was being tried
            found[silent] = {"problem": ending, "kind": ""}
    return list(found.items())


def _listen(group: str, timeout: float, names: list[str]) -> tuple[dict[str, Answer], str]:
    """Return the answers of one process about these plugins until it ends or times out, and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answers")
        with open(path, "wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHECK, group, *names],
                stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},  # with more threads, tiny networks take six times as long
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
            continue  # output of the plugin itself
    return {name: answer for name, answer in found.items() if name in names}


def answer(group: str, names: list[str]) -> None:
    """Print the result for each plugin of a group, one JSON object a line, for the parent process."""
    for name in names:
        try:
            if group == registry.DATA:
                said: Answer = {"has": _fields(name), "untried": ""}
            else:
                said = {"has": ", ".join(registry.load(name).recipes), "untried": _rehearsed(name)}
        except BaseException as error:
            said = {"problem": one_line(error), "kind": type(error).__name__}
        print(json.dumps({"name": name, **said}), flush=True)


def _fields(name: str) -> str:
    """Return the fields of a data set with its default options, as text. Nothing is read."""
    from zoo.data.loading import form

    known = registry.load_value(name, registry.DATA)
    with registry.calling(name, f"the class {known.options.__name__}", known.options, group=registry.DATA):
        options = known.options()
    sample = form(name, known, options)
    return ", ".join(("x", *sample.fields)) if sample else "the fields are those of the data"


def _rehearsed(name: str) -> str:
    """Try what a plugin declares, as before training. Returns why this was not possible, or ""."""
    if not installed("torch"):
        return "torch is not installed"
    import zoo_export
    from zoo.training import rehearsal

    ours = registry.find(name).distribution == registry.OWN  # genzoo's tests export their graphs
    return rehearsal.tiny(name, graphs=not ours, trace=zoo_export.tracer())


def _plugin(kind: str, name: str, plugins: tuple[registry.Plugin, ...], answers: Mapping[str, Answer]) -> Finding:
    if len(plugins) > 1:
        return Finding(kind, name, False, registry.conflict(plugins))
    origin, answer = f"{plugins[0].distribution} {plugins[0].version}", answers[name]
    if "problem" in answer:
        runs_only = answer["kind"] == MissingPackageError.__name__  # fine: this machine only runs models
        return Finding(kind, name, runs_only, f"{origin}: {answer['problem']}")
    untried = f"; imported only: {answer['untried']}" if answer["untried"] else ""
    return Finding(kind, name, True, f"{origin}: {answer['has']}{untried}")
