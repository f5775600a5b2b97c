"""A checkpoint: fit, measure, write and show the model as it is now."""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import nn

from zoo.contract.generation_plan import Plan
from zoo.core.errors import ZooError, one_line
from zoo.media import display
from zoo.modules import mix
from zoo.modules.torch_backend import TorchBackend
from zoo.registry import fault
from zoo.registry import split as split_name
from zoo.sampling import generation
from zoo.training import checkpoints, distributed, metrics
from zoo.training.logging import Report
from zoo.training.trainer_state import TrainingRun

WATCHED = 2000
"""Test samples on which measures are taken while a run goes on, if it holds out none for that."""

SHOWN = 16
"""Samples that are generated at each checkpoint."""


def checkpoint(run: TrainingRun, began: float, planned: bool, report: Report | None) -> None:
    """Fit, measure, write and show the model as it is now; one that was not planned leaves no trace in the run."""
    run.world.settle(run.module)
    for key, value in run.module.named_parameters():
        if not distributed.whole(value.detach()).isfinite().all():
            run.fail_non_finite(run.state.step, f"the weight {key}")
    tensors = checkpoints.collect(run.module, run.optimisers, run.ema)
    if report:
        shown = run.eval_module(tensors)
        if run.model.finish is not None:
            torch.manual_seed(mix(run.recipe.seed, "finish"))
            _finish(run, shown)
            for name, buffer in shown.named_buffers():
                if f"module.{name}" in tensors:
                    tensors[f"module.{name}"] = buffer.detach().cpu().clone()
        run.state = dataclasses.replace(run.state, measures={}, measured=0, split="", score=None)
        if planned:
            _measure(run, shown, report)
        run.state = dataclasses.replace(run.state, seconds=time.monotonic() - began)
        checkpoints.write(run.folder, run.state, tensors)
        if planned:
            _sample(run, shown, report)
            report.draw(last=run.state.step == run.recipe.steps or run.state.ended)
        figures = "".join(
            f"  {measure.name} {run.state.measures[measure.name]:.4g} {measure.unit}"
            for measure in metrics.quick(run.model.measures) if planned and measure.name in run.state.measures
        )  # fmt: skip
        report.say(f"step {run.state.step}: checkpoint written{figures}")
        if run.state.ended:
            report.say(f"{run.recipe.early_stop} got no better for {run.recipe.patience} checkpoints: stopped early.")
    ended = run.world.largest(int(run.state.ended), run.device)
    run.state = dataclasses.replace(run.state, ended=bool(ended))
    run.to_training()


def _finish(run: TrainingRun, module: nn.Module) -> None:
    try:
        with torch.no_grad():
            assert run.model.finish is not None
            run.model.finish(module, run.batches.in_order(), run.recipe)
    except ZooError:
        raise
    except Exception as error:
        raise fault(
            split_name(run.name)[0],
            f"the function 'finish' of {run.name} fails at step {run.state.step}: {one_line(error)[:200]}. "
            "Try other settings or data; ZOO_DEBUG=1 shows all of it",
            error,
            run.model.finish,
        ) from error


def _measure(run: TrainingRun, module: nn.Module, report: Report) -> None:
    """Measure, keep the record, and end the run if it asks for that.

    A metric that cannot be taken has no value at this checkpoint; where it is the one that chooses the best
    checkpoint, this one is not better.
    """
    measures = metrics.quick(run.model.measures)
    if not measures:
        return
    held_out = run.watched is not run.test
    count = len(run.watched) if held_out else min(WATCHED, len(run.test))
    taken, failed = metrics.take(measures, module, run.watched, run.recipe, count)
    for error in failed.values():
        report.say(f"step {run.state.step}: {str(error).rstrip('.')}. It has no value at this checkpoint.")
    values = metrics.means(taken)
    name, where = run.recipe.early_stop or measures[0].name, "validation" if held_out else "test"
    (judge,) = (measure for measure in measures if measure.name == name)
    score = None if name not in values else values[name] if judge.better == "lower" else -values[name]
    record = run.state.record
    better = score is not None and (record is None or score < record)
    waited = 0 if better else run.state.waited + 1
    report.measures(run.state.step, values, count, where)
    run.state = dataclasses.replace(
        run.state,
        measures=values,
        measured=count,
        split=where,
        score=score,
        record=score if better else record,
        waited=waited,
        ended=bool(run.recipe.early_stop) and waited >= run.recipe.patience,
    )


def _sample(run: TrainingRun, module: nn.Module, report: Report) -> None:
    """Tell of what the model generates."""
    value = run.model.generation(module)
    if value is None:
        return
    tasks = run.model.tasks(module)
    plan = Plan(value, tasks, run.sample)
    count = 1 if run.sample.x.kind == "text" else SHOWN
    samples = generation.generate(TorchBackend.of_module(module, tasks).run, plan, n=count, seed=0)
    report.sample(run.state.step, display.contents(samples, run.sample.x))
