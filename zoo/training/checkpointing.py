"""Checkpointing: run `finish`, evaluate the model, write the checkpoint and generate samples."""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import nn

from zoo.contract.generation_plan import Plan
from zoo.contract.own_metrics import at_checkpoints
from zoo.core.errors import PluginError, ZooError, one_line
from zoo.media import display, kinds
from zoo.modules import derive_seed
from zoo.modules.torch_backend import TorchBackend
from zoo.registry import fault
from zoo.registry import split as split_name
from zoo.sampling import generation
from zoo.training import checkpoints, distributed, given_inputs, own_metrics, rehearsal
from zoo.training.logging import Report
from zoo.training.precision import next_step
from zoo.training.trainer_state import TrainingRun

WATCHED = 2000
"""Test samples for the metrics during a run without validation data."""

SHOWN = 16
"""Samples generated at each checkpoint."""


def checkpoint(run: TrainingRun, began: float, planned: bool, report: Report | None) -> None:
    """Write a checkpoint; if it is planned, also evaluate the model and generate samples.

    An unplanned checkpoint, at an interruption, does not change the results of the run.
    """
    run.world.settle(run.module)
    for key, value in run.module.named_parameters():
        if not distributed.whole(value.detach()).isfinite().all():
            run.fail_non_finite(run.state.step, f"the weight {key}")
    run.check_frozen()
    tensors, optimisers = checkpoints.collect(run.module, run.optimisers, run.ema)
    if report:
        shown = run.eval_module(tensors)
        if run.model.finish is not None:
            torch.manual_seed(derive_seed(run.recipe.seed, "finish"))
            _finish(run, shown)
            for name, buffer in shown.named_buffers():
                if f"module.{name}" in tensors:
                    tensors[f"module.{name}"] = buffer.detach().cpu().clone()
        run.state = dataclasses.replace(run.state, metrics={}, measured=0, split="", score=None)
        if planned:
            _measure(run, shown, report)
        run.state = dataclasses.replace(run.state, seconds=time.monotonic() - began)
        checkpoints.write(run.folder, dataclasses.replace(run.state, optimisers=optimisers), tensors)
        if planned:
            _sample(run, shown, report)
            report.draw(last=run.state.step == run.recipe.steps or run.state.ended)
        measurements = "".join(
            f"  {metric.name} {run.state.metrics[metric.name]:.4g} {metric.unit}"
            for metric in at_checkpoints(run.model.metrics) if planned and metric.name in run.state.metrics
        )  # fmt: skip
        report.say(f"step {run.state.step}: checkpoint written{measurements}")
        if run.state.ended:
            report.say(f"{run.recipe.early_stop} did not improve for {run.recipe.patience} checkpoints: stopped early.")
    ended = run.world.largest(int(run.state.ended), run.device)
    run.state = dataclasses.replace(run.state, ended=bool(ended))
    run.to_training()


def _finish(run: TrainingRun, module: nn.Module) -> None:
    try:
        with torch.no_grad():
            assert run.model.finish is not None
            run.model.finish(module, run.batches.in_order(), run.recipe)
    except (Exception, SystemExit) as error:
        if isinstance(error, ZooError) and not isinstance(error, PluginError):
            raise
        raise fault(
            split_name(run.name)[0],
            f"the function 'finish' of {run.name} fails at step {run.state.step}: {one_line(error)[:300].rstrip('.')}. "
            f"{next_step(error)}",
            error,
            run.model.finish,
        ) from error
    run.check_frozen(module, "the function `finish`")
    if run.model.codec is not None:
        plugin, tasks = split_name(run.name)[0], run.model.tasks(module)
        rehearsal.check_codec(plugin, run.model, module, tasks, run.sample, run.model.finish)


def _measure(run: TrainingRun, module: nn.Module, report: Report) -> None:
    """Compute the metrics, update the best score, and end the run if early stopping applies.

    A metric that fails has no value at this checkpoint. If it is the metric that selects the best checkpoint, this
    checkpoint does not count as better.
    """
    metrics = at_checkpoints(run.model.metrics)
    if not metrics:
        return
    held_out = run.watched is not run.test
    count = len(run.watched) if held_out else min(WATCHED, len(run.test))
    values, failed = own_metrics.compute(
        run.name, run.model, module, run.watched, run.recipe, run.sample, count,
        lambda text: report.say(f"step {run.state.step}: {text}"),
    )  # fmt: skip
    for error in failed.values():
        report.say(f"step {run.state.step}: {str(error).rstrip('.')}. It has no value at this checkpoint.")
    name, where = run.recipe.early_stop or metrics[0].name, "validation" if held_out else "test"
    (deciding,) = (metric for metric in metrics if metric.name == name)
    score = None if name not in values else values[name] if deciding.better == "lower" else -values[name]
    best_score = run.state.best_score
    better = score is not None and (best_score is None or score < best_score)
    checkpoints_since_best = 0 if better else run.state.checkpoints_since_best + 1
    report.metrics(run.state.step, values, count, where)
    run.state = dataclasses.replace(
        run.state,
        metrics=values,
        measured=count,
        split=where,
        score=score,
        best_score=score if better else best_score,
        checkpoints_since_best=checkpoints_since_best,
        ended=bool(run.recipe.early_stop) and checkpoints_since_best >= run.recipe.patience,
    )


def _sample(run: TrainingRun, module: nn.Module, report: Report) -> None:
    """Generate samples and report them."""
    value = run.model.generation(module)
    if value is None:
        return
    tasks = run.model.tasks(module)
    plan = Plan(value, tasks, run.sample)
    count = min(SHOWN, kinds.of_sample(run.sample.x).count(run.sample.x))
    backend = TorchBackend.of_module(module, tasks)
    samples = generation.generate(backend.run, plan, n=count, seed=0, **given_inputs.shown(plan, run.test, count))
    report.sample(run.state.step, display.contents(samples, run.sample.x))
