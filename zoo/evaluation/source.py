"""Evaluation of a SOURCE, or of a run that just ended: load the model and its data, and compute the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import data as datasets
from zoo import modules, registry, runtime
from zoo.contract import settings
from zoo.contract import use as contract
from zoo.contract.metric import Measurement
from zoo.contract.own_metrics import at_checkpoints
from zoo.contract.use import Use
from zoo.core.devices import fit_threads, torch_device
from zoo.core.errors import DataError, EvaluationError, SettingError, ZooError
from zoo.core.progress import downloads
from zoo.data import DataSplit
from zoo.evaluation import measurements_file
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel, of_module, without
from zoo.evaluation.metric_groups import GROUPS, OWN, chosen
from zoo.evaluation.result import Evaluation
from zoo.evaluation.runner import PluginMetrics, group_jobs, own_jobs, take
from zoo.hub.resolve import find, run_folder
from zoo.plugin import Model, Recipe, SetMetric
from zoo.release import Release, read
from zoo.runtime import LoadedModel
from zoo.training.further import load_both

MOST_SAMPLES = 1_000_000

QUICK = Budget(limit=2000, most=1000, fit=2000, reference=10_000)
"""The budget of the groups of metrics at the end of a run; the model's own metrics use the whole test split."""

TRIAL = 100
"""A run of fewer steps computes only the model's own metrics at its end."""


@dataclass(frozen=True)
class Loaded:
    """A loaded SOURCE."""

    model: LoadedModel
    own: PluginMetrics | str
    """The arguments of the model's own metrics, or the reason why these cannot be computed."""
    data: Use
    further: Mapping[str, Use]
    """The further data sets of the recipe, by field."""
    leave_out: int
    recorded_at: tuple[Path, int] | None
    """The run folder and the step of its checkpoint."""


def measure(
    source: str | Path,
    only: Sequence[str],
    limit: int | None,
    samples: int | None,
    data: str | None,
    data_dir: str | Path | None,
    device: str,
    checkpoint: str | None,
    quiet: bool,
) -> Evaluation:
    """See :func:`zoo.evaluation.evaluate`."""
    settings.at_least("limit", limit, 1)
    settings.at_least("samples", samples, 2)
    if samples is not None and samples > MOST_SAMPLES:
        raise SettingError(f"samples = {samples} is out of range: it must be at most {MOST_SAMPLES:,}.")
    fit_threads()
    run = run_folder(source)
    if run is not None:
        loaded = _of_run(run, checkpoint, device)
    elif checkpoint is not None:
        raise SettingError(f"{str(source)!r} is a release, which has no checkpoints. Omit --checkpoint.")
    else:
        loaded = _of_release(source, device)
    own = () if isinstance(loaded.own, str) else tuple(metric.name for metric in loaded.own.model.metrics)
    wanted = chosen(only, own)
    training, test = _splits(loaded, data, data_dir, quiet)
    if loaded.recorded_at is not None and data is None:
        _check_data(loaded.recorded_at[0], loaded.data.name, training, test)
    evaluated = _evaluated(loaded.model, training, test, loaded.leave_out)
    budget = Budget(limit=limit, samples=samples, quiet=quiet)
    recorded_at = loaded.recorded_at if data is None else None  # a run's measurements are those on its own data

    kept_older: list[Measurement] = []

    def keep(measurements: Sequence[Measurement]) -> None:
        if recorded_at is not None:
            kept_older.extend(measurements_file.merge(*recorded_at, measurements, own=own))

    with loaded.model:
        jobs = [] if isinstance(loaded.own, str) else own_jobs(loaded.own, evaluated, wanted, budget)
        measurements, failed = take(jobs, keep)
        if recorded_at is not None and failed:
            measurements_file.merge(*recorded_at, (), failed, own)
        others, left_out = take(group_jobs(evaluated, wanted, budget), keep)
    measurements, left_out = [*measurements, *others], left_out | failed
    if isinstance(loaded.own, str):
        left_out = {OWN: loaded.own} | left_out
    if not only:
        left_out |= {
            name: f"slow, so it is computed only if named: --only {name}"
            for name, group in GROUPS.items()
            if group.opt_in
        }
    if not measurements:
        reasons = "; ".join(f"{group}: {reason}" for group, reason in left_out.items())
        raise EvaluationError(
            f"No metric of {loaded.model.name} could be computed. {reasons or 'It declares no metrics of its own'}."
        )
    where = recorded_at[0] / measurements_file.FILE if recorded_at else None
    return Evaluation(
        loaded.model.name, measurements, left_out, where, tuple(measurement.name for measurement in kept_older)
    )


def measure_quickly(
    folder: Path,
    step: int,
    name: str,
    module: Any,
    model: Model,
    recipe: Recipe,
    training: DataSplit,
    test: DataSplit,
    device: Any,
    quiet: bool,
) -> tuple[list[Measurement], dict[str, str]]:
    """See :func:`zoo.evaluation.at_end`; also returns why some of the model's own metrics failed, by name."""
    import dataclasses

    tasks, generation, codec = model.tasks(module.eval()), model.generation(module), model.compression(module)
    loaded = of_module(name, module, tasks, generation, training.sample, codec)
    evaluated = _evaluated(loaded, training, test, getattr(recipe, "leave_out", -1))
    own = PluginMetrics(model, module, recipe, device)
    sets = (metric.name for metric in model.metrics if isinstance(metric, SetMetric))
    quick = frozenset((*(metric.name for metric in at_checkpoints(model.metrics)), *sets))
    measurements, failed = take(own_jobs(own, evaluated, quick, Budget(quiet=quiet)), lambda _: None, Exception)
    if recipe.steps >= TRIAL:
        jobs = group_jobs(evaluated, chosen((), ()), dataclasses.replace(QUICK, quiet=quiet))
        measurements += take(jobs, lambda _: None, Exception)[0]
    if measurements or failed:
        measurements_file.merge(folder, step, measurements, failed, tuple(metric.name for metric in model.metrics))
    return measurements, failed


def _of_run(run: Path, checkpoint: str | None, device: str) -> Loaded:
    """Load a run's checkpoint, with the torch backend."""
    from zoo.training import checkpoints
    from zoo.training import run_folder as runs

    about, model, recipe, sample = runs.model_of(run)
    held = checkpoints.read(run, checkpoint or runs.released(recipe))
    needs = modules.recorded(about.get("needs"), str(run))
    module = modules.build(model, recipe, sample, about["name"], needs)
    checkpoints.load_module(checkpoints.weights(held), module)
    where = torch_device(device)
    module = module.eval().to(where)
    generation, codec = model.generation(module), model.compression(module)
    loaded = of_module(about["name"], module, model.tasks(module), generation, sample, codec)
    leave_out = getattr(recipe, "leave_out", -1)
    own = PluginMetrics(model, module, recipe, where)
    further = {field: getattr(recipe, field) for field in settings.uses_of(type(recipe)) if field != "data"}
    return Loaded(loaded, own, recipe.data, further, leave_out, (run, held.state.step))


def _of_release(source: str | Path, device: str) -> Loaded:
    """Load a release with ONNX Runtime, as users run it; the model's own metrics need its plugin."""
    release = read(find(source))
    loaded = LoadedModel(release, runtime.OnnxBackend(release, device))  # type: ignore[arg-type]
    return _loaded(loaded, own_of(release, device))


def own_of(release: Release, device: str) -> PluginMetrics | str:
    """The arguments of a released model's own metrics, or the reason why these cannot be computed.

    They need the model's plugin. Weights that the release leaves out are NaN in the module.
    """
    from zoo.evaluation import declared

    try:
        model = registry.load(registry.split(release.name)[0])
        recipe = settings.from_json(type(next(iter(model.recipes.values()))), release.manifest["recipe"])
        where = torch_device(device)
        module = declared.spoil(modules.of_release(release), release.manifest["left_out"]).to(where)
        return PluginMetrics(model, module, recipe, where)
    except ZooError as error:
        return str(error).rstrip(".")


def subject_of(model: LoadedModel, data: str | None, data_dir: str | Path | None, quiet: bool) -> EvaluatedModel:
    """A loaded release with both splits of its data, or of other `data` of the same form."""
    loaded = _loaded(model, "")
    return _evaluated(model, *_splits(loaded, data, data_dir, quiet), loaded.leave_out)


def _loaded(loaded: LoadedModel, own: PluginMetrics | str) -> Loaded:
    """A loaded release, with its data as in its recipe."""
    fields = loaded.release.manifest["recipe"]
    leave_out = fields["leave_out"] if type(fields.get("leave_out")) is int else -1
    further = {key: contract.from_json(fields[key]) for key in loaded.release.manifest["provenance"].get("further", {})}
    return Loaded(loaded, own, loaded.release.data, further, leave_out, None)


def _splits(loaded: Loaded, data: str | None, data_dir: str | Path | None, quiet: bool) -> tuple[DataSplit, DataSplit]:
    """Load both splits of the data and check that their form is the model's."""
    if data is None and loaded.recorded_at is None and loaded.data.place:
        kind, own = loaded.data.kind, {row.name: row.place for row in registry.data_rows()}.get(loaded.data.kind, "DIR")
        raise DataError(
            f"{loaded.model.name} was trained on {loaded.data.name!r}, of which a release has only the name. "
            f"Give its path: --data {kind}:{own}"
        )
    use = loaded.data if data is None else datasets.replaced(loaded.data, data)
    training, test = load_both(use, data_dir, downloads(quiet))
    for field, other in loaded.further.items():
        if loaded.recorded_at is not None or not other.place:  # a release has only the name of the user's own data
            test = test.adding(field, datasets.load(other, "test", data_dir=data_dir, progress=downloads(quiet)))
    wanted = loaded.model.release.sample.x
    training, test = training.with_columns(wanted), test.with_columns(wanted)
    if training.sample.x != wanted:
        raise DataError(
            f"{training.name} does not fit {loaded.model.name}: it is {training.sample.x.kind} of shape "
            f"{training.sample.x.shape}, and the model takes {wanted.kind} of shape {wanted.shape}"
            f"{', with other characters' if training.sample.x.shape == wanted.shape else ''}. Give other --data."
        )
    return training, test


def _check_data(run: Path, name: str, training: DataSplit, test: DataSplit) -> None:
    """Raise :class:`TrainingError` if the data has changed since the run was trained."""
    from zoo.training import run_folder as runs

    hint = f"To evaluate on the present data, without storing the measurements: --data {name}"
    runs.check_data(run, runs.described(run)["data"], training, test, hint)


def _evaluated(model: LoadedModel, training: DataSplit, test: DataSplit, leave_out: int) -> EvaluatedModel:
    return EvaluatedModel(model, without(training, leave_out), without(test, leave_out), test, leave_out)
