"""Checks of what a plugin declares, before anything is trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from tempfile import TemporaryDirectory

import zoo_export
from zoo import registry
from zoo.core.errors import PluginError
from zoo.pipeline import registry_build
from zoo.testing.subject import Subject
from zoo.training import rehearsal

STEPS = 4
"""The steps of a recipe ``tiny``, at least: it is interrupted half-way."""

IMPORT = 60.0
"""Seconds that the import of a plugin may take, torch included."""

_DISCOVER = """
import json, sys, time
began = time.perf_counter()
from zoo import registry
registry.rows(), registry.data_rows()
listed = time.perf_counter()
early = sorted({"torch", "numpy", sys.argv[2]} & sys.modules.keys())
registry.load(sys.argv[1])
print(json.dumps([early, listed - began, time.perf_counter() - listed]), file=sys.__stdout__)
"""


def discovery(subject: Subject) -> str:
    """Listing models imports neither the plugin nor torch, and importing the plugin neither prints nor writes."""
    plugin = registry.find(subject.name)
    package = plugin.value.partition(":")[0].strip().partition(".")[0]
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    with TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-c", _DISCOVER, subject.name, package], env={**os.environ, "PYTHONPATH": paths},
                cwd=folder, capture_output=True, text=True, timeout=IMPORT,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise subject.fault(f"its import takes more than {IMPORT:g} s. Do no work at import") from error
        written = sorted(os.listdir(folder))
    *printed, answer = done.stdout.splitlines() or [""]
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise subject.fault(f"its import ends the process with exit status {done.returncode}: {last}")
    early, listed, imported = json.loads(answer)
    if early:
        raise PluginError(
            f"Listing models imports {', '.join(early)}. Import nothing where a package is found: {package}."
        )
    if printed or done.stderr.strip():
        said = (printed or done.stderr.strip().splitlines())[0]
        raise subject.fault(f"its import prints {said[:100]!r}. Print nothing at import")
    if written:
        raise subject.fault(f"its import writes {written[0]!r} into the current folder. Write nothing at import")
    return f"listed in {listed:.2f} s without an import; imported in {imported:.1f} s"


def card(subject: Subject) -> str:
    """The card has a title, a summary, the address of the paper, and authors with a year; the registry has the same."""
    shown, where = subject.model.card, subject.model.build
    if not shown.title.strip():
        raise subject.fault("the card has no title", where)
    if len(shown.summary.split()) <= 5:
        raise subject.fault(f"the summary of the card, {shown.summary!r}, is no sentence", where)
    if not shown.paper.startswith("https://"):
        raise subject.fault(f"the paper of the card, {shown.paper!r}, is no address. Write https://…", where)
    if not re.search(r"\b(1[89]|20)\d\d\b", shown.citation):
        raise subject.fault(f"the citation {shown.citation!r} has no year. Write it as 'Kingma & Welling 2014'", where)
    plugin = registry.find(subject.name)
    listed = registry.read_file(plugin.distribution)
    if listed.problem:
        raise PluginError(f"{plugin.distribution}: {listed.problem}")
    described = listed.models.get(subject.name)
    if described is None:
        raise PluginError(f"The registry.yaml of {plugin.distribution} lacks {subject.name}. Run: zoo registry build")
    if described != registry_build.describe(subject.name, subject.model):
        raise PluginError(
            f"The registry.yaml of {plugin.distribution} describes {subject.name} otherwise than its code. "
            "Run: zoo registry build"
        )
    return f"{shown.title} ({shown.citation})"


def recipes(subject: Subject) -> str:
    """There is a recipe ``tiny``, for tests, and another one."""
    known = subject.model.recipes
    if "tiny" not in known:
        raise subject.fault("it has no recipe 'tiny', which trains in a second or two for tests", subject.model.build)
    if len(known) < 2:
        raise subject.fault("it has no recipe but 'tiny'. Add one for real use", subject.model.build)
    steps = known["tiny"].steps
    if steps < STEPS:
        raise subject.fault(f"its recipe 'tiny' has {steps} steps, and needs {STEPS}", subject.model.build)
    return f"{', '.join(known)}; tiny has {steps} steps"


def declarations(subject: Subject) -> str:
    """Objectives, tasks, generation, codec and metrics are as declared, and every task has an ONNX graph."""
    missing = rehearsal.tiny(subject.name, graphs=True, trace=zoo_export.tracer())
    if missing:
        raise PluginError(
            f"{subject.tiny} cannot be tried: {missing}. Use a data set for tests that needs no download."
        )
    model = subject.model
    return f"{len(model.recipes)} recipes, {len(model.metrics)} metrics of its own"
