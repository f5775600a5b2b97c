"""``zoo.bench``: checks the options, runs the rounds, and returns the results."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from zoo.benchmark import machine
from zoo.benchmark.backends import backends
from zoo.benchmark.results import Benchmark, Started, first_on, ratio, rows
from zoo.benchmark.rounds import Case, Rounds
from zoo.benchmark.worker import GENERATE
from zoo.contract import settings
from zoo.core.devices import check_threads
from zoo.core.errors import EvaluationError, NotFoundError, SettingError, suggest
from zoo.hub.resolve import find, spelt
from zoo.release import Release, read

BATCHES = (1, 64)
ROUNDS = 5
LARGEST = 4096
"""The largest batch, so that its input fits in memory for any model."""


def bench(
    *sources: str | Path,
    tasks: Sequence[str] = (),
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    threads: int = 1,
    device: str = "auto",
    only: Sequence[str] = (),
    quiet: bool = False,
) -> Benchmark:
    """Compare the speed of releases, each given by its name or by the path of its run or release folder.

    The first source is the baseline. `tasks` are names of tasks, or ``generate`` (default: all). `threads` applies to
    torch and ONNX Runtime. `device` is "cpu", "cuda" or "auto" (both, if there is a GPU). `only` names engines: torch,
    torch-compiled, onnx. A backend that cannot run, such as torch if it is not installed, is left out with the reason.
    Raises :class:`ZooError` for a bad option or release, and :class:`EvaluationError` if nothing could be measured.
    """
    names = list(dict.fromkeys(map(spelt, sources)))
    if not names:
        raise SettingError("Nothing to measure: give a released name, a run folder or a release folder.")
    check_threads(threads)
    for option, value, least in (("rounds", rounds, 1), *(("batch", b, 1) for b in batches)):
        settings.at_least(option, value, least)
    if max(batches, default=0) > LARGEST:
        raise SettingError(f"batch = {max(batches)} is out of range: it must be at most {LARGEST}.")
    everybody = backends(names, device, only)
    cases = {name: _cases(read(find(name)), tasks, batches or BATCHES) for name in names}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache,
        Rounds(everybody, rounds, threads, Path(cache), quiet) as found,
    ):
        found.start()
        found.run(cases)
    if not any(found.trials.values()):
        left = found.left_out[0]
        raise EvaluationError(f"Nothing could be measured. {left.backend.name}: {left.reason}.")
    measured = [backend for backend in everybody if any(backend in ways for ways in found.trials.values())]
    return Benchmark(
        sources=names,
        machine=machine.describe(),
        versions=[f"zoo {version('genzoo')}", *dict.fromkeys(found.about[one]["version"] for one in measured)],
        threads=threads,
        rounds=rounds,
        rows=rows(found.trials),
        started=[
            Started(
                backend=one,
                providers=found.about[one]["providers"],
                cold_seconds=found.cold[one],
                base=(base := first_on(one.device, measured)),
                speed=ratio(found.cold[base], found.cold[one]),
                first_megabytes=found.about[one]["peak"],
                megabytes=found.peak[one],
            )
            for one in measured
        ],
        left_out=found.left_out,
        other_work=found.other_work,
    )


def _cases(release: Release, tasks: Sequence[str], batches: Sequence[int]) -> list[Case]:
    """Return the tasks and batch sizes to time. Raises :class:`NotFoundError` for an unknown task."""
    known = [*release.tasks, *([GENERATE] if release.generation is not None else [])]
    for task in tasks:
        if task not in known:
            raise NotFoundError(
                f"{release.name} has no task {task!r}.{suggest(task, known)} It has: {', '.join(known)}."
            )
    return [(task, batch) for task in (tasks or known) for batch in dict.fromkeys(batches)]
