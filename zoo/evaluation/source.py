"""From a SOURCE, or a run that just ended, to its figures: loads what is measured, and takes family by family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import data as datasets
from zoo import modules, registry, runtime
from zoo.contract import settings
from zoo.contract.metric import Figure
from zoo.core.devices import fit_threads, torch_device
from zoo.core.errors import DataError, EvaluationError, SettingError, ZooError
from zoo.core.progress import downloads
from zoo.data import DataSet
from zoo.evaluation import measurements
from zoo.evaluation.evaluated_model import Budget, EvaluatedModel, of_module, without
from zoo.evaluation.metric_groups import FAMILIES, OWN, chosen
from zoo.evaluation.result import Evaluation
from zoo.evaluation.runner import PluginMetrics, family_jobs, own_jobs, take
from zoo.plugin import Measure, Model, Recipe
from zoo.release import Release, read
from zoo.release.resolve import find, run_folder
from zoo.runtime import LoadedModel

MOST_SAMPLES = 1_000_000

QUICK = Budget(limit=2000, most=1000, fit=2000, reference=10_000)
"""What the end of a run spends on what follows from the tasks; the model's own measures see the whole test split."""

TRIAL = 100
"""A run of fewer steps takes only the model's own measures at its end."""


@dataclass(frozen=True)
class Loaded:
    """A SOURCE that was loaded."""

    model: LoadedModel
    own: PluginMetrics | str
    """Or why the model's own measures cannot be taken."""
    data: str
    form: Mapping[str, Any]
    """The recipe fields that shape a sample: see :func:`zoo.data.form`."""
    leave_out: int
    kept_at: tuple[Path, int] | None
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
        raise SettingError(f"{str(source)!r} is a release, which has no checkpoints. Leave --checkpoint out.")
    else:
        loaded = _of_release(source, device)
    wanted = chosen(only, tuple(m.name for m in _declared(loaded.own)))
    training, test = _splits(loaded, data, data_dir, quiet)
    if loaded.kept_at is not None and data is None:
        _check_data(loaded.kept_at[0], loaded.data, training, test)
    subject = _subject(loaded.model, training, test, loaded.leave_out)
    budget = Budget(limit=limit, samples=samples, quiet=quiet)
    kept_at = loaded.kept_at if data is None else None  # a run's figures are those on its own data

    firmer: list[Figure] = []

    def keep(figures: Sequence[Figure]) -> None:
        if kept_at is not None:
            firmer.extend(measurements.merge(*kept_at, figures))

    with loaded.model:
        jobs = [] if isinstance(loaded.own, str) else own_jobs(loaded.own, subject, wanted, budget)
        figures, failed = take(jobs, keep)
        if kept_at is not None and failed:
            measurements.merge(*kept_at, (), failed)
        others, left_out = take(family_jobs(subject, wanted, budget, _declared(loaded.own)), keep)
    figures, left_out = [*figures, *others], left_out | failed
    if isinstance(loaded.own, str):
        left_out = {OWN: loaded.own} | left_out
    if not only:
        left_out |= {
            name: f"slow, so it is taken only when it is named: --only {name}"
            for name, family in FAMILIES.items()
            if family.asked
        }
    if not figures:
        reasons = "; ".join(f"{family}: {reason}" for family, reason in left_out.items())
        raise EvaluationError(
            f"Nothing could be measured of {loaded.model.name}. {reasons or 'It declares no measures of its own'}."
        )
    where = kept_at[0] / measurements.MEASURES if kept_at else None
    return Evaluation(loaded.model.name, figures, left_out, where, tuple(figure.name for figure in firmer))


def measure_quickly(
    folder: Path,
    step: int,
    name: str,
    module: Any,
    model: Model,
    recipe: Recipe,
    training: DataSet,
    test: DataSet,
    device: Any,
    quiet: bool,
) -> tuple[list[Figure], dict[str, str]]:
    """See :func:`zoo.evaluation.at_end`; also why some of the model's own metrics could not be taken."""
    import dataclasses

    loaded = of_module(name, module, model.tasks(module.eval()), model.generation(module), training.sample)
    subject = _subject(loaded, training, test, getattr(recipe, "leave_out", -1))
    own = PluginMetrics(model, module, recipe, device)
    quick = frozenset(measure.name for measure in model.measures if measure.limit is None)
    figures, failed = take(own_jobs(own, subject, quick, Budget(quiet=quiet)), lambda _: None, Exception)
    if recipe.steps >= TRIAL:
        jobs = family_jobs(subject, chosen((), ()), dataclasses.replace(QUICK, quiet=quiet), model.measures)
        figures += take(jobs, lambda _: None, Exception)[0]
    if figures or failed:
        measurements.merge(folder, step, figures, failed)
    return figures, failed


def _declared(own: PluginMetrics | str) -> tuple[Measure, ...]:
    return () if isinstance(own, str) else own.model.measures


def _of_run(run: Path, checkpoint: str | None, device: str) -> Loaded:
    """A run's checkpoint, run by torch."""
    from zoo.training import checkpoints
    from zoo.training import run_folder as runs

    about, model, recipe, sample = runs.model_of(run)
    held = checkpoints.read(run, checkpoint or runs.released(recipe))
    module = modules.build(model, recipe, sample, about["name"])
    checkpoints.load_module(checkpoints.weights(held), module)
    where = torch_device(device)
    module = module.eval().to(where)
    loaded = of_module(about["name"], module, model.tasks(module), model.generation(module), sample)
    leave_out = getattr(recipe, "leave_out", -1)
    own = PluginMetrics(model, module, recipe, where)
    return Loaded(loaded, own, recipe.data, datasets.form(vars(recipe)), leave_out, (run, held.state.step))


def _of_release(source: str | Path, device: str) -> Loaded:
    """A release, run by ONNX Runtime as users run it; the model's own measures need its plugin."""
    release = read(find(source))
    loaded = LoadedModel(release, runtime.OnnxBackend(release, device))  # type: ignore[arg-type]
    return _loaded(loaded, own_of(release, device))


def own_of(release: Release, device: str) -> PluginMetrics | str:
    """What the own metrics of a release's model are called with, or why they cannot be taken: they need its plugin.

    Weights that the release leaves out are NaN in the module.
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
    """A release that was loaded, with both splits of its data, or of other `data` of the same form."""
    loaded = _loaded(model, "")
    return _subject(model, *_splits(loaded, data, data_dir, quiet), loaded.leave_out)


def _loaded(loaded: LoadedModel, own: PluginMetrics | str) -> Loaded:
    """A release that was loaded, with what its recipe says of its data."""
    fields = loaded.release.manifest["recipe"]
    leave_out = fields["leave_out"] if type(fields.get("leave_out")) is int else -1
    return Loaded(loaded, own, str(fields.get("data", "")), datasets.form(fields), leave_out, None)


def _splits(loaded: Loaded, data: str | None, data_dir: str | Path | None, quiet: bool) -> tuple[DataSet, DataSet]:
    """Both splits of the data, which have the form that the model takes."""
    name = data or loaded.data
    if data is None and loaded.kept_at is None and ":" in name:
        kind = name.partition(":")[0]
        raise DataError(
            f"{loaded.model.name} was made from {name!r}, of which a release keeps the name alone. "
            f"Say where it is: --data {kind}:{'FILE' if kind == 'text' else 'DIR'}"
        )
    training, test = (
        datasets.load(name, split, data_dir=data_dir, **loaded.form, progress=downloads(quiet))
        for split in ("train", "test")
    )
    wanted = loaded.model.release.sample.x
    if training.sample.x != wanted:
        raise DataError(
            f"{training.name} does not fit {loaded.model.name}: it is {training.sample.x.kind} of shape "
            f"{training.sample.x.shape}, and the model takes {wanted.kind} of shape {wanted.shape}"
            f"{', with other characters' if training.sample.x.shape == wanted.shape else ''}. Give other --data."
        )
    return training, test


def _check_data(run: Path, name: str, training: DataSet, test: DataSet) -> None:
    """Raise :class:`TrainingError` where the data is no longer what the run was trained on."""
    from zoo.training import run_folder as runs

    hint = f"To measure it on what is there now, and keep no figures: --data {name}"
    runs.check_data(run, runs.described(run), training, test, hint)


def _subject(model: LoadedModel, training: DataSet, test: DataSet, leave_out: int) -> EvaluatedModel:
    return EvaluatedModel(model, without(training, leave_out), without(test, leave_out), test, leave_out)
