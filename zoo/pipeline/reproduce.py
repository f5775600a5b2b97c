"""Reproduces released weights: trains by the recorded recipe, evaluates by the recorded protocols, and compares."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo import evaluation
from zoo.contract.metric import Measurement, from_json
from zoo.contract.names import METRICS, ZOO_METRICS
from zoo.core import files
from zoo.core.errors import EvaluationError, ReleaseError, SettingError, one_line
from zoo.evaluation.agreement import agree, protocol_note, same_protocol
from zoo.hub.resolve import find
from zoo.pipeline import recorded
from zoo.pipeline.train import Run, train
from zoo.plugin import Model
from zoo.release import QUANTIZED, WEIGHTS, read
from zoo.training import distributed, run_folder
from zoo.training.signals import Interrupted

FOLDER = Path("runs") / "reproduce"
"""The folder of the runs, unless another one is given."""

QUICK, LEAST = 50, 100
"""A quick run has one in `QUICK` of the recorded steps, and at least `LEAST`: shorter runs are hardly evaluated."""

Verdict = Literal["agrees", "differs", "no interval", "no new value"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The recorded value of one metric beside the new one."""

    recorded: Measurement
    new: Measurement | None
    verdict: Verdict
    note: str = ""
    """How the protocols differ, or why there is no new value."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The result of :func:`reproduce`."""

    name: str
    """``model.recipe``."""
    run: Path
    steps: int
    """The steps of the new run."""
    recorded_steps: int
    quick: bool
    """Whether the run is too short on purpose, so that it reproduces nothing."""
    comparisons: Sequence[Comparison]
    bit_equal: bool
    """Whether the new weights have the SHA-256 of the recorded ones."""
    recorded_on: str
    """The device and the version of torch by the manifest."""
    here: str

    @property
    def agrees(self) -> bool:
        """Whether every metric has a new value, and none differs; without metrics, whether the weights are the same."""
        if not self.comparisons:
            return self.bit_equal
        return all(one.verdict in ("agrees", "no interval") for one in self.comparisons)


def reproduce(
    source: str | Path,
    *,
    quick: bool = False,
    out: str | Path | None = None,
    data: str | None = None,
    data_dir: str | Path | None = None,
    start: str | Path | None = None,
    force: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> Reproduction:
    """Train a release again by its recorded recipe, evaluate the run by the recorded protocols, and compare.

    `source` is a released name, the path of a run or release folder, or ``"hub:ORG/NAME"``. The run folder is `out`, or
    ``runs/reproduce/NAME``. A run that is there is continued, exactly; with `force` it is replaced. With `quick` the
    run has a fiftieth of the steps, at least 100, in ``runs/reproduce/NAME.quick``: the result says that the code runs,
    and how far the quick metrics are. `data` gives the path of the publisher's own data, as in ``"folder:DIR"``, of
    which a release has only the name. `start` is the SOURCE of the weights that the release started from, if its name
    does not find them. `device` is "auto", "cpu", "cuda", "cuda:N" or "mps".

    The result has one comparison for each recorded metric, in the order of the manifest: two values of a metric agree
    if they are equal, or if their 95% intervals overlap. A metric that differs is a result and no error.

    Whatever would make it another run raises a :class:`ZooError` before the first step: :class:`NotFoundError` for a
    source or a plugin that is not found, :class:`PluginError` for a plugin of another distribution,
    :class:`DataError` for data that is missing or has another SHA-256, :class:`TrainingError` for other starting
    weights or other needed releases, :class:`ReleaseError` for a quantised release, and :class:`SettingError` for an
    option that does not fit. An interrupted run raises :class:`TrainingError` too; the same call continues it.
    """
    if distributed.count() > 1:
        raise SettingError("zoo reproduce runs in one process. Start it without torchrun.")
    release = read(find(source))
    if (made := release.manifest.get(QUANTIZED)) is not None:
        raise ReleaseError(f"{release.name} is in {made['kind']}, which is not trained. Reproduce what it was made of.")
    evaluation.check_installed()
    model, recipe = recorded.recipe_of(release, data)
    provenance = release.manifest["provenance"]
    recorded.check_data(release, recipe, data_dir, quiet)
    recorded.check_needs(release, model, recipe)
    start = recorded.start_of(release, start)
    recorded_steps = recipe.steps
    if quick:
        recipe = dataclasses.replace(recipe, steps=min(recipe.steps, max(LEAST, recipe.steps // QUICK)))
    folder = files.expand(out) if out is not None else FOLDER / (release.name + (".quick" if quick else ""))
    try:
        run = train(
            release.name,
            data_dir=data_dir,
            set={field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)},
            out=folder,
            start=start,
            resume=not force and run_folder.is_begun(folder),
            force=force,
            device=device,
            checkpoint_every=None if quick else provenance.get("checkpoint_every"),
            quiet=quiet,
        )
    except Interrupted as error:
        what = "Terminated" if type(error) is not Interrupted else "Interrupted"
        raise type(error)(f"{what}. The same command continues the run in {folder} exactly.") from error
    metrics = [from_json(entry) for entry in release.manifest["metrics"]]
    found = {one.name: one for one in run.measurements}
    reasons: dict[str, str] = {}
    if not quick:
        at_its_end = provenance["step"] == recorded_steps or recipe.early_stop
        which = run_folder.released(recipe) if at_its_end else "best"
        found, reasons = _evaluated(run, metrics, found if at_its_end else {}, which, model, data_dir, device, quiet)
    new = read(find(folder))
    return Reproduction(
        name=release.name,
        run=folder,
        steps=run.steps,
        recorded_steps=recorded_steps,
        quick=quick,
        comparisons=[_compared(one, found.get(one.name), reasons.get(one.name, "")) for one in metrics],
        bit_equal=new.files[WEIGHTS] == release.files[WEIGHTS],
        recorded_on=_machine(provenance),
        here=_machine(new.manifest["provenance"]),
    )


def _evaluated(
    run: Run,
    metrics: Sequence[Measurement],
    at_end: Mapping[str, Measurement],
    which: str,
    model: Model,
    data_dir: str | Path | None,
    device: str,
    quiet: bool,
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """The new measurements by name, and the reasons for those that are missing.

    A protocol is a text, so the evaluation that has the same text is searched for: that at the end of training, the
    whole one of ``zoo evaluate``, and one with the recorded number of samples. If none has it, the whole one counts.
    """
    known = {metric.name for metric in model.metrics} | {*ZOO_METRICS}
    found, reasons = (
        dict(at_end),
        {one.name: "no metric has that name here" for one in metrics if one.name not in known},
    )

    def missing() -> list[Measurement]:
        return [
            one
            for one in metrics
            if one.name in known and not (one.name in found and same_protocol(one, found[one.name]))
        ]

    def evaluate(wanted: Sequence[Measurement], count: int | None) -> None:
        try:
            made = evaluation.evaluate(
                run.folder, only=[one.name for one in wanted], limit=count, samples=count, data_dir=data_dir,
                device=device, checkpoint=which, quiet=quiet,
            )  # fmt: skip
        except EvaluationError as error:
            reasons.update({one.name: one_line(error).rstrip(".") for one in wanted})
            return
        by_name = {one.name: one for one in made.measurements}
        for one in wanted:
            new = by_name.get(one.name)
            if new is not None and (count is None or same_protocol(one, new)):
                found[one.name] = new
        groups = {name: group for group, names in METRICS.items() for name in names}
        for one in wanted:
            if why := made.left_out.get(one.name) or made.left_out.get(groups.get(one.name, "")):
                reasons[one.name] = why

    if wanted := missing():
        evaluate(wanted, None)
    by_count: defaultdict[int, list[Measurement]] = defaultdict(list)
    for one in missing():
        by_count[one.count].append(one)
    for count, wanted in by_count.items():
        if count >= 2:
            evaluate(wanted, count)
    return found, reasons


def _compared(old: Measurement, new: Measurement | None, reason: str) -> Comparison:
    if new is None:
        return Comparison(
            recorded=old, new=None, verdict="no new value", note=reason or "not computed at the end of a run"
        )
    same = agree(old, new)
    verdict: Verdict = "no interval" if same is None else "agrees" if same else "differs"
    return Comparison(recorded=old, new=new, verdict=verdict, note=protocol_note(old, new))


def _machine(provenance: Mapping[str, Any]) -> str:
    return f"{provenance['device']}, torch {provenance['torch']}"
