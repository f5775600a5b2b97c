"""``measures.json`` in a run folder: the figures taken of the run, by checkpoint step. The exporter reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from zoo import files
from zoo.errors import EvaluationError, one_line
from zoo.evaluation.figures import Figure, from_json

MEASURES = "measures.json"
FORMAT = 1


def read(run: Path, step: int) -> list[Figure]:
    """The figures of a run's checkpoint; none where none were kept. :class:`EvaluationError` for a damaged file."""
    return [from_json(entry) for entry in _load(run).get(str(step), ())]


def merge(run: Path, step: int, figures: Sequence[Figure]) -> list[Figure]:
    """Keep figures of a run's checkpoint. One that was taken anew replaces the older of its name.

    But a glance does not: older ones that rest on more samples stay, and are returned.
    """
    by_step = _load(run)
    older = {figure.name: figure for figure in read(run, step)}
    firmer = [older[new.name] for new in figures if new.name in older and older[new.name].count > new.count]
    merged = older | {figure.name: figure for figure in (*figures, *firmer)}
    by_step[str(step)] = [figure.to_json() for figure in merged.values()]
    steps = {key: by_step[key] for key in sorted(by_step, key=int)}
    files.write(run / MEASURES, json.dumps({"format": FORMAT, "steps": steps}, indent=2, ensure_ascii=False) + "\n")
    return firmer


def _load(run: Path) -> dict[str, list[dict[str, object]]]:
    path = run / MEASURES
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text("utf-8"))
        if loaded["format"] > FORMAT:
            raise EvaluationError(f"{path} was written by a newer zoo. Run: pip install --upgrade genzoo")
        steps = dict(loaded["steps"])
        for step, entries in steps.items():
            int(step)
            for entry in entries:
                from_json(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(f"{path} is damaged: {one_line(error)}. Remove it, and measure again.") from error
    return steps
