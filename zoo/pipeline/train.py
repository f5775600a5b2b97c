"""The trainer of all models: it runs the objectives as phases, writes checkpoints, resumes exactly, and releases."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

try:
    import torch
except ImportError as error:
    from zoo.core.errors import unusable

    raise unusable(error, "torch", "train", "Training") from error

import zoo_export
from zoo import registry
from zoo.contract import settings
from zoo.contract.own_metrics import at_checkpoints
from zoo.core import files
from zoo.core.devices import fit_threads, torch_device
from zoo.core.errors import SettingError
from zoo.data import changed
from zoo.evaluation import Measurement, at_end, measurements_file
from zoo.hub.resolve import RELEASE
from zoo.modules import build
from zoo.plugin import Model, Recipe
from zoo.release import MANIFEST
from zoo.training import checkpoints, distributed, loop, run_folder
from zoo.training.distributed import World
from zoo.training.precision import arithmetic, best
from zoo.training.signals import after, afterwards, signals
from zoo.training.trainer_state import TrainingRun, TrainOptions


@dataclass(frozen=True)
class Run:
    """A completed run."""

    folder: Path
    release: Path | None
    steps: int
    seconds: float
    """Wall-clock time of training."""
    measurements: Sequence[Measurement]
    """The metrics at its end."""


def train(
    name: str,
    *,
    data: str | None = None,
    data_dir: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    device: str = "auto",
    precision: Literal["auto", "fp32", "tf32", "bf16"] | None = None,
    compile: bool = False,
    cuda_graphs: bool = False,
    deterministic: bool = False,
    shard: bool = False,
    checkpoint_every: int | None = None,
    release: bool = True,
    log: Sequence[str] = (),
    quiet: bool = False,
) -> Run:
    """Train ``model.recipe`` and write its release into the run folder (default ``runs/NAME``).

    `set` changes recipe fields, and options of the data, as in ``{"steps": 100, "data.size": 32}``; `data` names
    another data set, which keeps the recipe's options that it has, too. `start` names a SOURCE whose weights the run
    starts from. `checkpoint_every` is in steps (default: a tenth of the run; a resumed run keeps its own value).
    `resume` continues an interrupted run, which ends bit for bit as if it had not been interrupted (on one device,
    eager; on CUDA with `deterministic`). If there is no run yet, `resume` starts one; a run with a checkpoint does not
    need `start` any more. `compile` compiles each phase, and `cuda_graphs` replays it as one launch.
    `log` names loggers, such as "tensorboard". Under torchrun
    every process calls this function, and only rank 0 writes files; `shard` shards the weights of a model with one
    phase over the processes (FSDP2). Raises :class:`ZooError` for any error that a user can fix.
    """
    model, recipe = registry.load_recipe(name)
    changes = dict(set or {})
    changes |= {key: value for key, value in (("data", data), ("precision", precision)) if value is not None}
    recipe = changed(name, recipe, changes)
    settings.at_least("checkpoint_every", checkpoint_every, 1)
    folder = files.expand(out) if out is not None else Path("runs") / name
    where = distributed.own(torch_device(device))
    fit_threads()
    if resume and force:
        raise SettingError("--force replaces a run and --resume continues one: give only one of them.")
    if distributed.rank() == 0:
        if resume and run_folder.is_begun(folder):
            run_folder.described(folder)
        else:
            run_folder.check_free(folder, force)
    _check(name, model, recipe, shard)
    chosen = {
        logger: registry.load_value(logger, registry.LOGGERS)
        for logger in dict.fromkeys((log,) if isinstance(log, str) else log)
    }
    if release:
        zoo_export.check_installed("Writing the release at the end (--no-release leaves it out)")
    with run_folder.lock(folder) if distributed.rank() == 0 else nullcontext():
        with distributed.join(where) as world:
            resume = _goes_on(folder, resume, where, world, quiet)
            begun = run_folder.described(folder) if resume and world.first else {}
            recipe = dataclasses.replace(recipe, precision=_precision(recipe, begun, where, world))
            options = TrainOptions(
                compiled=({"mode": "reduce-overhead"} if cuda_graphs else {}) if compile or cuda_graphs else None,
                sharded=shard,
                checkpoint_every=_checkpoint_every(checkpoint_every, recipe, begun, where, world),
                loggers=chosen,
                release=release,
                quiet=quiet,
                trace=zoo_export.tracer(),
            )
            with arithmetic(recipe.precision, deterministic), signals() as stopped:
                run = TrainingRun(name, model, recipe, folder, where, world, data_dir, start, resume, options)
                if run.complete and world.first and not quiet:
                    print(f"{folder} is complete: {run.state.step} steps.", file=sys.stderr)
                loop.train(run, stopped)
                if (reason := stopped()) is not None:  # in its last step, or while the last checkpoint was written
                    raise after(reason)
        which = run_folder.released(recipe)
        with afterwards("measuring"):
            measurements = _measurements(folder, which, run, quiet) if world.first else ()
        target = folder / RELEASE
        if release and world.first and not (run.complete and (target / MANIFEST).is_file()):
            if not quiet:
                print("Writing the release and proving that torch and ONNX Runtime agree …", file=sys.stderr)
            with afterwards("writing the release"):
                zoo_export.export(folder, target, checkpoint=which, force=True)
    return Run(folder, target if release else None, run.state.step, run.state.seconds, measurements)


def _goes_on(folder: Path, resume: bool, device: torch.device, world: World, quiet: bool) -> bool:
    """Whether there is a run to resume, in all processes as in rank 0; if there is none, --resume starts one."""
    begun = resume and world.first and run_folder.is_begun(folder)
    if resume and world.first and not begun and not quiet:
        print(f"{folder} holds no run to resume, so a new run starts.", file=sys.stderr, flush=True)
    return bool(world.largest(int(begun), device))


def _measurements(folder: Path, checkpoint: str, run: TrainingRun, quiet: bool) -> Sequence[Measurement]:
    """Evaluate the checkpoint to be released, unless this has been done."""
    held = checkpoints.read(folder, checkpoint)
    found = measurements_file.read(folder, held.state.step)
    if run.complete and found:
        return found
    module = build(run.model, run.recipe, run.sample, run.name)
    checkpoints.load_module(checkpoints.weights(held), module)
    return at_end(
        folder, held.state.step, run.name, module.to(run.device), run.model, run.recipe,
        *run.splits, run.device, quiet=quiet,
    )  # fmt: skip


def _check(name: str, model: Model, recipe: Recipe, shard: bool) -> None:
    """Raise :class:`SettingError` for settings that exclude each other."""
    if recipe.early_stop:
        names = [metric.name for metric in at_checkpoints(model.metrics)]
        if recipe.early_stop not in names:
            slow = any(metric.name == recipe.early_stop for metric in model.metrics)
            why = "it has a limit or is of a set, and is not the first metric"
            what = f"is not computed at checkpoints ({why})" if slow else f"is no metric of {name}"
            raise SettingError(f"early_stop = {recipe.early_stop!r} {what}. There are: {', '.join(names) or 'none'}.")
        if not recipe.validation:
            raise SettingError(
                "early_stop needs validation samples, which are not test samples. Set validation=1000 or so."
            )
    if shard and distributed.count() == 1:
        raise SettingError(
            "--shard splits a model over several processes. Run: torchrun --nproc-per-node N -m zoo train … --shard"
        )


def _precision(recipe: Recipe, begun: Mapping[str, Any], device: torch.device, world: World) -> Any:
    """The precision of a run: for "auto" that of the resumed run, or the best one on rank 0's device."""
    chosen = recipe.precision
    if chosen == "auto" and world.first:
        chosen = begun["recipe"].get("precision") if begun else best(device)
    return world.broadcast(str(chosen).encode(), device).decode()


def _checkpoint_every(
    given: int | None, recipe: Recipe, begun: Mapping[str, Any], device: torch.device, world: World
) -> int:
    """The steps between checkpoints: as given, as in the resumed run, or a tenth of the run.

    Raises :class:`SettingError` if a resumed run with early stopping, which counts checkpoints, has another value.
    """
    held = begun.get("checkpoint_every")
    if recipe.early_stop and given and held and given != held:
        raise SettingError(
            f"The run was started with --checkpoint-every {held}, and early stopping depends on it; {given} was given. "
            "Omit it."
        )
    every = given or held or max(1, recipe.steps // 10)
    return int(world.broadcast(str(every).encode(), device))
