"""Is this installation well? Each plugin is tried in a process of its own, so a broken one cannot hurt."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

from zoo import __version__, registry
from zoo.errors import MissingPackageError

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
try:
    from zoo import registry
    model = registry.load(sys.argv[1])
    print(json.dumps({"recipes": list(model.recipes)}))
except BaseException as error:
    from zoo.errors import one_line
    print(json.dumps({"problem": one_line(error), "kind": type(error).__name__}))
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
        if listed.problem and not own:
            text += "; its models are listed by name only. In its project, run: zoo catalogue build"
        unreadable = bool(listed.problem) and listed.path is not None and listed.path.is_file()
        found.append(Finding("catalogue", name, not (unreadable or (own and listed.problem)), text))
    return found


def _plugins(timeout: float) -> list[Finding]:
    def one(item: tuple[str, tuple[registry.Plugin, ...]]) -> Finding:
        name, claims = item
        if len(claims) > 1:
            return Finding("plugin", name, False, registry.conflict(claims))
        origin = f"{claims[0].distribution} {claims[0].version}"
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _CHECK, name],
                capture_output=True,
                text=True,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return Finding("plugin", name, False, f"{origin}: its import took more than {timeout:g} s and was stopped")
        lines = done.stdout.strip().splitlines()
        try:
            answer = json.loads(lines[-1])
        except (IndexError, ValueError):
            return Finding(
                "plugin", name, False, f"{origin}: its import ended the process with exit code {done.returncode}"
            )
        if "problem" in answer:
            runs_only = answer["kind"] == MissingPackageError.__name__  # no fault: this machine only runs models
            return Finding("plugin", name, runs_only, f"{origin}: {answer['problem']}")
        return Finding("plugin", name, True, f"{origin}: {', '.join(answer['recipes'])}")

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, registry.plugins().items()))
