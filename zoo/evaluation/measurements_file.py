"""``evaluation.json`` in a run folder: the measurements of the run, by checkpoint step. The exporter reads it.

It also lists the model's own metrics that failed, with the reason: a release has no older value for these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.contract.metric import Measurement, from_json
from zoo.contract.own_metrics import in_order
from zoo.core import files
from zoo.core.errors import EvaluationError, one_line

FILE = "evaluation.json"
FORMAT = 1


def read(run: Path, step: int) -> list[Measurement]:
    """The measurements of a run's checkpoint; [] if there are none. Raises :class:`EvaluationError` if damaged."""
    return [from_json(entry) for entry in _load(run)[0].get(str(step), ())]


def failed(run: Path, step: int) -> dict[str, str]:
    """The model's own metrics that failed for a run's checkpoint, with the reason, by name."""
    return _load(run)[1].get(str(step), {})


def merge(
    run: Path,
    step: int,
    measurements: Sequence[Measurement],
    failures: Mapping[str, str] | None = None,
    own: Sequence[str] = (),
) -> list[Measurement]:
    """Store measurements of a run's checkpoint; a new measurement replaces the older one of the same name.

    They are in the order of :func:`zoo.contract.own_metrics.in_order`; `own` names the model's own metrics. Older
    measurements on more samples stay, and are returned. For a metric in `failures`, the reason is stored and the
    older measurement removed.
    """
    steps, reasons = _load(run)
    failures = failures or {}
    older = {measurement.name: measurement for measurement in read(run, step) if measurement.name not in failures}
    kept_older = [older[new.name] for new in measurements if new.name in older and older[new.name].count > new.count]
    merged = older | {measurement.name: measurement for measurement in (*measurements, *kept_older)}
    steps[str(step)] = [measurement.to_json() for measurement in in_order(merged.values(), own)]
    reasons[str(step)] = {
        key: why for key, why in {**reasons.get(str(step), {}), **failures}.items() if key not in merged
    }
    content: dict[str, Any] = {"format": FORMAT, "steps": {key: steps[key] for key in sorted(steps, key=int)}}
    if any(reasons.values()):
        content["failed"] = {key: reasons[key] for key in sorted(reasons, key=int) if reasons[key]}
    files.write(run / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return kept_older


def _load(run: Path) -> tuple[dict[str, list[dict[str, object]]], dict[str, dict[str, str]]]:
    """The measurements by step, and the failed metrics with their reasons by step."""
    path = run / FILE
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
        raise EvaluationError(f"{path} is damaged: {one_line(error)}. Remove it, and evaluate again.") from error
    return steps, reasons
