"""``measures.json`` in a run folder: the figures taken of the run, by checkpoint step. The exporter reads it.

It also has the model's own metrics that could not be taken, with the reason: a release has no older value in place of
one of these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.contract.metric import Figure, from_json
from zoo.core import files
from zoo.core.errors import EvaluationError, one_line

MEASURES = "measures.json"
FORMAT = 1


def read(run: Path, step: int) -> list[Figure]:
    """The figures of a run's checkpoint; none where none were kept. :class:`EvaluationError` for a damaged file."""
    return [from_json(entry) for entry in _load(run)[0].get(str(step), ())]


def failed(run: Path, step: int) -> dict[str, str]:
    """Why some of the model's own metrics could not be taken of a run's checkpoint, by name."""
    return _load(run)[1].get(str(step), {})


def merge(run: Path, step: int, figures: Sequence[Figure], failures: Mapping[str, str] | None = None) -> list[Figure]:
    """Keep figures of a run's checkpoint. One that was taken anew replaces the older of its name.

    But a glance does not: older ones that rest on more samples stay, and are returned. Of a metric that could not be
    taken, one of `failures`, the reason is kept, and no older figure.
    """
    steps, reasons = _load(run)
    failures = failures or {}
    older = {figure.name: figure for figure in read(run, step) if figure.name not in failures}
    firmer = [older[new.name] for new in figures if new.name in older and older[new.name].count > new.count]
    merged = older | {figure.name: figure for figure in (*figures, *firmer)}
    steps[str(step)] = [figure.to_json() for figure in merged.values()]
    reasons[str(step)] = {
        key: why for key, why in {**reasons.get(str(step), {}), **failures}.items() if key not in merged
    }
    content: dict[str, Any] = {"format": FORMAT, "steps": {key: steps[key] for key in sorted(steps, key=int)}}
    if any(reasons.values()):
        content["failed"] = {key: reasons[key] for key in sorted(reasons, key=int) if reasons[key]}
    files.write(run / MEASURES, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return firmer


def _load(run: Path) -> tuple[dict[str, list[dict[str, object]]], dict[str, dict[str, str]]]:
    """The figures by step, and by step why metrics could not be taken."""
    path = run / MEASURES
    if not path.is_file():
        return {}, {}
    try:
        loaded = json.loads(path.read_text("utf-8"))
        if loaded["format"] > FORMAT:
            raise EvaluationError(f"{path} was written by a newer zoo. Run: pip install --upgrade genzoo")
        steps = dict(loaded["steps"])
        for step, entries in steps.items():
            int(step)
            for entry in entries:
                from_json(entry)
        reasons = {str(int(step)): dict(found) for step, found in dict(loaded.get("failed", {})).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(f"{path} is damaged: {one_line(error)}. Remove it, and measure again.") from error
    return steps, reasons
